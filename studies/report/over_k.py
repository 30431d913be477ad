"""The figure of validation scores over K."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Drawing
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, NullLocator, ScalarFormatter

from studies.choice.best import BestRow
from studies.report.enough_k import curve_of
from studies.report.style import INK, MUTED, legend_of, method_styles, panels

_TICKS = 8
"""Labels below a panel."""

_APART = 1.03
"""Ratio of the places at which two methods' points of one K are drawn, so that their intervals stand side by side."""

_LARGE: dict[str, Any] = {"markersize": 8.5, "markeredgecolor": INK, "markeredgewidth": 1.2}
"""The look of the smallest K that is enough."""


def k_curves(best_by_method: Sequence[BestRow]) -> pd.DataFrame:
    """Return the validation score over K of each dataset's and method's best configuration, a row per K."""
    rows = [
        {"dataset": row["dataset"], "method": row["method"], **point, "smallest": point["k"] == row["smallest_k"]}
        for row in best_by_method
        for point in row["k_curve"]
    ]
    return pd.DataFrame(rows)


def score_over_k(best: Sequence[BestRow], best_by_method: Sequence[BestRow]) -> Drawing:
    """Draw the mean validation score of each method's best configuration over K with its interval, a panel per dataset.

    The smallest K within one standard error of a configuration's best is large.

    Args:
        best: the best configuration of each dataset, whose line is thick.
        best_by_method: the same for each dataset and method; those that were scored on a single K are left out.
    """
    rows = [row for row in best_by_method if len(row["k_curve"]) > 1]
    chosen = {(row["dataset"], row["method"]) for row in best}
    styles = method_styles(row["method"] for row in rows)

    def panel(axes: Axes, dataset: str) -> None:
        shown = [row for row in rows if row["dataset"] == dataset]
        for place, row in enumerate(shown):
            curve, style = curve_of(row), styles[row["method"]]
            wins = (dataset, row["method"]) in chosen
            beside = _APART ** (place - (len(shown) - 1) / 2)
            x = [point.k * beside for point in curve]
            means = np.array([100 * point.mean for point in curve])
            ends = [
                (np.nan, np.nan) if point.low is None or point.high is None else (100 * point.low, 100 * point.high)
                for point in curve
            ]
            low, high = np.array(ends).T
            axes.errorbar(
                x, means, yerr=[means - low, high - means], color=style.colour, marker=style.marker, markersize=4,
                markeredgewidth=0, linewidth=2.0 if wins else 1.0, elinewidth=1.0, zorder=3 if wins else 2,
            )  # fmt: skip
            for at, point in zip(x, curve, strict=True):
                if point.k == row["smallest_k"]:
                    axes.plot(at, 100 * point.mean, style.marker, color=style.colour, zorder=4, **_LARGE)
        every_k = sorted({point["k"] for row in shown for point in row["k_curve"]})
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(FixedLocator(every_k[:: -(-len(every_k) // _TICKS)]))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter(ScalarFormatter())
        axes.margins(x=0.08)

    legend = [
        *legend_of(styles),
        Line2D([], [], color=MUTED, linewidth=2.0, label="chosen on validation rows"),
        Line2D([], [], color=MUTED, marker="o", linestyle="", label="smallest K within one standard error", **_LARGE),
    ]
    return panels(sorted({row["dataset"] for row in rows}), panel, "K, selected columns", "validation score, %", legend)
