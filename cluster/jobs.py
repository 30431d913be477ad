"""The contract of a job: what travels between a study and the machines that work for it.

A *source* hands out jobs and takes back what became of them; a *runner* (:func:`cluster.tune.run.run_jobs` over Ray
Tune, :func:`cluster.local.run_here` in this process) carries jobs to a *work function* and answers back. Neither side
knows the other's library.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np

_OURS = Path(__file__).parent


@dataclass(frozen=True)
class Job:
    """One unit of work.

    Attributes:
        key: unique in the run, e.g. ``"wine/17"``; names the job in logs.
        shared: the key of the shared object that the work function receives, e.g. the dataset's name.
        payload: plain data (what JSON can hold) for the work function.
        stoppable: True when the source may stop it at a report, whose answer it then awaits. The reports of any other
            job are passed on together, about twice a second and at its end.
    """

    key: str
    shared: str
    payload: Mapping[str, Any]
    stoppable: bool = True


@dataclass(frozen=True)
class Output:
    """The result of a work function.

    Attributes:
        document: plain data (what JSON can hold).
        arrays: named arrays that go beside it.
    """

    document: dict[str, Any]
    arrays: dict[str, np.ndarray] = field(default_factory=dict)


class ClusterError(RuntimeError):
    """No cluster can run the jobs; the message says what was asked for and what is there."""


class ClusterLostError(RuntimeError):
    """The cluster that ran the jobs has ended or cannot be reached any more; the run can go on elsewhere."""


class Stopped(Exception):  # noqa: N818 - a request, not an error
    """Raised inside a work function, by ``report``, when its job was stopped."""


Report = Callable[[int, float], None]
"""``report(step, value)``: tells the source how far a job is; raises :class:`Stopped` when the job is to stop.

It returns when the source has decided, so that what a stopped job has done depends on its own reports only; at once
where a job is not stoppable.
"""

WorkFunction = Callable[[Mapping[str, Any], Any, Report], Output]
"""``work(payload, shared, report) -> Output``; a module-level function, importable by name on every machine."""


class JobSource(Protocol):
    """Hands out jobs and takes back what became of them. Called from one thread only.

    A method that takes a result has made it durable when it returns.
    """

    def next_job(self) -> Job | None:
        """Return a job that may start now, or None: all is done, if only by now, or results are awaited (``done``)."""

    def done(self) -> bool:
        """Say whether nothing is left to hand out and nothing that was handed out is still open."""

    def started(self, job: Job) -> None:
        """Take note that a worker begins with the job; before that it may have waited for a machine."""

    def placed(self, job: Job, host: str) -> None:
        """Take note of the machine, by its name, that a job is on: with the first that is heard of it, if ever."""

    def report(self, job: Job, step: int, value: float) -> bool:
        """Take a progress value; return True to stop the job (``stopped`` follows)."""

    def finished(self, job: Job, output: Output) -> None:
        """Take the output of a job that ran to its end."""

    def stopped(self, job: Job) -> None:
        """Take note that the job was stopped as ``report`` asked."""

    def failed(self, job: Job, error: str, *, lost: bool) -> None:
        """Take note that a job failed.

        Args:
            job: the job.
            error: the traceback, or what is known.
            lost: True when its process or machine died (the job may be tried again), False when the work function
                itself raised.
        """


def traceback_of(error: BaseException) -> str:
    """Return the traceback of what a work function raised, without the frames of this package above it."""
    trace = error.__traceback__
    while trace is not None and Path(trace.tb_frame.f_code.co_filename).is_relative_to(_OURS):
        trace = trace.tb_next
    return "".join(traceback.format_exception(type(error), error, trace))
