"""A run in this process that dies where it is told to."""

from __future__ import annotations

from typing import Any, Literal, NoReturn

import pytest

import studies.plan.running
import studies.plan.study
from tests.support.two_tables import Killed

When = Literal["before the record", "between record and tell", "after the tell"]


def dies_at_record(patch: pytest.MonkeyPatch, records: int, when: When = "before the record") -> None:
    """Let the run die at the record that comes after so many, or before what follows them.

    Args:
        patch: undone by the caller, who goes on with the run.
        records: how many are written.
        when: of the record that follows, or after the last of them.
    """
    written = 0
    write_record = studies.plan.running.write_record

    def dying(*arguments: Any) -> None:
        nonlocal written
        if written == records:
            if when == "between record and tell":
                write_record(*arguments)
            raise Killed
        write_record(*arguments)
        written += 1
        if written == records and when == "after the tell":
            patch.setattr(studies.plan.study.StudyPlan, "next_job", die)

    def die(plan: studies.plan.study.StudyPlan) -> NoReturn:
        raise Killed

    patch.setattr(studies.plan.running, "write_record", dying)
