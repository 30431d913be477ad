from __future__ import annotations

import math
import sqlite3
from pathlib import Path

import pytest
from optuna.storages._rdb import models
from optuna.study import StudyDirection
from optuna.trial import TrialState, create_trial

from cluster.ledger.durable import read_entries
from cluster.ledger.standings import SCHEMA, Standing, read_standings
from cluster.ledger.storage.connect import open_storage

TRIALS = [
    (TrialState.WAITING, "search", None, {}),
    (TrialState.RUNNING, "search", None, {}),
    (TrialState.COMPLETE, "search", [0.25, 7.0], {}),
    (TrialState.COMPLETE, "confirm", [math.inf, 0.0], {}),
    (TrialState.COMPLETE, "search", [-math.inf, 0.0], {}),
    (TrialState.COMPLETE, "search", [3.0, 0.0], {}),
    (TrialState.PRUNED, "search", None, {}),
    (TrialState.FAIL, "search", None, {"reason": "it diverged"}),
    (TrialState.FAIL, "search", None, {}),
]
"""All states, and all kinds of values, as the tables hold them."""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    where = tmp_path / "odd ?#%{name}.db"
    storage = open_storage(where)
    for name, trials in {"all": TRIALS, "other": TRIALS[2:3], "none": []}.items():
        study = storage.create_new_study([StudyDirection.MINIMIZE] * 2, name)
        for state, stage, values, attrs in trials:
            storage.create_new_trial(
                study, create_trial(state=state, values=values, user_attrs={"stage": stage, "params": {}, **attrs})
            )
    storage.engine.dispose()
    return where


def execute(path: Path, statement: str) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute(statement)
    connection.close()


def test_standings_are_what_optuna_reads(path: Path) -> None:
    storage = open_storage(path, create=False)
    expected = {
        name: [Standing.of(entry) for entry in read_entries(storage, name)] for name in ("all", "other", "none")
    }
    storage.engine.dispose()
    assert len(expected["all"]) == len(TRIALS)
    assert read_standings(path, ["all", "other", "none", "unknown"]) == {**expected, "unknown": []}


def test_the_tables_are_those_of_the_installed_optuna(path: Path) -> None:
    storage = open_storage(path, create=False)
    assert (models.SCHEMA_VERSION, storage.get_head_version()) == SCHEMA
    storage.engine.dispose()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE version_info SET schema_version = 13",
        "UPDATE alembic_version SET version_num = 'v4.0.0.a'",
        "DROP TABLE trial_values",
        "DELETE FROM trial_values",
        "UPDATE trial_values SET value_type = 'NAN'",
        "UPDATE trial_values SET value = 'high'",
        "UPDATE trials SET state = 'LOST'",
        "DELETE FROM trial_user_attributes WHERE key = 'stage'",
        "DELETE FROM trial_user_attributes WHERE key = 'params'",
        "UPDATE trial_user_attributes SET value_json = '{' WHERE key = 'stage'",
    ],
)
def test_tables_that_look_otherwise_are_left_to_optuna(path: Path, statement: str) -> None:
    execute(path, statement)
    assert read_standings(path, ["all"]) is None


def test_what_is_no_database_is_left_to_optuna(tmp_path: Path) -> None:
    assert read_standings(tmp_path / "missing.db", ["all"]) is None
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "text.db").write_text("no database")
    assert read_standings(tmp_path / "text.db", ["all"]) is None
