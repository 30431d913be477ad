"""Turns: the dataset that gets the next free worker.

Each dataset gets workers in proportion to its expected work, trials that run counted as done: the dataset goes first
that has been handed out the smallest share of its trials. So all move towards their end together, and whoever had to
wait for a batch catches up afterwards. Where shares are equal, as at the start, the dataset with most expected work
left goes first: what takes longest must not be left for the end.

Some go before all others, in this order: a dataset that has only its test rows to open, for that takes seconds, and
then it is done; one that has had no worker yet; and one with less work left in all than a single trial of another one
takes, so that nobody waits for the slowest, and the slowest waits for each of them no longer than for one trial more.

In simulated studies of datasets whose trials take up to a hundred times as long as others', giving each worker to the
dataset with most work left was 0 to 5% faster, but let datasets wait up to eight times as long between two trials.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass
class Durations:
    """The durations of a dataset's trials that ended.

    Attributes:
        count: number of trials.
        total: their seconds, summed.
    """

    count: int = 0
    total: float = 0.0

    def add(self, seconds: float) -> None:
        """Take the duration of a trial that ended."""
        self.count += 1
        self.total += seconds

    @property
    def mean(self) -> float | None:
        """Seconds that a trial takes on average, or None while none has ended."""
        return self.total / self.count if self.count else None


@dataclass(frozen=True)
class Demand:
    """The jobs of a dataset, those done and those to come.

    Attributes:
        handed_out: jobs that ended or run.
        total: jobs that there will be, as far as is known; at least ``handed_out``.
        seconds: that one takes on average, or None while none has ended.
        closing: True if only test rows are left to open.
    """

    handed_out: int
    total: int
    seconds: float | None
    closing: bool = False


def in_turn(demands: Sequence[Demand]) -> list[int]:
    """Return the places of datasets in the order in which they are offered a free worker.

    A dataset that has no duration yet counts with the mean of the others.
    """
    known = [demand.seconds for demand in demands if demand.seconds is not None]
    usual = sum(known) / len(known) if known else 1.0

    longest = max(known, default=0.0)

    def rank(place: int) -> tuple[int, float, float]:
        demand = demands[place]
        left = (demand.total - demand.handed_out) * (usual if demand.seconds is None else demand.seconds)
        short = demand.seconds is not None and left <= longest
        first = (demand.closing, demand.handed_out == 0, short, True).index(True)
        return first, (demand.handed_out + 1) / max(demand.total, 1), -left

    return sorted(range(len(demands)), key=rank)
