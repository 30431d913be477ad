"""Figures show what the tables hold, are told apart without colour, and leave matplotlib as it was."""

from __future__ import annotations

import html
import io
import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from studies.report import figures
from studies.report.drawing import to_png, to_svg
from studies.report.figures import Figure, accuracy_by_method, score_by_density, score_history, write_plots
from studies.report.report import write_report
from studies.report.style import method_styles
from studies.report.tables import trials_table
from studies.store.archive import StudyArchive
from studies.store.folder import StudyFolder


@pytest.fixture(scope="module")
def trials(study) -> pd.DataFrame:
    return trials_table(StudyArchive(study.folder))


def panels(figure) -> dict:
    return {axes.get_title(loc="left"): axes for axes in figure.axes if axes.get_visible()}


def test_every_method_has_its_own_look() -> None:
    methods = [f"method{number:02d}" for number in range(42)]
    styles = method_styles(methods)
    assert len(set(styles.values())) == 42
    assert method_styles(reversed(methods)) == styles


@pytest.mark.parametrize(("direction", "best"), [("maximize", np.maximum), ("minimize", np.minimum)])
def test_the_history_has_each_score_once_and_the_best_so_far(trials: pd.DataFrame, direction: str, best) -> None:
    search = trials[trials["stage"] == "search"]
    axes = panels(score_history(trials, direction))
    assert list(axes) == ["madelon", "wine", "yale"]
    for name, panel in axes.items():
        rows = search[(search["dataset"] == name) & search["val_score"].notna()]
        line, *points = panel.get_lines()
        assert list(line.get_xdata()) == list(rows["number"])
        assert list(line.get_ydata()) == list(best.accumulate(rows["val_score"].to_numpy()))
        *scored, unscored = points
        drawn = [pair for method in scored for pair in zip(method.get_xdata(), method.get_ydata(), strict=True)]
        assert sorted(drawn) == sorted(zip(rows["number"], rows["val_score"], strict=True))
        assert sorted(unscored.get_xdata()) == [3, 5, 8, 11, 12]


def test_accuracies_and_the_choice(study) -> None:
    axes = panels(accuracy_by_method(study.best, study.best_by_method))
    for row in study.best:
        texts = {text.get_text(): text.get_fontweight() for text in axes[row["dataset"]].texts}
        bold = [text for text, weight in texts.items() if weight == "bold"]
        assert bold == [f"{100 * row['test_mean']:.1f} ± {100 * row['test_std']:.1f}"]
        assert len(texts) == 3


def test_only_opened_test_rows_are_drawn(study) -> None:
    closed = [row | {"test_mean": None, "test_std": None} for row in study.best_by_method if row["dataset"] != "wine"]
    opened = [row | {"test_std": None} for row in study.best_by_method if row["dataset"] == "wine"]
    axes = panels(accuracy_by_method(study.best, [*closed, *opened]))
    assert list(axes) == ["wine"]
    assert len(axes["wine"].texts) == 3


def test_densities_and_methods_without_one(trials: pd.DataFrame) -> None:
    for name, panel in panels(score_by_density(trials)).items():
        rows = trials[(trials["dataset"] == name) & (trials["stage"] == "search") & trials["val_score"].notna()]
        points = [line for line in panel.get_lines() if line.get_linestyle() == "None"]
        drawn = [density for line in points for density in line.get_xdata()]
        assert sorted(drawn) == pytest.approx(sorted(1 - rows["sparsity"].dropna()))
        (level,) = [line for line in panel.get_lines() if line.get_linestyle() != "None"]
        assert level.get_ydata()[0] == rows.loc[rows["method"] == "l1_logistic", "val_score"].max()


def test_a_study_that_has_just_begun_draws_too(tmp_path: Path) -> None:
    folder = StudyFolder(tmp_path)
    documents = write_plots(folder, [], [], trials_table(StudyArchive(folder)))
    assert len(documents) == 3
    assert all("nothing to show yet" in document for document in documents.values())


@pytest.mark.parametrize("count", [1, 2, 4, 7])
def test_any_number_of_datasets_fits(trials: pd.DataFrame, count: int) -> None:
    wine = trials[trials["dataset"] == "wine"]
    many = pd.concat([wine.assign(dataset=f"wine{place}") for place in range(count)])
    figure = score_history(many)
    figure.canvas.draw()
    assert list(panels(figure)) == [f"wine{place}" for place in range(count)]
    labelled = [axes for axes in figure.axes if axes.get_visible() and axes.get_xlabel()]
    assert len(labelled) == min(count, 3)
    boxes = [axes.get_tightbbox() for axes in figure.axes if axes.get_visible()]
    width, height = figure.canvas.get_width_height()
    assert all(box.x0 >= -1 and box.y0 >= -1 and box.x1 <= width + 1 and box.y1 <= height + 1 for box in boxes)


@pytest.mark.slow
def test_files_are_whole_deterministic_and_leave_no_state(study, tmp_path: Path, trials: pd.DataFrame) -> None:
    before = dict(mpl.rcParams)
    folder = StudyFolder(tmp_path)
    documents = write_plots(folder, study.best, study.best_by_method, trials)
    assert dict(mpl.rcParams) == before
    names = sorted(path.name for path in folder.plots.iterdir())
    assert names == [f"{name}.{kind}" for name in sorted(documents) for kind in ("png", "svg")]
    for name, document in documents.items():
        assert (folder.plots / f"{name}.svg").read_text() == document
        assert ET.fromstring(document).tag.endswith("svg")  # noqa: S314 - our own file
        with Image.open(folder.plots / f"{name}.png") as image:
            assert image.width > 1000
    again = accuracy_by_method(study.best, study.best_by_method)
    assert to_svg(again, "accuracy_by_method") == documents["accuracy_by_method"]
    with Image.open(io.BytesIO(to_png(again))) as image:
        assert image.format == "PNG"


@pytest.mark.slow
def test_a_new_figure_is_one_entry(
    study, tmp_path: Path, trials: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    new = Figure("once_more", "The history, once more.", lambda found: score_history(found.trials, found.direction))
    monkeypatch.setattr(figures, "FIGURES", (*figures.FIGURES, new))
    folder = StudyFolder(tmp_path)
    write_report(StudyArchive(folder), study.best, study.best_by_method, trials)
    assert {"once_more.svg", "once_more.png"} <= {path.name for path in folder.plots.iterdir()}
    page = folder.report.read_text()
    captions = [figure.caption for figure in figures.FIGURES]
    assert re.findall("<figcaption>(.*?)</figcaption>", page) == [html.escape(caption) for caption in captions]


def test_importing_neither_draws_nor_chooses_a_backend() -> None:
    script = "import sys, studies.report.figures, studies.report.report; print('matplotlib.pyplot' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
