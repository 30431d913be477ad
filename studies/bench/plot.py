"""The figure of ``dst bench step``: how many times faster than dense torch each way to train is, over density."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from studies.report.style import GRID, INK, MUTED, method_styles

_LABELS = {
    "ours_ms": "sparse engine",
    "torch_csr_ms": "torch CSR",
    "scipy_ms": "scipy.sparse",
    "torch_masked_ms": "torch masked",
}
_SPEED_UPS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)


def speed_up(rows: Sequence[Mapping[str, Any]]) -> Figure:
    """Draw the times faster than dense torch over density, both logarithmic, a panel per shape.

    A dashed line has the ideal, 1 / density: what remains of the dense step if time is proportional to connections.

    Args:
        rows: at least one; the keys of :class:`dst.bench.step.StepRow`.
    """
    shapes = list(dict.fromkeys(row["shape"] for row in rows))
    figure = Figure(figsize=(3.5 * max(len(shapes), 2), 3.6), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, len(shapes), sharey=True, squeeze=False)[0]
    for axes, shape in zip(panels, shapes, strict=True):
        _draw(axes, [row for row in rows if row["shape"] == shape])
        axes.set_title(shape, loc="left", fontsize=9.5, fontweight="bold", color=INK)
    panels[0].set_ylabel("times faster than dense torch", fontsize=8.5, color=MUTED)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper left", ncols=5, frameon=False, fontsize=8.5, labelcolor=INK)
    return figure


def _draw(axes: Axes, rows: Sequence[Mapping[str, Any]]) -> None:
    rows = sorted(rows, key=lambda row: row["sparsity"])
    densities = [1 - row["sparsity"] for row in rows]
    styles = method_styles(_LABELS)
    axes.plot(densities, [1 / density for density in densities], "--", color=INK, linewidth=1, label="1 / density")
    for key, label in _LABELS.items():
        ours = key == "ours_ms"
        axes.plot(
            densities,
            [row["torch_dense_ms"] / row[key] for row in rows],
            color=styles[key].colour,
            marker=styles[key].marker,
            markersize=5,
            linewidth=2 if ours else 1,
            alpha=1.0 if ours else 0.7,
            label=label,
        )
    axes.axhline(1, color=MUTED, linewidth=0.8)
    axes.set_xlim(densities[-1] / 1.3, densities[0] * 1.3)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.xaxis.set_major_locator(FixedLocator(densities))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda density, _: f"{100 * density:.3g}%"))
    axes.yaxis.set_major_locator(FixedLocator(_SPEED_UPS))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda times, _: f"{times:g}"))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_minor_locator(NullLocator())
    axes.set_xlabel("density", fontsize=8.5, color=MUTED)
    axes.tick_params(labelsize=8, colors=MUTED, length=0)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(GRID)
    axes.grid(color=GRID, linewidth=0.6)
    axes.set_axisbelow(True)
