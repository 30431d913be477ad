"""The report is one page that fetches nothing, escapes everything and names what won."""

from __future__ import annotations

import base64
import hashlib
import re
from collections import Counter
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest

from studies.report import figures
from studies.report.report import write_report
from studies.report.tables import trials_table
from studies.report.winners import is_baseline
from studies.store.archive import StudyArchive
from studies.store.folder import StudyFolder

VOID = {"meta", "br", "hr", "img", "link", "input"}


class Page(HTMLParser):
    """Collects what the page is made of, and checks that its tags close in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: Counter[str] = Counter()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.cells: list[str] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.ids += [value or "" for name, value in attrs if name == "id"]
        self.links += [value or "" for name, value in attrs if name in ("src", "href", "xlink:href", "action")]
        if tag not in VOID:
            self.open.append(tag)
        if tag in ("td", "th"):
            self.cells.append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if {"td", "th"} & set(self.open):
            self.cells[-1] += data


FEW = {"accuracy_by_method", "score_history", "score_by_density"}


@pytest.fixture(scope="module", autouse=True)
def _few_figures() -> Iterator[None]:
    """The others are tests/studies/report/test_plots.py's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(figures, "FIGURES", tuple(one for one in figures.FIGURES if one.name in FEW))
        yield


@pytest.fixture(scope="module")
def page(study) -> str:
    write_report(
        StudyArchive(study.folder),
        study.best,
        study.best_by_method,
        trials_table(StudyArchive(study.folder)),
        title="Three <b>tables</b>",
    )
    return study.folder.report.read_text()


def test_nothing_is_fetched_and_nothing_but_its_own_script_runs(page: str) -> None:
    parsed = Page(page)
    assert parsed.tags["link"] == parsed.tags["img"] == parsed.tags["iframe"] == 0
    (script,) = re.findall("<script>(.*?)</script>", page, flags=re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in page
    assert all(link.startswith("#") for link in parsed.links)
    assert all(f'id="{link[1:]}"' in page for link in parsed.links)
    assert "default-src 'none'" in page
    assert "@import" not in page
    assert set(re.findall(r"url\((.)", page)) <= {"#"}
    assert len(parsed.ids) == len(set(parsed.ids))
    assert parsed.tags["svg"] == 3


def test_text_is_escaped(page: str) -> None:
    assert "<h1>Three &lt;b&gt;tables&lt;/b&gt;</h1>" in page
    assert "loss is &lt;nan&gt; &amp; not finite at epoch 3 of wine" in page
    assert "<nan>" not in page


def test_both_schemes_and_the_figures_follow_them(page: str) -> None:
    assert "prefers-color-scheme: dark" in page
    assert 'name="color-scheme" content="light dark"' in page
    for figure in re.findall(r"<figure>.*?</figure>", page, flags=re.DOTALL):
        assert "var(--ink)" in figure
        assert "#1f2328" not in figure


def test_winners_and_what_they_beat(study, page: str) -> None:
    cells = Page(page).cells
    for row in study.best:
        start = cells.index(row["dataset"])
        accuracy = f"{100 * row['test_mean']:.1f} ± {100 * row['test_std']:.1f}"
        assert cells[start + 1] == row["method"] + ("baseline" if is_baseline(row) else "")
        assert cells[start + 2] == accuracy
        assert f'<td class="number chosen">{accuracy}</td>' in page
        balanced, area, accuracy, score = cells[start + 4 : start + 8]
        assert (balanced, area) == (f"{row['val_balanced_accuracy']:.4f}", f"{row['val_macro_auc']:.4f}")
        measured = row["list_test_score"] is not None
        assert (accuracy, score) == (("77.0", "0.8000") if measured else ("not measured", "not measured"))
    lacking = [row["dataset"] for row in study.best if row["list_test_score"] is None]
    assert lacking  # likewise
    assert f"The feature list of {' and '.join(lacking)} was not measured: run the study again" in page
    baselines = [row["dataset"] for row in study.best if is_baseline(row)]
    assert baselines  # the made-up study has such a dataset, or this test tests nothing
    assert f"A baseline won on {' and '.join(baselines)}:" in page
    for row in study.best_by_method:
        assert f"{100 * row['test_mean']:.1f} ± {100 * row['test_std']:.1f}" in cells


def test_counts_and_cost(study, page: str) -> None:
    trials, cells = trials_table(StudyArchive(study.folder)), Page(page).cells
    start = cells.index("all")
    states = trials["state"].value_counts()
    expected = [str(states[state]) for state in ("finished", "stopped", "failed")]
    assert cells[start + 1 : start + 5] == [*expected, str((trials["stage"] == "confirm").sum())]
    total, *parts = (float(text.replace(",", "")) for text in cells[start + 5 : start + 10])
    assert total == pytest.approx(trials["seconds"].sum(), rel=0.01)
    assert sum(parts) == pytest.approx(total, rel=0.01)
    assert cells[start + 10] == f"{trials['rss'].max() / 2**20:,.0f} MiB"


def test_an_empty_study_and_one_that_opened_no_test_rows(make_study: Callable, tmp_path: Path) -> None:
    empty = StudyFolder(tmp_path / "empty")
    write_report(StudyArchive(empty), [], [], trials_table(StudyArchive(empty)))
    text = empty.report.read_text()
    assert "<h1>empty</h1>" in text
    assert "0 trials on 0 datasets." in text
    assert Page(text).tags["svg"] == 0

    study = make_study(tmp_path / "closed")
    closed = [row | {"test_mean": None, "test_std": None} for row in study.best_by_method]
    best = [row | {"test_mean": None, "test_std": None} for row in study.best]
    write_report(StudyArchive(study.folder), best, closed, trials_table(StudyArchive(study.folder)), cpus=2.0)
    text = study.folder.report.read_text()
    assert "The test rows have not been opened." in text
    assert text.count("not opened") == len(best) + len(closed)
    assert Page(text).tags["svg"] == 2


def test_many_failures_are_cut_short(tmp_path: Path) -> None:
    folder = StudyFolder(tmp_path)
    blank = trials_table(StudyArchive(folder))
    failed = pd.DataFrame({"dataset": "wine", "number": range(60), "state": "failed", "stage": "search"})
    trials = failed.reindex(columns=blank.columns).astype(blank.dtypes)
    write_report(StudyArchive(folder), [], [], trials)
    text = folder.report.read_text()
    assert "10 more in trials.csv." in text
    assert text.count("no message") == 50
