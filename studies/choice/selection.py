"""Selection of the configurations to confirm, of the winner, and of those whose test rows are opened.

Everything here reads validation quantities.
"""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

import numpy as np

from cluster.ledger.entries import State
from studies.choice.shrinkage import shrunken_means
from studies.choice.trade_offs import Point, by_spread, to_minimize, values_of
from studies.spec.objective import ObjectiveSpec
from studies.store.record_schema import Outcome, Record, importances_of

Judged = Literal["val_svm_accuracy", "val_balanced_accuracy", "val_macro_auc"]
"""A result of the scorer on validation rows."""

Averaged = Literal["val_loss", "flops", "flops_ratio"]
"""A numeric field of a record."""


@dataclass(frozen=True)
class Confirmed:
    """A configuration and its confirming trials.

    Attributes:
        number: the search trial that it comes from.
        records: its finished confirming trials, by seed.
        importance: the ranking that is best over all seeds (of the metric and the selection that the objective names).
        scores: means of the objectives over seeds, in the spec's order.
        complete: True if every seed finished.
    """

    number: int
    records: tuple[Record, ...]
    importance: str
    scores: Point
    complete: bool

    @property
    def score(self) -> float:
        """The mean of the first objective over seeds."""
        return self.scores[0]

    @property
    def method(self) -> str:
        """The ranker."""
        return str(self.records[0]["method"])

    def mean_judged(self, key: Judged) -> float | None:
        """Return the mean over seeds of a result of the scorer for the configuration's importance, as :meth:`mean`."""
        return _mean_of_known([importances_of(record)[self.importance].get(key) for record in self.records])

    def mean(self, key: Averaged) -> float | None:
        """Return the mean of a numeric field over seeds, None where a seed lacks it."""
        return _mean_of_known([record.get(key) for record in self.records])


def chosen_by(record: Record) -> Outcome:
    """Return the part of a search trial's record that :func:`to_confirm` looks at: much less than all of it."""
    kept = ("number", "state", "method", "params", "val_score", "val_scores", "val_loss", "flops")
    return cast("Outcome", {key: value for key, value in record.items() if key in kept})


def to_confirm(search: Iterable[Outcome], *, top: int, objective: ObjectiveSpec) -> list[int]:
    """Return the numbers of the search trials to confirm, best first.

    The ``top`` best finished ones and the best of each method, configurations that are equal counted once. Ties go to
    the lower validation loss, then to fewer FLOPs, then to the earlier trial.

    With several objectives the best are the trade-offs that none beats: first the one that is best in the first
    objective, then those that lie furthest from the others; where there are fewer than ``top``, those that only these
    beat (:func:`studies.choice.trade_offs.by_spread`). The best of a method is best in the first objective (ties: the
    next).

    Args:
        search: records of the search stage.
        top: number of the best search trials that are chosen; the best of each method are added.
        objective: the study's metrics and importance.
    """

    def point(record: Outcome) -> Point:
        return to_minimize(values_of(record, objective), objective.directions)

    finished = sorted(
        (record for record in search if record["state"] == State.FINISHED),
        key=lambda record: (point(record), *_ties(record.get("val_loss"), record.get("flops")), record["number"]),
    )
    distinct: dict[str, Outcome] = {}
    for record in finished:
        distinct.setdefault(json.dumps(record["params"], sort_keys=True), record)
    ordered = list(distinct.values())
    first_of_method: dict[str, Outcome] = {}
    for record in ordered:
        first_of_method.setdefault(record["method"], record)
    if objective.several:
        ordered = [ordered[place] for place in by_spread([point(record) for record in ordered])]
    chosen = ordered[:top]
    chosen += [record for record in first_of_method.values() if record not in chosen]
    return [record["number"] for record in chosen]


