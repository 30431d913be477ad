"""Figures of the methods: their test accuracies, and their mean ranks over datasets."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure as Drawing
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from studies.choice.best import BestRow
from studies.report.friedman import FriedmanTest, critical_difference, friedman
from studies.report.style import COLUMNS, INK, MUTED, datasets_of, method_styles, panels

_ACCURACIES = ["dataset", "method", "test_mean", "test_std", "seeds"]


def tested(best_by_method: Sequence[BestRow]) -> pd.DataFrame:
    """Return the test accuracies of each method's best configuration, where test rows were opened."""
    rows = [[row["dataset"], row["method"], row["test_mean"], row["test_std"], row["seeds"]] for row in best_by_method]
    return pd.DataFrame(rows, columns=_ACCURACIES).dropna(subset=["test_mean"])


def accuracy_by_method(best: Sequence[BestRow], best_by_method: Sequence[BestRow]) -> Drawing:
    """Draw the test accuracy of each method's best configuration, mean and standard deviation over seeds.

    Args:
        best: the best configuration of each dataset, chosen on validation rows; its marker is filled.
        best_by_method: the same for each dataset and method; rows whose test rows were not opened are left out.
    """
    rows = tested(best_by_method)
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


def mean_ranks(best_by_method: Sequence[BestRow]) -> tuple[pd.DataFrame, FriedmanTest] | None:
    """Rank the methods by test accuracy over the datasets that all of them have.

    Args:
        best_by_method: the best configuration of each dataset and method.

    Returns:
        A row per method, best first: ``method``, ``mean_rank``, ``datasets`` and ``critical_difference`` (Nemenyi,
        5%); and Friedman's test. None where there are fewer than two methods or two such datasets.
    """
    wide = tested(best_by_method).astype({"test_mean": float}).pivot_table("test_mean", "dataset", "method").dropna()
    if min(wide.shape) < 2:
        return None
    test = friedman(wide)
    ranks = pd.DataFrame({"method": list(wide.columns), "mean_rank": test.mean_ranks})
    ranks = ranks.assign(datasets=test.datasets, critical_difference=critical_difference(len(ranks), test.datasets))
    return ranks.sort_values("mean_rank", kind="stable", ignore_index=True), test


def critical_difference_diagram(ranks: pd.DataFrame) -> Drawing:
    """Draw mean ranks on a line; a bar joins methods that do not differ by the critical difference.

    Demsar, "Statistical Comparisons of Classifiers over Multiple Data Sets", JMLR 7 (2006), figure 1.

    Args:
        ranks: of :func:`mean_ranks`.
    """
    difference, places = float(ranks["critical_difference"].iloc[0]), ranks["mean_rank"].to_numpy()
    cliques = [
        (first, last)
        for first in range(len(places))
        if (last := int(np.searchsorted(places, places[first] + difference, side="right")) - 1) > first
    ]
    cliques = [(a, b) for place, (a, b) in enumerate(cliques) if place == 0 or b > cliques[place - 1][1]]
    lines = (len(ranks) + 1) // 2
    figure = Drawing(figsize=(7.5, 1.3 + 0.26 * lines + 0.12 * len(cliques)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    low, high = 1, len(ranks)
    margin = 0.38 * (high - low)
    axes.set_xlim(low - margin, high + margin)
    bottom = 0.7 + 0.25 * len(cliques) + lines * 0.6
    axes.set_ylim(-bottom, 1.5)
    axes.axis("off")
    axes.plot([low, high], [0, 0], color=INK, linewidth=1.2)
    for rank in range(low, high + 1):
        axes.plot([rank, rank], [0, 0.15], color=INK, linewidth=1.2)
        axes.text(rank, 0.25, str(rank), ha="center", va="bottom", fontsize=8, color=MUTED)
    shown = min(difference, high - low)
    axes.plot([low, low + shown], [1.05, 1.05], color=MUTED, linewidth=1.2, marker="|")
    text = f"critical difference {difference:.2f}"
    axes.text(low + shown / 2, 1.15, text, ha="center", va="bottom", fontsize=8, color=MUTED)
    for place, (first, last) in enumerate(cliques):
        height = -0.3 - 0.25 * place
        axes.plot([places[first] - 0.02, places[last] + 0.02], [height, height], color=MUTED, linewidth=3.5)
    styles = method_styles(ranks["method"])
    for place, (method, rank) in enumerate(zip(ranks["method"], places, strict=True)):
        left = place < lines
        row = place if left else len(places) - 1 - place
        height = -0.7 - 0.25 * len(cliques) - 0.6 * row
        end = low - 0.05 * (high - low) if left else high + 0.05 * (high - low)
        axes.plot([rank, rank, end], [0, height, height], color=styles[method].colour, linewidth=1.1)
        axes.plot(rank, 0, styles[method].marker, color=styles[method].colour, markersize=5)
        label = f"{method} ({rank:.2f}) " if left else f" {method} ({rank:.2f})"
        axes.text(end, height, label, ha="right" if left else "left", va="center", fontsize=8.5, color=INK)
    return figure
