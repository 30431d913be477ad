"""The reports of a trial, and the trials of a batch, each in one transaction.

Optuna takes one a report and one a trial: most of a short trial's time, and for a batch seconds without any result.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from optuna.storages import BaseStorage, RDBStorage
from optuna.trial import FrozenTrial
from sqlalchemy import orm

from cluster.ledger.internals import engine_of, replace_reports
from cluster.ledger.storage.patient import PatientStorage


def write_trials(storage: BaseStorage, study_id: int, templates: Sequence[FrozenTrial]) -> list[int]:
    """Write trials that wait.

    Args:
        storage: any; one from :func:`cluster.ledger.storage.connect.open_storage` gets all together, or none.
        study_id: the key of their study in the storage.
        templates: the trials: parameters, distributions and user attributes.

    Returns:
        Their keys in the storage, in the order of the templates.
    """
    if not templates:
        return []
    if isinstance(storage, PatientStorage):
        return storage.create_waiting_trials(study_id, templates)
    return [int(storage.create_new_trial(study_id, template_trial=template)) for template in templates]


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
