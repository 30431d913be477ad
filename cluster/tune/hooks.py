"""The hooks by which Ray Tune asks and tells: its searcher, its scheduler and its callback, around one bridge.

Tune asks the searcher which trial comes next and the scheduler which trial stops, and tells the callback how trials
began and ended.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from ray import tune
from ray.exceptions import RayTaskError
from ray.tune import Callback
from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher

from cluster.tune.bridge import Bridge
from cluster.tune.internals import (
    end_idle_workers,
    keep_idle_worker,
    resources_of,
    waits_beside_idle_workers,
    written_error,
)
from cluster.tune.worker import EVENT, JOB, OverrunError, Parcel

TICK_SECONDS = 0.5
"""Time between two calls of ``on_tick``."""

CROWDED_SECONDS = 5.0
"""The time that a worker may wait for a place while others idle. A free place is found within a second."""


class SourceSearcher(Searcher):
    """A searcher whose configurations are jobs. It learns nothing from Tune: results reach the source on other ways.

    Args:
        bridge: hands out the source's jobs.
        needs: the resources of a worker, by Ray's names.
        check: raises where the run is to be left; Tune may ask for jobs for minutes without doing anything else.
    """

    def __init__(self, bridge: Bridge, needs: Mapping[str, float], check: Callable[[], None]) -> None:
        super().__init__()
        self._bridge = bridge
        self._needs = dict(needs)
        self._check = check
        self._seats: dict[str, int] = {}  # by trial
        self._free: list[int] = []
        self._next_seat = 0

    def suggest(self, trial_id: str) -> Any:
        """Return the next job's configuration, ``FINISHED``, or None where results are awaited."""
        self._check()
        job = self._bridge.next_job(trial_id)
        if job is None:
            return Searcher.FINISHED if self._bridge.done() else None
        if not self._free:
            self._free.append(self._next_seat)
            self._next_seat += 1
        seat = self._seats[trial_id] = self._free.pop()
        return {JOB: Parcel(job, seat, self._needs)}

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Free the seat of a trial that ended; the seat of one that broke has lost its worker, and is given up."""
        seat = self._seats.pop(trial_id)
        if not error:
            self._free.append(seat)

    def save(self, checkpoint_path: str) -> None:
        """Save nothing: the source's own storage is the truth."""


class SourceScheduler(FIFOScheduler):
    """First in, first out; stops what the source stops.

    Args:
        bridge: takes reports and losses to the source.
    """

    def __init__(self, bridge: Bridge) -> None:
        super().__init__()
        self._bridge = bridge
        self._kept: set[tune.PlacementGroupFactory] = set()
        self._crowded_since: float | None = None

    def choose_trial_to_run(self, tune_controller: Any) -> None:
        """Choose none: Tune starts what is queued, in order, by itself. It asks at each step of the run.

        The base class looks for a queued trial among all trials, ended ones included.
        """
        self._make_room(tune_controller)

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
        resources = resources_of(trial)
        if resources not in self._kept:
            self._kept.add(resources)
            keep_idle_worker(tune_controller, trial)

    def on_trial_error(self, tune_controller: Any, trial: Trial) -> None:
        """Pass on what became of a trial that Tune gave up."""
        error, lost = _cause(trial)
        self._bridge.broke(trial.trial_id, error, lost=lost)

    def _make_room(self, tune_controller: Any) -> None:
        """End the idle workers when a worker that is to start has found no place for a while.

        That is so after the loss of a machine: its jobs want new workers, in a cluster that is full of idle ones.
        """
        if not waits_beside_idle_workers(tune_controller):
            self._crowded_since = None
        elif self._crowded_since is None:
            self._crowded_since = time.monotonic()
        elif time.monotonic() - self._crowded_since > CROWDED_SECONDS:
            self._crowded_since = None
            end_idle_workers(tune_controller)


class Recorder(Callback):
    """Takes each result from Tune before Tune keeps it.

    Args:
        bridge: takes the ends of jobs to the source.
        check: raises where the run is to be left; called between two steps of Tune.
        on_tick: called every :data:`TICK_SECONDS`, or None.
    """

    def __init__(self, bridge: Bridge, check: Callable[[], None], on_tick: Callable[[], None] | None) -> None:
        self._bridge = bridge
        self._check = check
        self._on_tick = on_tick
        self._ticked = time.monotonic()

    def on_trial_start(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """Take note that a job begins; before that, its trial may have waited for a machine."""
        self._bridge.started(trial.trial_id)

    def on_trial_result(
        self, iteration: int, trials: list[Trial], trial: Trial, result: dict[str, Any], **info: Any
    ) -> None:
        """Pass on how a job ended. What it returned stays with the source: Tune would keep it to the end of the run."""
        self._bridge.ended(trial.trial_id, result.pop(EVENT))

    def on_step_end(self, iteration: int, trials: list[Trial], **info: Any) -> None:
        """Leave the run when that is asked for; otherwise let the caller draw."""
        self._check()
        if self._on_tick is not None and time.monotonic() - self._ticked >= TICK_SECONDS:
            self._on_tick()
            self._ticked = time.monotonic()


def _cause(trial: Trial) -> tuple[str, bool]:
    """Return the error of a trial that Tune gave up, and whether the trial's process died of it."""
    error = written_error(trial)
    if isinstance(error, RayTaskError) and isinstance(error.cause, OverrunError):
        return str(error.cause), False
    return str(error), not isinstance(error, RayTaskError)
