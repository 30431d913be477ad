"""The durable form of a ledger's trials: one Optuna study, readable by any tool that knows Optuna.

A trial's user attributes hold what Optuna has no column for: ``stage``; ``params``, the fixed ones included; for a
proposal its ``batch`` and ``position`` in it; and what the writer adds. Optuna has no state for a trial that was never
started and never will be: it lies there as one that failed without a ``reason``, which every other failure has.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from optuna.storages import BaseStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState, create_trial

from cluster.ledger.bulk import write_reports, write_trials
from cluster.ledger.entries import Direction, Entry, LedgerError, State
from cluster.ledger.internals import key_in_storage
from cluster.ledger.proposals import Proposal
from cluster.ledger.storage.connect import quiet_optuna
from cluster.ledger.storage.patient import StorageFailedError

DIRECTIONS: dict[str, StudyDirection] = {"minimize": StudyDirection.MINIMIZE, "maximize": StudyDirection.MAXIMIZE}

TO_OPTUNA = {
    State.WAITING: TrialState.WAITING,
    State.RUNNING: TrialState.RUNNING,
    State.FINISHED: TrialState.COMPLETE,
    State.STOPPED: TrialState.PRUNED,
    State.FAILED: TrialState.FAIL,
    State.SKIPPED: TrialState.FAIL,
}
_FROM_OPTUNA = {optuna_state: state for state, optuna_state in TO_OPTUNA.items() if state is not State.SKIPPED}


@dataclass(frozen=True)
class Stored:
    """A trial as it was read.

    Attributes:
        storage_id: its key in the storage, unique over all studies.
        entry: its state, parameters, values and attributes.
        proposal: its parameters, with Optuna's distributions.
    """

    storage_id: int
    entry: Entry
    proposal: Proposal


class DurableStudy:
    """One study of the storage. Each method is done, for good, when it returns.

    Args:
        storage: the durable storage.
        name: the study's name; it is made when it is missing.
        directions: one an objective.
        settings: what JSON can hold; must be equal each time the study is opened.

    Raises:
        LedgerError: the study was begun with other settings.
    """

    def __init__(
        self, storage: BaseStorage, name: str, directions: Sequence[Direction], settings: Mapping[str, Any]
    ) -> None:
        self._storage = storage
        try:
            self._id = int(storage.get_study_id_from_name(name))
        except KeyError:
            with quiet_optuna():
                self._id = int(storage.create_new_study([DIRECTIONS[direction] for direction in directions], name))
        now = json.loads(json.dumps(settings))
        begun = storage.get_study_user_attrs(self._id).get("settings")
        if begun is None:
            storage.set_study_user_attr(self._id, "settings", now)
        elif begun != now:
            other = [f"{key}={begun.get(key)!r}, now {now[key]!r}" for key in now if begun.get(key) != now[key]]
            raise LedgerError(f"study {name!r} was begun with {'; '.join(other)}: name another study or storage")

    def add(self, stage: str, trials: Sequence[tuple[Proposal, Mapping[str, Any]]]) -> list[tuple[int, int]]:
        """Write trials that wait, all of them or none where the storage is a database.

        Args:
            stage: what they are for.
            trials: the parameters of each, and attributes: what JSON can hold.

        Returns:
            The number of each and its key in the storage, in their order.
        """
        templates = [
            create_trial(
                state=TrialState.WAITING,
                params=dict(proposal.suggested),
                distributions=dict(proposal.distributions),
                user_attrs={"stage": stage, "params": dict(proposal.params), **attrs},
            )
            for proposal, attrs in trials
        ]
        keys = write_trials(self._storage, self._id, templates)
        if not keys:
            return []
        first = int(self._storage.get_trial_number_from_id(keys[0]))
        return list(enumerate(keys, first))

    def start(self, storage_id: int) -> bool:
        """Turn a waiting trial into a running one.

        Returns:
            False when it did not wait: another process has started it.
        """
        return bool(self._storage.set_trial_state_values(storage_id, TrialState.RUNNING))

    def wait_again(self, storage_id: int, requeued: int) -> None:
        """Turn a running trial into a waiting one.

        Args:
            storage_id: its key.
            requeued: how often this has happened to it, this time included.
        """
        self._storage.set_trial_user_attr(storage_id, "requeued", requeued)
        self._storage.set_trial_state_values(storage_id, TrialState.WAITING)

    def skip(self, storage_id: int) -> None:
        """End a trial that waits and was never started."""
        self._storage.set_trial_state_values(storage_id, TO_OPTUNA[State.SKIPPED])

    def end(
        self, storage_id: int, state: State, values: Sequence[float], reports: Mapping[int, float], reason: str | None
    ) -> None:
        """End a trial. The state is written last: a trial that has ended has its reports.

        Args:
            storage_id: its key.
            state: a final one.
            values: one an objective where it has finished, else none.
            reports: value by step.
            reason: why it failed; None for the other states.
        """
        write_reports(self._storage, storage_id, reports)
        if reason is not None:
            self._storage.set_trial_user_attr(storage_id, "reason", reason)
        self._storage.set_trial_state_values(storage_id, TO_OPTUNA[state], values or None)


def read_study(storage: BaseStorage, name: str) -> list[Stored]:
    """Read all trials of a study, by number.

    Args:
        storage: the durable storage.
        name: the study's name.

    Raises:
        LedgerError: there is no such study, or it holds a trial that no ledger wrote.
        StorageFailedError: what the storage holds of it is damaged.
    """
    try:
        study_id = storage.get_study_id_from_name(name)
    except KeyError:
        raise LedgerError(f"the storage holds no study {name!r}") from None
    try:
        trials = storage.get_all_trials(study_id, deepcopy=False)
        return [_read(name, trial) for trial in sorted(trials, key=lambda trial: trial.number)]
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:  # Optuna reads what is there
        cause = f"{type(error).__name__}: {' '.join(str(error).split())}"
        raise StorageFailedError(f"the storage holds study {name!r}, but damaged ({cause})", lost=False) from error


def read_entries(storage: BaseStorage, name: str) -> list[Entry]:
    """Read the data of all trials of a study, by number, without taking part in it.

    Args:
        storage: the durable storage.
        name: the study's name.

    Raises:
        LedgerError: there is no such study, or it holds a trial that no ledger wrote.
    """
    return [stored.entry for stored in read_study(storage, name)]


def _read(name: str, trial: FrozenTrial) -> Stored:
    attrs = dict(trial.user_attrs)
    if "stage" not in attrs or "params" not in attrs:
        raise LedgerError(f"study {name!r} holds trial {trial.number}, which no ledger wrote: name another study")
    never_started = trial.state == TrialState.FAIL and "reason" not in attrs
    state = State.SKIPPED if never_started else _FROM_OPTUNA[trial.state]
    entry = Entry(
        number=trial.number,
        stage=attrs.pop("stage"),
        state=state,
        params=attrs.pop("params"),
        values=tuple(trial.values) if state is State.FINISHED else (),
        attrs=attrs,
        reports=dict(sorted(trial.intermediate_values.items())),
    )
    return Stored(key_in_storage(trial), entry, Proposal(entry.params, trial.params, trial.distributions))
