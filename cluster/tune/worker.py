"""The trainable that Ray Tune starts in a worker process, where it lives for one job after the other."""

from __future__ import annotations

import faulthandler
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import ray
from ray import tune

from cluster.jobs import Job, WorkFunction
from cluster.tune.internals import DONE
from cluster.tune.memory import MemoryWatch
from cluster.tune.seats import seat_request
from cluster.tune.work_thread import Event, Overrun, Reported, WorkThread, past_time_limit

JOB = "job"
"""The only key of a Tune trial's configuration; its value is a :class:`Parcel`."""

EVENT = "event"
"""The key of an :data:`~cluster.tune.work_thread.Event` in a Tune result."""


_LAST_SECONDS = 1.0
"""The time in which a process that must end may say why."""

_GRACE_SECONDS = 3.0
"""The time after its limit at which a process ends that cannot say why: its job never comes back to Python."""


class OverrunError(Exception):
    """A job took more than it may. Nothing else leaves a worker as an exception: Tune then gives the worker up."""


@dataclass(frozen=True)
class Parcel:
    """A job on its way to a worker.

    Attributes:
        job: as the source handed it out.
        seat: which of the run's workers it goes to.
        needs: the resources of a worker, by Ray's names.
    """

    job: Job
    seat: int
    needs: Mapping[str, float]

    def __str__(self) -> str:
        """The key alone: Tune writes configurations into tags."""
        return self.job.key


class JobTrainable(tune.Trainable):
    """Runs jobs. Nothing that a work function raises leaves it: Tune never reuses a process that has raised.

    A job that runs past its limit of time or memory takes the process with it: nothing else ends a thread that does not
    come back.
    """

    @classmethod
    def default_resource_request(cls, config: dict[str, Any]) -> tune.PlacementGroupFactory:
        """Return the resources of the job's seat."""
        parcel: Parcel = config[JOB]
        return seat_request(parcel.needs, parcel.seat)

    def setup(
        self,
        config: dict[str, Any],
        *,
        work: WorkFunction,
        shared: Mapping[str, ray.ObjectRef],
        seconds_per_job: float | None,
        memory_per_job: int,
    ) -> None:
        """Take the first job, and the settings of all jobs.

        Args:
            config: the first job's parcel.
            work: runs a job.
            shared: references to the shared objects in Ray's object store, by name.
            seconds_per_job: this process ends itself when a job is at work for longer; None: no limit. Waiting for the
                answer to a report is no work.
            memory_per_job: this process ends itself when it holds more bytes than that during a job; 0: no limit.
        """
        self._job: Job = config[JOB].job
        self._work = work
        self._shared = shared
        self._seconds_per_job = seconds_per_job
        self._memory_per_job = memory_per_job
        self._thread: WorkThread | None = None
        self._worked = 0.0  # seconds of the job
        self._watch: MemoryWatch | None = None
        self._fetched: tuple[str, Any] | None = None

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Take the next job; the one before may have been stopped, and ends here."""
        self._end()
        self._job = new_config[JOB].job
        return True

    def train(self) -> dict[str, Any]:
        """Return the result of :meth:`step`, which is all that Tune needs.

        The base class adds a dozen facts to each result, the configuration among them; they would travel with every
        report, and the driver would keep a dozen numbers of each fact for each trial to the end of the run.
        """
        return self.step()

    def step(self) -> dict[str, Any]:
        """Let the job go on until it says something: Tune calls this when the last report was no reason to stop.

        Raises:
            OverrunError: the job took more time or memory than it may; this process ends within a second.
        """
        if self._thread is None:
            self._worked = 0.0
            job = self._job
            self._thread = WorkThread(
                lambda report: self._work(job.payload, self._fetch(job.shared), report), stoppable=job.stoppable
            )
            if self._memory_per_job:
                self._watch = MemoryWatch(self._memory_per_job, self._overrun)
        event = self._next_event(self._thread)
        if isinstance(event, Overrun):
            faulthandler.dump_traceback_later(_LAST_SECONDS, exit=True)
            self._thread = None  # nobody can wait for it
            raise OverrunError(event.reason)
        done = not isinstance(event, Reported)
        if done:
            self._end()
        return {EVENT: event, DONE: done}

    def _next_event(self, thread: WorkThread) -> Event:
        """Wait for what the work says next, for as long as it may still take."""
        limit = self._seconds_per_job
        if limit is None:
            return thread.next_event()
        left = max(0.0, limit - self._worked)
        began = time.monotonic()
        faulthandler.dump_traceback_later(left + _GRACE_SECONDS, exit=True)
        try:
            return thread.next_event(left)
        except TimeoutError:
            return Overrun(past_time_limit(limit))
        finally:
            faulthandler.cancel_dump_traceback_later()
            self._worked += time.monotonic() - began

    def cleanup(self) -> None:
        """End the job that was stopped."""
        self._end()

    def save_checkpoint(self, checkpoint_dir: str) -> dict[str, Any]:
        """Save nothing: what a job goes on from when its process dies is for its work function to write and read."""
        return {}

    def load_checkpoint(self, checkpoint: dict[str, Any] | None) -> None:
        """Load nothing: see :meth:`save_checkpoint`."""

    def _fetch(self, name: str) -> Any:
        if self._fetched is None or self._fetched[0] != name:
            self._fetched = None  # before the next one arrives
            self._fetched = (name, ray.get(self._shared[name]))
        return self._fetched[1]

    def _overrun(self, reason: str) -> None:
        faulthandler.dump_traceback_later(_LAST_SECONDS, exit=True)
        if self._thread is not None:
            self._thread.overrun(reason)

    def _end(self) -> None:
        if self._watch is not None:
            self._watch.stop()
            self._watch = None
        if self._thread is not None:
            if self._seconds_per_job is not None:
                faulthandler.dump_traceback_later(self._seconds_per_job, exit=True)
            self._thread.stop()
            self._thread = None
            faulthandler.cancel_dump_traceback_later()
