"""A trial's reports in one transaction: Optuna's own way takes one a report, and most of a short trial's time."""

from __future__ import annotations

from collections.abc import Mapping

import sqlalchemy
from optuna.storages import BaseStorage, RDBStorage
from optuna.storages._rdb.models import TrialIntermediateValueModel
from sqlalchemy import orm

from cluster.ledger.storage.patient import PatientStorage


def write_reports(storage: BaseStorage, storage_id: int, reports: Mapping[int, float]) -> None:
    """Write the reports of a running trial; those that it has already are replaced.

    Args:
        storage: any; in a database all reports are written together, or none.
        storage_id: the trial's key in the storage.
        reports: value by step; NaN and the infinities are kept.

    Raises:
        sqlalchemy.exc.SQLAlchemyError: the database cannot be written; a :class:`PatientStorage` raises its own error.
    """
    if not reports:
        return
    if not isinstance(storage, RDBStorage):
        for step, value in reports.items():
            storage.set_trial_intermediate_value(storage_id, step, value)
        return
    table = TrialIntermediateValueModel
    rows = []
    for step, value in reports.items():
        stored, kind = table.intermediate_value_to_stored_repr(value)
        rows.append(
            {"trial_id": storage_id, "step": step, "intermediate_value": stored, "intermediate_value_type": kind}
        )

    def write() -> None:
        with orm.Session(storage.engine) as session, session.begin():
            session.execute(sqlalchemy.delete(table).where(table.trial_id == storage_id))
            session.execute(sqlalchemy.insert(table), rows)

    if isinstance(storage, PatientStorage):
        storage.repeatedly(write)
    else:
        write()
