"""Tune's scheduler: asks the source which jobs to stop, and tells it which were lost."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import ray.cloudpickle as pickle
from ray import tune
from ray.exceptions import RayTaskError
from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler, TrialScheduler

from cluster.tune.bridge import Bridge
from cluster.tune.worker import EVENT, OverrunError

CROWDED_SECONDS = 5.0
"""How long a worker may wait for a place while others idle. A free place is found within a second."""


class SourceScheduler(FIFOScheduler):
    """First in, first out; stops what the source stops.

    Args:
        bridge: knows the source.
    """

    def __init__(self, bridge: Bridge) -> None:
        super().__init__()
        self._bridge = bridge
        self._kept: set[tune.PlacementGroupFactory] = set()
        self._crowded_since: float | None = None

    def choose_trial_to_run(self, tune_controller: Any) -> None:
        """Choose none: Tune starts what is queued, in order, by itself. At each step of the run it asks.

        The base class looks for a queued trial among all trials, ended ones included.
        """
        self._make_room(tune_controller._tune_controller)  # it comes wrapped, with a warning at each look inside

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        """Pass a report on; a job's last event never comes here, Tune keeps it for the callbacks."""
        if self._bridge.reported(trial.trial_id, result[EVENT]):
            return str(TrialScheduler.STOP)
        return str(TrialScheduler.CONTINUE)

    def on_trial_complete(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> None:
        """Make Tune keep the worker.

        Tune keeps an idle worker when a trial with equal resources is queued, and one worker in all besides. While a
        batch is awaited nothing is queued: all workers but one would end, only to start again, at some seconds each.
        """
        seat = trial.placement_group_factory
        if seat not in self._kept:
            self._kept.add(seat)
            tune_controller._actor_cache.increase_max(seat)

    def _make_room(self, tune_controller: Any) -> None:
        """End the idle workers when a worker that is to start has found no place for a while.

        That is so after the loss of a machine: its jobs want new workers, in a cluster that is full of idle ones.
        """
        actors = tune_controller._actor_manager
        if not actors.num_pending_actors or not tune_controller._actor_cache.num_cached_objects:
            self._crowded_since = None
        elif self._crowded_since is None:
            self._crowded_since = time.monotonic()
        elif time.monotonic() - self._crowded_since > CROWDED_SECONDS:
            self._crowded_since = None
            tune_controller._cleanup_cached_actors(force_all=True)

    def on_trial_error(self, tune_controller: Any, trial: Trial) -> None:
        """Pass on what became of a trial that Tune gave up."""
        error, lost = _cause(trial)
        self._bridge.broke(trial.trial_id, error, lost=lost)


def _cause(trial: Trial) -> tuple[str, bool]:
    """The error that Tune has written down for a trial, and whether its process died of it."""
    if trial.pickled_error_file is None:  # neither a task's nor an actor's error, e.g. out of memory
        text = Path(trial.error_file).read_text(encoding="utf-8") if trial.error_file else "the worker was lost"
        return text, True
    exception = pickle.loads(Path(trial.pickled_error_file).read_bytes())  # written by Tune, just now
    if isinstance(exception, RayTaskError) and isinstance(exception.cause, OverrunError):
        return str(exception.cause), False
    return str(exception), not isinstance(exception, RayTaskError)
