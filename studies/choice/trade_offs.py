"""Several objectives: the trials that no other beats in all of them, and those of these worth confirming.

Non-dominated sorting and crowding distance are those of NSGA-II (Deb et al. 2002, sections III-A and III-B).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from cluster.ledger.entries import Direction, State
from studies.spec.objective import ObjectiveSpec
from studies.store.record_schema import Outcome, Record

Point = tuple[float, ...]
"""A value an objective."""


@dataclass(frozen=True)
class TradeOff:
    """A finished search trial among the others of its dataset.

    Attributes:
        dataset: name of the dataset.
        number: of the trial, in its dataset.
        method: name of the ranker.
        params: its parameters, which the space varied.
        sparsity: of its network; None: it has none.
        objectives: its values by metric.
        best: True if no other trial beats it: none is at least as good in every objective and better in one.
        confirmed: the mean of each objective over the confirming seeds, by metric; empty where it was not confirmed.
    """

    dataset: str
    number: int
    method: str
    params: Mapping[str, Any]
    sparsity: float | None
    objectives: Mapping[str, float]
    best: bool
    confirmed: Mapping[str, float] = field(default_factory=dict)


def values_of(record: Outcome, objective: ObjectiveSpec) -> Point:
    """Return the objectives of a finished trial, in the spec's order.

    Raises:
        ValueError: it lacks one.
    """
    scores = record.get("val_scores") or {}
    values = [scores.get(metric) for metric in objective.metrics] if objective.several else [record.get("val_score")]
    known = tuple(value for value in values if value is not None)
    if len(known) < len(values):
        raise ValueError(f"a finished trial has a value of each objective, but trial {record['number']} lacks one")
    return known


def to_minimize(point: Sequence[float], directions: Sequence[Direction]) -> Point:
    """Return the values with signs such that smaller is better."""
    return tuple(
        value if direction == "minimize" else -value for value, direction in zip(point, directions, strict=True)
    )


def fronts(points: Sequence[Point]) -> list[list[int]]:
    """Sort points, all of whose values are to be small, into fronts.

    Returns:
        Places among ``points``, each once: first those that no point beats, then those that only points of the first
        front beat, and so on. Equal points beat one another nowhere, so they share a front.
    """
    values = np.array(points, dtype=np.float64)
    left = np.arange(len(points))
    found = []
    while len(left):
        candidates = values[left]
        no_worse = (candidates[:, None] <= candidates[None]).all(axis=2)
        better = (candidates[:, None] < candidates[None]).any(axis=2)
        beaten = (no_worse & better).any(axis=0)
        found.append(left[~beaten].tolist())
        left = left[beaten]
    return found


def crowding(points: Sequence[Point]) -> list[float]:
    """Return the distance between each point's neighbours, summed over objectives in units of their ranges.

    Infinite at the ends of an objective; where an objective is the same for all, it counts for nothing.
    """
    values = np.array(points, dtype=np.float64)
    distance = np.zeros(len(points))
    for column in values.T:
        order = np.argsort(column, kind="stable")
        ordered = column[order]
        width = ordered[-1] - ordered[0]
        if width > 0:
            distance[order[[0, -1]]] = math.inf
            distance[order[1:-1]] += (ordered[2:] - ordered[:-2]) / width
    return [float(value) for value in distance]


def by_spread(points: Sequence[Point]) -> list[int]:
    """Return the places of points in the order in which to confirm them: front by front, each from its ends inwards.

    Of each front first comes the point that is best in the first objective (ties: in the next), then those with the
    most room around them; of equally free ones the first in ``points``. Points that repeat another come last.

    Args:
        points: all of whose values are to be small.
    """
    order = []
    for front in fronts(points):
        places: dict[Point, int] = {}
        for place in front:
            places.setdefault(points[place], place)
        free = dict(zip(places.values(), crowding(list(places)), strict=True))
        first = min(front, key=lambda place: points[place])
        order += sorted(front, key=lambda place: (place not in free, place != first, -free.get(place, 0.0)))
    return order


def trade_offs(
    search: Iterable[Record], confirmed: Mapping[int, Sequence[float]], objective: ObjectiveSpec
) -> list[TradeOff]:
    """Return the finished search trials of a dataset, best in the first objective first.

    Args:
        search: records of the dataset's search trials.
        confirmed: by search trial the means of its objectives over the confirming seeds.
        objective: the study's metrics.
    """
    finished = [record for record in search if record["state"] == State.FINISHED]
    points = [to_minimize(values_of(record, objective), objective.directions) for record in finished]
    best = set(fronts(points)[0]) if points else set()
    return [
        TradeOff(
            dataset=finished[place]["dataset"],
            number=finished[place]["number"],
            method=finished[place]["method"],
            params=finished[place]["params"],
            sparsity=finished[place].get("sparsity"),
            objectives=dict(zip(objective.metrics, values_of(finished[place], objective), strict=True)),
            best=place in best,
            confirmed=dict(zip(objective.metrics, confirmed.get(finished[place]["number"], ()), strict=False)),
        )
        for place in sorted(range(len(finished)), key=lambda place: (points[place], finished[place]["number"]))
    ]
