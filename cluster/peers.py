"""What a pruner may look at, so that it decides the same whatever happens to run beside a trial.

Optuna's pruners compare a trial with all others of its study, as far as they have come. Here they see the trials of
finished batches, and the one that reports.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Container, Iterable

import optuna
from optuna.pruners import BasePruner, NopPruner
from optuna.storages import InMemoryStorage
from optuna.trial import FrozenTrial, TrialState, create_trial

from cluster.entries import Direction
from cluster.proposals import Proposal
from cluster.storage import quiet_optuna

_NAME = "peers"


class PeerView(optuna.Study):
    """An in-memory study that shows its pruner the trials of finished batches only.

    It is rebuilt by beginning, reporting and ending the same trials again, batch by batch: rungs are not stored.

    Attributes:
        history: the trials of finished batches in their order, failed ones included.
    """

    def __init__(self, direction: Direction, pruner: BasePruner) -> None:
        storage = InMemoryStorage()
        with quiet_optuna():
            optuna.create_study(study_name=_NAME, storage=storage, direction=direction)
        super().__init__(_NAME, storage, pruner=pruner)
        self.history: list[FrozenTrial] = []

    def get_trials(self, deepcopy: bool = True, states: Container[TrialState] | None = None) -> list[FrozenTrial]:
        """Return the trials of finished batches.

        Failed ones are left out: how far a trial came before its machine died must not decide about another.
        """
        shown = [t for t in self.history if t.state != TrialState.FAIL and (states is None or t.state in states)]
        return copy.deepcopy(shown) if deepcopy else shown

    def begin(self, proposal: Proposal) -> int:
        """Let a trial in; a trial that starts over is let in again and forgets its first attempt.

        Returns:
            Its key for the other methods.
        """
        trial = create_trial(
            state=TrialState.RUNNING,
            params=dict(proposal.suggested),
            distributions=dict(proposal.distributions),
        )
        return int(self._storage.create_new_trial(self._study_id, template_trial=trial))

    def report(self, key: int, step: int, value: float) -> bool:
        """Take a value and ask the pruner.

        Args:
            key: from :meth:`begin`.
            step: how far the trial is.
            value: the objective there; a NaN is kept, and never stops a trial.

        Returns:
            Whether to stop the trial.
        """
        if isinstance(self.pruner, NopPruner):
            return False  # nobody looks at the value, now or later: it need not be kept
        self._storage.set_trial_intermediate_value(key, step, value)
        return not math.isnan(value) and bool(self.pruner.prune(self, self._storage.get_trial(key)))

    def end(self, key: int, state: TrialState, value: float | None) -> None:
        """Take note of how a trial ended.

        Args:
            key: from :meth:`begin`.
            state: a final one.
            value: the objective, or None.
        """
        self._storage.set_trial_state_values(key, state, None if value is None else [value])

    def close_batch(self, keys: Iterable[int]) -> None:
        """Show the trials of a batch to those that follow.

        Args:
            keys: all trials of the batch, each ended, in the order of their proposals.
        """
        self.history.extend(self._storage.get_trial(key) for key in keys)
