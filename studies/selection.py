"""Which configurations are confirmed, which one wins, and whose test rows are opened.

Everything here reads validation quantities, except that :func:`best_row` adds the test accuracies that were opened
after the choice was made.
"""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

Record = Mapping[str, Any]
Direction = Literal["minimize", "maximize"]


@dataclass(frozen=True)
class Confirmed:
    """A configuration and its confirming trials.

    Attributes:
        number: the search trial that it comes from.
        records: its finished confirming trials, by seed.
        importance: the metric that is best over all seeds (or the one that the objective names).
        score: mean of the objective over seeds.
        complete: whether every seed finished.
    """

    number: int
    records: tuple[Record, ...]
    importance: str
    score: float
    complete: bool

    @property
    def method(self) -> str:
        """The ranker."""
        return str(self.records[0]["method"])

    def mean(self, key: str) -> float | None:
        """Return the mean of a numeric field over seeds, None where a seed lacks it."""
        values = [record.get(key) for record in self.records]
        known = [value for value in values if value is not None]
        return float(np.mean(known)) if known and len(known) == len(values) else None


def to_confirm(search: Iterable[Record], *, top: int, direction: Direction) -> list[int]:
    """Return the numbers of the search trials to confirm, best first.

    The ``top`` best finished ones and the best of each method, configurations that are equal counted once. Ties go to
    the lower validation loss, then to fewer FLOPs, then to the earlier trial.

    Args:
        search: records of the search stage.
        top: how many.
        direction: which objective values are better.
    """
    finished = sorted(
        (record for record in search if record["state"] == "finished"),
        key=lambda record: (_rank(record["val_score"], direction), *_ties(record), record["number"]),
    )
    distinct: dict[str, Record] = {}
    for record in finished:
        distinct.setdefault(json.dumps(record["params"], sort_keys=True), record)
    ordered = list(distinct.values())
    first_of_method: dict[str, Record] = {}
    for record in ordered:
        first_of_method.setdefault(record["method"], record)
    chosen = ordered[:top]
    chosen += [record for record in first_of_method.values() if record not in chosen]
    return [record["number"] for record in chosen]


def confirmed(
    confirming: Iterable[Record], *, seeds: int, metric: str, importance: str, direction: Direction
) -> list[Confirmed]:
    """Return the confirmed configurations of a dataset, best first.

    The best mean over seeds comes first, configurations with a failed seed after all complete ones. Ties go to the
    lower mean validation loss, then to fewer FLOPs, then to the earlier trial.

    Args:
        confirming: records of the confirm stage.
        seeds: how many seeds each configuration has.
        metric: the objective's metric.
        importance: the objective's importance metric, or ``best``.
        direction: which objective values are better.
    """
    by_source: dict[int, list[Record]] = defaultdict(list)
    for record in confirming:
        if record["state"] == "finished":
            by_source[record["source"]].append(record)
    configurations = []
    for number, records in by_source.items():
        records.sort(key=lambda record: record["seed_index"])
        name, accuracy = _importance(records, importance, "val_svm_accuracy" if metric == "val_loss" else metric)
        score = accuracy if metric != "val_loss" else float(np.mean([record["val_score"] for record in records]))
        configurations.append(Confirmed(number, tuple(records), name, score, len(records) == seeds))
    return sorted(
        configurations,
        key=lambda one: (
            not one.complete,
            _rank(one.score, direction),
            *_ties({"val_loss": one.mean("val_loss"), "flops": one.mean("flops")}),
            one.number,
        ),
    )


def to_open(ranked: Sequence[Confirmed]) -> list[Confirmed]:
    """Return the configurations whose test rows are opened: the winner and the best of each method."""
    first_of_method: dict[str, Confirmed] = {}
    for one in ranked:
        first_of_method.setdefault(one.method, one)
    return list(first_of_method.values())


def best_row(one: Confirmed, features: Sequence[int], tests: Sequence[Record | None]) -> dict[str, Any]:
    """Return a row of ``dst best --json`` for a configuration.

    Args:
        one: the configuration.
        features: its columns, best first.
        tests: what opening the test rows gave, one entry a seed; None while not opened.
    """
    first = one.records[0]
    accuracies = [
        test["importances"][one.importance]["test_svm_accuracy"]
        for test in tests
        if test is not None and one.importance in test["importances"]
    ]
    opened = len(accuracies) == len(one.records)
    return {
        "dataset": first["dataset"],
        "number": one.number,
        "method": one.method,
        "importance": one.importance,
        "params": dict(first["params"]),
        "val_score": one.score,
        "test_mean": float(np.mean(accuracies)) if opened else None,
        "test_std": float(np.std(accuracies, ddof=1)) if opened and len(accuracies) > 1 else None,
        "seeds": len(one.records),
        "k": first["k"],
        "sparsity": first["sparsity"],
        "flops_ratio": one.mean("flops_ratio"),
        "features": [int(column) for column in features],
    }


def _importance(records: Sequence[Record], named: str, key: str) -> tuple[str, float]:
    """Return the metric that counts for a configuration and the mean of its ``key`` over seeds."""
    metrics = records[0]["importances"]
    means = {name: float(np.mean([record["importances"][name][key] for record in records])) for name in metrics}
    name = named if named in means else max(means, key=lambda metric: means[metric])
    return name, means[name]


def _rank(score: float, direction: Direction) -> float:
    return score if direction == "minimize" else -score


def _ties(record: Record) -> tuple[float, float]:
    loss, flops = record.get("val_loss"), record.get("flops")
    return (math.inf if loss is None else loss, math.inf if flops is None else flops)
