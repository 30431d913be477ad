"""Sets of connections: select, sample, move. A flat position is ``output * n_in + input``.

Memory and time are proportional to the number of connections, never to ``n_in * n_out``, but for
:func:`collect_largest`, which reads a dense gradient.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from dst.kernels.jit import kernel
from dst.kernels.simd import trailing_zeros

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


@kernel
def keep_largest(scores: Floats, drop: int) -> Bools:
    """Return a mask that drops the ``drop`` smallest scores; of equal scores the first are dropped.

    Scores are finite and not negative, so that they are ordered as their bits are: three counts of 11, 11 and 10 bits
    find the largest score that is dropped, in linear time.
    """
    keep = np.ones(scores.shape[0], np.bool_)
    if drop == 0:
        return keep
    bits = scores.view(np.uint32)
    found, known, left = np.uint32(0), np.uint32(0), drop
    for shift, width in ((21, 11), (10, 11), (0, 10)):
        counts = np.zeros(2048, np.int64)
        digits = np.uint32((1 << width) - 1)
        for k in range(bits.shape[0]):
            if bits[k] & known == found:
                counts[(bits[k] >> np.uint32(shift)) & digits] += 1
        digit = 0
        while counts[digit] < left:
            left -= counts[digit]
            digit += 1
        found |= np.uint32(digit) << np.uint32(shift)
        known |= digits << np.uint32(shift)
    for k in range(bits.shape[0]):
        if bits[k] < found:
            keep[k] = False
        elif bits[k] == found and left > 0:
            keep[k] = False
            left -= 1
    return keep


@kernel
def free_positions(ranks: Ints64, indptr: Ints64, indices: Ints32, n_in: int) -> Ints64:
    """Map ranks among the free positions of a layer to flat positions.

    The r-th free position (from 0) of an output is input r plus the number of taken inputs before it; with both lists
    ascending one pass finds them all, and the free positions are never enumerated.

    Args:
        ranks: ascending, distinct, each below the number of free positions, int64.
        indptr: of the layer.
        indices: of the layer.
        n_in: its inputs.
    """
    positions = np.empty(ranks.shape[0], np.int64)
    r = 0
    free_before = 0
    for o in range(indptr.shape[0] - 1):
        first, last = indptr[o], indptr[o + 1]
        free_until = free_before + n_in - (last - first)
        taken = 0
        while r < ranks.shape[0] and ranks[r] < free_until:
            rank = ranks[r] - free_before
            while first + taken < last and indices[first + taken] <= rank + taken:
                taken += 1
            positions[r] = o * n_in + rank + taken
            r += 1
        free_before = free_until
    return positions


@kernel
def move(
    indptr: Ints64,
    indices: Ints32,
    keep: Bools,
    grown: Ints64,
    n_in: int,
    values: Floats,
    first_moments: Floats,
    second_moments: Floats,
) -> None:
    """Replace the connections that are not kept by as many grown ones, in place.

    A kept connection takes its value and moments along; those of a grown one are zero.

    Args:
        indptr: of the layer, changed.
        indices: changed.
        keep: bool ``(nnz,)``.
        grown: ascending flat positions that are free, as many as are not kept.
        n_in: inputs of the layer.
        values: float32 ``(nnz,)``, changed.
        first_moments: float32 ``(nnz,)``, changed.
        second_moments: float32 ``(nnz,)``, changed; may be ``first_moments`` itself.
    """
    nnz = indices.shape[0]
    new_indices = np.empty(nnz, np.int32)
    new = np.zeros((3, nnz), np.float32)
    at = 0
    g = 0
    first = indptr[0]
    for o in range(indptr.shape[0] - 1):
        last = indptr[o + 1]
        k = first
        row = np.int64(o) * n_in
        while True:
            while k < last and not keep[k]:
                k += 1
            grows = g < grown.shape[0] and grown[g] - row < n_in
            if grows and (k == last or grown[g] - row < indices[k]):
                new_indices[at] = grown[g] - row
                g += 1
            elif k < last:
                new_indices[at] = indices[k]
                new[0, at] = values[k]
                new[1, at] = first_moments[k]
                new[2, at] = second_moments[k]
                k += 1
            else:
                break
            at += 1
        first = last
        indptr[o + 1] = at
    indices[:] = new_indices
    values[:] = new[0]
    first_moments[:] = new[1]
    second_moments[:] = new[2]


@kernel
def collect_largest(
    block: Floats,
    from_output: int,
    indptr: Ints64,
    indices: Ints32,
    count: int,
    scores: Floats,
    positions: Ints64,
    size: int,
) -> int:
    """Add the free positions of a block of outputs to the candidates for the ``count`` largest magnitudes.

    Candidates gather until their room is full; then only the ``count`` largest stay, and from then on what is not
    larger than the least of them is passed over.

    Args:
        block: float32 ``(outputs, n_in)``.
        from_output: the output of its first row.
        indptr: of the layer.
        indices: of the layer.
        count: how many are wanted.
        scores: float32, room for the magnitudes of candidates, at least ``2 * count``.
        positions: int64, room for their flat positions.
        size: how many candidates there are; negative: ``count`` of them, the others fall below their least.

    Returns:
        The new ``size``.
    """
    n_in = block.shape[1]
    limit = np.float32(-1)
    if size < 0:
        size = -size
        limit = scores[:count].min()
    for row in range(block.shape[0]):
        o = from_output + row
        k, last = indptr[o], indptr[o + 1]
        for i in range(n_in):
            if k < last and indices[k] == i:
                k += 1
                continue
            score = abs(block[row, i])
            if score > limit:
                if size == scores.shape[0]:
                    size = keep_candidates(scores, positions, size, count)
                    limit = scores[:size].min()
                    if score <= limit:
                        continue
                scores[size] = score
                positions[size] = np.int64(o) * n_in + i
                size += 1
    if limit >= 0 or size > count:
        size = -keep_candidates(scores, positions, size, count)
    return size


@kernel
def keep_candidates(scores: Floats, positions: Ints64, size: int, count: int) -> int:
    """Move the ``count`` candidates with the largest scores to the front, in their order; return how many there are."""
    if size <= count:
        return size
    keep = keep_largest(scores[:size], size - count)
    to = 0
    for c in range(size):
        if keep[c]:
            scores[to] = scores[c]
            positions[to] = positions[c]
            to += 1
    return to


@kernel
def _marked(population: int, count: int, seed: int) -> npt.NDArray[np.uint64]:
    """Return a bit set of ``population`` with ``count`` bits set, uniform over all subsets (SplitMix64 draws)."""
    words = np.zeros((population + 63) // 64, np.uint64)
    state = np.uint64(seed)
    one = np.uint64(1)
    left = count
    while left > 0:
        state += np.uint64(0x9E3779B97F4A7C15)
        z = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z = z ^ (z >> np.uint64(31))
        rank = np.int64(np.float64(z >> np.uint64(11)) * 2.0**-53 * population)
        bit = one << np.uint64(rank & 63)
        if words[rank >> 6] & bit == 0:
            words[rank >> 6] |= bit
            left -= 1
    return words


@kernel
def _ranks_of(words: npt.NDArray[np.uint64], population: int, count: int, inverted: bool) -> Ints64:
    """Return the numbers of the set bits (or, inverted, of the others), ascending."""
    ranks = np.empty(count, np.int64)
    at = 0
    for w in range(words.shape[0]):
        word = ~words[w] if inverted else words[w]
        while word != 0:
            rank = w * 64 + trailing_zeros(word)
            if rank >= population:
                break
            ranks[at] = rank
            at += 1
            word &= word - np.uint64(1)
    return ranks


_SPARSE_DRAW = 1024  # from here on a bit set would take more than 128 bytes for each number that is drawn


def sample_ranks(rng: np.random.Generator, population: int, count: int) -> Ints64:
    """Draw ``count`` distinct integers below ``population``, uniformly over all subsets; ascending int64.

    Numbers are drawn with repetition until enough are distinct: marked in a bit set, which gives them back in order, or
    sorted where the population is so large that the set would be. Above half of the population the complement is drawn,
    so that the expected number of draws stays below twice ``count`` however full a layer is. Memory is proportional to
    ``count``.
    """
    if population <= _SPARSE_DRAW * count:
        inverted = count > population // 2
        words = _marked(population, population - count if inverted else count, int(rng.integers(2**63)))
        return _ranks_of(words, population, count, inverted)
    drawn = np.empty(0, np.int64)
    while drawn.size < count:
        extra = rng.integers(0, population, count - drawn.size, dtype=np.int64)
        drawn = np.sort(np.concatenate([drawn, extra]))
        drawn = drawn[np.diff(drawn, prepend=-1) > 0]
    return drawn
