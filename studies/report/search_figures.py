"""Figures of the search: scores over trials, over density and over FLOPs."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Drawing
from matplotlib.lines import Line2D
from matplotlib.ticker import EngFormatter, FixedLocator, FuncFormatter, LogLocator, MaxNLocator, NullLocator

from cluster.ledger.entries import Direction
from studies.report.style import INK, MUTED, datasets_of, legend_of, method_styles, panels, scatter
from studies.store.record_schema import Stage

_DENSITIES = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)

_SEARCHED = ["dataset", "number", "method", "state", "val_score", "sparsity", "flops"]


def searched(trials: pd.DataFrame) -> pd.DataFrame:
    """Return what the figures of the search draw: its trials with score, sparsity, density and FLOPs."""
    search = trials.loc[trials["stage"] == Stage.SEARCH, _SEARCHED]
    return search.assign(density=1.0 - search["sparsity"])


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


def score_by_flops(trials: pd.DataFrame, direction: Direction = "maximize") -> Drawing:
    """Draw validation score against the FLOPs of training, with the trials that no other beats in both.

    Args:
        trials: the trials table (:func:`studies.report.tables.trials_table`).
        direction: of the validation score: ``maximize`` if larger is better.
    """
    counted = pareto_by_flops(trials, direction)
    styles = method_styles(counted["method"])

    def panel(axes: Axes, dataset: str) -> None:
        rows = counted[counted["dataset"] == dataset]
        scatter(axes, rows, "flops", styles)
        front = rows[rows["best"]].sort_values("flops")
        axes.step(front["flops"], front["val_score"], where="post", color=INK, linewidth=1.2, zorder=2, alpha=0.7)
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 3.0)))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter(EngFormatter(sep=""))

    legend = [*legend_of(styles), Line2D([], [], color=INK, linewidth=1.2, label="no trial is better in both")]
    return panels(datasets_of(counted), panel, "training FLOPs", "validation score", legend)


def pareto_by_flops(trials: pd.DataFrame, direction: Direction = "maximize") -> pd.DataFrame:
    """Return the search trials with a score and FLOPs, and whether no other has fewer FLOPs and a better score.

    Args:
        trials: the trials table (:func:`studies.report.tables.trials_table`).
        direction: of the validation score.

    Returns:
        The columns of :func:`searched`, and ``best``.
    """
    rows = searched(trials).dropna(subset=["val_score", "flops"])
    rows = rows[rows["flops"] > 0].reset_index(drop=True)
    loss = rows["val_score"] if direction == "minimize" else -rows["val_score"]
    order = rows.assign(loss=loss).sort_values(["dataset", "flops", "loss"])
    before = order.groupby("dataset")["loss"].transform(lambda losses: losses.cummin().shift(fill_value=np.inf))
    return rows.assign(best=(order["loss"] < before).reindex(rows.index))
