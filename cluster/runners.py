"""The runners of jobs by name. All take the same arguments, so that a study is one call whoever runs its jobs.

A runner is a function of the signature of :class:`Runner` and a line of :data:`RUNNERS`. It imports what it needs when
it is called: naming runners loads no Ray.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from cluster.jobs import JobSource, WorkFunction


@dataclass(frozen=True, kw_only=True)
class Resources:
    """The machines and limits of a run.

    Attributes:
        workers: how many jobs run at once; None: as many as fit.
        cores: cores of this machine that jobs share, where ``workers`` does not say how many they need; None: all.
        cpus_per_job: CPU cores of a job, and its threads.
        gpus_per_job: GPUs of a job, or a share of one.
        memory_per_job: bytes that a job may hold; 0: no limit.
        seconds_per_job: how long a job may take; None: no limit.
        shared_bytes: about what the shared objects take together.
        address: ``"auto"`` or ``"host:port"`` of a cluster to join; None: this machine.
    """

    workers: int | None = None
    cores: int | None = None
    cpus_per_job: int = 1
    gpus_per_job: float = 0
    memory_per_job: int = 0
    seconds_per_job: float | None = None
    shared_bytes: int = 0
    address: str | None = None


class Runner(Protocol):
    """Carries all jobs of a source to a work function, and each job's answer back to the source."""

    def __call__(
        self,
        source: JobSource,
        work: WorkFunction,
        shared: Mapping[str, Any],
        resources: Resources,
        *,
        on_tick: Callable[[], None] | None = None,
    ) -> None:
        """Run all jobs of a source.

        Args:
            source: hands out jobs and takes back what became of them, in this thread.
            work: runs a job.
            shared: the shared objects by name, each asked for once.
            resources: what the jobs may use.
            on_tick: called now and then, in this thread, or None.
        """


def _local(
    source: JobSource,
    work: WorkFunction,
    shared: Mapping[str, Any],
    resources: Resources,
    *,
    on_tick: Callable[[], None] | None = None,
) -> None:
    """Run jobs one after another in this process, which bounds neither their cores nor their memory or time."""
    from cluster.local import run_here

    run_here(source, work, dict(shared), on_tick=on_tick)


def _ray(
    source: JobSource,
    work: WorkFunction,
    shared: Mapping[str, Any],
    resources: Resources,
    *,
    on_tick: Callable[[], None] | None = None,
) -> None:
    """Run jobs over Ray Tune, on this machine or on a cluster."""
    from cluster.tune.run import run_jobs

    run_jobs(
        source,
        work,
        shared,
        shared_bytes=resources.shared_bytes,
        workers=resources.workers,
        cores=resources.cores,
        cpus_per_job=resources.cpus_per_job,
        gpus_per_job=resources.gpus_per_job,
        memory_per_job=resources.memory_per_job,
        seconds_per_job=resources.seconds_per_job,
        address=resources.address,
        on_tick=on_tick,
    )


RUNNERS: dict[str, Runner] = {"local": _local, "ray": _ray}
