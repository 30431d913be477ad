"""The figure of trade-offs between two objectives, and objectives as people read them."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Drawing
from matplotlib.lines import Line2D
from matplotlib.ticker import EngFormatter, LogLocator, MaxNLocator, NullLocator

from studies.choice.trade_offs import TradeOff, fronts, to_minimize
from studies.report.style import INK, legend_of, method_styles, panels
from studies.spec.objective import DIRECTIONS

AXIS_TITLES = {
    "val_svm_accuracy": "validation accuracy",
    "val_balanced_accuracy": "balanced validation accuracy",
    "val_loss": "validation loss",
    "flops": "training FLOPs",
    "k": "selected columns",
}
"""Objectives as people read them."""


def trade_off_table(trade_offs: Sequence[TradeOff]) -> pd.DataFrame:
    """Return the finished search trials with their objectives, and whether no other beats them."""
    rows = [
        {
            "dataset": trial.dataset,
            "number": trial.number,
            "method": trial.method,
            **trial.objectives,
            "best": trial.best,
        }
        for trial in trade_offs
    ]
    return pd.DataFrame(rows)


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


def axis_title(metric: str) -> str:
    """Return an objective as people read it, with a capital letter."""
    title = AXIS_TITLES[metric]
    return title[:1].upper() + title[1:]
