"""Figures of a comparison with the paper."""

from __future__ import annotations

import math

import pandas as pd
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from dst.selection import TOP, selection_of
from studies.compare.statistics import NETWORKS
from studies.report.style import GRID, INK, MUTED, method_styles

_PANELS = 6
"""In one line of a figure."""


def accuracy_beside_paper(accuracy: pd.DataFrame) -> Figure:
    """Draw our mean accuracy less the paper's, with its interval, a panel per method and importance metric.

    Args:
        accuracy: :attr:`studies.compare.paper.PaperComparison.accuracy`; rows that the paper lacks are left out.
    """
    known = accuracy[accuracy["paper_mean"].notna()]
    entries = list(known.groupby(["method", "importance"], sort=True))
    entries.sort(key=lambda entry: entry[0][0] not in NETWORKS)
    datasets = list(dict.fromkeys(known["dataset"]))
    lines = max(1, math.ceil(len(entries) / _PANELS))
    columns = max(1, math.ceil(len(entries) / lines))
    size = 2.0 + 1.9 * columns, 0.6 + lines * (0.8 + 0.26 * max(1, len(datasets)))
    figure = Figure(figsize=size, layout="constrained")
    FigureCanvasAgg(figure)
    styles = method_styles(known["method"], NETWORKS)
    axes = figure.subplots(lines, columns, sharex=True, sharey=True, squeeze=False).flatten()
    for ax in axes[len(entries) :]:
        ax.set_axis_off()
    for ax, ((method, importance), rows) in zip(axes, entries, strict=False):
        look = styles[str(method)]
        places = [datasets.index(name) for name in rows["dataset"]]
        ax.axvline(0, color=INK, linewidth=0.8)
        ax.barh(places, 200 * rows["paper_std"], left=-100 * rows["paper_std"], color=GRID, height=0.6, zorder=0)
        half = (100 * (rows["high"] - rows["mean"])).fillna(0).clip(lower=0)  # rounding of equal seeds
        ax.errorbar(100 * rows["difference"], places, xerr=half, fmt=look.marker, color=look.colour, markersize=4)
        ax.set_title(f"{method}\n{importance}", fontsize=8, color=INK)
        ax.tick_params(labelsize=7, colors=MUTED)
        ax.grid(axis="x", color=GRID, linewidth=0.5)
        ax.set_axisbelow(True)
    if entries:
        axes[0].set_yticks(range(len(datasets)), datasets)
        axes[0].invert_yaxis()
    figure.supxlabel("accuracy less the paper's, percentage points (bars: the paper's standard deviation)", fontsize=8)
    return figure


def accuracy_over_k(over_k: pd.DataFrame) -> Figure:
    """Draw mean accuracy over datasets by K, a line per entry: the paper's networks, and beside them their rivals.

    Args:
        over_k: :attr:`studies.compare.paper.PaperComparison.over_k`.
    """
    network = over_k["method"].isin(NETWORKS)
    parts = [("networks", over_k[network]), ("rivals", over_k[~network])]
    parts = [(title, rows) for title, rows in parts if len(rows)]
    figure = Figure(figsize=(1.2 + 4.2 * max(1, len(parts)), 3.6), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(1, max(1, len(parts)), sharex=True, sharey=True, squeeze=False)[0]
    for ax, (title, part) in zip(axes, parts, strict=False):
        styles = method_styles(part["method"], NETWORKS)
        for (method, importance), rows in part.groupby(["method", "importance"], sort=True):
            look = styles[str(method)]
            dashes = ":" if importance == "neuron_strength" and method in NETWORKS else "-"
            label = _label(str(method), str(importance))
            line = {"color": look.colour, "marker": look.marker, "markersize": 4, "label": label}
            ax.plot(rows["k"], 100 * rows["mean"], dashes, **line)
        ax.set_title(title, fontsize=8, color=INK)
        ax.tick_params(labelsize=7, colors=MUTED)
        ax.grid(color=GRID, linewidth=0.5)
        ax.legend(loc="lower right", fontsize=6.5, frameon=False)
    figure.supxlabel("K", fontsize=8, color=INK)
    axes[0].set_ylabel(f"mean accuracy over {int(over_k['datasets'].max())} datasets, %", fontsize=8, color=INK)
    return figure


def mean_rank(ranks: pd.DataFrame) -> Figure:
    """Draw the mean rank of every method and importance metric, best on top; networks in their colours, rivals grey.

    Args:
        ranks: :attr:`studies.compare.paper.PaperComparison.ranks`.
    """
    figure = Figure(figsize=(5.0, 1.0 + 0.26 * max(1, len(ranks))), layout="constrained")
    FigureCanvasAgg(figure)
    ax = figure.subplots()
    styles = method_styles((), NETWORKS)
    labels = [_label(str(row.method), str(row.importance)) for row in ranks.itertuples()]
    colours = [styles[name].colour if name in styles else MUTED for name in ranks["method"]]
    ax.barh(range(len(ranks)), ranks["rank"], color=colours, height=0.6)
    ax.set_yticks(range(len(ranks)), labels, fontsize=7)
    ax.invert_yaxis()
    ax.tick_params(axis="x", labelsize=7, colors=MUTED)
    datasets = int(ranks["datasets"].iloc[0]) if len(ranks) else 0
    ax.set_xlabel(f"mean rank over {datasets} datasets (1 is best)", fontsize=8, color=INK)
    return figure


def _label(method: str, importance: str) -> str:
    if method in NETWORKS:
        return f"{method}, {importance}"
    selection = selection_of(importance).name
    return method if selection == TOP else f"{method}, {selection}"
