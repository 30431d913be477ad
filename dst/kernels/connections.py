"""Sets of connections: select, sample, move. A flat position is ``output * n_in + input``.

Memory and time are proportional to the number of connections, never to ``n_in * n_out``, but for
:func:`collect_largest`, which reads a dense gradient.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from dst.kernels.jit import kernel
from dst.kernels.simd import WIDTH, trailing_zeros, vany_above

Floats = npt.NDArray[np.float32]
Ints32 = npt.NDArray[np.int32]
Ints64 = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

_ZERO = np.float32(0)


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
    n_out = indptr.shape[0] - 1
    first = indptr[0]
    to = 0
    for o in range(n_out):  # what is kept closes up at the front, without a branch that chance decides
        last = indptr[o + 1]
        indptr[o] = to
        for k in range(first, last):
            indices[to] = indices[k]
            values[to] = values[k]
            first_moments[to] = first_moments[k]
            second_moments[to] = second_moments[k]
            to += int(keep[k])
        first = last
    k, g, at = to - 1, grown.shape[0] - 1, indices.shape[0] - 1
    for o in range(n_out - 1, -1, -1):  # and is merged with what grows from the back, so that nothing is overwritten
        row = np.int64(o) * n_in
        end = at + 1
        while g >= 0 and grown[g] >= row:
            column = grown[g] - row
            if k < indptr[o]:
                indices[at] = column
                values[at] = _ZERO
                first_moments[at] = _ZERO
                second_moments[at] = _ZERO
                g -= 1
                at -= 1
                continue
            kept = int(indices[k] > column)
            factor = np.float32(kept)
            indices[at] = column + kept * (indices[k] - column)
            values[at] = factor * values[k]
            first_moments[at] = factor * first_moments[k]
            second_moments[at] = factor * second_moments[k]
            k -= kept
            g -= 1 - kept
            at -= 1
        while k >= indptr[o]:
            indices[at] = indices[k]
            values[at] = values[k]
            first_moments[at] = first_moments[k]
            second_moments[at] = second_moments[k]
            k -= 1
            at -= 1
        if o + 1 < n_out:
            indptr[o + 1] = end
    indptr[n_out] = indices.shape[0]


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
    limit: float,
) -> tuple[int, float]:
    """Add the free positions of a block of outputs to the candidates for the ``count`` largest magnitudes.

    What is not above ``limit`` is passed over, 16 at a time where that settles it. When the room is full, only the
    ``count`` largest candidates stay, and the least of them becomes the limit.

    Args:
        block: float32 ``(outputs, n_in)``, C order.
        from_output: the output of its first row.
        indptr: of the layer.
        indices: of the layer.
        count: how many are wanted, at least 1.
        scores: float32, room for the magnitudes of candidates, more than ``count``.
        positions: int64, room for their flat positions.
        size: how many candidates there are.
        limit: magnitudes up to this one cannot be among the largest.

    Returns:
        The new ``size`` and ``limit``.
    """
    n_in = block.shape[1]
    bound = np.float32(limit)
    for row in range(block.shape[0]):
        o = from_output + row
        k, last = indptr[o], indptr[o + 1]
        i = 0
        while i < n_in:
            until = i + WIDTH
            if until > n_in:
                until = n_in
            elif not vany_above(block, row * n_in + i, bound):
                i = until
                continue
            while k < last and indices[k] < i:
                k += 1
            while i < until:
                score = abs(block[row, i])
                if k < last and indices[k] == i:
                    k += 1
                elif score > bound:
                    if size == scores.shape[0]:
                        size = keep_candidates(scores, positions, size, count)
                        bound = scores[:size].min()
                    if score > bound:
                        scores[size] = score
                        positions[size] = np.int64(o) * n_in + i
                        size += 1
                i += 1
    return size, float(bound)


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
