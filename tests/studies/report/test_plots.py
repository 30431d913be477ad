"""Figures show what the tables hold, are told apart without colour, and leave matplotlib as it was."""

from __future__ import annotations

import html
import io
import json
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

from dst.data import DATASETS
from studies.report import figures
from studies.report.drawing import drawn_both
from studies.report.figures import Figure, Found, figures_of, write_plots
from studies.report.learning import learning_curves, loss_over_epochs
from studies.report.method_figures import accuracy_by_method, critical_difference_diagram, mean_ranks
from studies.report.parameters import coordinates, importances, parallel_coordinates
from studies.report.pixels import pixel_maps, pixel_table
from studies.report.report import write_report
from studies.report.search_figures import pareto_by_flops, score_by_density, score_history
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
    documents = write_plots(folder, Found([], [], trials_table(StudyArchive(folder))))
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
    documents = write_plots(folder, Found(study.best, study.best_by_method, trials))
    assert dict(mpl.rcParams) == before
    names = sorted(path.name for path in folder.plots.iterdir())
    assert names == [f"{name}.{kind}" for name in sorted(documents) for kind in ("csv", "png", "svg")]
    for name, document in documents.items():
        assert (folder.plots / f"{name}.svg").read_text() == document
        assert ET.fromstring(document).tag.endswith("svg")  # noqa: S314 - our own file
        with Image.open(folder.plots / f"{name}.png") as image:
            assert image.width > 1000
    again = drawn_both("accuracy_by_method", lambda: accuracy_by_method(study.best, study.best_by_method))
    assert again is not None
    assert again[0] == documents["accuracy_by_method"]
    with Image.open(io.BytesIO(again[1])) as image:
        assert image.format == "PNG"


@pytest.mark.slow
def test_a_new_figure_is_one_entry(
    study, tmp_path: Path, trials: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    new = Figure(
        "once_more",
        "The history, once more.",
        lambda found: score_history(found.trials, found.direction),
        lambda found: found.trials,
    )
    monkeypatch.setattr(figures, "FIGURES", (*figures.FIGURES, new))
    folder = StudyFolder(tmp_path)
    write_report(StudyArchive(folder), study.best, study.best_by_method, trials)
    assert {"once_more.svg", "once_more.png"} <= {path.name for path in folder.plots.iterdir()}
    page = folder.report.read_text()
    captions = {html.escape(figure.caption) for figure in figures_of(Found(study.best, study.best_by_method, trials))}
    assert html.escape(new.caption) in captions
    assert set(re.findall("<figcaption>(.*?)</figcaption>", page)) == captions


def test_importing_neither_draws_nor_chooses_a_backend() -> None:
    script = "import sys, studies.report.figures, studies.report.report; print('matplotlib.pyplot' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_the_best_in_score_and_flops_are_those_that_no_trial_beats(trials: pd.DataFrame) -> None:
    for direction, sign in (("maximize", 1), ("minimize", -1)):
        table = pareto_by_flops(trials, direction)
        for _, rows in table.groupby("dataset"):
            points = rows[["flops", "val_score", "best"]].to_records(index=False).tolist()
            for flops, score, best in points:
                beaten = any(f <= flops and sign * s >= sign * score and (f, s) != (flops, score) for f, s, _ in points)
                assert best == (not beaten)
        assert table["best"].any()
    assert len(table) == (trials["flops"].notna() & (trials["stage"] == "search")).sum()


def test_ranks_join_what_does_not_differ(study) -> None:
    ranks, test = mean_ranks(study.best_by_method)
    assert (test.datasets, ranks["mean_rank"].sum()) == (3, pytest.approx(1 + 2 + 3))
    assert ranks["critical_difference"].iloc[0] == pytest.approx(2.343 * np.sqrt(3 * 4 / (6 * 3)), abs=2e-3)
    texts = {text.get_text().strip() for text in critical_difference_diagram(ranks).axes[0].texts}
    assert {
        f"{method} ({rank:.2f})" for method, rank in ranks[["method", "mean_rank"]].itertuples(index=False)
    } <= texts
    assert mean_ranks([row for row in study.best_by_method if row["dataset"] == "wine"]) is None


def test_importance_finds_the_parameter_that_decides() -> None:
    rng = np.random.default_rng(0)
    rows = [{"lr": float(10 ** rng.uniform(-4, -2)), "l2": float(rng.uniform(0, 1))} for _ in range(80)]
    table = pd.DataFrame(
        {
            "dataset": ["a"] * 60 + ["b"] * 20,
            "stage": "search",
            "params": [json.dumps(row) for row in rows],
            "val_score": [-abs(np.log10(row["lr"]) + 3) for row in rows],
        }
    )
    space = {
        "lr": {"low": 1e-4, "high": 1e-2, "log": True},
        "l2": {"low": 0.0, "high": 1.0},
        "method": {"value": "set"},
    }
    found = importances(table, space).set_index(["dataset", "parameter"])["importance"]
    assert set(found.index.get_level_values("dataset")) == {"all datasets", "a"}, "b has too few trials"
    assert found["a", "lr"] > 0.7 < found["all datasets", "lr"]
    assert found["a"].sum() == pytest.approx(1)


def test_each_trial_is_a_line_through_its_parameters(trials: pd.DataFrame) -> None:
    table = coordinates(trials)
    assert list(table.columns[4:]) == ["l2", "lr", "method", "sparsity"]
    heights = []
    for name, panel in panels(parallel_coordinates(table, {"lr": {"log": True}})).items():
        rows = table[table["dataset"] == name]
        (lines,) = panel.collections
        assert len(lines.get_segments()) == len(rows)
        assert rows.iloc[0]["val_score"] == rows["val_score"].max()
        heights += [line[line[:, 0] == 1][:, 1].sum() for line in lines.get_segments() if 1 in line[:, 0]]
    logs = np.log(table["lr"].dropna())
    assert np.nanmean(heights) == pytest.approx(((logs - logs.min()) / np.ptp(logs)).mean())


def test_curves_are_those_of_the_winners_confirmations(study) -> None:
    networks = [row for row in study.best if row["method"] != "l1_logistic"]
    curves = learning_curves(StudyArchive(study.folder), study.best)
    assert set(curves["dataset"]) == {row["dataset"] for row in networks}
    for name, panel in panels(loss_over_epochs(curves)).items():
        assert len(panel.get_lines()) == 2 * curves[curves["dataset"] == name].groupby(["seed_index", "split"]).ngroups


def test_pixels_lie_where_they_are_in_the_image(tmp_path: Path) -> None:
    folder = StudyFolder(tmp_path)
    folder.features("digits").parent.mkdir()
    pd.DataFrame({"column": range(64), "score": np.arange(64.0)}).to_csv(folder.features("digits"))
    row = {"dataset": "digits", "features": [1, 63]}
    data = {"digits": {"sha256": None, "samples": 1797, "features": 64}}
    (found,) = pixel_maps(folder, [row], data).values()
    assert np.argwhere(found.selected).tolist() == [[0, 1], [7, 7]]
    assert found.scores[0, 1] == 1
    data["digits"]["sha256"] = DATASETS["Yale"].sha256  # pixels of this one come column after column
    (found,) = pixel_maps(folder, [row], data).values()
    assert np.argwhere(found.selected).tolist() == [[1, 0], [7, 7]]
    assert pixel_maps(folder, [row], {"digits": {"samples": 9, "features": 64}}) == {}
    assert len(pixel_table({"digits": found})) == 64