def confirmed(confirming: Iterable[Record], *, seeds: int, objective: ObjectiveSpec) -> list[Confirmed]:
    """Return the confirmed configurations of a dataset, best first.

    The best mean over seeds of the first objective comes first, configurations with a failed seed after all complete
    ones. Ties go to the next objective, if there are several, then to the lower mean validation loss, then to fewer
    FLOPs, then to the earlier trial. So the first is one that none of the confirmed beats in all objectives.

    Where the objective shrinks, rankings and configurations are compared by shrunken means
    (:func:`studies.choice.shrinkage.shrunken_means`): those of complete configurations that have the same rankings.
    What is reported of the chosen are plain means all the same.

    Args:
        confirming: records of the confirm stage.
        seeds: number of seeds that make a configuration complete.
        objective: the study's metrics and importance.
    """
    by_source: dict[int, list[Record]] = defaultdict(list)
    for record in confirming:
        if record["state"] == State.FINISHED and record["source"] is not None:
            by_source[record["source"]].append(record)
    for records in by_source.values():
        records.sort(key=lambda record: record["seed_index"] or 0)
    judged = {number: _judged(records, objective) for number, records in by_source.items()}
    if objective.shrink:
        judged |= _shrunken({n: records for n, records in by_source.items() if len(records) == seeds}, objective)
    configurations = []
    compared: dict[int, Point] = {}
    for number, records in by_source.items():
        name = objective.best_ranking(judged[number])
        scores = tuple(_mean_of(records, metric, name) for metric in objective.metrics)
        configurations.append(Confirmed(number, tuple(records), name, scores, len(records) == seeds))
        compared[number] = tuple(
            judged[number][name] if metric == objective.judged_by else score
            for metric, score in zip(objective.metrics, scores, strict=True)
        )
    return sorted(
        configurations,
        key=lambda configuration: (
            not configuration.complete,
            to_minimize(compared[configuration.number], objective.directions),
            *_ties(configuration.mean("val_loss"), configuration.mean("flops")),
            configuration.number,
        ),
    )


def to_open(ranked: Sequence[Confirmed]) -> list[Confirmed]:
    """Return the configurations whose test rows are opened: the winner and the best of each method."""
    first_of_method: dict[str, Confirmed] = {}
    for configuration in ranked:
        first_of_method.setdefault(configuration.method, configuration)
    return list(first_of_method.values())


def _mean_of_known(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known and len(known) == len(values) else None


def _judged(records: Sequence[Record], objective: ObjectiveSpec) -> dict[str, float]:
    """Return the mean over seeds of what rankings are compared by, for those that count."""
    rankings = objective.counting(importances_of(records[0]))
    return {name: _mean_of(records, objective.judged_by, name) for name in rankings}


def _shrunken(by_source: Mapping[int, Sequence[Record]], objective: ObjectiveSpec) -> dict[int, dict[str, float]]:
    """Return the same with shrunken differences, among configurations that have the same rankings."""
    alike: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for number, records in by_source.items():
        alike[tuple(sorted(objective.counting(importances_of(records[0]))))].append(number)
    found = {}
    for rankings, numbers in alike.items():
        values = [
            [[_objective_of(record, objective.judged_by, name) for record in by_source[number]] for name in rankings]
            for number in numbers
        ]
        for number, means in zip(numbers, shrunken_means(np.array(values)).tolist(), strict=True):
            found[number] = dict(zip(rankings, means, strict=True))
    return found


def _mean_of(records: Sequence[Record], metric: str, importance: str) -> float:
    """Return the mean of an objective over seeds."""
    return float(np.mean([_objective_of(record, metric, importance) for record in records]))


def _objective_of(record: Record, metric: str, importance: str) -> float:
    results: Mapping[str, Any] = record
    if metric not in ("val_loss", "flops", "k"):
        results = importances_of(record)[importance]
    return float(results[metric])


def _ties(val_loss: float | None, flops: float | None) -> tuple[float, float]:
    loss = math.inf if val_loss is None or math.isnan(val_loss) else val_loss  # a NaN in memory is null in its record
    return (loss, math.inf if flops is None else flops)
