"""The study that a pruner is shown, in which its decisions depend on nothing that happens to run beside a trial.

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
    """A storage whose list of all trials is that of finished batches.

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


class PrunerView:
    """An in-memory study that shows its pruner the trials of finished batches only.

    It is rebuilt by beginning, reporting and ending the same trials again, batch by batch: rungs are not stored. To
    the pruner a trial's number is its place among the proposals, whenever and however often it began.

    Args:
        name: the study's name; Hyperband deals trials out by a hash of it and their numbers.
        directions: one an objective.
        pruner: decides which trials stop.

    Attributes:
        study: what the pruner is given.
    """

    def __init__(self, name: str, directions: Sequence[Direction], pruner: BasePruner) -> None:
        self._storage = _FinishedBatches()
        with quiet_optuna():
            self.study = optuna.create_study(
                study_name=name, storage=self._storage, directions=directions, pruner=pruner
            )
        self._id = self._storage.get_study_id_from_name(name)
        self._pruner = pruner
        self._places: dict[int, int] = {}

    @property
    def history(self) -> list[FrozenTrial]:
        """The trials of finished batches in their order, failed ones included."""
        return self._storage.history

    def begin(self, proposal: Proposal, place: int) -> int:
        """Let a trial in; a trial that starts over is let in again and forgets its first attempt.

        Args:
            proposal: the trial's parameters.
            place: the trial's place among all proposals, from 0.

        Returns:
            The trial's key for the other methods.
        """
        trial = create_trial(
            state=TrialState.RUNNING,
            params=dict(proposal.suggested),
            distributions=dict(proposal.distributions),
        )
        key = int(self._storage.create_new_trial(self._id, template_trial=trial))
        self._places[key] = place
        return key

    def report(self, key: int, step: int, value: float) -> bool:
        """Take a value and ask the pruner.

        Args:
            key: from :meth:`begin`.
            step: how far the trial is.
            value: the objective there; a NaN is kept, and never stops a trial.

        Returns:
            True to stop the trial.
        """
        if isinstance(self._pruner, NopPruner):
            return False  # no pruner looks at the value, now or later: it need not be kept
        self._storage.set_trial_intermediate_value(key, step, value)
        return not math.isnan(value) and bool(self._pruner.prune(self.study, self.trial(key)))

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
        self.history.extend(self.trial(key) for key in keys)

    def trial(self, key: int) -> FrozenTrial:
        """Return a trial as the pruner is given it.

        Args:
            key: from :meth:`begin`.
        """
        trial = copy.copy(self._storage.get_trial(key))
        trial.number = self._places[key]
        return trial
