"""The registry of a study's figures, and their files: a new one is a function, its table and a `Figure` here."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

import pandas as pd
from matplotlib.figure import Figure as Drawing

from cluster.ledger.entries import Direction
from studies.choice.best import BestRow
from studies.choice.trade_offs import TradeOff
from studies.report.drawing import drawn, drawn_both
from studies.report.enough_k import has_several_k
from studies.report.friedman import FriedmanTest
from studies.report.learning import loss_over_epochs
from studies.report.method_figures import accuracy_by_method, critical_difference_diagram, mean_ranks, tested
from studies.report.over_k import k_curves, score_over_k
from studies.report.parameters import coordinates, importances, parallel_coordinates, parameter_importances
from studies.report.pareto import AXIS_TITLES, axis_title, pareto, trade_off_table
from studies.report.pixels import PixelMap, pixel_table, selected_pixels
from studies.report.search_figures import pareto_by_flops, score_by_density, score_by_flops, score_history, searched
from studies.store.files import write_bytes, write_text
from studies.store.folder import StudyFolder

Section = Literal["methods", "over_k", "search", "pareto", "columns"]


@dataclass(frozen=True)
class Found:
    """The findings of a study, for its figures.

    Attributes:
        best: the best configuration of each dataset.
        best_by_method: the same for each dataset and method.
        trials: the trials table.
        direction: of the validation score: ``maximize`` if larger is better.
        trade_offs: with several objectives, the finished search trials.
        curves: losses of the winners' trainings (:func:`studies.report.learning.learning_curves`).
        pixels: of datasets of images (:func:`studies.report.pixels.pixel_maps`).
        space: the search space, as ``study.yaml`` describes it.
    """

    best: Sequence[BestRow]
    best_by_method: Sequence[BestRow]
    trials: pd.DataFrame
    direction: Direction = "maximize"
    trade_offs: Sequence[TradeOff] = ()
    curves: pd.DataFrame = field(default_factory=pd.DataFrame)
    pixels: Mapping[str, PixelMap] = field(default_factory=dict)
    space: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @cached_property
    def importances(self) -> pd.DataFrame:
        """See :func:`studies.report.parameters.importances`."""
        found = drawn("the importance of parameters", lambda: importances(self.trials, self.space, self.direction))
        return pd.DataFrame() if found is None else found

    @cached_property
    def ranked(self) -> tuple[pd.DataFrame, FriedmanTest] | None:
        """See :func:`studies.report.method_figures.mean_ranks`."""
        return mean_ranks(self.best_by_method)

    @property
    def ranks(self) -> pd.DataFrame | None:
        """The mean ranks; None: too few methods or datasets."""
        return None if self.ranked is None else self.ranked[0]

    @cached_property
    def coordinates(self) -> pd.DataFrame:
        """See :func:`studies.report.parameters.coordinates`."""
        return coordinates(self.trials, self.direction)


@dataclass(frozen=True)
class Figure:
    """A figure of the report.

    Attributes:
        name: of its files.
        caption: what the report says below it.
        draw: makes it.
        data: makes the table of what it draws, which is written beside it as CSV.
        section: of the report that shows it: on the best of each method, on K, the search, trade-offs (``pareto``) or
            the selected columns.
        wanted: says whether there is enough to draw.
    """

    name: str
    caption: str
    draw: Callable[[Found], Drawing]
    data: Callable[[Found], pd.DataFrame]
    section: Section = "search"
    wanted: Callable[[Found], bool] = lambda found: True


def _ranks(found: Found) -> pd.DataFrame:
    return pd.DataFrame() if found.ranks is None else found.ranks


FIGURES = (
    Figure(
        "selected_pixels",
        "Datasets of images: the score of each pixel in its place, and the pixels that are selected.",
        lambda found: selected_pixels(found.pixels),
        lambda found: pixel_table(found.pixels),
        section="columns",
        wanted=lambda found: bool(found.pixels),
    ),
    Figure(
        "accuracy_by_method",
        "Test accuracy of each method's best configuration: mean and standard deviation over seeds.",
        lambda found: accuracy_by_method(found.best, found.best_by_method),
        lambda found: tested(found.best_by_method),
        section="methods",
    ),
    Figure(
        "critical_difference",
        "Mean ranks of the methods by test accuracy over the datasets that all of them have, 1 is best. A bar joins "
        "methods that do not differ at the 5% level (Nemenyi).",
        lambda found: critical_difference_diagram(_ranks(found)),
        _ranks,
        section="methods",
        wanted=lambda found: found.ranks is not None,
    ),
    Figure(
        "score_history",
        "Validation score of each search trial, and the best so far.",
        lambda found: score_history(found.trials, found.direction),
        lambda found: searched(found.trials),
    ),
    Figure(
        "score_by_density",
        "Validation score of each search trial against the share of connections its network keeps.",
        lambda found: score_by_density(found.trials, found.direction),
        lambda found: searched(found.trials).dropna(subset=["val_score"]),
    ),
    Figure(
        "score_by_flops",
        "Validation score of each search trial against the FLOPs of its training; the line joins the trials that no "
        "other beats in both.",
        lambda found: score_by_flops(found.trials, found.direction),
        lambda found: pareto_by_flops(found.trials, found.direction),
        wanted=lambda found: len(pareto_by_flops(found.trials, found.direction)) > 0,
    ),
    Figure(
        "parameter_importance",
        "Share of each parameter in what sets the best tenth of the search trials apart (PED-ANOVA), for datasets with "
        "40 scored trials or more; all datasets together compare trials by their rank within their dataset.",
        lambda found: parameter_importances(found.importances),
        lambda found: found.importances,
        wanted=lambda found: len(found.importances) > 0,
    ),
    Figure(
        "parallel_coordinates",
        "Search trials as lines through their parameters, from the lowest value in the study to the highest; of "
        "more than 100 trials of a dataset the best 100.",
        lambda found: parallel_coordinates(found.coordinates, found.space),
        lambda found: found.coordinates,
        wanted=lambda found: len(found.coordinates.columns) > 5,
    ),
    Figure(
        "learning_curves",
        "Losses of the winners' trainings over epochs, a line per seed and split.",
        lambda found: loss_over_epochs(found.curves),
        lambda found: found.curves,
        wanted=lambda found: len(found.curves) > 0,
    ),
    Figure(
        "score_over_k",
        "Mean validation score of each method's best configuration over K, with its 95% interval over seeds. Large: "
        "the smallest K within one standard error of the best.",
        lambda found: score_over_k(found.best, found.best_by_method),
        lambda found: k_curves(found.best_by_method),
        section="over_k",
        wanted=lambda found: has_several_k(found.best_by_method),
    ),
)
"""The figures of a study, in the order in which the report shows those of a section."""


def figures_of(found: Found) -> tuple[Figure, ...]:
    """Return the figures for which a study has enough; with several objectives one more for each but the first."""
    first, *others = found.trade_offs[0].objectives if found.trade_offs else ("",)
    wanted = (figure for figure in FIGURES if figure.wanted(found))
    return (*wanted, *(_pareto_figure(first, other) for other in others))


def _pareto_figure(first: str, other: str) -> Figure:
    return Figure(
        f"pareto_{other}",
        f"{axis_title(first)} of each finished search trial over {AXIS_TITLES[other]}. "
        "Large: no trial is better in all objectives.",
        lambda found: pareto(found.trade_offs, first, other),
        lambda found: trade_off_table(found.trade_offs),
        section="pareto",
    )


def write_plots(folder: StudyFolder, found: Found) -> dict[str, str]:
    """Draw all figures and write each as PNG and SVG, and what it draws as CSV, under ``plots/``.

    Args:
        folder: the study's folder.
        found: the findings of the study.

    Returns:
        Per figure its name and its SVG document, but for those that could not be drawn, of which a warning is logged.

    Raises:
        OSError: a file cannot be written.
    """
    documents = {}
    for figure in figures_of(found):
        name = figure.name
        svg, png = folder.plots / f"{name}.svg", folder.plots / f"{name}.png"
        both = drawn_both(name, functools.partial(figure.draw, found))
        write_text(folder.plots / f"{name}.csv", figure.data(found).to_csv(index=False, lineterminator="\n"))
        if both is None:
            svg.unlink(missing_ok=True)  # of an earlier report
            png.unlink(missing_ok=True)
            continue
        documents[name] = both[0]
        write_text(svg, both[0])
        write_bytes(png, both[1])
    return documents
