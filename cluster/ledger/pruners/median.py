"""A pruner that compares a trial's report with those of finished trials at the same step."""

from __future__ import annotations

import math

import numpy as np
from optuna.pruners import BasePruner
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState


class Median(BasePruner):
    """Stop a trial whose report is worse than the median of what finished trials reported at the same step.

    That is for reports of the best value so far, averaged over the inner splits that have begun. Optuna's
    ``MedianPruner`` takes the best of all of a trial's reports instead: a trial whose first split happens to be an easy
    one is then never stopped. Where there is one split the two are the same.

    Args:
        n_startup_trials: nothing is stopped before this many trials have finished.
        n_warmup_steps: nothing is stopped before this step.
        interval_steps: steps from one decision to the next.
        n_min_trials: finished trials that must have reported at the step.
    """

    def __init__(self, n_startup_trials: int, n_warmup_steps: int, interval_steps: int, n_min_trials: int) -> None:
        self._n_startup_trials = n_startup_trials
        self._n_warmup_steps = n_warmup_steps
        self._interval_steps = interval_steps
        self._n_min_trials = n_min_trials

    def prune(self, study: Study, trial: FrozenTrial) -> bool:
        """Say whether to stop a trial at its last report; one that is no number is worse than any."""
        finished = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        step = trial.last_step
        if step is None or step < self._n_warmup_steps or len(finished) < max(1, self._n_startup_trials):
            return False
        if not self._decides_at(step, trial):
            return False
        reports = [other.intermediate_values.get(step, math.nan) for other in finished]
        known = [value for value in reports if not math.isnan(value)]
        if len(known) < max(1, self._n_min_trials):
            return False
        value, median = trial.intermediate_values[step], float(np.median(known))
        if math.isnan(value):
            return True
        return value < median if study.direction == StudyDirection.MAXIMIZE else value > median

    def _decides_at(self, step: int, trial: FrozenTrial) -> bool:
        """Say whether the trial has reported nothing before in this interval."""
        first = (step - self._n_warmup_steps) // self._interval_steps * self._interval_steps + self._n_warmup_steps
        return not any(first <= earlier < step for earlier in trial.intermediate_values)
