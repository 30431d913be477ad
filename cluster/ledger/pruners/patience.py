"""A pruner that stops no trial that still improves."""

from __future__ import annotations

import math

from optuna.pruners import BasePruner
from optuna.study import Study
from optuna.trial import FrozenTrial


class Patience(BasePruner):
    """Ask another pruner about a trial, but only while the trial's own reports stand still.

    A trial stands still when its last ``patience + 1`` reports lie within ``min_delta`` of one another. That is for
    reports of the best value so far. Optuna's ``PatientPruner`` takes an equal best for an improvement, so of such
    reports it never stops one; and where a trial starts on its next inner split, its mean over splits becomes worse,
    which is no standing still.

    Args:
        wrapped: decides about a trial that stands still; None: it is stopped.
        patience: how many reports in a row may bring no improvement.
        min_delta: differences up to this one are no improvement; in the objective's unit.
    """

    def __init__(self, wrapped: BasePruner | None, patience: int, min_delta: float) -> None:
        self._wrapped = wrapped
        self._patience = patience
        self._min_delta = min_delta

    def prune(self, study: Study, trial: FrozenTrial) -> bool:
        """Say whether to stop a trial at its last report."""
        steps = sorted(trial.intermediate_values)[-self._patience - 1 :]
        last = [trial.intermediate_values[step] for step in steps]
        known = len(last) > self._patience and not any(map(math.isnan, last))
        if not known or max(last) - min(last) > self._min_delta:
            return False
        return self._wrapped is None or self._wrapped.prune(study, trial)
