"""The parts of Ray and Tune without a public interface, each named here and nowhere else in the project.

``tests/cluster/tune/test_ray_contract.py`` holds Ray to what the docstrings below rely on, and ``pyproject.toml`` pins
the minor version that it was run with. The hooks of Tune that :mod:`cluster.tune.hooks` and :mod:`cluster.tune.worker`
override are documented developer interfaces; the same tests hold their signatures and the order of their calls.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ray.cloudpickle as pickle
from ray import tune
from ray._private import ray_constants
from ray._private.node import Node
from ray._private.parameter import RayParams
from ray._raylet import AuthenticationTokenLoader  # type: ignore[attr-defined]  # missing in its stub
from ray.air.execution._internal import RayActorManager
from ray.air.execution._internal.tracked_actor_task import TrackedActorTask
from ray.exceptions import OutOfMemoryError, RayActorError
from ray.tune import result
from ray.tune.experiment import Trial

ENVIRONMENT = {
    "RAY_AIR_NEW_OUTPUT": "0",  # the newer output prints tables on stdout, however quiet it is asked to be
    "RAY_CHDIR_TO_TRIAL_DIR": "0",  # workers stay where they are: relative paths keep their meaning
    "RAY_prestart_worker_first_driver": "0",  # no worker of Tune's fits the processes that Ray would start ahead
    "RAY_TRAIN_COUNT_PREEMPTION_AS_FAILURE": "1",  # Tune would rerun such a trial behind the source's back
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",  # nobody reads its CSV, JSON and TensorBoard files
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # its handler ends the run as if all were done, after up to 15 s
    "TUNE_GLOBAL_CHECKPOINT_S": "1e9",  # its snapshots are never restored
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",  # the source gets them
}
"""Switches that Ray and Tune read from the environment of the driver; some have no documentation.

Tune gives its workers an environment of their own (``runtime_env``), for which Ray starts new processes.
"""

TUNE_LOG = "ray.tune.tune"
"""The logger that lists a run's failed trials at its end."""

DONE: str = result.DONE
"""The key of a result that ends its trial."""

NODE_DIED = "its node has died"
"""The words for a lost machine in the error of an actor that was on it."""


def temporary_folder(path: str) -> dict[str, str]:
    """Return the argument of ``ray.init`` for the folder of Ray's sockets, logs and objects.

    Relies on ``_temp_dir``. The variable ``RAY_TMPDIR``, the public way, holds for all that the process starts.
    """
    return {"_temp_dir": path}


@contextlib.contextmanager
def loopback_only() -> Iterator[None]:
    """Let a Ray that starts meanwhile listen on 127.0.0.1 only, all of its processes.

    Relies on ``ray._private.ray_constants.ENABLE_RAY_CLUSTER``, which keeps Ray's Windows and macOS sessions on
    loopback. Ray resolves a loopback address that it is asked for to the machine's own, and then listens on all
    interfaces; the variable behind the switch is read when Ray is imported.
    """
    before = ray_constants.ENABLE_RAY_CLUSTER
    ray_constants.ENABLE_RAY_CLUSTER = False
    try:
        yield
    finally:
        ray_constants.ENABLE_RAY_CLUSTER = before


@contextlib.contextmanager
def few_services() -> Iterator[None]:
    """Let a Ray that starts meanwhile leave out three processes that take half of its start, and that nobody asks here.

    These are the autoscaler's monitor and the one of logs, left out by ``RayParams.no_monitor`` and
    ``RayParams.include_log_monitor``, which ``ray.init`` does not pass on, and the dashboard's server, which
    ``Node.start_api_server`` starts in some form even with ``include_dashboard=False``.
    """
    make, start = RayParams.__init__, Node.start_api_server

    @functools.wraps(make)
    def made(self: RayParams, *arguments: Any, **options: Any) -> None:
        make(self, *arguments, **options)
        self.no_monitor, self.include_log_monitor = True, False

    def without_server(self: Node, **options: Any) -> None:
        self._webui_url = ""

    RayParams.__init__, Node.start_api_server = made, without_server
    try:
        yield
    finally:
        RayParams.__init__, Node.start_api_server = make, start


def forget_token() -> None:
    """Make Ray read the token of its next session from the environment.

    Relies on ``ray._raylet.AuthenticationTokenLoader``, which keeps the token of the session before in the process.
    """
    AuthenticationTokenLoader.instance().reset_cache()


@contextlib.contextmanager
def out_of_memory_as_lost_actor() -> Iterator[None]:
    """Let Tune know that an actor which Ray killed to free memory has died.

    Replaces ``RayActorManager._actor_task_failed``, which raises at an ``OutOfMemoryError``: that ends the run with all
    of its trials, though Ray says which actor it is about.
    """
    original = RayActorManager._actor_task_failed

    @functools.wraps(original)
    def translated(self: RayActorManager, tracked_actor_task: TrackedActorTask, exception: Exception) -> None:
        if isinstance(exception, OutOfMemoryError):
            exception = RayActorError(error_msg=str(exception))
        original(self, tracked_actor_task, exception)

    RayActorManager._actor_task_failed = translated
    try:
        yield
    finally:
        RayActorManager._actor_task_failed = original


def keep_idle_worker(controller: Any, trial: Trial) -> None:
    """Let Tune keep one more idle worker with the resources of a trial.

    Relies on ``TuneController._actor_cache.increase_max`` and ``Trial.placement_group_factory``.

    Args:
        controller: as a scheduler's ``on_trial_complete`` receives it.
        trial: the one that ended; its worker becomes idle.
    """
    controller._actor_cache.increase_max(resources_of(trial))


def resources_of(trial: Trial) -> tune.PlacementGroupFactory:
    """Return the resources of a trial's worker; relies on the undocumented ``Trial.placement_group_factory``."""
    return trial.placement_group_factory


def waits_beside_idle_workers(wrapped: Any) -> bool:
    """Say whether a worker that is to start has no place yet, while others idle.

    Relies on ``TuneController._actor_manager.num_pending_actors`` and ``._actor_cache.num_cached_objects``.

    Args:
        wrapped: the controller as a scheduler's ``choose_trial_to_run`` receives it: wrapped (``_tune_controller``),
            with a warning at each look inside.
    """
    controller = wrapped._tune_controller
    return bool(controller._actor_manager.num_pending_actors and controller._actor_cache.num_cached_objects)


def end_idle_workers(wrapped: Any) -> None:
    """End all idle workers; relies on ``TuneController._cleanup_cached_actors``.

    Args:
        wrapped: as :func:`waits_beside_idle_workers` takes it.
    """
    wrapped._tune_controller._cleanup_cached_actors(force_all=True)


def written_error(trial: Trial) -> BaseException | str:
    """Return the error that Tune has written down for a trial that it gave up.

    Relies on ``Trial.pickled_error_file``, a path with the exception of a task or of an actor, and on
    ``Trial.error_file``, a path with the text of any other error, e.g. out of memory.
    """
    if trial.pickled_error_file is not None:
        error: BaseException = pickle.loads(Path(trial.pickled_error_file).read_bytes())  # Tune wrote it, just now
        return error
    return Path(trial.error_file).read_text(encoding="utf-8") if trial.error_file else "the worker was lost"
