"""Reports and trials written together are those that Optuna would have written one by one."""

from __future__ import annotations

import math
from pathlib import Path

import optuna
import pytest
import sqlalchemy
from optuna.distributions import CategoricalDistribution, FloatDistribution
from optuna.storages import InMemoryStorage
from optuna.study import StudyDirection
from optuna.trial import TrialState, create_trial
from sqlalchemy.exc import SQLAlchemyError

from cluster.ledger.bulk import write_reports, write_trials
from cluster.ledger.storage.connect import open_storage, quiet_optuna

REPORTS = {1: 0.5, 2: math.inf, 3: -math.inf, 7: math.nan, 200: 1e-300}


def made(tmp_path: Path, kind: str):
    storage = open_storage(f"sqlite:///{tmp_path}/study.db") if kind == "sqlite" else InMemoryStorage()
    with quiet_optuna():
        study = optuna.create_study(storage=storage, study_name="one")
    return storage, study


def same(read: dict[int, float]) -> bool:
    return list(read) == list(REPORTS) and all(
        value == REPORTS[step] or (math.isnan(value) and math.isnan(REPORTS[step])) for step, value in read.items()
    )


@pytest.mark.parametrize("kind", ["sqlite", "memory"])
def test_what_is_read_back_is_what_was_written(tmp_path, kind):
    storage, study = made(tmp_path, kind)
    first, other = study.ask(), study.ask()
    other.report(9.0, 1)
    write_reports(storage, first._trial_id, REPORTS)
    assert same(storage.get_trial(first._trial_id).intermediate_values)
    study.tell(first, state=optuna.trial.TrialState.PRUNED)
    assert same(study.get_trials()[0].intermediate_values)
    assert study.get_trials()[1].intermediate_values == {1: 9.0}


def test_a_second_writing_replaces_the_first(tmp_path):
    storage, study = made(tmp_path, "sqlite")
    trial = study.ask()
    write_reports(storage, trial._trial_id, {1: 3.0, 2: 4.0})
    write_reports(storage, trial._trial_id, {})
    write_reports(storage, trial._trial_id, {2: 5.0, 3: 6.0})
    assert storage.get_trial(trial._trial_id).intermediate_values == {2: 5.0, 3: 6.0}


def test_all_are_written_or_none(tmp_path):
    storage, study = made(tmp_path, "sqlite")
    trial = study.ask()
    write_reports(storage, trial._trial_id, {1: 3.0})
    with pytest.raises(SQLAlchemyError):
        write_reports(storage, trial._trial_id, {1: 5.0, None: 6.0})
    assert storage.get_trial(trial._trial_id).intermediate_values == {1: 3.0}


TEMPLATES = [
    create_trial(
        state=TrialState.WAITING,
        params={"lr": 0.01, "method": "set"} if number else {},
        distributions={"lr": FloatDistribution(1e-3, 1, log=True), "method": CategoricalDistribution(["set", "rigl"])}
        if number
        else {},
        user_attrs={"stage": "search", "params": {"lr": 0.01, "nested": [1, None]}, "position": number},
    )
    for number in range(3)
]


def read(storage, study_id):
    kept = ("number", "state", "params", "distributions", "user_attrs", "system_attrs", "values")
    more = ("datetime_start", "datetime_complete", "intermediate_values")
    return [[getattr(trial, name) for name in kept + more] for trial in storage.get_all_trials(study_id)]


@pytest.mark.parametrize("kind", ["sqlite", "memory"])
def test_trials_are_as_optuna_writes_them(tmp_path, kind):
    storage, study = made(tmp_path, kind)
    expected = InMemoryStorage()
    other = expected.create_new_study([StudyDirection.MINIMIZE], "one")
    keys = write_trials(storage, study._study_id, TEMPLATES[:1])
    keys += write_trials(storage, study._study_id, TEMPLATES[1:])
    for template in TEMPLATES:
        expected.create_new_trial(other, template)
    assert read(storage, study._study_id) == read(expected, other)
    assert [storage.get_trial_number_from_id(key) for key in keys] == [0, 1, 2]
    assert write_trials(storage, study._study_id, []) == []


def test_a_batch_is_one_transaction_with_as_many_statements_whatever_its_size(tmp_path):
    storage, study = made(tmp_path, "sqlite")
    write_trials(storage, study._study_id, TEMPLATES)
    counts = []
    for size in (3, 60):
        told: list[str] = []

        def statement(*arguments, told=told):
            told.append(arguments[2])

        sqlalchemy.event.listen(storage.engine, "before_cursor_execute", statement)
        sqlalchemy.event.listen(storage.engine, "commit", lambda connection, told=told: told.append("commit"))
        write_trials(storage, study._study_id, TEMPLATES * (size // 3))
        sqlalchemy.event.remove(storage.engine, "before_cursor_execute", statement)
        counts.append((len(told), told.count("commit")))
    assert counts[0][1] == 1
    assert counts[1][0] <= counts[0][0] + 2
