"""The best configurations of a study as rows: what is chosen, and the test accuracies that were opened afterwards."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypedDict

import numpy as np

from dst.stability import as_selected, nogueira
from studies.choice.over_k import OverK
from studies.choice.selection import Confirmed
from studies.store.record_schema import TestRecord, importances_of


class BestRow(TypedDict):
    """A configuration as ``dst best --json`` prints it; ``best.csv`` and ``best_by_method.csv`` lack ``k_curve``."""

    dataset: str
    number: int
    method: str
    importance: str
    params: dict[str, Any]
    val_score: float
    test_mean: float | None
    test_std: float | None
    seeds: int
    k: int
    sparsity: float | None
    flops_ratio: float | None
    val_balanced_accuracy: float | None
    val_macro_auc: float | None
    features: list[int]
    stability: float | None
    stability_low: float | None
    stability_high: float | None
    list_val_score: float | None
    list_test_score: float | None
    smallest_k: int | None
    k_curve: list[dict[str, Any]]
    feature_names: list[str]


@dataclass(frozen=True)
class Stability:
    """Nogueira's stability of selections with its 95% interval; None where it is not defined."""

    value: float | None = None
    low: float | None = None
    high: float | None = None


def stability_of(configuration: Confirmed, n_features: int) -> Stability:
    """Return the agreement of a configuration's seeds on the columns they select; not defined for a single seed.

    Args:
        configuration: its confirming trials.
        n_features: number of the dataset's columns.
    """
    records, importance = configuration.records, configuration.importance
    selections = [importances_of(record)[importance]["selected"] for record in records]
    if len(selections) < 2:
        return Stability()
    found = nogueira(as_selected(selections, n_features))
    return Stability(*(value if math.isfinite(value) else None for value in (found.value, found.low, found.high)))


def best_row(
    configuration: Confirmed,
    features: Sequence[int],
    names: Sequence[str],
    tests: Sequence[TestRecord | None],
    *,
    stability: Stability | None = None,
    list_val_score: float | None = None,
    list_test_score: float | None = None,
    over_k: OverK | None = None,
) -> BestRow:
    """Return the row of a configuration.

    Args:
        configuration: its confirming trials.
        features: its columns, best first.
        names: the dataset's column names.
        tests: results on the test rows, one entry a seed; None while not opened.
        stability: of the seeds' selections.
        list_val_score: score of its feature list on validation rows; None: not measured.
        list_test_score: the same on test rows.
        over_k: its validation score over K.
    """
    first, importance = configuration.records[0], configuration.importance
    stability, over_k = stability or Stability(), over_k or OverK()
    accuracies = [
        test["importances"][importance]["test_svm_accuracy"]
        for test in tests
        if test is not None and importance in test["importances"]
    ]
    known = [accuracy for accuracy in accuracies if accuracy is not None]
    opened = len(accuracies) == len(configuration.records)
    return {
        "dataset": first["dataset"],
        "number": configuration.number,
        "method": configuration.method,
        "importance": importance,
        "params": dict(first["params"]),
        "val_score": configuration.score,
        "test_mean": float(np.mean(known)) if opened else None,
        "test_std": float(np.std(known, ddof=1)) if opened and len(known) > 1 else None,
        "seeds": len(configuration.records),
        "k": first["k"],
        "sparsity": first["sparsity"],
        "flops_ratio": configuration.mean("flops_ratio"),
        "val_balanced_accuracy": configuration.mean_judged("val_balanced_accuracy"),
        "val_macro_auc": configuration.mean_judged("val_macro_auc"),
        "features": [int(column) for column in features],
        "stability": stability.value,
        "stability_low": stability.low,
        "stability_high": stability.high,
        "list_val_score": list_val_score,
        "list_test_score": list_test_score,
        "smallest_k": over_k.smallest,
        "k_curve": [asdict(point) for point in over_k.curve],
        "feature_names": [names[column] for column in features],
    }
