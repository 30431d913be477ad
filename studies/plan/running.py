"""Jobs that workers have: a trial that runs, and an opening that runs, each with what becomes of it when it ends."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from cluster.jobs import Output
from cluster.ledger.entries import State, Ticket
from studies.plan.dataset import DatasetPlan
from studies.store.checkpoints import kept_seconds
from studies.store.openings import Opening
from studies.store.record import write_record
from studies.store.record_schema import Ended, Record
from studies.store.spent import Spent


class RunningTrial:
    """A trial that a worker has.

    Args:
        plan: takes the result; of the trial's dataset.
        ticket: the trial as the ledger handed it out.
        key: the job's, unique in the study.
        spent: what the study has used up; of this trial, what earlier attempts have lost.

    Attributes:
        host: the name of the machine that the trial is on; None while nothing was heard of it.
    """

    def __init__(self, plan: DatasetPlan, ticket: Ticket, key: str, spent: Spent) -> None:
        self._plan = plan
        self._ticket = ticket
        self._key = key
        self._spent = spent
        self.host: str | None = None
        self._reports: dict[int, float] = {}
        self._saved = kept_seconds(plan.folder.checkpoint(plan.name, ticket.number)) if key in spent.lost else 0.0

    def report(self, step: int, value: float) -> bool:
        """Take a value at a rung; return whether to stop."""
        self._reports[step] = value
        return self._plan.ledger.report(self._ticket.number, step, value) and self._plan.may_stop(self._ticket)

    def so_far(self) -> Record:
        """Return what a record would say of the trial now, with the state ``running``."""
        return self._plan.jobs.record(self._ticket, State.RUNNING, self._reports)

    def finish(self, output: Output, seconds: float) -> None:
        """Settle a trial that ran to its end.

        Args:
            output: what the worker gave back.
            seconds: for how long a worker was at it.
        """
        self._saved = (output.document.get("resumption") or {}).get("seconds", 0.0)  # the worker knows best
        self._end(State.FINISHED, seconds, output.document, output.arrays)

    def stop(self, seconds: float) -> None:
        """Settle a trial that was stopped."""
        self._end(State.STOPPED, seconds, {"seconds": {"total": self._saved + seconds}})

    def fail(self, error: str, seconds: float) -> None:
        """Settle a trial that failed."""
        self._end(State.FAILED, seconds, {"seconds": {"total": self._saved + seconds}, "error": error})

    def try_again(self) -> None:
        """Let the trial wait again: its process died."""
        self._plan.ledger.retry(self._ticket.number)

    def _end(
        self, state: Ended, seconds: float, outcome: Mapping[str, Any], arrays: Mapping[str, np.ndarray] | None = None
    ) -> None:
        self._plan.durations.add(seconds)
        repeated = max(0.0, self._spent.lost.get(self._key, 0.0) - self._saved)
        outcome = {**outcome, "host": self.host, "seconds": {**outcome["seconds"], "repeated": repeated}}
        record = self._plan.jobs.record(self._ticket, state, self._reports, **outcome)
        write_record(self._plan.folder, record, arrays)
        self._spent.settle(self._key)
        self._plan.settle(self._ticket, record)


class RunningOpening:
    """An opening of test rows, or a feature list, that a worker has.

    Args:
        plan: takes the result; of the opening's dataset.
        opening: the test rows or the feature list.
        spent: what the study has used up; of this job, what earlier attempts have lost.

    Attributes:
        host: the name of the machine that the job is on; None while nothing was heard of it.
    """

    def __init__(self, plan: DatasetPlan, opening: Opening, spent: Spent) -> None:
        self.host: str | None = None
        self._plan = plan
        self._opening = opening
        self._spent = spent

    def report(self, step: int, value: float) -> bool:
        """Return False: an opening is never stopped."""
        return False

    def finish(self, output: Output, seconds: float) -> None:
        """Write what came out.

        Args:
            output: what the worker gave back.
            seconds: for how long a worker was at it; the output says how much of it was work.
        """
        self._end(output.document)

    def stop(self, seconds: float) -> None:
        """Refuse: an opening is never stopped.

        Raises:
            RuntimeError: always.
        """
        raise RuntimeError(f"{self._opening.key} opens test rows: such a job is never stopped")

    def fail(self, error: str, seconds: float) -> None:
        """Write the error."""
        self._end({"error": error, "seconds": {"total": seconds}})

    def try_again(self) -> None:
        """Let the opening wait again: its process died."""
        self._plan.open_again(self._opening)

    def _end(self, document: Mapping[str, Any]) -> None:
        seconds = {**document["seconds"], "repeated": self._spent.lost.get(self._opening.key, 0.0)}
        cpus = self._plan.spec.resources.cpus
        outcome = {**document, "cpus": cpus, "host": self.host, "seconds": seconds}
        self._opening.write(self._plan.folder, outcome)
        self._spent.settle(self._opening.key)
        self._plan.opened()


Running = RunningTrial | RunningOpening
