"""Figures of a study: pure functions from tables to :class:`matplotlib.figure.Figure`, drawn without pyplot.

Colours are those of Okabe and Ito (2008, "Color Universal Design"), which stay apart for colour-blind readers; every
method also has its own marker. Text, axes and grid use three fixed colours, so that a page can exchange them for its
own.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D
from matplotlib.ticker import EngFormatter, FixedLocator, FuncFormatter, LogLocator, MaxNLocator, NullLocator

from studies.choice.best import BestRow
from studies.choice.trade_offs import TradeOff, fronts, to_minimize
from studies.report.drawing import drawn_both, shown_name
from studies.spec.objective import DIRECTIONS, Direction
from studies.store.files import write_bytes, write_text
from studies.store.folder import StudyFolder
from studies.store.record_schema import Stage

INK, MUTED, GRID = "#1f2328", "#636c76", "#d8dee4"
"""Colours of text and main lines, of what is secondary, and of the grid."""

_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
_MARKERS = ("o", "s", "^", "D", "v", "P", "X")
_COLUMNS = 3
_LONGEST_TITLE = 44
"""Characters over a panel."""

_DENSITIES = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)

AXIS_TITLES = {
    "val_svm_accuracy": "validation accuracy",
    "val_balanced_accuracy": "balanced validation accuracy",
    "val_loss": "validation loss",
    "flops": "training FLOPs",
    "k": "selected columns",
}
"""Objectives as people read them."""


@dataclass(frozen=True)
class MethodStyle:
    """How one method is drawn: a colour (``#rrggbb``) and a matplotlib marker."""

    colour: str
    marker: str


def method_styles(methods: Iterable[str], first: Sequence[str] = ()) -> dict[str, MethodStyle]:
    """Give each method a colour and a marker of its own, by the order of their names.

    The two lists have coprime lengths, 6 and 7, so that the first 42 methods all look different.

    Args:
        methods: their names.
        first: those that come before the others, there or not, so that they look alike in every figure.
    """
    looks = zip(itertools.cycle(_COLOURS), itertools.cycle(_MARKERS), strict=False)
    names = [*first, *sorted(set(methods) - set(first))]
    return {method: MethodStyle(*look) for method, look in zip(names, looks, strict=False)}


def score_history(trials: pd.DataFrame, direction: Direction = "maximize") -> Figure:
    """Draw the validation score of each search trial over its number, and the best so far, a panel per dataset.

    Args:
        trials: the trials table (:func:`studies.report.tables.trials_table`).
        direction: which validation scores are better.
    """
    search = trials[trials["stage"] == Stage.SEARCH]
    styles = method_styles(search["method"].dropna())

    def panel(axes: Axes, dataset: str) -> None:
        rows = search[search["dataset"] == dataset]
        scored = rows[rows["val_score"].notna()]
        best = scored["val_score"].cummax() if direction == "maximize" else scored["val_score"].cummin()
        axes.step(scored["number"], best, where="post", color=INK, linewidth=1.3, zorder=2, alpha=0.85)
        _scatter(axes, scored, "number", styles)
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
    return _panels(_datasets(search), panel, "trial", "validation score", _legend(styles) + extra)


def accuracy_by_method(best: Sequence[BestRow], best_by_method: Sequence[BestRow]) -> Figure:
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
    datasets = _datasets(rows)
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
        first = dataset in datasets[::_COLUMNS]
        axes.set_yticks(range(len(order)), order if first else [""] * len(order))
        axes.set_ylim(-0.6, len(order) - 0.2)
        axes.margins(x=0.2)
        axes.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))

    legend = [
        Line2D([], [], color=MUTED, marker="o", linestyle="", label="chosen on validation rows"),
        Line2D([], [], color=MUTED, marker="o", linestyle="", markerfacecolor="none", label="best of its method"),
    ]
    height = 0.8 + 0.45 * len(order)
    return _panels(datasets, panel, "test accuracy, %", "", legend, panel_height=height)


def score_by_density(trials: pd.DataFrame, direction: Direction = "maximize") -> Figure:
    """Draw validation score against density (the share of connections kept), a panel per dataset.

    Methods without a network have no density: a dashed line marks their best score.

    Args:
        trials: the trials table (:func:`studies.report.tables.trials_table`).
        direction: which validation scores are better.
    """
    scored = trials[(trials["stage"] == Stage.SEARCH) & trials["val_score"].notna()].copy()
    scored["density"] = 1.0 - scored["sparsity"]
    networks, others = scored[scored["density"].notna()], scored[scored["density"].isna()]
    styles = method_styles(scored["method"])
    top = "max" if direction == "maximize" else "min"

    def panel(axes: Axes, dataset: str) -> None:
        rows = networks[networks["dataset"] == dataset]
        _scatter(axes, rows, "density", styles)
        for method, score in others[others["dataset"] == dataset].groupby("method")["val_score"].agg(top).items():
            axes.axhline(score, color=styles[str(method)].colour, linewidth=1.4, linestyle=(0, (4, 3)), zorder=2)
        low, high = (rows["density"].min(), rows["density"].max()) if len(rows) else (0.02, 1.0)
        axes.set_xlim(low / 1.3, high * 1.3)  # first: a single density has no range to scale by
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(FixedLocator(_DENSITIES))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:g}%"))

    flat = set(others["method"]) - set(networks["method"])
    return _panels(_datasets(scored), panel, "density", "validation score", _legend(styles, flat))


