"""The look of figures: colours, a style for each method, and panels for datasets, drawn without pyplot.

Colours are those of Okabe and Ito (2008, "Color Universal Design"), which stay apart for colour-blind readers; every
method also has its own marker. Text, axes and grid use three fixed colours, so that a page can exchange them for its
own.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from studies.report.drawing import shown_name

INK, MUTED, GRID = "#1f2328", "#636c76", "#d8dee4"
"""Colours of text and main lines, of what is secondary, and of the grid."""

_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
_MARKERS = ("o", "s", "^", "D", "v", "P", "X")
COLUMNS = 3
"""Panels in a row."""

_LONGEST_TITLE = 44
"""Characters over a panel."""


@dataclass(frozen=True)
class MethodStyle:
    """The style of one method: a colour (``#rrggbb``) and a matplotlib marker."""

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


def datasets_of(rows: pd.DataFrame) -> list[str]:
    """Return the datasets of a table, by name."""
    return sorted(rows["dataset"].unique())


def scatter(axes: Axes, rows: pd.DataFrame, x: str, styles: Mapping[str, MethodStyle]) -> None:
    """Draw the validation score of each row over another column, a marker a method."""
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


def legend_of(styles: Mapping[str, MethodStyle], flat: Iterable[str] = ()) -> list[Line2D]:
    """Return a legend entry a method; those in ``flat`` are shown as a dashed line."""
    flat = set(flat)
    return [
        Line2D([], [], color=style.colour, linestyle=(0, (4, 3)), label=method)
        if method in flat
        else Line2D([], [], color=style.colour, marker=style.marker, linestyle="", label=method)
        for method, style in styles.items()
    ]


def panels(
    datasets: Sequence[str],
    draw: Callable[[Axes, str], None],
    x_label: str,
    y_label: str,
    legend: Sequence[Line2D],
    panel_height: float = 2.4,
) -> Figure:
    """Return a figure with one panel per dataset, three in a row, and the legend above them."""
    columns = min(COLUMNS, max(len(datasets), 1))
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
