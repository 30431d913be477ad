"""An Optuna storage that waits for a database server which went away, and never does a thing twice.

A connection can break after the server has committed and before it says so. Repeating blindly would then add a trial
twice, or find that another process has started it. So what was asked for is looked up before it is asked for again:

====================== ============================================ ==============================================
asked for              had it been committed, one finds             repeating it
====================== ============================================ ==============================================
a new study            a study of this name                         gives that study
new trials             so many more than before, with their values  gives those trials
a state and its values the trial in this state, with these values   says that it is done
an attribute, a report                                              writes the same again
====================== ============================================ ==============================================

The second row needs what the storage's contract says: one process writes a study.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from optuna.storages import RDBStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import orm

from cluster.interrupts import sleep
from cluster.ledger.internals import engine_of, insert_waiting_trials, key_in_storage

_LOG = logging.getLogger(__name__)
_FIRST_PAUSE = 0.1
_LONGEST_PAUSE = 5.0

T = TypeVar("T")


class StorageFailedError(RuntimeError):
    """The storage failed in the middle of a study; the message is one line and holds no password.

    Args:
        message: which storage, and why.
        lost: True when the storage went away, so that it may come back.
    """

    def __init__(self, message: str, *, lost: bool) -> None:
        super().__init__(message)
        self.lost = lost


@dataclass(frozen=True)
class Patience:
    """The time for which a storage that went away is waited for.

    Attributes:
        seconds: time from the first failure until the study gives up.
    """

    seconds: float = 300.0

    def through(self, act: Callable[[], T], done: Callable[[], T | None] = lambda: None) -> T:
        """Act until the storage has answered.

        Args:
            act: asks the storage for something.
            done: looks, after a failure, whether that has happened all the same; returns what ``act`` would have
                returned, or None. The default is for what may be repeated.

        Raises:
            StorageFailedError: it failed otherwise than by going away, or did not come back in time.
            KeyboardInterrupt: SIGINT or SIGTERM arrived meanwhile.
        """
        try:
            return act()
        except StorageFailedError as error:
            if not error.lost:
                raise
            failure = error
        _LOG.warning("%s; trying again for up to %g s", failure, self.seconds)
        begin = time.monotonic()
        pause = _FIRST_PAUSE
        while (left := self.seconds - (time.monotonic() - begin)) > 0:
            sleep(min(pause, left))
            pause = min(2 * pause, _LONGEST_PAUSE)
            try:
                found = done()
                result = act() if found is None else found
            except StorageFailedError as error:
                if not error.lost:
                    raise
                failure = error
            else:
                _LOG.warning("the storage answers again, after %.0f s", time.monotonic() - begin)
                return result
        raise StorageFailedError(f"{failure}; given up after {self.seconds:g} s", lost=True) from failure


class PatientStorage(RDBStorage):
    """Optuna's storage with patience. Its engine must raise :class:`StorageFailedError` for what the database raises.

    Args:
        url: as SQLAlchemy takes it.
        engine_kwargs: for SQLAlchemy's engine.
        patience: how long to wait.
        make_tables: make Optuna's tables where they are missing.
    """

    def __init__(self, url: str, engine_kwargs: dict[str, Any], patience: Patience, *, make_tables: bool) -> None:
        super().__init__(url, engine_kwargs=engine_kwargs, skip_table_creation=not make_tables)
        self._patience = patience
        self._n_trials: dict[int, int] = {}  # by study

    def create_new_study(self, directions: Sequence[StudyDirection], study_name: str | None = None) -> int:
        """Make a study, or return the one that was made when the answer was lost."""
        if study_name is None:
            raise ValueError("a study without a name cannot be found again: name it")

        def existing() -> int | None:
            try:
                return int(super(PatientStorage, self).get_study_id_from_name(study_name))
            except KeyError:
                return None

        def create() -> int:
            return int(super(PatientStorage, self).create_new_study(directions, study_name))

        return self._patience.through(create, existing)

    def create_new_trial(self, study_id: int, template_trial: FrozenTrial | None = None) -> int:
        """Make a trial, once."""
        expected = {} if template_trial is None else template_trial.user_attrs

        def create() -> list[int]:
            return [int(super(PatientStorage, self).create_new_trial(study_id, template_trial))]

        return self._added_once(study_id, [expected], create)[0]

    def create_waiting_trials(self, study_id: int, templates: Sequence[FrozenTrial]) -> list[int]:
        """Make trials that wait, once, in one transaction.

        Args:
            study_id: their study.
            templates: parameters, distributions and user attributes of each.

        Returns:
            Their keys, in the order of the templates.
        """

        def create() -> list[int]:
            with orm.Session(engine_of(self)) as session, session.begin():
                return insert_waiting_trials(session, study_id, templates)

        return self._added_once(study_id, [template.user_attrs for template in templates], create)

    def _added_once(
        self, study_id: int, expected: Sequence[dict[str, Any]], create: Callable[[], list[int]]
    ) -> list[int]:
        """Add trials by ``create``, all or none; return their keys.

        Args:
            study_id: their study.
            expected: the user attributes of each, by which it is known again.
            create: adds them in one transaction.
        """
        if study_id not in self._n_trials:
            self._n_trials[study_id] = len(self.get_all_trials(study_id, deepcopy=False))
        number = self._n_trials[study_id]

        def existing() -> list[int] | None:
            trials = super(PatientStorage, self).get_all_trials(study_id)
            later = sorted((trial for trial in trials if trial.number >= number), key=lambda trial: trial.number)
            if not later:
                return None
            if [trial.user_attrs for trial in later] != list(expected):
                message = f"trial {number} was added by another process: one process writes a study"
                raise StorageFailedError(message, lost=False)
            return [key_in_storage(trial) for trial in later]

        keys = self._patience.through(create, existing)
        self._n_trials[study_id] = number + len(expected)
        return keys

    def set_trial_state_values(self, trial_id: int, state: TrialState, values: Sequence[float] | None = None) -> bool:
        """Set state and values; True when they are set, by this call or by one whose answer was lost."""

        def existing() -> bool | None:
            trial = super(PatientStorage, self).get_trial(trial_id)
            same = trial.state == state and (values is None or trial.values == list(values))
            return same or None

        def change() -> bool:
            return bool(super(PatientStorage, self).set_trial_state_values(trial_id, state, values))

        return self._patience.through(change, existing)

    def close(self) -> None:
        """Close all connections of this process with the database."""
        self.remove_session()
        engine_of(self).dispose()

    # What may be repeated: writing the same again, and reading.

    def repeatedly(self, act: Callable[[], T]) -> T:
        """Do something to the database that does the same when it is done twice."""
        return self._patience.through(act)

    def set_study_user_attr(self, study_id: int, key: str, value: Any) -> None:
        """Write an attribute."""
        self._patience.through(lambda: super(PatientStorage, self).set_study_user_attr(study_id, key, value))

    def set_trial_user_attr(self, trial_id: int, key: str, value: Any) -> None:
        """Write an attribute."""
        self._patience.through(lambda: super(PatientStorage, self).set_trial_user_attr(trial_id, key, value))

    def set_trial_intermediate_value(self, trial_id: int, step: int, intermediate_value: float) -> None:
        """Write a report."""
        self._patience.through(
            lambda: super(PatientStorage, self).set_trial_intermediate_value(trial_id, step, intermediate_value)
        )

    def get_study_id_from_name(self, study_name: str) -> int:
        """Read the study's id."""
        return self._patience.through(lambda: int(super(PatientStorage, self).get_study_id_from_name(study_name)))

    def get_study_user_attrs(self, study_id: int) -> dict[str, Any]:
        """Read attributes."""
        return self._patience.through(lambda: super(PatientStorage, self).get_study_user_attrs(study_id))

    def get_trial(self, trial_id: int) -> FrozenTrial:
        """Read a trial."""
        return self._patience.through(lambda: super(PatientStorage, self).get_trial(trial_id))

    def get_all_trials(
        self, study_id: int, deepcopy: bool = True, states: Container[TrialState] | None = None
    ) -> list[FrozenTrial]:
        """Read trials."""
        return self._patience.through(lambda: super(PatientStorage, self).get_all_trials(study_id, deepcopy, states))
