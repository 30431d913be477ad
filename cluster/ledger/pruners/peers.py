"""What a pruner may look at, so that it decides the same whatever happens to run beside a trial.

Optuna's pruners compare a trial with all others of its study, as far as they have come. Here they see the trials of
finished batches, and the one that reports.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Container, Iterable, Sequence

import optuna
from optuna.pruners import BasePruner, NopPruner
from optuna.storages import InMemoryStorage
from optuna.trial import FrozenTrial, TrialState, create_trial

from cluster.ledger.entries import Direction
from cluster.ledger.proposals import Proposal
from cluster.ledger.storage.connect import quiet_optuna


class _FinishedBatches(InMemoryStorage):
    """A storage that shows, to whoever asks for all trials, those of finished batches.

    Pruners ask in more ways than one: Hyperband does so through a study of its own over the same storage.

    Attributes:
        history: the trials of finished batches in their order, failed ones included.
    """

    def __init__(self) -> None:
        super().__init__()
        self.history: list[FrozenTrial] = []

    def get_all_trials(
        self, study_id: int, deepcopy: bool = True, states: Container[TrialState] | None = None
    ) -> list[FrozenTrial]:
        """Return the trials of finished batches.

        Failed ones are left out: how far a trial came before its machine died must not decide about another.
        """
        shown = [t for t in self.history if t.state != TrialState.FAIL and (states is None or t.state in states)]
        return copy.deepcopy(shown) if deepcopy else shown


class PeerView(optuna.Study):
    """An in-memory study that shows its pruner the trials of finished batches only.

    It is rebuilt by beginning, reporting and ending the same trials again, batch by batch: rungs are not stored. To
    the pruner a trial's number is its place among the proposals, whenever and however often it began.

    Args:
        name: what a pruner that deals trials out by a hash goes by, besides their numbers.
        directions: one an objective.
        pruner: says whom to stop.
    """

    def __init__(self, name: str, directions: Sequence[Direction], pruner: BasePruner) -> None:
        self._peers = _FinishedBatches()
        with quiet_optuna():
            optuna.create_study(study_name=name, storage=self._peers, directions=directions)
        super().__init__(name, self._peers, pruner=pruner)
        self._places: dict[int, int] = {}

    @property
    def history(self) -> list[FrozenTrial]:
        """The trials of finished batches in their order, failed ones included."""
        return self._peers.history

    def begin(self, proposal: Proposal, place: int) -> int:
        """Let a trial in; a trial that starts over is let in again and forgets its first attempt.

        Args:
            proposal: its parameters.
            place: among all proposals, from 0.

        Returns:
            Its key for the other methods.
        """
        trial = create_trial(
            state=TrialState.RUNNING,
            params=dict(proposal.suggested),
            distributions=dict(proposal.distributions),
        )
        key = int(self._storage.create_new_trial(self._study_id, template_trial=trial))
        self._places[key] = place
        return key

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
        return not math.isnan(value) and bool(self.pruner.prune(self, self._trial(key)))

    def end(self, key: int, state: TrialState, values: Sequence[float]) -> None:
        """Take note of how a trial ended.

        Args:
            key: from :meth:`begin`.
            state: a final one.
            values: one an objective where it has finished, else none.
        """
        self._storage.set_trial_state_values(key, state, values or None)

    def close_batch(self, keys: Iterable[int]) -> None:
        """Show the trials of a batch to those that follow.

        Args:
            keys: all trials of the batch, each ended, in the order of their proposals.
        """
        self.history.extend(self._trial(key) for key in keys)

    def _trial(self, key: int) -> FrozenTrial:
        trial = copy.copy(self._storage.get_trial(key))
        trial.number = self._places[key]
        return trial
