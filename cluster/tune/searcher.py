"""Tune's searcher: hands out the source's jobs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ray.tune.search import Searcher

from cluster.tune.bridge import Bridge
from cluster.tune.worker import JOB, Parcel


class SourceSearcher(Searcher):
    """A searcher whose configurations are jobs. It learns nothing from Tune: results reach the source on other ways.

    Args:
        bridge: knows the source.
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
        """Free the seat of a trial that ended; where one broke, nobody sits any more, and the seat is given up."""
        seat = self._seats.pop(trial_id)
        if not error:
            self._free.append(seat)

    def save(self, checkpoint_path: str) -> None:
        """Save nothing: the source's own storage is the truth."""
