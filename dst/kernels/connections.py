"""Sets of connections: their places, and moving them.

A layer is stored in panels of ``tile`` inputs (:mod:`dst.kernels.linear`). All its positions, taken and free, are
numbered in the order of storage, by panel, output and input, from 0 to ``n_in * n_out - 1``: these numbers are called
places. With one panel the place is ``output * n_in + input``. The rank of a free place is how many free places lie
before it: the place less the number of connections before it.

Memory and time are proportional to the number of connections, never to ``n_in * n_out``.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from dst.kernels.jit import kernel
from dst.kernels.simd import WIDTH

Floats = npt.NDArray[np.float32]
Ints32 = npt.NDArray[np.int32]
Ints64 = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

_ZERO = np.float32(0)
_NAN = np.float32(np.nan)
_U0, _U1 = np.uintp(0), np.uintp(1)  # Numba looks whether an index is negative, unless it is unsigned
_UWIDTH = np.uintp(WIDTH)


@kernel
def places(indptr: Ints64, indices: Ints32, tile: int, n_in: int, n_out: int) -> Ints64:
    """Return the place of every connection, ascending, int64 ``(nnz,)``."""
    found = np.empty(indices.shape[0], np.int64)
    for row in range(indptr.shape[0] - 1):
        panel = row // n_out
        low = panel * tile
        start = low * n_out + (row - panel * n_out) * min(tile, n_in - low) - low
        for k in range(indptr[row], indptr[row + 1]):
            found[k] = start + indices[k]
    return found


@kernel
def from_places(found: Ints64, tile: int, n_in: int, n_out: int) -> tuple[Ints64, Ints32]:
    """Return ``indptr`` and ``indices`` of connections at ascending places."""
    n_panels = (n_in + tile - 1) // tile
    indptr = np.zeros(n_panels * n_out + 1, np.int64)
    indices = np.empty(found.shape[0], np.int32)
    for c in range(found.shape[0]):
        panel = found[c] // (tile * n_out)
        low = panel * tile
        width = min(tile, n_in - low)
        inside = found[c] - low * n_out
        output = inside // width
        indptr[panel * n_out + output + 1] += 1
        indices[c] = low + inside - output * width
    for row in range(indptr.shape[0] - 1):
        indptr[row + 1] += indptr[row]
    return indptr, indices


@kernel
def into_panels(
    indptr: Ints64, indices: Ints32, values: Floats, tile: int, n_in: int, n_out: int
) -> tuple[Ints64, Ints32, Floats]:
    """Return ``indptr``, ``indices`` and ``values`` in panels of ``tile`` inputs, given those in any others."""
    n_panels = (n_in + tile - 1) // tile
    starts = np.zeros(n_panels * n_out + 1, np.int64)
    for row in range(indptr.shape[0] - 1):
        for k in range(indptr[row], indptr[row + 1]):
            starts[indices[k] // tile * n_out + row % n_out + 1] += 1
    for row in range(starts.shape[0] - 1):
        starts[row + 1] += starts[row]
    to = starts[:-1].copy()
    new_indices, new_values = np.empty_like(indices), np.empty_like(values)
    for row in range(indptr.shape[0] - 1):  # panels come in the order of their inputs, so within a row these ascend
        for k in range(indptr[row], indptr[row + 1]):
            new_row = indices[k] // tile * n_out + row % n_out
            new_indices[to[new_row]] = indices[k]
            new_values[to[new_row]] = values[k]
            to[new_row] += 1
    return starts, new_indices, new_values


@kernel
def free_places(ranks: Ints64, indptr: Ints64, indices: Ints32, tile: int, n_in: int, n_out: int) -> Ints64:
    """Map ascending ranks among the free places of a layer to these places.

    The r-th free place of a row is column r plus the number of taken columns before it; with both lists ascending one
    pass finds them all, and the free places are never enumerated.
    """
    found = np.empty(ranks.shape[0], np.int64)
    r = 0
    for row in range(indptr.shape[0] - 1):
        panel = row // n_out
        low = panel * tile
        width = min(tile, n_in - low)
        start = low * n_out + (row - panel * n_out) * width
        first, last = indptr[row], indptr[row + 1]
        free_until = start + width - last
        taken = 0
        while r < ranks.shape[0] and ranks[r] < free_until:
            rank = ranks[r] - (start - first)
            while first + taken < last and indices[first + taken] - low <= rank + taken:
                taken += 1
            found[r] = start + rank + taken
            r += 1
    return found


@kernel
def exist(inputs: Ints64, outputs: Ints64, indptr: Ints64, indices: Ints32, tile: int, n_out: int) -> Bools:
    """Say of each pair of an input and an output whether a layer has their connection (by bisection)."""
    found = np.empty(inputs.shape[0], np.bool_)
    for pair in range(inputs.shape[0]):
        row = inputs[pair] // tile * n_out + outputs[pair]
        low, high = indptr[row], indptr[row + 1]
        while low < high:
            middle = (low + high) // 2
            if indices[middle] < inputs[pair]:
                low = middle + 1
            else:
                high = middle
        found[pair] = low < indptr[row + 1] and indices[low] == inputs[pair]
    return found


@kernel
def move(
    indptr: Ints64,
    indices: Ints32,
    keep: Bools,
    grown: Ints64,
    are_ranks: bool,
    tile: int,
    n_in: int,
    n_out: int,
    values: Floats,
    first_moments: Floats,
    second_moments: Floats,
) -> None:
    """Replace the connections that are not kept by as many grown ones, in place.

    A kept connection takes its value and moments along; those of a grown one are zero. Row by row, what is kept and
    what grows are merged into scratch of a row's length and copied to where the row goes. That may be once nothing of
    other rows is left there: a row waits for the next one where that moves to the right.

    Args:
        indptr: of the layer, changed.
        indices: changed.
        keep: bool ``(nnz,)``.
        grown: ascending free places, as many as are not kept.
        are_ranks: whether they are given by their ranks among the free places.
        tile: inputs of a panel.
        n_in: inputs of the layer.
        n_out: outputs of the layer.
        values: float32 ``(nnz,)``, changed.
        first_moments: float32 ``(nnz,)``, changed.
        second_moments: float32 ``(nnz,)``, changed; may be ``first_moments`` itself.
    """
    n_rows = indptr.shape[0] - 1
    before = int(are_ranks)  # a free place is its rank and the number of connections before it
    moved = np.zeros(n_rows + 1, np.int64)
    growth = np.zeros(n_rows + 1, np.int64)
    g, longest = _U0, 0
    for row in range(n_rows):
        panel = row // n_out
        width = min(tile, n_in - panel * tile)
        until = panel * tile * n_out + (row - panel * n_out + 1) * width - before * indptr[row + 1]
        while g < grown.shape[0] and grown[g] < until:
            g += _U1
        growth[row + 1] = g
        count = growth[row + 1] - growth[row]
        for c in range(np.uintp(indptr[row]), np.uintp(indptr[row + 1])):
            count += int(keep[c])
        moved[row + 1] = moved[row] + count
        longest = max(longest, count)
    new_indices = np.empty(longest + 1, np.int32)
    new_values = np.empty(longest + 1, np.float32)
    new_first = np.empty(longest + 1, np.float32)
    new_second = np.empty(longest + 1, np.float32)
    next_row = 0
    while next_row < n_rows:
        from_row = next_row
        while next_row + 1 < n_rows and moved[next_row + 1] > indptr[next_row + 1]:
            next_row += 1
        for row in range(next_row, from_row - 1, -1):
            panel = row // n_out
            low = panel * tile
            first, last = np.uintp(indptr[row]), np.uintp(indptr[row + 1])
            offset = low - low * n_out - (row - panel * n_out) * min(tile, n_in - low)
            k, to = first, _U0
            g, g_end = np.uintp(growth[row]), np.uintp(growth[row + 1])
            while k < last and g < g_end:  # without a branch that chance decides
                column = grown[g] + offset + before * np.intp(k)
                beyond = np.intp(indices[k]) - column
                old = np.uintp(beyond <= 0)
                factor = np.float32(old)
                new_indices[to] = column + np.intp(old) * beyond
                new_values[to] = factor * values[k]
                new_first[to] = factor * first_moments[k]
                new_second[to] = factor * second_moments[k]
                to += (np.uintp(keep[k]) & old) + (_U1 - old)
                k += old
                g += _U1 - old
            while k < last:
                new_indices[to] = indices[k]
                new_values[to] = values[k]
                new_first[to] = first_moments[k]
                new_second[to] = second_moments[k]
                to += np.uintp(keep[k])
                k += _U1
            while g < g_end:
                new_indices[to] = grown[g] + offset + before * np.intp(last)
                new_values[to] = _ZERO
                new_first[to] = _ZERO
                new_second[to] = _ZERO
                to += _U1
                g += _U1
            start = np.uintp(moved[row])
            for c in range(to):
                indices[start + c] = new_indices[c]
                values[start + c] = new_values[c]
                first_moments[start + c] = new_first[c]
                second_moments[start + c] = new_second[c]
        next_row += 1
    indptr[:] = moved
