"""The work that a study still has to do: its datasets, each at its own pace, as one source of jobs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from cluster.jobs import Job, Output
from cluster.ledger.entries import State
from dst.errors import shortened
from studies.plan.counts import progress_of
from studies.plan.dataset import DONE, TEST, DatasetPlan
from studies.plan.progress import DatasetProgress
from studies.plan.recovery import recover
from studies.plan.running import Running, RunningOpening, RunningTrial
from studies.plan.turns import Demand, in_turn
from studies.store.record_schema import Record, Stage
from studies.store.spent import Spent

_LONGEST_ERROR = 100_000
"""Characters of a traceback in a record."""


class StudyPlan:
    """All datasets of a study as one source of jobs (:class:`cluster.jobs.JobSource`).

    Args:
        plans: one per dataset.
        spent: what the study has used up so far.
        retries: how often a job whose process died is tried again.
        search_seconds: wall-clock time that the search may take over all runs of the study; None: no limit. When it is
            up, no search trial is begun, but on a dataset that has none that finished.
    """

    def __init__(
        self,
        plans: Iterable[DatasetPlan],
        spent: Spent,
        *,
        retries: int,
        search_seconds: float | None = None,
    ) -> None:
        self.plans = list(plans)
        self._spent = spent
        self._retries = retries
        self._search_seconds = search_seconds
        self._limit_saved = False
        self._running: dict[str, Running] = {}
        self._losses: Counter[str] = Counter()  # of this run: interruptions use up nothing
        for plan in self.plans:
            plan.ledger.requeue()
            if self._time_is_up():
                plan.end_search()
            plan.reopen()

    def next_job(self) -> Job | None:
        """Return a job of the dataset whose turn it is among those that have one to give."""
        self.tick()
        for place in in_turn([self._demand(plan) for plan in self.plans]):
            job = self._job_of(self.plans[place])
            if job is not None:
                return job
        return None

    def done(self) -> bool:
        """Say whether every dataset has been searched, confirmed and tested."""
        return not self._running and all(plan.stage == DONE for plan in self.plans)

    def started(self, job: Job) -> None:
        """Take note that a worker begins with a job."""
        self._spent.begin(job.key)

    def placed(self, job: Job, host: str) -> None:
        """Take note of the machine that a job is on."""
        self._running[job.key].host = host

    def report(self, job: Job, step: int, value: float) -> bool:
        """Take a trial's value at a rung; return whether to stop it."""
        return self._running[job.key].report(step, value)

    def finished(self, job: Job, output: Output) -> None:
        """Write what came out, then tell the storage."""
        self._running.pop(job.key).finish(output, self._spent.end(job.key))

    def stopped(self, job: Job) -> None:
        """Write that the trial was stopped, then tell the storage."""
        self._running.pop(job.key).stop(self._spent.end(job.key))

    def failed(self, job: Job, error: str, *, lost: bool) -> None:
        """Let a job whose process died wait again, up to the retries; else write the error and tell the storage."""
        self._losses[job.key] += lost
        running = self._running.pop(job.key)
        if lost and self._losses[job.key] <= self._retries:
            self._spent.lose(job.key)
            running.try_again()
        else:
            error = shortened(error, _LONGEST_ERROR, "\n... ({left_out} characters left out)\n")
            running.fail(error, self._spent.end(job.key))

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
        return [progress_of(plan) for plan in self.plans]

    def running_trials(self) -> list[Record]:
        """Return the trials at work, as records with the state ``running`` and what they have reported so far."""
        return [running.so_far() for running in self._running.values() if isinstance(running, RunningTrial)]

    def _time_is_up(self) -> bool:
        return self._search_seconds is not None and self._spent.search_seconds >= self._search_seconds

    def _demand(self, plan: DatasetPlan) -> Demand:
        state = progress_of(plan)
        return Demand(state.ended + state.running, state.total, plan.durations.mean, plan.stage == TEST)

    def _job_of(self, plan: DatasetPlan) -> Job | None:
        if plan.stage == Stage.SEARCH and self._time_is_up() and plan.ledger.counts(Stage.SEARCH)[State.RUNNING]:
            return None  # it has no finished trial yet, and this one may become it
        while (ticket := plan.ledger.take()) is not None:
            if recover(plan, ticket):
                self._spent.settle(plan.jobs.key(ticket))
                continue
            job = plan.jobs.of_trial(ticket)
            self._running[job.key] = RunningTrial(plan, ticket, job.key, self._spent)
            return job
        if (opening := plan.take_opening()) is not None:
            job = plan.jobs.of_opening(opening)
            self._running[job.key] = RunningOpening(plan, opening, self._spent)
            return job
        return None