def pareto(trade_offs: Sequence[TradeOff], first: str, other: str) -> Figure:
    """Draw one objective over another, a panel per dataset: the trials that no other beats, and pale all others.

    A line joins those that none beats in these two objectives alone; with more than two objectives, those off it are
    good in a third.

    Args:
        trade_offs: finished search trials (:func:`studies.choice.trade_offs.trade_offs`).
        first: the objective that is drawn upwards.
        other: the one that is drawn to the right.
    """
    styles = method_styles(one.method for one in trade_offs)
    directions = (DIRECTIONS[other], DIRECTIONS[first])

    def panel(axes: Axes, dataset: str) -> None:
        mine = [one for one in trade_offs if one.dataset == dataset]
        points = [(one.objectives[other], one.objectives[first]) for one in mine]
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
        for one, (x, y) in zip(mine, points, strict=True):
            style = styles[one.method]
            axes.plot(
                x, y, style.marker, color=style.colour, zorder=3 if one.best else 1, markeredgewidth=0,
                markersize=6.5 if one.best else 4, alpha=0.95 if one.best else 0.3,
            )  # fmt: skip
        if other == "flops":
            axes.set_xscale("log")
            axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
            axes.xaxis.set_minor_locator(NullLocator())
            axes.xaxis.set_major_formatter(EngFormatter(sep=""))
        elif other == "k":
            axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))

    legend = [*_legend(styles), Line2D([], [], color=INK, linewidth=1.2, label="no trial is better in both")]
    datasets = sorted({one.dataset for one in trade_offs})
    return _panels(datasets, panel, AXIS_TITLES[other], AXIS_TITLES[first], legend)


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
        direction: which validation scores are better.
        trade_offs: with several objectives, the finished search trials.

    Returns:
        Per figure its name and its SVG document, but for those that could not be drawn, of which a warning is logged.

    Raises:
        OSError: a file cannot be written.
    """
    first, *others = trade_offs[0].objectives if trade_offs else ("",)
    figures: dict[str, Callable[[], Figure]] = {
        "accuracy_by_method": lambda: accuracy_by_method(best, best_by_method),
        "score_history": lambda: score_history(trials, direction),
        "score_by_density": lambda: score_by_density(trials, direction),
        **{f"pareto_{other}": functools.partial(pareto, trade_offs, first, other) for other in others},
    }
    documents = {}
    for name, draw in figures.items():
        svg, png = folder.plots / f"{name}.svg", folder.plots / f"{name}.png"
        both = drawn_both(name, draw)
        if both is None:
            svg.unlink(missing_ok=True)  # of an earlier report
            png.unlink(missing_ok=True)
            continue
        documents[name] = both[0]
        write_text(svg, both[0])
        write_bytes(png, both[1])
    return documents


def _datasets(rows: pd.DataFrame) -> list[str]:
    return sorted(rows["dataset"].unique())


def _scatter(axes: Axes, rows: pd.DataFrame, x: str, styles: Mapping[str, MethodStyle]) -> None:
    for method, group in rows.groupby("method"):
        style = styles[str(method)]
        axes.plot(
            group[x],
            group["val_score"],
            style.marker,
            color=style.colour,
            markersize=4.5,
            markeredgewidth=0,
            alpha=0.85,
        )


def _legend(styles: Mapping[str, MethodStyle], flat: Iterable[str] = ()) -> list[Line2D]:
    """Return a legend entry a method; those in ``flat`` are shown as a dashed line."""
    flat = set(flat)
    return [
        Line2D([], [], color=style.colour, linestyle=(0, (4, 3)), label=method)
        if method in flat
        else Line2D([], [], color=style.colour, marker=style.marker, linestyle="", label=method)
        for method, style in styles.items()
    ]


def _panels(
    datasets: Sequence[str],
    draw: Callable[[Axes, str], None],
    x_label: str,
    y_label: str,
    legend: Sequence[Line2D],
    panel_height: float = 2.4,
) -> Figure:
    """Return a figure with one panel per dataset, three in a row, and the legend above them."""
    columns = min(_COLUMNS, max(len(datasets), 1))
    rows = math.ceil(len(datasets) / columns)
    size = (3.5 * max(columns, 2), max(rows, 1) * panel_height + 0.5)
    figure = Figure(figsize=size, layout=ConstrainedLayoutEngine(w_pad=0.08, h_pad=0.06))
    FigureCanvasAgg(figure)
    if not datasets:
        figure.text(0.5, 0.5, "nothing to show yet", ha="center", va="center", color=MUTED)
        return figure
    grid = figure.subplots(rows, columns, squeeze=False)
    for place, axes in enumerate(grid.flat):
        if place >= len(datasets):
            axes.set_visible(False)
            continue
        _dress(axes, datasets[place])
        draw(axes, datasets[place])
        if place % columns == 0:
            axes.set_ylabel(y_label)
        if place + columns >= len(datasets):
            axes.set_xlabel(x_label)
    figure.legend(
        handles=list(legend), loc="outside upper left", ncols=2 * max(columns, 2), frameon=False, fontsize=8.5,
        labelcolor=INK, handletextpad=0.4, columnspacing=1.4, borderpad=0.2,
    )  # fmt: skip
    return figure


def _dress(axes: Axes, title: str) -> None:
    axes.set_title(shown_name(title, _LONGEST_TITLE), loc="left", fontsize=9.5, fontweight="bold", color=INK)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(GRID)
    axes.tick_params(labelsize=8, colors=MUTED, length=0)
    axes.grid(color=GRID, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.yaxis.set_major_locator(MaxNLocator(5))
    axes.xaxis.label.set(fontsize=8.5, color=MUTED)
    axes.yaxis.label.set(fontsize=8.5, color=MUTED)
