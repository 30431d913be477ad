"""The reports of a trial in one transaction; Optuna takes one a report, which is most of a short trial's time."""

from __future__ import annotations

from collections.abc import Mapping

from optuna.storages import BaseStorage, RDBStorage
from sqlalchemy import orm

from cluster.ledger.internals import engine_of, replace_reports
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
    engine = engine_of(storage)

    def write() -> None:
        with orm.Session(engine) as session, session.begin():
            replace_reports(session, storage_id, reports)

    if isinstance(storage, PatientStorage):
        storage.repeatedly(write)
    else:
        write()
