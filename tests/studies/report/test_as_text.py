"""The report in words, as Markdown and as LaTeX says what the page says."""

from __future__ import annotations

import pandas as pd
import pytest

from studies.report.as_text import latex_table, markdown_table
from studies.report.cells import Cell, Table
from studies.report.cost import Cost
from studies.report.markdown import markdown_report
from studies.report.summary import summary_of
from studies.report.tables import trials_table
from studies.report.winners import methods_table, shared_configurations, winners_table
from studies.spec.objective import ObjectiveSpec
from studies.store.archive import StudyArchive

ODD = Table(
    "odd",
    "50% of A_b",
    ["Name", "#Score"],
    [[Cell("a|b_c <i>", "name", tag="x"), Cell("96.5 ± 1.0", "number", chosen=True)], [Cell("{\\^~}"), Cell("—")]],
)


def test_markdown_keeps_columns_and_marks_apart() -> None:
    assert markdown_table(ODD).splitlines() == [
        "| Name | Score |",
        "| --- | ---: |",
        r"| a\|b\_c \<i> (x) | **96.5 ± 1.0** |",
        r"| {\\^~} | — |",
    ]


def test_latex_compiles_whatever_names_hold() -> None:
    text = latex_table(ODD)
    assert "\\begin{tabular}{lr}\n\\toprule\nName & Score \\\\\n\\midrule\n" in text
    assert "\na|b\\_c <i> (x) & \\textbf{96.5 $\\pm$ 1.0} \\\\\n" in text
    assert "\\{\\textbackslash{}\\textasciicircum{}\\textasciitilde{}\\} & -- \\\\\n" in text
    assert "\\caption{50\\% of A\\_b}" in text
    assert "\\label{tab:odd}" in text


def test_the_summary_says_which_columns_how_sure_how_much_better_and_at_what_cost(study) -> None:
    trials = trials_table(StudyArchive(study.folder))
    cost = Cost(useful=7200.0)
    counts = {name: len(names) for name, names in study.feature_names.items()}
    summary = summary_of(study.best, study.best_by_method, trials, cost, counts=counts, absent=["gone"])
    overall, beside = summary.paragraphs
    failed = (trials["state"] == "failed").sum()
    assert overall.endswith(
        f"took 2.0 hours on cores; {failed} trials failed. Left out, because their files were not at hand: gone."
    )
    tests = pd.DataFrame(study.best_by_method).assign(sparse=lambda rows: rows["method"] != "l1_logistic")
    best = tests.sort_values("val_score").pivot_table("test_mean", "dataset", "sparse", aggfunc="last")
    difference = 100 * (best[True] - best[False])
    assert f"{abs(difference.mean()):.1f} points on average, and ahead on {(difference > 0).sum()} of 3" in beside
    half = 4.30265 * difference.std() / 3**0.5
    assert f"{difference.mean() - half:+.1f} to {difference.mean() + half:+.1f} points" in beside
    for row, finding in zip(study.best, summary.findings, strict=True):
        assert finding.startswith(f"{row['dataset']}: {row['k']} of {counts[row['dataset']]} columns")
        assert "Seeds agree well on the columns (stability 0.80)." in finding
        assert f"Best columns: {', '.join(row['feature_names'][:4])}" in finding
    assert summary_of([], [], trials.head(0), Cost(), counts={}, absent=[]).findings == []


def test_the_markdown_has_all_that_it_is_given(study) -> None:
    trials = trials_table(StudyArchive(study.folder))
    summary = summary_of(study.best, study.best_by_method, trials, Cost(), counts={}, absent=[])
    tables = [winners_table(study.best, ObjectiveSpec()), methods_table(study.best, study.best_by_method)]
    text = markdown_report("t", summary, tables, [("score_history", "The *history*.")], {"Search": "So."}, None)
    assert text.startswith("# t\n\n75 trials on 3 datasets.")
    assert "![score_history](plots/score_history.png)\n\nThe \\*history\\*." in text
    assert "- **Search**: So." in text
    for row in study.best_by_method:
        assert f"{100 * row['test_mean']:.1f} ± {100 * row['test_std']:.1f}" in text


@pytest.mark.parametrize(("direction", "first"), [("maximize", "a"), ("minimize", "b")])
def test_one_configuration_for_all_datasets_is_one_that_all_of_them_tried(direction: str, first: str) -> None:
    scores = [("x", "a", 0.9), ("x", "b", 0.8), ("y", "a", 0.7), ("y", "b", 0.6), ("x", "c", 1.0)]
    trials = pd.DataFrame(scores, columns=["dataset", "params", "val_score"]).assign(stage="search", state="finished")
    shared = shared_configurations(trials, direction)
    assert shared["params"].tolist() == [first, "b" if first == "a" else "a"], "c was tried on x alone"
    assert shared["mean_rank"].tolist() == [1.0, 2.0]
    assert shared.set_index("params").loc["a", "val_score"] == pytest.approx(0.8)
    assert shared_configurations(trials[trials["dataset"] == "x"], direction).empty
