"""The hooks by which Ray Tune asks and tells: its searcher, its scheduler and its callback, around one bridge.

Tune asks the searcher which trial comes next and the scheduler which trial stops, and tells the callback how trials
began and ended.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from typing import Any

from ray import tune
from ray.exceptions import RayTaskError
from ray.tune import Callback
from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher

from cluster.tune.bridge import Bridge
from cluster.tune.internals import (
    end_displaced_workers,
    end_idle_workers,
    give_idle_worker,
    idle_requests,
    keep_idle_worker,
    live_workers,
    placeless_trials,
    resources_of,
    written_error,
)
from cluster.tune.places import Places
from cluster.tune.seats import Seats
from cluster.tune.worker import EVENT, JOB, OverrunError, Parcel

TICK_SECONDS = 0.5
"""Time between two calls of ``on_tick``."""

PLACELESS_SECONDS = 2.0
"""The time after which a job whose worker has no place yet is given one that idles. A free place is found in less."""


class SourceSearcher(Searcher):
    """A searcher whose configurations are jobs. It learns nothing from Tune: results reach the source on other ways.

    Args:
        bridge: hands out the source's jobs.
        needs: the resources of a worker, by Ray's names.
        seats: those of the jobs that are out.
        places: how many may be out.
        check: raises where the run is to be left; Tune may ask for jobs for minutes without doing anything else.
    """

    def __init__(
        self, bridge: Bridge, needs: Mapping[str, float], seats: Seats, places: Places, check: Callable[[], None]
    ) -> None:
        super().__init__()
        self._bridge = bridge
        self._needs = dict(needs)
        self._seats = seats
        self._places = places
        self._check = check

    def suggest(self, trial_id: str) -> Any:
        """Return the next job's configuration, ``FINISHED``, or None where results or places are awaited."""
        self._check()
        if self._seats.taken >= self._places.limit():
            return None
        job = self._bridge.next_job(trial_id)
        if job is None:
            return Searcher.FINISHED if self._bridge.done() else None
        return {JOB: Parcel(job, self._seats.take(trial_id), self._needs)}

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Free the seat of a trial that ended; the seat of one that broke has lost its worker, and is given up."""
        if error:
            self._seats.give_up(trial_id)
            self._places.forget()
        else:
            self._seats.leave(trial_id)

    def save(self, checkpoint_path: str) -> None:
        """Save nothing: the source's own storage is the truth."""


class SourceScheduler(FIFOScheduler):
    """First in, first out; stops what the source stops.

    Args:
        bridge: takes reports and losses to the source.
        seats: those of the jobs that are out.
        places: says how many workers are to be let go.
    """

    def __init__(self, bridge: Bridge, seats: Seats, places: Places) -> None:
        super().__init__()
        self._bridge = bridge
        self._seats = seats
        self._places = places
        self._kept: set[tune.PlacementGroupFactory] = set()
        self._placeless: dict[str, float] = {}  # since when, by trial

    def choose_trial_to_run(self, tune_controller: Any) -> None:
        """Choose none: Tune starts what is queued, in order, by itself. It asks at each step of the run.

        The base class looks for a queued trial among all trials, ended ones included.
        """
        displaced = self._places.displaced()
        if displaced:
            end_displaced_workers(tune_controller, displaced)
        surplus = self._places.surplus(live_workers(tune_controller))
        if surplus > 0:
            end_idle_workers(tune_controller, surplus)
        self._fill_idle_workers(tune_controller, displaced)

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

    def _fill_idle_workers(self, tune_controller: Any, displaced: Collection[str]) -> None:
        """Give jobs whose worker has found no place for a while the workers that idle.

        There are such jobs after the loss of a machine, beside other runs, and where more workers are asked for than
        fit by now. Tune itself lets a trial wait for a worker of its own seat.
        """
        now = time.monotonic()
        placeless = placeless_trials(tune_controller, displaced)
        self._placeless = {trial.trial_id: self._placeless.get(trial.trial_id, now) for trial in placeless}
        idle = idle_requests(tune_controller)
        for trial in placeless:
            if idle and now - self._placeless[trial.trial_id] > PLACELESS_SECONDS:
                request = idle.pop()
                self._seats.move(trial.trial_id, request)
                give_idle_worker(tune_controller, trial, request)


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
