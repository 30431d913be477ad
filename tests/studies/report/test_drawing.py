"""Names are drawn as they are written, and a figure that fails costs no result."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.figure import Figure

from studies.cli.main import main
from studies.report import figures as plots
from studies.report import ranking as selecting
from studies.report.drawing import drawn, drawn_both, shown_name, to_png, to_svg
from studies.report.figures import Found, write_plots
from studies.report.ranking import bars, check_out, write_ranking
from studies.report.tables import trials_table
from studies.report.write import write_results
from studies.run import run_study
from studies.spec.loading import parse_spec
from studies.store.archive import StudyArchive
from tests.support.examples import FEW

NAMES = (
    "price $",
    "$x$",
    "$\\frac{1$",
    "US$ per $",
    "$_^$",
    "a_b^c",
    "\\alpha",
    "{}",
    "<b>&amp;",
    "100%",
    "#1",
    "~",
    "größe",
    "列",
    "🙂",
    "two\nlines",
    "\x07bell",
    "tab\t",
    "[red]x[/]",
    "n" * 500,
)


def ranking(names: tuple[str, ...]) -> pd.DataFrame:
    score = np.linspace(1, 0.1, len(names))
    return pd.DataFrame({"rank": 1, "column": 0, "name": names, "score": score, "stability": 1.0})


def texts(figure: Figure) -> list[str]:
    return [label.get_text() for label in figure.axes[0].get_yticklabels()]


@pytest.mark.parametrize("settings", [{}, {"text.usetex": True}, {"axes.formatter.use_mathtext": True}])
def test_a_chart_of_names_that_mean_something_to_tex(settings: dict[str, bool]) -> None:
    with mpl.rc_context(settings), warnings.catch_warnings():
        warnings.simplefilter("error")
        chart = drawn("chart", lambda: to_png(bars(ranking(NAMES), len(NAMES), "$title of $2")))
    assert chart is not None
    assert chart.startswith(b"\x89PNG")


def test_names_are_drawn_as_they_are_written() -> None:
    plain = [name for name in NAMES if name.isprintable() and len(name) <= 32]
    figure = bars(ranking(tuple(plain)), len(plain), "title")
    document = to_svg(figure, "chart")
    assert texts(figure) == plain
    for name in plain:
        assert name.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;") in document
    assert "$\\mathdefault" not in document


@settings(max_examples=FEW)
@given(st.text(st.characters(codec="utf-8"), min_size=1, max_size=40))
def test_any_name_can_be_drawn(name: str) -> None:
    figure = bars(ranking((name,)), 1, name)
    assert to_png(figure).startswith(b"\x89PNG")
    assert name in to_svg(figure, "chart") or not name.isprintable() or len(name) > 32 or set(name) & set("<>&")


@given(st.text(max_size=60), st.integers(2, 40))
def test_a_name_in_a_figure_is_one_short_line(name: str, longest: int) -> None:
    shown = shown_name(name, longest)
    assert len(shown) == min(len(name), longest)
    assert shown.isprintable()


@pytest.mark.parametrize("longest", [32, 44])
def test_long_names_that_begin_alike_are_told_apart(longest: int) -> None:
    names = [f"{'customers_of_all_years_and_countries' * 2}-{end}" for end in ("mcar-0.2", "mcar-0.4", "mnar-0.2")]
    assert len({shown_name(name, longest) for name in names}) == 3
    assert len({shown_name(f"{begin}{'x' * 60}", longest) for begin in "abc"}) == 3


def fail(*_: object, **__: object) -> Figure:
    raise ValueError("ParseException:\nno such\nformula")


def test_a_figure_that_fails_is_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    assert drawn_both("history", fail) is None
    (record,) = caplog.records
    reason = "ValueError: ParseException: no such formula"
    assert record.getMessage() == f"the figure history could not be drawn ({reason})"


def test_a_ranking_is_written_though_its_chart_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(selecting, "bars", fail)
    out = tmp_path / "r.csv"
    assert write_ranking(out, ranking(NAMES), 3, title="t") is None
    assert pd.read_csv(out)["name"].tolist() == list(NAMES)
    monkeypatch.chdir(tmp_path)
    pd.DataFrame({"$a_$": [0.1, 0.2, 0.9, 0.8] * 10, "b": [0.5, 0.1] * 20, "y": [0, 0, 1, 1] * 10}).to_csv(
        "t.csv", index=False
    )
    for options in ((), ("--json",)):
        with pytest.raises(SystemExit) as ended:
            main(["select", "t.csv", "--target", "y", "--k", "1", "--epochs", "1", "--repeats", "1", *options])
        assert ended.value.code == 0
        printed = capsys.readouterr()
    assert json.loads(printed.out)["plot"] is None
    assert len(pd.read_csv("t-features.csv")) >= 2


def test_a_report_is_written_though_a_figure_fails(
    make_study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    study = make_study(tmp_path / "one", tables=["yale"])
    trials = trials_table(StudyArchive(study.folder))

    def pictures() -> set[str]:
        return {path.stem for path in study.folder.plots.glob("*.png")}

    written = set(write_plots(study.folder, Found(study.best, study.best_by_method, trials)))
    assert {"score_history"} <= written == pictures()
    monkeypatch.setattr(plots, "score_history", fail)
    documents = write_plots(study.folder, Found(study.best, study.best_by_method, trials))
    assert {"accuracy_by_method", "score_by_density"} <= set(documents) == pictures() == written - {"score_history"}
    assert "the figure score_history could not be drawn" in caplog.text


def test_a_study_ends_with_all_its_tables_though_every_figure_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("accuracy_by_method", "score_history", "score_by_density"):
        monkeypatch.setattr(plots, name, fail)
    document = {"name": "s", "datasets": [{"path": "wine", "k": 2}], "methods": ["l1_logistic"]}
    few = {"search": {"trials": 1}, "confirm": {"top": 1, "seeds": 1}, "tracking": {"wandb": {"mode": "disabled"}}}
    result = run_study(parse_spec({**document, **few}), out=tmp_path / "out", in_process=True)
    assert len(result.rows) == 1
    written = {path.name for path in result.folder.rglob("*") if path.is_file()}
    assert {"best.csv", "trials.csv", "wine.yaml", "wine.csv", "report.html"} <= written
    assert "could not be drawn" in (result.folder / "report.html").read_text()

    def no_page(*_: object, **__: object) -> None:
        raise RuntimeError

    (result.folder / "best.csv").unlink()
    (result.folder / "best" / "wine.yaml").unlink()
    monkeypatch.setattr("studies.report.write.write_report", no_page)
    from studies.store.folder import StudyFolder

    with pytest.raises(RuntimeError):
        write_results(StudyArchive(StudyFolder(result.folder)))
    assert (result.folder / "best.csv").exists()
    assert (result.folder / "best" / "wine.yaml").exists(), "tables and specs come before the page"


@pytest.mark.parametrize(
    ("out", "message"),
    [
        ("x" * 252 + ".csv", "names of at most 255 bytes"),
        ("ä" * 126 + ".csv", "names of at most 255 bytes"),
        ("x" * 256 + "/a.csv", "names of at most 255 bytes"),
        ("b/" + "ä" * 128 + "/c/a.csv", "names of at most 255 bytes"),
        ("x/" * 2500 + "a.csv", r"a path that can be written to, but got .* \(File name too long\)"),
        ("t.csv/a.csv", "a folder that can be written to"),
    ],
)
def test_where_a_ranking_cannot_be_written_is_said_before_training(
    out: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "t.csv").touch()
    with pytest.raises(selecting.InputError, match=message):
        check_out(Path(out), "t.csv")
    check_out(Path("new/folder/" + "x" * 251 + ".csv"), "t.csv")
    with monkeypatch.context() as read_only:
        read_only.setattr("os.access", lambda *_: False)
        with pytest.raises(selecting.InputError, match=f"a folder that can be written to, but {tmp_path} cannot"):
            check_out(Path("new/folder/a.csv"), "t.csv")
    write_ranking(Path("new/folder/" + "x" * 251 + ".csv"), ranking(("a",)), 1, title="t")
