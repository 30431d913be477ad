"""Sets of connections as sorted flat positions ``output * n_in + input``: select, sample, merge.

Memory and time are proportional to the number of connections, never to ``n_in * n_out``.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from dst.kernels.jit import kernel

Floats = npt.NDArray[np.float32]
Ints32 = npt.NDArray[np.int32]
Ints64 = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


@kernel
def flat_positions(indptr: Ints64, indices: Ints32, n_in: int) -> Ints64:
    """Return the flat position of every connection, ascending, int64 ``(nnz,)``."""
    positions = np.empty(indices.shape[0], np.int64)
    for o in range(indptr.shape[0] - 1):
        for c in range(indptr[o], indptr[o + 1]):
            positions[c] = o * n_in + indices[c]
    return positions


@kernel
def from_positions(positions: Ints64, n_in: int, n_out: int) -> tuple[Ints64, Ints32]:
    """Return ``indptr`` int64 ``(n_out + 1,)`` and ``indices`` int32 ``(nnz,)`` of ascending flat positions."""
    indptr = np.zeros(n_out + 1, np.int64)
    indices = np.empty(positions.shape[0], np.int32)
    for c in range(positions.shape[0]):
        output = positions[c] // n_in
        indptr[output + 1] += 1
        indices[c] = positions[c] - output * n_in
    for o in range(n_out):
        indptr[o + 1] += indptr[o]
    return indptr, indices


def keep_largest(scores: Floats, drop: int) -> Bools:
    """Return a mask that drops the ``drop`` smallest (finite) scores; of equal scores the first are dropped."""
    if drop == 0:
        return np.ones(scores.shape, np.bool_)
    limit = np.partition(scores, drop - 1)[drop - 1]
    keep: Bools = scores >= limit
    surplus = drop - int(np.count_nonzero(~keep))
    keep[np.flatnonzero(scores == limit)[:surplus]] = False
    return keep


@kernel
def free_positions(ranks: Ints64, occupied: Ints64) -> Ints64:
    """Map ranks among the free positions to positions.

    The r-th free position (from 0) is r plus the number of occupied positions before it; with both lists ascending
    one pass finds them all, and the free positions are never enumerated.

    Args:
        ranks: ascending, distinct, each below the number of free positions, int64.
        occupied: ascending, distinct positions, int64.
    """
    positions = np.empty(ranks.shape[0], np.int64)
    before = 0
    for r in range(ranks.shape[0]):
        while before < occupied.shape[0] and occupied[before] <= ranks[r] + before:
            before += 1
        positions[r] = ranks[r] + before
    return positions


@kernel
def merge_order(kept: Ints64, grown: Ints64) -> tuple[Ints64, Ints64]:
    """Merge two ascending, disjoint lists of positions.

    Returns:
        The merged positions, and for each of them its index in ``kept``, or -1 where it is grown.
    """
    n = kept.shape[0] + grown.shape[0]
    positions = np.empty(n, np.int64)
    origin = np.empty(n, np.int64)
    k = g = 0
    for m in range(n):
        if g == grown.shape[0] or (k < kept.shape[0] and kept[k] < grown[g]):
            positions[m] = kept[k]
            origin[m] = k
            k += 1
        else:
            positions[m] = grown[g]
            origin[m] = -1
            g += 1
    return positions, origin


def sample_ranks(rng: np.random.Generator, population: int, count: int) -> Ints64:
    """Draw ``count`` distinct integers below ``population``, uniformly over all subsets; ascending int64.

    Draws with repetition are made distinct and topped up; above half of the population the complement is drawn
    instead, so the expected number of draws stays below twice ``count`` and the loop ends quickly however full the
    layer is. Memory is proportional to ``count``.
    """
    if count > population // 2:
        left_out = sample_ranks(rng, population, population - count)
        keep = np.ones(population, np.bool_)
        keep[left_out] = False
        return np.flatnonzero(keep).astype(np.int64)
    drawn = np.empty(0, np.int64)
    while drawn.size < count:
        extra = rng.integers(0, population, count - drawn.size, dtype=np.int64)
        drawn = np.sort(np.concatenate([drawn, extra]))
        drawn = drawn[np.diff(drawn, prepend=-1) > 0]
    return drawn
