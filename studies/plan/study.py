"""What a study still has to do: its datasets, each at its own pace, as one source of jobs."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from cluster.jobs import Job, Output
from cluster.ledger.entries import State, Ticket
from dst.errors import shortened
from studies.plan.dataset import DONE, TEST, DatasetPlan
from studies.plan.progress import DatasetProgress
from studies.plan.turns import Demand, in_turn
from studies.report.tables import last_line
from studies.store.checkpoints import kept_seconds
from studies.store.openings import Opening
from studies.store.record import write_record
from studies.store.record_schema import Ended, Stage
from studies.store.spent import Spent

_LONGEST_ERROR = 100_000
"""Characters of a traceback in a record."""


@dataclass
class _Open:
    """A job that a worker has: a trial (``ticket``), or what is opened after the choice (``opening``)."""

    plan: DatasetPlan
    ticket: Ticket | None = None
    opening: Opening | None = None
    reports: dict[int, float] = field(default_factory=dict)
    kept: float = 0.0  # seconds of earlier attempts that its checkpoint saves


@dataclass
class _Durations:
    """The mean duration of a dataset's trials."""

    count: int = 0
    total: float = 0.0

    @property
    def mean(self) -> float | None:
        return self.total / self.count if self.count else None


class StudyPlan:
    """All datasets of a study as one source of jobs (:class:`cluster.jobs.JobSource`).

    Args:
        plans: one per dataset.
        spent: what the study has used up so far.
        retries: how often a job whose process died is tried again.
        search_seconds: wall-clock time that the search may take over all runs of the study; None: no limit. When it is
            up, no search trial is begun, but on a dataset that has none that finished.
        clock: seconds, for the mean duration of trials.
    """

    def __init__(
        self,
        plans: Iterable[DatasetPlan],
        spent: Spent,
        *,
        retries: int,
        search_seconds: float | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.plans = list(plans)
        self._spent = spent
        self._retries = retries
        self._search_seconds = search_seconds
        self._limit_saved = False
        self._clock = clock
        self._out: dict[str, _Open] = {}
        self._losses: Counter[str] = Counter()  # of this run: interruptions use up nothing
        self._durations = [_Durations() for _ in self.plans]
        for plan in self.plans:
            plan.ledger.requeue()
            if self._time_is_up():
                plan.end_search()
            plan.reopen()

    def next_job(self) -> Job | None:
        """Return a job of the dataset whose turn it is among those that have one to give."""
        self.tick()
        for place in in_turn([self._demand(place) for place in range(len(self.plans))]):
            job = self._job_of(self.plans[place])
            if job is not None:
                return job
        return None

    def done(self) -> bool:
        """Say whether every dataset has been searched, confirmed and tested."""
        return not self._out and all(plan.stage == DONE for plan in self.plans)

    def started(self, job: Job) -> None:
        """Take note that a worker begins with a job."""
        self._spent.begin(job.key)

    def report(self, job: Job, step: int, value: float) -> bool:
        """Take a trial's value at a rung; return whether to stop it."""
        out = self._out[job.key]
        if out.ticket is None:
            return False
        out.reports[step] = value
        return out.plan.ledger.report(out.ticket.number, step, value) and out.plan.may_stop(out.ticket)

    def finished(self, job: Job, output: Output) -> None:
        """Write what came out, then tell the storage."""
        out, _ = self._close(job)
        if out.ticket is None:
            self._write_opening(job, out, output.document)
        else:
            out.kept = (output.document.get("resumption") or {}).get("seconds", 0.0)  # the worker knows best
            seconds = {**output.document["seconds"], "repeated": self._repeated(job, out)}
            document = {**output.document, "seconds": seconds}
            record = out.plan.record(out.ticket, State.FINISHED, out.reports, **document)
            write_record(out.plan.folder, record, output.arrays)
            self._settle(job, out)
            out.plan.completed(out.ticket, record)
        out.plan.advance()

    def stopped(self, job: Job) -> None:
        """Write that the trial was stopped, then tell the storage."""
        out, seconds = self._close(job)
        if out.ticket is None:
            raise RuntimeError(f"{job.key} opens test rows: such a job is never stopped")
        self._write_unfinished(job, out, State.STOPPED, seconds)
        out.plan.ledger.stop(out.ticket.number)
        out.plan.advance()

    def failed(self, job: Job, error: str, *, lost: bool) -> None:
        """Let a job whose process died wait again, up to the retries; else write the error and tell the storage."""
        error = shortened(error, _LONGEST_ERROR, "\n... ({left_out} characters left out)\n")
        self._losses[job.key] += lost
        again = lost and self._losses[job.key] <= self._retries
        if again:
            self._spent.lose(job.key)
        out, seconds = self._close(job, whole=not again)
        plan = out.plan
        if out.opening is not None:
            if again:
                plan.tests_waiting.append(out.opening)
            else:
                self._write_opening(job, out, {"error": error, "seconds": {"total": seconds}})
        elif out.ticket is not None:
            if again:
                plan.ledger.retry(out.ticket.number)
            else:
                self._write_unfinished(job, out, State.FAILED, seconds, error=error)
                plan.ledger.fail(out.ticket.number, last_line(error) or "unknown")
        plan.advance()

    def tick(self) -> None:
        """Let time pass: a search whose time is up ends here. To be called often."""
        searching = [plan for plan in self.plans if plan.stage == Stage.SEARCH]
        self._spent.tick(searching=bool(searching))
        if self._time_is_up():
            if not self._limit_saved:  # before anything is skipped for it: whoever comes after a crash must see it too
                self._spent.save()
                self._limit_saved = True
            for plan in searching:
                plan.end_search()

    def progress(self) -> list[DatasetProgress]:
        """Return where each dataset stands."""
        return [plan.progress() for plan in self.plans]

    def _time_is_up(self) -> bool:
        return self._search_seconds is not None and self._spent.search_seconds >= self._search_seconds

    def _demand(self, place: int) -> Demand:
        plan = self.plans[place]
        state = plan.progress()
        return Demand(state.ended + state.running, state.total, self._durations[place].mean, plan.stage == TEST)

    def _job_of(self, plan: DatasetPlan) -> Job | None:
        if plan.stage == Stage.SEARCH and self._time_is_up() and plan.ledger.counts(Stage.SEARCH)[State.RUNNING]:
            return None  # it has no finished trial yet, and this one may become it
        while (ticket := plan.ledger.take()) is not None:
            if plan.tell_from_record(ticket):
                continue
            job = plan.trial_job(ticket)
            out = self._out[job.key] = _Open(plan, ticket=ticket)
            if job.key in self._spent.lost:
                out.kept = kept_seconds(plan.folder.checkpoint(plan.name, ticket.number))
            return job
        if plan.tests_waiting:
            opening = plan.tests_waiting.pop(0)
            plan.tests_running += 1
            job = plan.opening_job(opening)
            self._out[job.key] = _Open(plan, opening=opening)
            return job
        return None

    def _close(self, job: Job, *, whole: bool = True) -> tuple[_Open, float]:
        """Return the job that no worker has any more, and for how long one was at it."""
        out = self._out.pop(job.key)
        seconds = self._spent.end(job.key)
        if out.opening is not None:
            out.plan.tests_running -= 1
        elif whole:
            durations = self._durations[self.plans.index(out.plan)]
            durations.count += 1
            durations.total += seconds
        return out, seconds

    def _repeated(self, job: Job, out: _Open) -> float:
        return max(0.0, self._spent.lost.get(job.key, 0.0) - out.kept)

    def _settle(self, job: Job, out: _Open) -> None:
        """Clear away what was kept of a trial for the case that its process dies: its record is written."""
        self._spent.settle(job.key)
        if out.ticket is not None:
            out.plan.folder.checkpoint(out.plan.name, out.ticket.number).unlink(missing_ok=True)

    def _write_opening(self, job: Job, out: _Open, document: Mapping[str, Any]) -> None:
        assert out.opening is not None  # noqa: S101 - for the type checker: callers have looked
        cost = {
            "cpus": out.plan.spec.resources.cpus,
            "seconds": {**document["seconds"], "repeated": self._repeated(job, out)},
        }
        out.opening.write(out.plan.folder, {**document, **cost})
        self._settle(job, out)

    def _write_unfinished(self, job: Job, out: _Open, state: Ended, seconds: float, **known: Any) -> None:
        assert out.ticket is not None  # noqa: S101 - for the type checker: callers have looked
        spent = {"total": out.kept + seconds, "repeated": self._repeated(job, out)}
        write_record(out.plan.folder, out.plan.record(out.ticket, state, out.reports, seconds=spent, **known))
        self._settle(job, out)
