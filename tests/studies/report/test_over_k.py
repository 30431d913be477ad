"""Scores over K in words, as a figure and in the report."""

from __future__ import annotations

from pathlib import Path

import pytest

from dst.k_curve import KPoint
from studies.report import figures
from studies.report.enough_k import k_in_words, smallest_k_in_words
from studies.report.figures import Found, figures_of
from studies.report.over_k import score_over_k
from studies.report.report import write_report
from studies.report.tables import trials_table
from studies.store.archive import StudyArchive
from studies.store.folder import StudyFolder

CURVE = [KPoint(5, 0.80, 0.75, 0.85), KPoint(14, 0.931, 0.90, 0.962), KPoint(40, 0.936, 0.92, 0.952)]
ONE_SEED = [KPoint(5, 0.80, None, None), KPoint(14, 0.90, None, None)]


@pytest.fixture
def rows(study):
    """The made-up study's rows, with scores over K on two of its datasets."""
    curves = {"madelon": (CURVE, 14), "wine": (ONE_SEED, None), "yale": ((), None)}
    return [
        row | {"k_curve": [vars(point) for point in curves[row["dataset"]][0]], "smallest_k": curves[row["dataset"]][1]}
        for row in study.best_by_method
    ]


def test_words():
    assert k_in_words(CURVE, 14) == "93.1 % (90.0 to 96.2) beside 93.6 % with 40"
    assert k_in_words(CURVE, 40) == "93.6 % (92.0 to 95.2), the best"
    assert k_in_words(ONE_SEED, 5) == "80.0 % beside 90.0 % with 14"


def test_a_row_in_words(rows):
    by_dataset = {row["dataset"]: smallest_k_in_words(row) for row in rows}
    assert by_dataset == {
        "madelon": "madelon: K = 14 has 93.1 % (90.0 to 96.2) beside 93.6 % with 40",
        "wine": None,
        "yale": None,
    }


def test_the_figure_has_each_curve_with_its_intervals_and_marks_the_smallest_k(rows):
    best = [row for row in rows if row["method"] == "set"]
    figure = score_over_k(best, rows)
    figure.canvas.draw()
    panels = {axes.get_title(loc="left"): axes for axes in figure.axes if axes.get_visible()}
    assert list(panels) == ["madelon", "wine"]  # a single K is no curve
    curves = panels["madelon"].containers
    assert len(curves) == 3
    for container in curves:
        line, _, (bars,) = container.lines
        assert list(line.get_xdata()) == pytest.approx([5, 14, 40], rel=0.035)
        assert list(line.get_ydata()) == pytest.approx([80, 93.1, 93.6])
        ends = [segment[:, 1].tolist() for segment in bars.get_segments()]
        assert ends == [pytest.approx([100 * point.low, 100 * point.high]) for point in CURVE]
    assert sorted(container.lines[0].get_linewidth() for container in curves) == [1, 1, 2]
    large = [line for line in panels["madelon"].get_lines() if len(line.get_xdata()) == 1]
    assert [line.get_ydata()[0] for line in large] == pytest.approx([93.1] * 3)
    assert not [line for line in panels["wine"].get_lines() if len(line.get_xdata()) == 1]
    assert [text.get_text() for text in panels["madelon"].get_xticklabels()] == ["5", "14", "40"]


def test_a_study_of_one_k_has_no_such_figure(study, rows):
    trials = trials_table(StudyArchive(study.folder))
    assert "score_over_k" not in {figure.name for figure in figures_of(Found([], study.best_by_method, trials))}
    assert "score_over_k" in {figure.name for figure in figures_of(Found([], rows, trials))}


def test_the_report_says_how_many_columns_are_enough(study, rows, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(figures, "drawn_both", lambda name, draw: ('<svg viewBox="0 0 1 1"></svg>', b"no picture"))
    folder = StudyFolder(tmp_path)
    best = [row for row in rows if row["method"] == "set"]
    write_report(StudyArchive(folder), best, rows, trials_table(StudyArchive(study.folder)))
    page = folder.report.read_text()
    assert "<h2>How many columns</h2>" in page
    assert "madelon: K = 14 has 93.1 % (90.0 to 96.2) beside 93.6 % with 40." in page
    assert (folder.plots / "score_over_k.png").exists()
    write_report(StudyArchive(folder), study.best, study.best_by_method, trials_table(StudyArchive(study.folder)))
    assert "How many columns" not in folder.report.read_text()
