"""All jobs of a source in one Ray Tune run: on this machine, or on a cluster that is already there."""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import ray
import ray.cloudpickle as pickle
from ray import tune
from ray.exceptions import RayError

from cluster.bridge import Bridge
from cluster.interrupts import held_interrupts
from cluster.jobs import JobSource, WorkFunction
from cluster.recorder import Recorder
from cluster.scheduler import SourceScheduler
from cluster.searcher import SourceSearcher
from cluster.trainable import JobTrainable

_ENVIRONMENT = {
    "RAY_AIR_NEW_OUTPUT": "0",  # the newer output prints tables on stdout, however quiet it is asked to be
    "RAY_CHDIR_TO_TRIAL_DIR": "0",  # workers stay where they are: relative paths keep their meaning
    "RAY_TRAIN_COUNT_PREEMPTION_AS_FAILURE": "1",  # Tune would rerun such a trial behind the source's back
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",  # nobody reads its CSV, JSON and TensorBoard files
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # its handler ends the run as if all were done, after up to 15 s
    "TUNE_GLOBAL_CHECKPOINT_S": "1e9",  # its snapshots are never restored
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",  # the source gets them
}
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")
_OBJECT_STORE_BYTES = 512 * 2**20
_CONNECT_SECONDS = 5.0
_SOCKET_ROOM = 40  # characters of a folder's name under which the paths of Ray's sockets stay below 108


class ClusterError(RuntimeError):
    """There is no cluster that the jobs could run on; the message says what was asked for and what is there."""


def run_jobs(
    source: JobSource,
    work: WorkFunction,
    shared: Mapping[str, Any],
    *,
    workers: int | None = None,
    cpus_per_job: int = 1,
    gpus_per_job: float = 0,
    memory_per_job: int = 0,
    seconds_per_job: float | None = None,
    address: str | None = None,
    on_tick: Callable[[], None] | None = None,
) -> None:
    """Run all jobs of a source.

    Processes live on from job to job, also after a job that raised. A job whose process dies is ``failed`` with
    ``lost=True``, and a new process takes its place. SIGINT leaves within seconds and without an answer for the jobs
    that are running; so does whatever the source itself raises.

    Args:
        source: hands out jobs and takes back what became of them, in this thread.
        work: runs a job; importable by name on every machine.
        shared: the shared objects by name; each travels once to each machine, and its arrays are read-only there.
        workers: how many jobs run at once; None: as many as fit.
        cpus_per_job: CPU cores of a job; also its number of threads.
        gpus_per_job: GPUs of a job, or a share of one.
        memory_per_job: bytes that a machine must have free for a job; 0: whatever there is.
        seconds_per_job: a job that takes longer is lost; None: no limit.
        address: ``"auto"`` or ``"host:port"`` of a Ray cluster to join and leave running; None: start Ray here, and
            end it.
        on_tick: called about twice a second, in this thread.

    Raises:
        ClusterError: Ray runs in this process already, no cluster answers at the address, no machine fits a job, or
            the run was ended from outside.
        KeyboardInterrupt: SIGINT.
        ValueError: an argument is out of its range.
    """
    given = {"workers": workers, "cpus_per_job": cpus_per_job, "seconds_per_job": seconds_per_job}
    for name, number in given.items():
        if number is not None and number <= 0:
            raise ValueError(f"{name} > 0 must hold, got {number}")
    for name, number in {"gpus_per_job": gpus_per_job, "memory_per_job": memory_per_job}.items():
        if number < 0:
            raise ValueError(f"{name} >= 0 must hold, got {number}")
    if ray.is_initialized():
        raise ClusterError("Ray runs in this process already: call ray.shutdown() first")
    if source.done():
        return
    needs = {"CPU": cpus_per_job, "GPU": gpus_per_job, "memory": memory_per_job}
    bridge = Bridge(source, seconds_per_job)
    with (
        held_interrupts() as check,
        _environment(_ENVIRONMENT),
        _quiet(),
        tempfile.TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True) as folder,
    ):
        try:
            if address is None:
                _start(folder, None if workers is None else workers * cpus_per_job, cpus_per_job, shared)
            else:
                _join(address, cpus_per_job)
            fitting = _fitting(needs)
            check()
            _tune(
                bridge,
                work,
                shared,
                needs=needs,
                workers=workers or fitting,
                seconds_per_job=seconds_per_job,
                folder=folder,
                check=check,
                on_tick=on_tick,
            )
        finally:
            ray.shutdown(wait_for_processes=True)
            check()


