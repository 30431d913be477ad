"""All jobs of a source in this process, one after the other, without Ray: for debuggers and quick tests."""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping
from typing import Any

from cluster.jobs import Job, JobSource, Output, Stopped, WorkFunction, traceback_of


def run_here(
    source: JobSource, work: WorkFunction, shared: Mapping[str, Any], *, on_tick: Callable[[], None] | None = None
) -> None:
    """Run all jobs of a source.

    Args:
        source: hands out jobs and takes back what became of them.
        work: runs a job.
        shared: the shared objects by name.
        on_tick: called after each report and each job, or None.

    Raises:
        RuntimeError: the source awaits results, though every job has been answered.
    """
    tick = on_tick or (lambda: None)
    while not source.done():
        job = source.next_job()
        if job is None:
            if source.done():  # a source may find its last results elsewhere while it looks for a job
                return
            raise RuntimeError("the source has neither a job nor an end, though all its jobs were answered")
        _run(source, job, work, shared[job.shared], tick)
        tick()


def _run(source: JobSource, job: Job, work: WorkFunction, shared: Any, tick: Callable[[], None]) -> None:
    stopping = False
    broken: BaseException | None = None  # what the source raised: not the work's fault, even if the work catches it

    def report(step: int, value: float) -> None:
        nonlocal stopping, broken
        if not stopping:
            try:
                stopping = source.report(job, step, value)
                tick()
            except BaseException as error:
                broken = error
                raise
        if stopping:
            raise Stopped

    source.started(job)
    source.placed(job, socket.gethostname())
    output: Output | None = None
    error = ""
    try:
        output = work(job.payload, shared, report)
    except Exception as raised:
        error = traceback_of(raised)
    if broken is not None:
        raise broken
    if stopping:
        source.stopped(job)
    elif output is None:
        source.failed(job, error or "a work function must return an Output, got None", lost=False)
    else:
        source.finished(job, output)
