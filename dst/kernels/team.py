"""Threads that share out the work of a kernel."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait

import numpy as np
import numpy.typing as npt


class Team:
    """Some threads, of which the caller is one.

    Kernels let go of Python's lock, so that they run side by side.

    Args:
        size: how many, at least 1.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self._others = ThreadPoolExecutor(size - 1, thread_name_prefix="kernel") if size > 1 else None

    def run(self, work: Callable[[int, int, int], None], bounds: npt.NDArray[np.int64]) -> None:
        """Call ``work(part, bounds[part], bounds[part + 1])`` for every part, and return when all are done.

        Args:
            work: what a thread does; its parts must not write to the same memory.
            bounds: ascending, one more than there are parts; at most :attr:`size` parts.
        """
        first, *others = enumerate(itertools.pairwise(bounds.tolist()))
        futures = [self._others.submit(work, part, *ends) for part, ends in others] if self._others else []
        try:
            work(first[0], *first[1])
        finally:
            wait(futures)
        for future in futures:
            future.result()

    def shares(self, counts: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Return bounds that part the rows with these counts of work into equal shares, one a thread."""
        done = np.cumsum(counts)
        inner = np.searchsorted(done, done[-1] * np.arange(1, self.size) / self.size)
        return np.concatenate([[0], inner, [len(counts)]])
