"""Recovery of a trial whose record was written by a run that died before it could tell the ledger."""

from __future__ import annotations

import math
from typing import Literal

from cluster.ledger.entries import Ticket
from studies.plan.dataset import DatasetPlan
from studies.store.record import read_record
from studies.store.record_codec import RecordError

_IDENTIFYING: tuple[Literal["stage", "source", "seed", "params"], ...] = ("stage", "source", "seed", "params")
"""Keys of a record by which a trial is known again."""


def recover(plan: DatasetPlan, ticket: Ticket) -> bool:
    """Settle a trial by the record that an earlier run has left, if there is one.

    Args:
        plan: the trial's dataset.
        ticket: the trial, handed out again.

    Returns:
        Whether there was such a record; the trial has ended then.

    Raises:
        RecordError: the record is of another trial.
    """
    path = plan.folder.record(plan.name, ticket.number)
    if not path.exists():
        return False
    record = read_record(path)
    expected = plan.jobs.record(ticket, record["state"], {})
    for key in _IDENTIFYING:
        if record[key] != expected[key]:
            raise RecordError(
                f"{path}: is not the record of the trial that the storage has under this number: {key} must be "
                f"{expected[key]}, but is {record[key]}; was the storage lost, or changed?"
            )
    for step, value in sorted((int(step), value) for step, value in record["reports"].items()):
        plan.ledger.report(ticket.number, step, math.nan if value is None else value)
    plan.settle(ticket, record)
    return True
