"""The standings of a study's trials, read from an SQLite file itself: to load Optuna takes longer than to read them.

Read are the tables as the pinned version of Optuna makes them; ``tests/cluster/ledger/test_standings.py`` holds them to
what Optuna reads. A file that looks otherwise in any way is left to Optuna, which reads it or says what is wrong.
"""

from __future__ import annotations

import contextlib
import json
import math
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from cluster.ledger.entries import Entry, State
from cluster.ledger.storage.files import BUSY_SECONDS, file_uri, read_only

SCHEMA = (12, "v3.2.0.a")
"""Optuna's versions of its tables: its own number of it, and Alembic's."""

_STATES = {
    "WAITING": State.WAITING,
    "RUNNING": State.RUNNING,
    "COMPLETE": State.FINISHED,
    "PRUNED": State.STOPPED,
    "FAIL": State.FAILED,
}
_INFINITE = {"INF_POS": math.inf, "INF_NEG": -math.inf}

_TRIALS = """
SELECT trials.state, stage.value_json, params.value_json, reason.value_json, first.value, first.value_type
FROM trials
JOIN studies ON studies.study_id = trials.study_id
LEFT JOIN trial_user_attributes AS stage ON stage.trial_id = trials.trial_id AND stage.key = 'stage'
LEFT JOIN trial_user_attributes AS params ON params.trial_id = trials.trial_id AND params.key = 'params'
LEFT JOIN trial_user_attributes AS reason ON reason.trial_id = trials.trial_id AND reason.key = 'reason'
LEFT JOIN trial_values AS first ON first.trial_id = trials.trial_id AND first.objective = 0
WHERE studies.study_name = ?
ORDER BY trials.number
"""


@dataclass(frozen=True)
class Standing:
    """The standing of a trial.

    Attributes:
        stage: ``"search"``, or what it was added for.
        state: as :attr:`cluster.ledger.entries.Entry.state`.
        value: the first objective's; None unless finished.
    """

    stage: str
    state: State
    value: float | None

    @classmethod
    def of(cls, entry: Entry) -> Standing:
        """Return where a trial stands of which all is known."""
        return cls(entry.stage, entry.state, entry.value)


def read_standings(path: Path, names: Iterable[str]) -> dict[str, list[Standing]] | None:
    """Read where all trials of some studies stand, by number, without taking part in them.

    Args:
        path: an SQLite file.
        names: the studies' names; one that is not there has no trials.

    Returns:
        The standings by name; None where the file cannot be read so.
    """
    try:
        with contextlib.closing(
            sqlite3.connect(f"{file_uri(path)}?{urlencode(read_only(path))}", BUSY_SECONDS, uri=True)
        ) as connection:
            connection.execute("PRAGMA trusted_schema=OFF")
            connection.execute("BEGIN")  # all is read as of one moment
            versions = (
                connection.execute("SELECT schema_version FROM version_info").fetchone(),
                connection.execute("SELECT version_num FROM alembic_version").fetchone(),
            )
            if versions != ((SCHEMA[0],), (SCHEMA[1],)):
                return None
            return {name: [_standing(*row) for row in connection.execute(_TRIALS, (name,))] for name in names}
    except (sqlite3.Error, ArithmeticError, LookupError, RecursionError, TypeError, ValueError):
        return None


def _standing(state: str, stage: str, params: str, reason: str | None, value: Any, value_type: str | None) -> Standing:
    """Return a row's standing.

    Raises:
        LookupError: the state or the type of the value is none of Optuna's.
        TypeError: something is missing, or of another type.
        ValueError: an attribute is not JSON.
    """
    found = _STATES[state]
    json.loads(params)
    if found is State.FAILED and reason is None:
        found = State.SKIPPED
    first = None
    if found is State.FINISHED:
        first = float(value) if value_type == "FINITE" else _INFINITE[str(value_type)]
    return Standing(str(json.loads(stage)), found, first)
