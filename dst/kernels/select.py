"""Selection of the largest scores, and uniform samples of places.

Places and their ranks are those of :mod:`dst.kernels.connections`. Memory and time are proportional to what is
scored or drawn.
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

_NAN = np.float32(np.nan)
_U0, _U1 = np.uintp(0), np.uintp(1)  # Numba looks whether an index is negative, unless it is unsigned
_UWIDTH = np.uintp(WIDTH)


@kernel
def keep_largest(scores: Floats, drop: int) -> Bools:
    """Return a mask that drops the ``drop`` smallest scores; of equal scores the first are dropped.

    Scores are not negative, so that they are ordered as their bits are. A count of the leading 11 bits leaves the few
    among which the largest score that is dropped lies; counts of the other bits find it, in linear time.

    Raises:
        FloatingPointError: a score is not finite.
    """
    bits = scores.view(np.uint32)
    counts = np.zeros((2, 1024), np.int32)  # two, since equal digits in a row would wait for one another
    for k in range(0, bits.shape[0] - 1, 2):
        counts[0, bits[k] >> np.uint32(21)] += 1
        counts[1, bits[k + 1] >> np.uint32(21)] += 1
    if bits.shape[0] % 2 == 1:
        counts[0, bits[bits.shape[0] - 1] >> np.uint32(21)] += 1
    for digit in range(1020, 1024):  # all bits of the exponent are set
        if counts[0, digit] + counts[1, digit] > 0:
            raise FloatingPointError("scores must be finite")
    if drop == 0:
        return np.ones(scores.shape[0], np.bool_)
    left, digit = drop, 0
    while counts[0, digit] + counts[1, digit] < left:
        left -= counts[0, digit] + counts[1, digit]
        digit += 1
    candidates = np.empty(counts[0, digit] + counts[1, digit] + 1, np.uint32)
    size = _U0
    for k in range(bits.shape[0]):
        candidates[size] = bits[k]
        size += np.uintp(bits[k] >> np.uint32(21) == digit)
    found, known = np.uint32(digit) << np.uint32(21), np.uint32(0x7FF) << np.uint32(21)
    equal = 0
    for shift, width in ((10, 11), (0, 10)):
        some = np.zeros(2048, np.int64)
        digits = np.uint32((1 << width) - 1)
        for c in range(size):
            if candidates[c] & known == found:
                some[(candidates[c] >> np.uint32(shift)) & digits] += 1
        digit = 0
        while some[digit] < left:
            left -= some[digit]
            digit += 1
        equal = some[digit]
        found |= np.uint32(digit) << np.uint32(shift)
        known |= digits << np.uint32(shift)
    keep = bits > found
    if left < equal:  # more have the score at the border than are dropped: the first ones are
        for k in range(bits.shape[0]):
            if bits[k] == found:
                keep[k] = left <= 0
                left -= 1
    return keep


@kernel
def collect_largest(
    block: Floats,
    from_row: int,
    low: int,
    first_place: int,
    indptr: Ints64,
    indices: Ints32,
    count: int,
    scores: Floats,
    found: Ints64,
    size: int,
    limit: float,
) -> tuple[int, float]:
    """Add the free places of some rows of a panel to the candidates for the ``count`` largest magnitudes.

    What is not above ``limit`` is passed over, 16 at a time where that settles it. When the room is full, only the
    ``count`` largest candidates stay, and the least of them becomes the limit.

    Args:
        block: float32 ``(rows, inputs of the panel)``, C order; overwritten where there are connections.
        from_row: the first of the rows in ``indptr``.
        low: the panel's first input.
        first_place: the place of ``block[0, 0]``.
        indptr: of the layer.
        indices: of the layer.
        count: how many are wanted, at least 1.
        scores: float32, room for the magnitudes of candidates, at least ``count + 16``.
        found: int64, room for their places.
        size: how many candidates there are.
        limit: magnitudes up to this one cannot be among the largest.

    Returns:
        The new ``size`` and ``limit``. A gradient that is not a number is no candidate.

    Raises:
        FloatingPointError: a candidate is infinite.
    """
    width, room = np.uintp(block.shape[1]), np.uintp(scores.shape[0])
    bound = np.float32(limit)
    filled = np.uintp(size)
    for row in range(np.uintp(block.shape[0])):
        connections = np.uintp(from_row) + row
        for k in range(np.uintp(indptr[connections]), np.uintp(indptr[connections + _U1])):
            block[row, np.uintp(indices[k] - low)] = _NAN  # which is above nothing
        place = first_place + np.intp(row * width)
        for i in range(_U0, width, _UWIDTH):
            until = min(i + _UWIDTH, width)
            if until == i + _UWIDTH and not vany_above(block, np.intp(row * width + i), bound):
                continue
            if filled + _UWIDTH > room:
                filled = np.uintp(keep_candidates(scores, found, int(np.intp(filled)), count))
                bound = scores[:filled].min()
            for column in range(i, until):
                score = abs(block[row, column])
                scores[filled] = score
                found[filled] = place + np.intp(column)
                filled += np.uintp(score > bound)
    return int(np.intp(filled)), float(bound)


@kernel
def keep_candidates(scores: Floats, found: Ints64, size: int, count: int) -> int:
    """Move the ``count`` candidates with the largest scores to the front, in their order; return how many there are."""
    if size <= count:
        return size
    keep = keep_largest(scores[:size], size - count)
    to = _U0
    for c in range(size):
        scores[to] = scores[c]
        found[to] = found[c]
        to += np.uintp(keep[c])
    return int(np.intp(to))


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
        left -= int(words[rank >> 6] & bit == 0)
        words[rank >> 6] |= bit
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
