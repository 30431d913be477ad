"""The report in a real browser: everything is there, nothing is cut off, tables sort and filter, no request leaves."""

from __future__ import annotations

from pathlib import Path

import pytest

from studies.report.figures import Found, figures_of
from studies.report.report import write_report
from studies.report.tables import trials_table, write_tables
from studies.store.archive import StudyArchive
from tests.support.browser import Seen, look_at

pytestmark = pytest.mark.slow

LOOK = """
async function look(window, document, width) {
  await new Promise((resolve) => window.requestAnimationFrame(() => window.requestAnimationFrame(resolve)));
  const cut = [...document.body.querySelectorAll("*")].filter((element) => {
    if (element.closest(".wide") && !element.matches(".wide")) return false;
    const box = element.getBoundingClientRect();
    return box.right > width + 0.5 || box.left < -0.5;
  });
  const squeezed = [...document.querySelectorAll("td, th, p, dd, li, h1, h2, h3")].filter((element) =>
    element.scrollWidth > element.clientWidth + 1 && window.getComputedStyle(element).display !== "inline");
  const tables = [...document.querySelectorAll("table")];
  const cells = (table, column) => [...table.tBodies[0].rows].filter((row) => row.checkVisibility())
    .map((row) => row.cells[column].textContent);
  const columns = tables.find((table) => table.tBodies[0].rows.length === 20);
  const buttons = [...columns.tHead.querySelectorAll("button")];
  const sorted = {}, times = [];
  for (const [column, name] of [[0, "Rank"], [1, "Column"], [2, "Score"]]) {
    const start = window.performance.now();
    buttons[column].click();
    times.push(window.performance.now() - start);
    sorted[name] = cells(columns, column);
  }
  const input = columns.parentElement.previousElementSibling.previousElementSibling.querySelector("input")
    || columns.parentElement.previousElementSibling.querySelector("input");
  input.value = sorted.Column[0];
  input.dispatchEvent(new window.Event("input"));
  const filtered = cells(columns, 1);
  input.value = "";
  input.dispatchEvent(new window.Event("input"));
  return {
    text: document.body.textContent,
    cut: cut.map((element) => element.outerHTML.slice(0, 80)),
    squeezed: squeezed.map((element) => element.outerHTML.slice(0, 80)),
    width: document.documentElement.scrollWidth,
    hints: [...document.querySelectorAll(".hint")].filter((hint) => hint.checkVisibility()).length,
    wide: [...document.querySelectorAll(".wide")].filter((box) => box.scrollWidth > box.clientWidth + 1).length,
    sorted, filtered, all: cells(columns, 1).length, times,
    order: buttons.map((button) => button.parentElement.getAttribute("aria-sort")),
    figures: [...document.querySelectorAll("figure svg")].map((svg) => svg.getBBox())
      .map((box) => Math.min(box.width, box.height)),
    requests: window.performance.getEntriesByType("resource").map((entry) => entry.name),
  };
}
"""


@pytest.fixture(scope="module")
def page(make_study, tmp_path_factory: pytest.TempPathFactory):
    study = make_study(tmp_path_factory.mktemp("browser") / "study")
    archive = StudyArchive(study.folder)
    trials = write_tables(archive, study.best, study.best_by_method, study.feature_names)
    write_report(archive, study.best, study.best_by_method, trials)
    return study


@pytest.fixture(scope="module")
def seen(page, tmp_path_factory: pytest.TempPathFactory) -> Seen:
    return look_at(page.folder.report, LOOK, tmp_path_factory.mktemp("chromium"))


def test_every_dataset_and_every_selected_column_is_named(page, seen: Seen) -> None:
    assert "error" not in seen.result, seen.result["error"]
    for shown in seen.result.values():
        for row in page.best:
            assert row["dataset"] in shown["text"]
            names = page.feature_names[row["dataset"]]
            assert all(names[column] in shown["text"] for column in row["features"])


def test_nothing_is_cut_off_and_what_scrolls_says_so(seen: Seen) -> None:
    for width, shown in seen.result.items():
        assert shown["cut"] == shown["squeezed"] == []
        assert shown["width"] <= int(width)
        assert shown["hints"] == shown["wide"]
    assert seen.result["390"]["wide"] > 0 == seen.result["1400"]["wide"]


def test_tables_sort_and_filter(seen: Seen) -> None:
    for shown in seen.result.values():
        ranks, names, scores = (shown["sorted"][name] for name in ("Rank", "Column", "Score"))
        assert ranks == [str(rank) for rank in range(20, 0, -1)], "numbers: the largest first"
        assert names == sorted(names)
        assert len(set(names)) == shown["all"] == 20
        assert [float(score) for score in scores] == sorted(map(float, scores), reverse=True)
        assert shown["order"] == [None, None, "descending", None, None]
        assert shown["filtered"] == [names[0]]


def test_figures_draw_and_no_request_leaves(page, seen: Seen) -> None:
    found = Found(page.best, page.best_by_method, trials_table(StudyArchive(page.folder)))
    for shown in seen.result.values():
        assert len(shown["figures"]) >= len(figures_of(found))
        assert min(shown["figures"]) > 10
        assert shown["requests"] == []
    assert seen.asked == []
    assert seen.console == []


def test_a_browser_says_what_a_page_does_wrong(tmp_path: Path) -> None:
    """Otherwise the tests above would pass on any page."""
    bad = tmp_path / "bad.html"
    bad.write_text(
        '<body><div id="a" style="width: 500px">x</div><img src="http://example.org/x.png"><script>no()</script>'
    )
    script = """async function look(window, document) {
      return [document.documentElement.scrollWidth, window.performance.getEntriesByType("resource").length];
    }"""
    seen = look_at(bad, script, tmp_path, widths=(390,))
    assert seen.result["390"][0] > 390
    assert seen.result["390"][1] == 1
    assert any("no is not defined" in line for line in seen.console)
