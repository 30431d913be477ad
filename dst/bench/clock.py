"""Timing several things against one another, fairly: in alternation, in one process, on the same number of threads."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager

import torch
from threadpoolctl import threadpool_limits

FEWEST_ROUNDS = 3

TURN_SECONDS = 0.02

Turn = tuple[Callable[[], object], Callable[[], object]]
"""What is called first, untimed, and what is timed right after it; both are repeated."""


def median_ms(turns: Mapping[str, Turn], seconds: float, *, may_sit_out: Collection[str] = ()) -> dict[str, float]:
    """Let everyone take its turn, round after round, and return the median time of each in ms.

    What slows the machine for a while so slows all alike. A turn goes on for :data:`TURN_SECONDS`, since what is fast
    needs several calls until caches and clock are again as they are in the middle of a training; what came first counts
    only where nothing followed. All that needs compiling must have run before.

    Args:
        turns: by name.
        seconds: after this time no round begins, but there are at least :data:`FEWEST_ROUNDS`.
        may_sit_out: who takes no turn in a round, after the fewest, while it has used more than an equal share of the
            time so far: what is slow takes fewer turns, spread over the whole time, and leaves time for the others.
    """
    times: dict[str, list[float]] = {name: [] for name in turns}
    used = dict.fromkeys(turns, 0.0)
    began = time.perf_counter()
    rounds = 0
    while (elapsed := time.perf_counter() - began) < seconds or rounds < FEWEST_ROUNDS:
        for name, (prepare, timed) in turns.items():
            if rounds >= FEWEST_ROUNDS and name in may_sit_out and used[name] > elapsed / len(turns):
                continue
            opened = ended = time.perf_counter()
            turn: list[float] = []
            while not turn or ended - opened < TURN_SECONDS:
                prepare()
                started = time.perf_counter()
                timed()
                ended = time.perf_counter()
                turn.append(ended - started)
            times[name] += turn[1:] or turn
            used[name] += ended - opened
        rounds += 1
    return {name: 1e3 * statistics.median(series) for name, series in times.items()}


@contextmanager
def thread_limit(count: int) -> Iterator[None]:
    """Let torch and NumPy's BLAS use ``count`` threads, and afterwards as many as before."""
    before = torch.get_num_threads()
    with threadpool_limits(limits=count):
        torch.set_num_threads(count)
        try:
            yield
        finally:
            torch.set_num_threads(before)
