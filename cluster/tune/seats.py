"""Seats: numbers that tell the workers of a run apart by what they ask for: each job has a worker of its own."""

from __future__ import annotations

from collections.abc import Mapping

from ray import tune


def seat_request(needs: Mapping[str, float], seat: int) -> tune.PlacementGroupFactory:
    """Return a seat's resources, which differ from any other seat's by some bytes of memory.

    Tune lets a trial that waits for its worker to start take over any other worker that becomes idle with equal
    resources, and ends the one that was starting. With jobs shorter than such a start, one worker would do all
    the work, while others are started and ended over and over.

    Args:
        needs: the resources of a worker, by Ray's names.
        seat: which of the run's workers it is.
    """
    memory = needs["memory"]
    return tune.PlacementGroupFactory([{**needs, "memory": memory - seat if memory else seat + 1}])


class Seats:
    """The seats of a run's jobs. A seat that is free has a worker, which idles, or has yet to get one.

    Args:
        needs: the resources of a worker, by Ray's names.
    """

    def __init__(self, needs: Mapping[str, float]) -> None:
        self._needs = dict(needs)
        self._taken: dict[str, int] = {}  # by trial
        self._free: list[int] = []  # the last one is taken first: its worker became idle last
        self._next = 0

    @property
    def taken(self) -> int:
        """The number of jobs that are out."""
        return len(self._taken)

    def take(self, trial_id: str) -> int:
        """Give a trial a seat."""
        if not self._free:
            self._free.append(self._next)
            self._next += 1
        seat = self._taken[trial_id] = self._free.pop()
        return seat

    def leave(self, trial_id: str) -> None:
        """Free the seat of a trial that ended; its worker lives on."""
        self._free.append(self._taken.pop(trial_id))

    def give_up(self, trial_id: str) -> None:
        """Forget the seat of a trial whose worker was lost."""
        del self._taken[trial_id]

    def move(self, trial_id: str, request: tune.PlacementGroupFactory) -> None:
        """Move a trial, whose own seat has no worker yet, to the free seat that makes this request, if there is one."""
        for seat in self._free:
            if seat_request(self._needs, seat) == request:
                self._free.remove(seat)
                self._free.insert(0, self._taken[trial_id])
                self._taken[trial_id] = seat
                return
