"""Reports written together are those that Optuna would have written one by one."""

from __future__ import annotations

import math
from pathlib import Path

import optuna
import pytest
from optuna.storages import InMemoryStorage
from sqlalchemy.exc import SQLAlchemyError

from cluster.ledger.bulk import write_reports
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
