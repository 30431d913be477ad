"""A configuration's validation score over K: each confirming seed was scored on several K from one training.

Validation rows alone say which K is enough; a test accuracy at that K is one of those that are opened for every K.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dst.k_curve import KPoint, k_curve, smallest_k
from studies.choice.selection import Confirmed
from studies.spec.objective import ObjectiveSpec
from studies.store.record_schema import Record, importances_of

MEASURES = {
    "val_svm_accuracy": "accuracy",
    "val_balanced_accuracy": "balanced_accuracy",
    "val_macro_auc": "macro_auc",
}
"""The scorer's result at one K, by the objective's name for it on validation rows."""


@dataclass(frozen=True)
class OverK:
    """The validation score of a configuration over K.

    Attributes:
        curve: mean over seeds of the result by which the study compares rankings, with its interval; smallest K first.
        smallest: the smallest K within one standard error of the best (:func:`dst.k_curve.smallest_k`); None where one
            K or one seed was scored.
    """

    curve: tuple[KPoint, ...] = ()
    smallest: int | None = None


def over_k(configuration: Confirmed, objective: ObjectiveSpec) -> OverK:
    """Return the validation score of a configuration over every K that all its seeds have a score of.

    Args:
        configuration: its confirming trials.
        objective: the study's metrics.
    """
    judged_by = objective.judged_by
    by_seed = [_by_k(record, configuration.importance, judged_by) for record in configuration.records]
    common = set.intersection(*(set(scores) for scores in by_seed))
    scores = {k: [of_seed[k] for of_seed in by_seed] for k in common}
    if not scores:
        return OverK()
    comparable = len(scores) > 1 and len(by_seed) > 1
    return OverK(k_curve(scores), smallest_k(scores) if comparable else None)


def _by_k(record: Record, importance: str, judged_by: str) -> dict[int, float]:
    """Return a trial's scores by K, those that are known."""
    found: Mapping[str, Any] = importances_of(record)[importance]
    by_k = {int(k): result.get(MEASURES[judged_by]) for k, result in found.get("by_k", {}).items()}
    by_k[record["k"]] = found.get(judged_by)
    return {k: score for k, score in by_k.items() if score is not None}
