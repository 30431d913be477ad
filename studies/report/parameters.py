"""Figures of the parameters: how important each is, and the best trials as lines through their values."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure as Drawing
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from cluster.ledger.entries import Direction
from studies.report.style import MUTED, datasets_of, panels
from studies.store.record_schema import Stage

ALL = "all datasets"
"""Trials of all datasets together, each by its rank within its dataset."""

LEAST_TRIALS = 40
"""Scored trials below which importance says nothing: a tenth of them are the best."""

_MOST_LINES = 100
_MOST_COMPARED = 500
_BEST = 0.1
_STANDS_OUT = "#d55e00"
_SPACE = Mapping[str, Mapping[str, Any]]


def importances(trials: pd.DataFrame, space: _SPACE, direction: Direction = "maximize") -> pd.DataFrame:
    """Return how important each parameter is for a trial to be among the best tenth (PED-ANOVA).

    Args:
        trials: the trials table (:func:`studies.report.tables.trials_table`).
        space: the search space, as ``study.yaml`` describes it.
        direction: of the validation score.

    Returns:
        A row per dataset and parameter: ``dataset``, ``parameter``, ``importance`` (shares of 1) and ``trials``, for
        datasets with :data:`LEAST_TRIALS` scored trials; with several datasets also for :data:`ALL`. Of more than 500
        trials, so many are compared, evenly spaced.
    """
    scored = _scored(trials)
    ranked = scored.assign(
        dataset=ALL, val_score=scored.groupby("dataset")["val_score"].rank(pct=True).to_numpy(dtype=float)
    )
    parts = [rows for _, rows in scored.groupby("dataset")]
    if len(parts) > 1:
        parts.insert(0, ranked)
    rows = []
    for part in parts:
        if len(part) >= LEAST_TRIALS and space:
            from cluster.ledger.importance import parameter_importance

            part = part.iloc[:: -(-len(part) // _MOST_COMPARED)]
            pairs = [
                (json.loads(params), score) for params, score in zip(part["params"], part["val_score"], strict=True)
            ]
            found = parameter_importance(pairs, space, direction)
            rows += [[part["dataset"].iloc[0], name, share, len(part)] for name, share in found.items()]
    return pd.DataFrame(rows, columns=["dataset", "parameter", "importance", "trials"])


def parameter_importances(table: pd.DataFrame) -> Drawing:
    """Draw the table of :func:`importances`, a panel per dataset, the parameters in the order of the first panel."""
    names = list(dict.fromkeys(table["dataset"]))
    order = table[table["dataset"] == names[0]].sort_values("importance")["parameter"].tolist()
    order = [name for name in dict.fromkeys(table["parameter"]) if name not in order] + order

    def panel(axes: Axes, dataset: str) -> None:
        rows = table[table["dataset"] == dataset].set_index("parameter")["importance"].reindex(order)
        axes.barh(range(len(order)), 100 * rows.fillna(0.0), color=MUTED if dataset != ALL else "#0072b2", height=0.65)
        first = dataset in names[::3]
        axes.set_yticks(range(len(order)), order if first else [""] * len(order))
        axes.set_xlim(left=0)
        axes.xaxis.set_major_locator(MaxNLocator(4))

    return panels(names, panel, "importance, %", "", [], panel_height=0.7 + 0.18 * len(order))


def coordinates(trials: pd.DataFrame, direction: Direction = "maximize") -> pd.DataFrame:
    """Return the scored search trials with a column for each parameter that varies, the best first.

    Args:
        trials: the trials table (:func:`studies.report.tables.trials_table`).
        direction: of the validation score.

    Returns:
        ``dataset``, ``number``, ``val_score``, ``rank`` (its share within the dataset: 0 is the best) and the
        parameters; at most 100 trials of a dataset.
    """
    scored = _scored(trials)
    ascending = direction == "minimize"
    ranks = scored.groupby("dataset")["val_score"].rank(ascending=ascending, method="first")
    sizes = scored.groupby("dataset")["val_score"].transform("size")
    scored = scored.assign(rank=((ranks - 1) / (sizes - 1).clip(lower=1)).astype(float))
    best = scored.loc[ranks <= _MOST_LINES, ["dataset", "number", "val_score", "rank", "params"]]
    best = best.sort_values(["dataset", "rank"], ignore_index=True)
    params = pd.DataFrame([json.loads(text) for text in best["params"]], index=best.index)
    varying = [name for name in params if len(set(params[name].dropna().astype(str))) > 1]
    return pd.concat([best.drop(columns="params"), params[varying]], axis=1)


def parallel_coordinates(table: pd.DataFrame, space: _SPACE) -> Drawing:
    """Draw each trial of :func:`coordinates` as a line through its parameters, the best tenth set off.

    Args:
        table: of :func:`coordinates`.
        space: the search space; parameters that it gives ``log`` are drawn so.
    """
    names = [name for name in table.columns if name not in ("dataset", "number", "val_score", "rank")]
    heights = {name: _heights(table[name], bool(space.get(name, {}).get("log"))) for name in names}

    def panel(axes: Axes, dataset: str) -> None:
        rows = table[table["dataset"] == dataset].sort_values("rank", ascending=False)
        lines = [[(x, heights[name][place]) for x, name in enumerate(names)] for place in rows.index]
        best = rows["rank"].to_numpy() <= _BEST
        colours = [to_rgba(_STANDS_OUT, 0.9) if one else to_rgba(MUTED, 0.35) for one in best]
        axes.add_collection(LineCollection(lines, colors=colours, linewidths=np.where(best, 1.5, 0.6)), autolim=False)
        axes.set_ylim(-0.05, 1.05)
        axes.set_xticks(range(len(names)), names, rotation=90, fontsize=7)
        axes.set_yticks([0, 1], ["low", "high"])
        axes.set_xlim(-0.3, len(names) - 0.7)

    legend = [
        Line2D([], [], color=_STANDS_OUT, linewidth=1.5, label="best tenth"),
        Line2D([], [], color=MUTED, linewidth=0.8, alpha=0.5, label="others"),
    ]
    return panels(datasets_of(table), panel, "", "", legend, panel_height=2.9)


def _heights(values: pd.Series[Any], log: bool) -> dict[int, float]:
    """Return the height of each value between the lowest (0) and the highest (1), NaN where there is none."""
    known = values.dropna()
    numbers: npt.NDArray[np.float64]
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in known):
        numbers = known.to_numpy(dtype=float)
        numbers = np.log(numbers) if log and (numbers > 0).all() else numbers
    else:
        places = {value: place for place, value in enumerate(sorted(known.astype(str).unique()))}
        numbers = known.astype(str).map(places).to_numpy(dtype=float)
    low, spread = numbers.min(), max(float(np.ptp(numbers)), 1e-300)
    found = dict.fromkeys(values.index, float("nan"))
    found.update(zip(known.index, ((numbers - low) / spread).tolist(), strict=True))
    return found


def _scored(trials: pd.DataFrame) -> pd.DataFrame:
    return trials[(trials["stage"] == Stage.SEARCH) & trials["val_score"].notna()]
