"""The parts of Ray and Tune without a public interface, each named here and nowhere else in the project.

``tests/cluster/tune/test_ray_contract.py`` holds Ray to what the docstrings below rely on, and ``pyproject.toml`` pins
the minor version that it was run with. The hooks of Tune that :mod:`cluster.tune.hooks` and :mod:`cluster.tune.worker`
override are documented developer interfaces; the same tests hold their signatures and the order of their calls.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import ray.cloudpickle as pickle
from ray import tune
from ray._private import ray_constants, services, worker
from ray._private.node import Node
from ray._private.parameter import RayParams
from ray._raylet import AuthenticationTokenLoader, GcsClient  # type: ignore[attr-defined]  # missing in its stub
from ray.air.execution._internal import RayActorManager
from ray.air.execution._internal.tracked_actor_task import TrackedActorTask
from ray.exceptions import OutOfMemoryError, RayActorError
from ray.tune import result
from ray.tune.experiment import Trial

ENVIRONMENT = {
    "RAY_AIR_NEW_OUTPUT": "0",  # the newer output prints tables on stdout, however quiet it is asked to be
    "RAY_OVERRIDE_JOB_RUNTIME_ENV": "1",  # a job's own runtime_env may name the variables of threads, too
    "RAY_CHDIR_TO_TRIAL_DIR": "0",  # workers stay where they are: relative paths keep their meaning
    "RAY_prestart_worker_first_driver": "0",  # no worker of Tune's fits the processes that Ray would start ahead
    "RAY_TRAIN_COUNT_PREEMPTION_AS_FAILURE": "1",  # Tune would rerun such a trial behind the source's back
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",  # nobody reads its CSV, JSON and TensorBoard files
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # its handler ends the run as if all were done, after up to 15 s
    "TUNE_GLOBAL_CHECKPOINT_S": "1e9",  # its snapshots are never restored
    "TUNE_MAX_PENDING_TRIALS_PG": "1000000",  # the searcher bounds the trials that are out
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


@contextlib.contextmanager
def no_raylet_messages() -> Iterator[None]:
    """Let a process that connects with Ray meanwhile print none of what raylets say of machines and processes.

    Replaces ``ray._private.worker.listen_error_messages``, a thread that prints in colour whatever ``log_to_driver``
    says.
    """
    before = worker.listen_error_messages
    worker.listen_error_messages = lambda *_: None
    try:
        yield
    finally:
        worker.listen_error_messages = before


def is_node_of(address: str, seconds: float) -> bool:
    """Say whether this host is a node of a cluster: a process can connect with a cluster on its nodes only.

    Relies on ``ray._private.services.find_node_ids``, by which ``ray.init`` looks for such a node too, for a minute,
    and on ``ray._raylet.GcsClient.get_all_node_info``.

    Args:
        address: ``"host:port"`` of the cluster.
        seconds: for how long its answer is awaited.

    Returns:
        True also where the cluster does not answer this process: ``ray.init`` says why.
    """
    here = services.find_node_ids()
    if not here:
        return False
    try:
        nodes = GcsClient(address=address).get_all_node_info(timeout=seconds)
    except Exception:  # of many kinds: no token, another version, nobody there
        return True
    return any(identity.hex() in here for identity in nodes)


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


def live_workers(wrapped: Any) -> int:
    """Count the workers that have a place: those at work, those that idle and those that start.

    Relies on ``TuneController._actor_manager.num_live_actors``.

    Args:
        wrapped: the controller as a scheduler's ``choose_trial_to_run`` receives it: wrapped (``_tune_controller``),
            with a warning at each look inside.
    """
    return int(wrapped._tune_controller._actor_manager.num_live_actors)


def placeless_trials(wrapped: Any, displaced: Collection[str]) -> list[Trial]:
    """Return the trials whose worker has no place yet, or lost it while it started, those that wait longest first.

    Relies on ``TuneController._pending_trials``, which have not begun, on ``._trial_to_actor``, and on
    ``RayActorManager._pending_actors_to_attrs``, which holds the actors whose placement group is awaited.

    Args:
        wrapped: as :func:`live_workers` takes it.
        displaced: ids of the placement groups whose machine was lost.
    """
    controller = wrapped._tune_controller
    awaited = controller._actor_manager._pending_actors_to_attrs
    return [
        trial
        for trial, worker in controller._trial_to_actor.items()
        if trial in controller._pending_trials and (worker in awaited or _group_of(controller, worker) in displaced)
    ]


def _group_of(controller: Any, worker: Any) -> str | None:
    """Return the id of a live worker's placement group; None where it waits for one.

    Relies on ``RayActorManager._live_actors_to_ray_actors_resources``: an actor and what it has acquired, by worker.
    """
    _, acquired = controller._actor_manager._live_actors_to_ray_actors_resources.get(worker, (None, None))
    return None if acquired is None else str(acquired.placement_group.id.hex())


def idle_requests(wrapped: Any) -> list[tune.PlacementGroupFactory]:
    """Return the resources of each worker that idles; relies on ``TuneController._actor_cache._cached_objects``.

    Args:
        wrapped: as :func:`live_workers` takes it.
    """
    cached = wrapped._tune_controller._actor_cache._cached_objects
    return [request for request, workers in cached.items() for _ in workers]


def give_idle_worker(wrapped: Any, trial: Trial, request: tune.PlacementGroupFactory) -> None:
    """Let a queued trial have a worker that idles, instead of the one that was asked for.

    Relies on ``Trial.update_resources``, on ``TuneController._maybe_reuse_cached_actor``, and on what the controller
    keeps by a queued trial's resources: ``_resources_to_pending_trials`` and the maxima of ``_actor_cache``.

    Args:
        wrapped: as :func:`live_workers` takes it.
        trial: one of :func:`placeless_trials`.
        request: one of :func:`idle_requests`.
    """
    controller = wrapped._tune_controller
    asked_for = controller._trial_to_actor[trial]
    controller._resources_to_pending_trials[resources_of(trial)].discard(trial)
    controller._actor_cache.decrease_max(resources_of(trial))
    trial.update_resources(request)
    controller._actor_cache.increase_max(request)
    controller._resources_to_pending_trials[request].add(trial)
    controller._maybe_reuse_cached_actor(trial)
    _kill(controller, asked_for)  # one that starts on a lost machine would do so for ever


def end_idle_workers(wrapped: Any, count: int) -> None:
    """End workers that idle, as Tune ends those that it needs no more.

    Relies on ``_ObjectCache.pop_cached_object`` and ``TuneController._remove_actor``.

    Args:
        wrapped: as :func:`live_workers` takes it.
        count: how many, at most.
    """
    for request in idle_requests(wrapped)[:count]:
        _end_idle_worker(wrapped._tune_controller, request)


def end_displaced_workers(wrapped: Any, displaced: Collection[str]) -> None:
    """End the idle workers whose machine was lost: their groups would take the next place that is free, for nothing.

    Args:
        wrapped: as :func:`live_workers` takes it.
        displaced: ids of the placement groups whose machine was lost.
    """
    controller = wrapped._tune_controller
    for request in idle_requests(wrapped):
        worker = controller._actor_cache._cached_objects[request][0]
        if _group_of(controller, worker) in displaced:
            _end_idle_worker(controller, request)
            _kill(controller, worker)


def _kill(controller: Any, worker: Any) -> None:
    """Kill a worker that Tune has told to stop, if it is there at all, as Tune does with one that does not listen."""
    if controller._actor_manager.is_actor_started(worker):
        controller._actor_manager.remove_actor(worker, kill=True)


def _end_idle_worker(controller: Any, request: tune.PlacementGroupFactory) -> None:
    worker = controller._actor_cache.pop_cached_object(request)
    worker.set_on_stop(None)  # no trial is told
    worker.set_on_error(None)
    controller._remove_actor(tracked_actor=worker)


def written_error(trial: Trial) -> BaseException | str:
    """Return the error that Tune has written down for a trial that it gave up.

    Relies on ``Trial.pickled_error_file``, a path with the exception of a task or of an actor, and on
    ``Trial.error_file``, a path with the text of any other error, e.g. out of memory.
    """
    if trial.pickled_error_file is not None:
        error: BaseException = pickle.loads(Path(trial.pickled_error_file).read_bytes())  # Tune wrote it, just now
        return error
    return Path(trial.error_file).read_text(encoding="utf-8") if trial.error_file else "the worker was lost"
