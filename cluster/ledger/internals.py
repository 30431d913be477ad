"""The parts of Optuna without a public interface, each named here and nowhere else in the project.

``tests/cluster/test_optuna_contract.py`` holds Optuna to what the docstrings below rely on, and ``pyproject.toml`` pins
the minor version that it was run with.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy
from optuna.distributions import distribution_to_json
from optuna.storages import RDBStorage
from optuna.storages._rdb.models import (
    TrialIntermediateValueModel,
    TrialModel,
    TrialParamModel,
    TrialUserAttributeModel,
)
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import orm


def key_in_storage(trial: FrozenTrial) -> int:
    """Return a trial's key in its storage, which is unique over all studies.

    Relies on ``FrozenTrial._trial_id``: the number that every method of a storage takes as ``trial_id``. Optuna's
    public ``number`` counts within one study.
    """
    return int(trial._trial_id)


def engine_of(storage: RDBStorage) -> sqlalchemy.Engine:
    """Return the SQLAlchemy engine of a storage.

    Relies on the undocumented attribute ``RDBStorage.engine``: all connections of the storage come from it, so that its
    events see each statement, and disposing of it closes them.
    """
    return storage.engine


def replace_reports(session: orm.Session, trial: int, reports: Mapping[int, float]) -> None:
    """Write all reports of a trial, in place of those that it had.

    Relies on ``optuna.storages._rdb.models.TrialIntermediateValueModel``: a row a report, with the columns
    ``trial_id``, ``step``, ``intermediate_value`` and ``intermediate_value_type``, the last two as
    ``intermediate_value_to_stored_repr`` makes them of a float; NaN and the infinities have no value, but a type.
    ``set_trial_intermediate_value``, the public way, takes a transaction a report.

    Args:
        session: in a transaction.
        trial: the trial's key in the storage.
        reports: value by step; at least one.
    """
    table = TrialIntermediateValueModel
    rows = []
    for step, value in reports.items():
        stored, kind = table.intermediate_value_to_stored_repr(value)
        rows.append({"trial_id": trial, "step": step, "intermediate_value": stored, "intermediate_value_type": kind})
    session.execute(sqlalchemy.delete(table).where(table.trial_id == trial))
    session.execute(sqlalchemy.insert(table), rows)


def insert_waiting_trials(session: orm.Session, study: int, templates: Sequence[FrozenTrial]) -> list[int]:
    """Write trials that wait, numbered on from those that the study has.

    Relies on ``optuna.storages._rdb.models``: a row a trial (``TrialModel``: ``trial_id``, ``number``, ``study_id``,
    ``state``), one a parameter (``TrialParamModel``: ``param_name``, ``param_value`` as the distribution's
    ``to_internal_repr`` gives it, ``distribution_json``), and one an attribute (``TrialUserAttributeModel``: ``key``,
    ``value_json``). ``create_new_trial``, the public way, takes a transaction a trial and a query a row.

    Args:
        session: in a transaction.
        study: the study's key in the storage.
        templates: parameters, distributions and user attributes of each trial, one at least; nothing else is written.

    Returns:
        The trials' keys in the storage, in the order of the templates.
    """
    there = session.scalar(
        sqlalchemy.select(sqlalchemy.func.count()).select_from(TrialModel).where(TrialModel.study_id == study)
    )
    first = int(there or 0)
    numbers = range(first, first + len(templates))
    rows = [{"study_id": study, "number": number, "state": TrialState.WAITING} for number in numbers]
    session.execute(sqlalchemy.insert(TrialModel), rows)
    of_study = sqlalchemy.select(TrialModel.trial_id).where(TrialModel.study_id == study, TrialModel.number >= first)
    keys = [int(key) for key in session.scalars(of_study.order_by(TrialModel.number))]
    params = [
        {
            "trial_id": key,
            "param_name": name,
            "param_value": template.distributions[name].to_internal_repr(value),
            "distribution_json": distribution_to_json(template.distributions[name]),
        }
        for key, template in zip(keys, templates, strict=True)
        for name, value in template.params.items()
    ]
    attrs = [
        {"trial_id": key, "key": name, "value_json": json.dumps(value)}
        for key, template in zip(keys, templates, strict=True)
        for name, value in template.user_attrs.items()
    ]
    for table, lines in ((TrialParamModel, params), (TrialUserAttributeModel, attrs)):
        if lines:
            session.execute(sqlalchemy.insert(table), lines)
    return keys


class SharedTrial(FrozenTrial):
    """An ended trial of which copies, also deep ones, share what they hold.

    Studies and samplers copy all trials that they are given, deeply; with hundreds of trials that takes longer than a
    proposal. Ended trials do not change.

    Relies on ``FrozenTrial`` keeping its state in ``__dict__``, and ``intermediate_values`` as a plain attribute of it.
    """

    @classmethod
    def of(cls, trial: FrozenTrial, reports: dict[int, float]) -> SharedTrial:
        """Return an ended trial with other reports.

        Args:
            trial: the ended trial; it stays as it is.
            reports: value by step.
        """
        shared = cls.__new__(cls)
        vars(shared).update(vars(trial))
        shared.intermediate_values = reports
        return shared

    def __deepcopy__(self, memo: dict[int, Any]) -> SharedTrial:
        return copy.copy(self)
