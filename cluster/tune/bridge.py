"""The bridge between Ray Tune's hooks and the source: the job of each Tune trial, and its one answer."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Iterator

from cluster.jobs import Job, JobSource
from cluster.tune.internals import NODE_DIED
from cluster.tune.work_thread import Event, Failed, Finished, Overrun, Reported, past_time_limit


class Bridge:
    """The one object of a run that holds the source. Tune never sees it, so it is never pickled.

    Each job gets exactly one answer: its trial's id is forgotten with it, so that what Tune says of a trial twice, or
    after its end, goes nowhere.

    Args:
        source: hands out jobs and takes back what became of them.
        seconds_per_job: how long a job may take; None: no limit. Workers see to it, here it is named as the reason.

    Attributes:
        error: what the source raised. Tune turns exceptions inside its hooks into text; here the first one is kept.
    """

    def __init__(self, source: JobSource, seconds_per_job: float | None = None) -> None:
        self._source = source
        self._seconds_per_job = seconds_per_job
        self._jobs: dict[str, Job] = {}  # by trial, as all that follows
        self._started: dict[str, float] = {}
        self._hosts: dict[str, str] = {}
        self.error: BaseException | None = None

    def next_job(self, trial_id: str) -> Job | None:
        """Ask for a job and remember that this trial runs it."""
        with self._keeping_errors():
            job = self._source.next_job()
        if job is not None:
            self._jobs[trial_id] = job
        return job

    def done(self) -> bool:
        """Say whether no job is left or open."""
        with self._keeping_errors():
            return self._source.done()

    def started(self, trial_id: str) -> None:
        """Pass on that a trial's worker begins with its job."""
        self._started[trial_id] = time.monotonic()
        with self._keeping_errors():
            self._source.started(self._jobs[trial_id])

    def reported(self, trial_id: str, event: Reported) -> bool:
        """Pass a report on.

        Returns:
            Whether to stop the trial; the source has been told then.
        """
        job = self._jobs[trial_id]
        with self._keeping_errors():
            self._place(trial_id, event.host)
            for step, value in (*event.held, (event.step, event.value)):
                if self._source.report(job, step, value):
                    self._source.stopped(self._forget(trial_id))
                    return True
        return False

    def ended(self, trial_id: str, event: Event) -> None:
        """Pass the last event of a job on. A report is none and is ignored; an overrun breaks the trial instead."""
        if isinstance(event, Reported | Overrun):
            return
        with self._keeping_errors():
            self._place(trial_id, event.host)
            job = self._forget(trial_id)
            for step, value in event.held:
                if self._source.report(job, step, value):
                    raise RuntimeError(f"{job.key} was said not to be stoppable, but its source stops it")
            match event:
                case Finished(output=output):
                    self._source.finished(job, output)
                case Failed(error=error):
                    self._source.failed(job, error, lost=False)

    def broke(self, trial_id: str, error: str, *, lost: bool) -> None:
        """Pass on that Tune gave a trial up; nothing when its job was answered before.

        Args:
            trial_id: the trial.
            error: what is known.
            lost: whether its process died. One that ended itself at the limit, in a job that never came back to Python,
                could not say so; that counts as a failure of the job: another try would take as long. A lost machine is
                no such case, though Ray takes longer than most limits to notice it.
        """
        if trial_id not in self._jobs:
            return
        limit = self._seconds_per_job
        seconds = time.monotonic() - self._started.get(trial_id, math.inf)
        if lost and limit is not None and seconds >= limit and NODE_DIED not in error:
            error, lost = past_time_limit(limit), False
        with self._keeping_errors():
            self._source.failed(self._forget(trial_id), error, lost=lost)

    def break_all(self, error: str) -> bool:
        """Pass on that all running jobs are lost.

        Args:
            error: what is known.

        Returns:
            Whether there were any.
        """
        running = list(self._jobs)
        for trial_id in running:
            self.broke(trial_id, error, lost=True)
        return bool(running)

    def _place(self, trial_id: str, host: str) -> None:
        if self._hosts.get(trial_id) != host:
            self._hosts[trial_id] = host
            self._source.placed(self._jobs[trial_id], host)

    def _forget(self, trial_id: str) -> Job:
        self._started.pop(trial_id, None)
        self._hosts.pop(trial_id, None)
        return self._jobs.pop(trial_id)

    @contextlib.contextmanager
    def _keeping_errors(self) -> Iterator[None]:
        try:
            yield
        except BaseException as error:
            self.error = self.error or error
            raise
