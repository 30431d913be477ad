"""All jobs of a source in one Ray Tune run: on this machine, or on a cluster that is already there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import ray
from ray import tune
from ray.exceptions import RayError, RaySystemError, RpcError

from cluster.interrupts import held_interrupts
from cluster.jobs import ClusterError, ClusterLostError, JobSource, WorkFunction
from cluster.tune.bridge import Bridge
from cluster.tune.hooks import Recorder, SourceScheduler, SourceSearcher
from cluster.tune.internals import out_of_memory_as_lost_actor
from cluster.tune.places import Places, check_fit, current_view
from cluster.tune.seats import Seats
from cluster.tune.session import ray_session
from cluster.tune.worker import JobTrainable


def run_jobs(
    source: JobSource,
    work: WorkFunction,
    shared: Mapping[str, Any],
    *,
    shared_bytes: int = 0,
    workers: int | None = None,
    cores: int | None = None,
    cpus_per_job: int = 1,
    gpus_per_job: float = 0,
    memory_per_job: int = 0,
    seconds_per_job: float | None = None,
    address: str | None = None,
    on_tick: Callable[[], None] | None = None,
) -> None:
    """Run all jobs of a source.

    Processes live on from job to job, also after a job that raised. A job whose process dies is ``failed`` with
    ``lost=True``, and a new process takes its place. A job that takes more time or memory than it may ends with its
    process too, but is ``failed`` with ``lost=False``: it would do the same again. SIGINT or SIGTERM leaves within
    seconds and without an answer for the jobs that are running; so does whatever the source itself raises.

    Args:
        source: hands out jobs and takes back what became of them, in this thread.
        work: runs a job; importable by name on every machine.
        shared: the shared objects by name, each asked for once; each travels once to each machine, and its arrays are
            read-only there.
        shared_bytes: about what the shared objects take together. An object store that is started here has room for
            twice as much, and for 512 MiB at least; what does not fit spills to disk.
        workers: how many jobs are out at once; on a cluster also more than fit by now, where its autoscaler is to add
            machines. None: as many as fit, also when machines come and go. Where other runs share the cluster and
            wait, no more than an equal share.
        cores: of a Ray that is started here, where ``workers`` does not say how many it needs; None: those that Ray
            counts, which knows of containers, but not that a process may be bound to some cores.
        cpus_per_job: CPU cores of a job; also its number of threads.
        gpus_per_job: GPUs of a job, or a share of one.
        memory_per_job: bytes that a machine must have free for a job, and that its process may hold; 0: no limit.
        seconds_per_job: a job that takes longer is ended; None: no limit.
        address: ``"auto"`` or ``"host:port"`` of a Ray cluster to join and leave running; None: start Ray here, and
            end it.
        on_tick: called about twice a second, in this thread.

    Raises:
        ClusterError: Ray runs in this process already, no cluster answers at the address, no machine fits a job, or
            the run was ended from outside.
        ClusterLostError: Ray ended meanwhile, and said so. Most often its own code ends this process instead, without a
            word and with status 1.
        KeyboardInterrupt: SIGINT or SIGTERM.
        ValueError: an argument is out of its range.
    """
    given = {"workers": workers, "cores": cores, "cpus_per_job": cpus_per_job, "seconds_per_job": seconds_per_job}
    for name, number in given.items():
        if number is not None and number <= 0:
            raise ValueError(f"{name} > 0 must hold, got {number}")
    at_least_0 = {"gpus_per_job": gpus_per_job, "memory_per_job": memory_per_job, "shared_bytes": shared_bytes}
    for name, number in at_least_0.items():
        if number < 0:
            raise ValueError(f"{name} >= 0 must hold, got {number}")
    if source.done():
        return
    needs = {"CPU": cpus_per_job, "GPU": gpus_per_job, "memory": memory_per_job}
    cpus = cores if workers is None else workers * cpus_per_job
    bridge = Bridge(source, seconds_per_job)
    with held_interrupts() as interrupts, out_of_memory_as_lost_actor():
        check = interrupts.check
        try:
            with ray_session(address, cpus=cpus, threads=cpus_per_job, shared_bytes=shared_bytes) as folder:
                interrupts.hold()
                check_fit(needs, current_view().machines.values(), may_grow=address is not None and workers is not None)
                check()
                _tune(
                    bridge,
                    work,
                    shared,
                    needs=needs,
                    workers=workers,
                    seconds_per_job=seconds_per_job,
                    memory_per_job=memory_per_job,
                    folder=folder,
                    check=check,
                    on_tick=on_tick,
                )
        except (ConnectionError, RaySystemError, RpcError) as error:
            raise ClusterLostError(str(error)) from error
        finally:
            check()


def _tune(
    bridge: Bridge,
    work: WorkFunction,
    shared: Mapping[str, Any],
    *,
    needs: Mapping[str, float],
    workers: int | None,
    seconds_per_job: float | None,
    memory_per_job: int,
    folder: str,
    check: Callable[[], None],
    on_tick: Callable[[], None] | None,
) -> None:
    stored = {name: ray.put(value) for name, value in shared.items()}
    trainable = tune.with_parameters(
        JobTrainable, work=work, shared=stored, seconds_per_job=seconds_per_job, memory_per_job=memory_per_job
    )
    places = Places(needs, workers)
    while not bridge.done():
        seats = Seats(needs)
        try:
            tune.run(
                trainable,
                name="jobs",
                search_alg=SourceSearcher(bridge, needs, seats, places, check),
                scheduler=SourceScheduler(bridge, seats, places),
                callbacks=[Recorder(bridge, check, on_tick)],
                num_samples=-1,
                reuse_actors=True,
                storage_path=str(Path(folder, "tune")),
                checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
                trial_name_creator=_trial_id,
                trial_dirname_creator=_trial_id,
                raise_on_failed_trial=False,
                verbose=0,
            )
        except tune.TuneError:
            if bridge.error is not None:
                raise bridge.error from None
            raise
        except RuntimeError as error:
            # Tune knows that workers die, but not all of Ray's words for it, and does not say whose. So all running
            # jobs are lost, and the run goes on.
            if not isinstance(error.__cause__, RayError) or not bridge.break_all(str(error.__cause__)):
                raise
        else:
            if not bridge.done():
                raise ClusterError("Ray Tune ended the run before all jobs were answered")


def _trial_id(trial: Any) -> str:
    return str(trial.trial_id)
