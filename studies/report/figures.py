"""Figures of a study, pure functions from tables, and their registry: a new one is a function and a `Figure` there."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Drawing
from matplotlib.lines import Line2D
from matplotlib.ticker import EngFormatter, FixedLocator, FuncFormatter, LogLocator, MaxNLocator, NullLocator

from cluster.ledger.entries import Direction
from studies.choice.best import BestRow
from studies.choice.trade_offs import TradeOff, fronts, to_minimize
from studies.report.drawing import drawn_both
from studies.report.enough_k import has_several_k
from studies.report.over_k import score_over_k
from studies.report.style import COLUMNS, INK, MUTED, datasets_of, legend_of, method_styles, panels, scatter
from studies.spec.objective import DIRECTIONS
from studies.store.files import write_bytes, write_text
from studies.store.folder import StudyFolder
from studies.store.record_schema import Stage

_DENSITIES = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)

AXIS_TITLES = {
    "val_svm_accuracy": "validation accuracy",
    "val_balanced_accuracy": "balanced validation accuracy",
    "val_loss": "validation loss",
    "flops": "training FLOPs",
    "k": "selected columns",
}
"""Objectives as people read them."""


def score_history(trials: pd.DataFrame, direction: Direction = "maximize") -> Drawing:
    """Draw the validation score of each search trial over its number, and the best so far, a panel per dataset.

    Args:
        trials: the trials table (:func:`studies.report.tables.trials_table`).
        direction: of the validation score: ``maximize`` if larger is better.
    """
    search = trials[trials["stage"] == Stage.SEARCH]
    styles = method_styles(search["method"].dropna())

    def panel(axes: Axes, dataset: str) -> None:
        rows = search[search["dataset"] == dataset]
        scored = rows[rows["val_score"].notna()]
        best = scored["val_score"].cummax() if direction == "maximize" else scored["val_score"].cummin()
        axes.step(scored["number"], best, where="post", color=INK, linewidth=1.3, zorder=2, alpha=0.85)
        scatter(axes, scored, "number", styles)
        unscored = rows.loc[rows["val_score"].isna(), "number"]
        axes.plot(
            unscored,
            np.full(len(unscored), 0.025),
            "|",
            color=MUTED,
            markersize=6,
            transform=axes.get_xaxis_transform(),
        )
        axes.set_xlim(-0.5, max(rows["number"].max(), 1) + 0.5)
        axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))

    extra = [Line2D([], [], color=INK, linewidth=1.3, label="best so far")]
    if search["val_score"].isna().any():
        extra.append(Line2D([], [], color=MUTED, marker="|", linestyle="", label="stopped or failed"))
    return panels(datasets_of(search), panel, "trial", "validation score", legend_of(styles) + extra)


def accuracy_by_method(best: Sequence[BestRow], best_by_method: Sequence[BestRow]) -> Drawing:
    """Draw the test accuracy of each method's best configuration, mean and standard deviation over seeds.

    Args:
        best: the best configuration of each dataset, chosen on validation rows; its marker is filled.
        best_by_method: the same for each dataset and method; rows whose test rows were not opened are left out.
    """
    rows = pd.DataFrame(
        [{key: row[key] for key in ("dataset", "method", "test_mean", "test_std")} for row in best_by_method],
        columns=["dataset", "method", "test_mean", "test_std"],
    ).dropna(subset=["test_mean"])
    rows["test_std"] = rows["test_std"].astype(float).fillna(0.0)
    datasets = datasets_of(rows)
    chosen = {(row["dataset"], row["method"]) for row in best}
    styles = method_styles(row["method"] for row in best_by_method)
    order = rows.groupby("method")["test_mean"].mean().sort_values().index.tolist()

    def panel(axes: Axes, dataset: str) -> None:
        for row in rows[rows["dataset"] == dataset].to_dict("records"):
            style, height = styles[row["method"]], order.index(row["method"])
            mean, std = 100 * row["test_mean"], 100 * row["test_std"]
            filled = (dataset, row["method"]) in chosen
            axes.errorbar(
                mean, height, xerr=std, color=style.colour, marker=style.marker, markersize=7, linewidth=1.6,
                markerfacecolor=style.colour if filled else "none", markeredgewidth=1.6,
            )  # fmt: skip
            axes.annotate(
                f"{mean:.1f} ± {std:.1f}", (mean, height), xytext=(0, 7), textcoords="offset points", ha="center",
                fontsize=7.5, color=INK if filled else MUTED, fontweight="bold" if filled else "normal",
            )  # fmt: skip
        first = dataset in datasets[::COLUMNS]
        axes.set_yticks(range(len(order)), order if first else [""] * len(order))
        axes.set_ylim(-0.6, len(order) - 0.2)
        axes.margins(x=0.2)
        axes.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))

    legend = [
        Line2D([], [], color=MUTED, marker="o", linestyle="", label="chosen on validation rows"),
        Line2D([], [], color=MUTED, marker="o", linestyle="", markerfacecolor="none", label="best of its method"),
    ]
    height = 0.8 + 0.45 * len(order)
    return panels(datasets, panel, "test accuracy, %", "", legend, panel_height=height)


def score_by_density(trials: pd.DataFrame, direction: Direction = "maximize") -> Drawing:
    """Draw validation score against density (the share of connections kept), a panel per dataset.

    Methods without a network have no density: a dashed line marks their best score.

    Args:
        trials: the trials table (:func:`studies.report.tables.trials_table`).
        direction: of the validation score: ``maximize`` if larger is better.
    """
    scored = trials[(trials["stage"] == Stage.SEARCH) & trials["val_score"].notna()].copy()
    scored["density"] = 1.0 - scored["sparsity"]
    networks, others = scored[scored["density"].notna()], scored[scored["density"].isna()]
    styles = method_styles(scored["method"])
    top = "max" if direction == "maximize" else "min"

    def panel(axes: Axes, dataset: str) -> None:
        rows = networks[networks["dataset"] == dataset]
        scatter(axes, rows, "density", styles)
        for method, score in others[others["dataset"] == dataset].groupby("method")["val_score"].agg(top).items():
            axes.axhline(score, color=styles[str(method)].colour, linewidth=1.4, linestyle=(0, (4, 3)), zorder=2)
        low, high = (rows["density"].min(), rows["density"].max()) if len(rows) else (0.02, 1.0)
        axes.set_xlim(low / 1.3, high * 1.3)  # first: a single density has no range to scale by
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(FixedLocator(_DENSITIES))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:g}%"))

    flat = set(others["method"]) - set(networks["method"])
    return panels(datasets_of(scored), panel, "density", "validation score", legend_of(styles, flat))


def pareto(trade_offs: Sequence[TradeOff], first: str, other: str) -> Drawing:
    """Draw one objective over another, a panel per dataset: the trials that no other beats, and pale all others.

    A line joins those that none beats in these two objectives alone; with more than two objectives, those off it are
    good in a third.

    Args:
        trade_offs: finished search trials (:func:`studies.choice.trade_offs.trade_offs`).
        first: the objective that is drawn upwards.
        other: the one that is drawn to the right.
    """
    styles = method_styles(trial.method for trial in trade_offs)
    directions = (DIRECTIONS[other], DIRECTIONS[first])

    def panel(axes: Axes, dataset: str) -> None:
        trials = [trial for trial in trade_offs if trial.dataset == dataset]
        points = [(trial.objectives[other], trial.objectives[first]) for trial in trials]
        line = sorted(points[place] for place in fronts([to_minimize(point, directions) for point in points])[0])
        worst = [
            max(values) if to == "minimize" else min(values)
            for to, values in zip(directions, zip(*points, strict=True), strict=True)
        ]
        ends = [(line[0][0], worst[1]), *line, (worst[0], line[-1][1])]
        if directions[0] == "maximize":
            ends = [(worst[0], line[0][1]), *line, (line[-1][0], worst[1])]
        steps = "steps-post" if directions[0] == "minimize" else "steps-pre"
        axes.plot(*zip(*ends, strict=True), color=INK, linewidth=1.2, drawstyle=steps, zorder=2, alpha=0.7)
        for trial, (x, y) in zip(trials, points, strict=True):
            style = styles[trial.method]
            axes.plot(
                x, y, style.marker, color=style.colour, zorder=3 if trial.best else 1, markeredgewidth=0,
                markersize=6.5 if trial.best else 4, alpha=0.95 if trial.best else 0.3,
            )  # fmt: skip
        if other == "flops":
            axes.set_xscale("log")
            axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
            axes.xaxis.set_minor_locator(NullLocator())
            axes.xaxis.set_major_formatter(EngFormatter(sep=""))
        elif other == "k":
            axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))

    legend = [*legend_of(styles), Line2D([], [], color=INK, linewidth=1.2, label="no trial is better in both")]
    datasets = sorted({trial.dataset for trial in trade_offs})
    return panels(datasets, panel, AXIS_TITLES[other], AXIS_TITLES[first], legend)


@dataclass(frozen=True)
class Found:
    """The findings of a study, for its figures.

    Attributes:
        best: the best configuration of each dataset.
        best_by_method: the same for each dataset and method.
        trials: the trials table.
        direction: of the validation score: ``maximize`` if larger is better.
        trade_offs: with several objectives, the finished search trials.
    """

    best: Sequence[BestRow]
    best_by_method: Sequence[BestRow]
    trials: pd.DataFrame
    direction: Direction
    trade_offs: Sequence[TradeOff]


@dataclass(frozen=True)
class Figure:
    """A figure of the report.

    Attributes:
        name: of its files.
        caption: what the report says below it.
        draw: makes it.
        section: of the report that shows it: on the best of each method, on K, the search, or trade-offs (``pareto``).
    """

    name: str
    caption: str
    draw: Callable[[Found], Drawing]
    section: Literal["methods", "over_k", "search", "pareto"] = "search"


FIGURES = (
    Figure(
        "accuracy_by_method",
        "Test accuracy of each method's best configuration: mean and standard deviation over seeds.",
        lambda found: accuracy_by_method(found.best, found.best_by_method),
        section="methods",
    ),
    Figure(
        "score_history",
        "Validation score of each search trial, and the best so far.",
        lambda found: score_history(found.trials, found.direction),
    ),
    Figure(
        "score_by_density",
        "Validation score of each search trial against the share of connections its network keeps.",
        lambda found: score_by_density(found.trials, found.direction),
    ),
)
"""The figures of every study, in the order in which the report shows those of a section."""


SCORE_OVER_K = Figure(
    "score_over_k",
    "Mean validation score of each method's best configuration over K, with its 95% interval over seeds. Large: the "
    "smallest K within one standard error of the best.",
    lambda found: score_over_k(found.best, found.best_by_method),
    section="over_k",
)
"""The figure of a study that scores its trials on several K."""


def figures_of(best_by_method: Sequence[BestRow], trade_offs: Sequence[TradeOff]) -> tuple[Figure, ...]:
    """Return the figures of a study: with several K one more, with several objectives one for each but the first.

    Args:
        best_by_method: the best configuration of each dataset and method.
        trade_offs: with several objectives, the finished search trials.
    """
    first, *others = trade_offs[0].objectives if trade_offs else ("",)
    over_k = (SCORE_OVER_K,) if has_several_k(best_by_method) else ()
    return (*FIGURES, *over_k, *(_pareto_figure(first, other) for other in others))


def _pareto_figure(first: str, other: str) -> Figure:
    return Figure(
        f"pareto_{other}",
        f"{axis_title(first)} of each finished search trial over {AXIS_TITLES[other]}. "
        "Large: no trial is better in all objectives.",
        lambda found: pareto(found.trade_offs, first, other),
        section="pareto",
    )


def axis_title(metric: str) -> str:
    """Return an objective as people read it, with a capital letter."""
    title = AXIS_TITLES[metric]
    return title[:1].upper() + title[1:]


def write_plots(
    folder: StudyFolder,
    best: Sequence[BestRow],
    best_by_method: Sequence[BestRow],
    trials: pd.DataFrame,
    direction: Direction = "maximize",
    trade_offs: Sequence[TradeOff] = (),
) -> dict[str, str]:
    """Draw all figures and write each as PNG and SVG under ``plots/``.

    Args:
        folder: the study's folder.
        best: the best configuration of each dataset.
        best_by_method: the same for each dataset and method.
        trials: the trials table.
        direction: of the validation score: ``maximize`` if larger is better.
        trade_offs: with several objectives, the finished search trials.

    Returns:
        Per figure its name and its SVG document, but for those that could not be drawn, of which a warning is logged.

    Raises:
        OSError: a file cannot be written.
    """
    found = Found(best, best_by_method, trials, direction, trade_offs)
    documents = {}
    for figure in figures_of(best_by_method, trade_offs):
        name = figure.name
        svg, png = folder.plots / f"{name}.svg", folder.plots / f"{name}.png"
        both = drawn_both(name, functools.partial(figure.draw, found))
        if both is None:
            svg.unlink(missing_ok=True)  # of an earlier report
            png.unlink(missing_ok=True)
            continue
        documents[name] = both[0]
        write_text(svg, both[0])
        write_bytes(png, both[1])
    return documents