def _tune(
    bridge: Bridge,
    work: WorkFunction,
    shared: Mapping[str, Any],
    *,
    needs: Mapping[str, float],
    workers: int,
    seconds_per_job: float | None,
    folder: str,
    check: Callable[[], None],
    on_tick: Callable[[], None] | None,
) -> None:
    stored = {name: ray.put(value) for name, value in shared.items()}
    trainable = tune.with_parameters(JobTrainable, work=work, shared=stored, seconds_per_job=seconds_per_job)
    while not bridge.done():
        try:
            tune.run(
                trainable,
                name="jobs",
                search_alg=SourceSearcher(bridge, needs, check),
                scheduler=SourceScheduler(bridge),
                callbacks=[Recorder(bridge, check, on_tick)],
                num_samples=-1,
                max_concurrent_trials=workers,
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
            # Tune knows that workers die, but not all of Ray's words for it: it breaks at an OutOfMemoryError, and does
            # not say whose. So all running jobs are lost, and the run goes on.
            if not isinstance(error.__cause__, RayError) or not bridge.break_all(str(error.__cause__)):
                raise
        else:
            if not bridge.done():
                raise ClusterError("Ray Tune ended the run before all jobs were answered")


def _trial_id(trial: Any) -> str:
    return str(trial.trial_id)


def _start(folder: str, cpus: int | None, threads: int, shared: Mapping[str, Any]) -> None:
    """Start Ray on this machine, for this process alone."""
    ray.init(
        "local",
        num_cpus=cpus,
        object_store_memory=max(_OBJECT_STORE_BYTES, 2 * sum(_bytes(value) for value in shared.values())),
        include_dashboard=False,
        runtime_env=_runtime_env(threads),
        logging_level=logging.ERROR,
        log_to_driver=False,
        _temp_dir=folder if len(folder) <= _SOCKET_ROOM else None,
    )


def _join(address: str, threads: int) -> None:
    """Become a driver of a cluster that is there."""
    if address != "auto":
        host, _, port = address.rpartition(":")
        if not host or "/" in host or not port.isdecimal():
            raise ClusterError(f"address must be 'auto' or 'host:port', e.g. 'head:6379', got {address!r}")
        try:  # Ray itself takes minutes to find that nobody is there
            socket.create_connection((host.strip("[]"), int(port)), timeout=_CONNECT_SECONDS).close()
        except OSError as error:
            raise ClusterError(f"nothing answers at {address!r}: {error}") from error
    try:
        ray.init(address, runtime_env=_runtime_env(threads), logging_level=logging.ERROR, log_to_driver=False)
    except (ConnectionError, RuntimeError, ValueError, RayError) as error:
        token = "one that authenticates by token needs RAY_AUTH_MODE=token here too"  # noqa: S105 - no token
        raise ClusterError(f"no Ray cluster answers at {address!r} ({token}): {error}") from error


def _runtime_env(threads: int) -> dict[str, Any]:
    return {"env_vars": dict.fromkeys(_THREADS, str(threads))}


def _fitting(needs: Mapping[str, float]) -> int:
    """How many jobs the machines of the cluster take at once."""
    machines = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    asked = {name: amount for name, amount in needs.items() if amount > 0}
    fitting = sum(min(int(has.get(name, 0) // amount) for name, amount in asked.items()) for has in machines)
    if fitting == 0:
        there = "; ".join(", ".join(f"{has.get(name, 0):g} {name}" for name in asked) for has in machines)
        wanted = ", ".join(f"{amount:g} {name}" for name, amount in asked.items())
        raise ClusterError(f"no machine fits a job: it takes {wanted}, the machines have {there}")
    return fitting


def _bytes(value: Any) -> int:
    """What a value takes in the object store; arrays are counted, not copied."""
    buffers: list[Any] = []
    inside: bytes = pickle.dumps(value, protocol=5, buffer_callback=buffers.append)
    return len(inside) + sum(int(buffer.raw().nbytes) for buffer in buffers)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep stdout free: Ray writes there when a worker dies. Tune's own list of such trials says nothing new."""
    tune_log = logging.getLogger("ray.tune.tune")
    before = tune_log.level
    tune_log.setLevel(logging.CRITICAL)
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield
    finally:
        tune_log.setLevel(before)


@contextlib.contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
