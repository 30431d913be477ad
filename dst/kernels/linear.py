"""The products of a sparse linear layer ``Y = W X + b``.

Everything is feature-major: a matrix of activations has one row a feature and one column a sample of the batch, so
that a connection touches two contiguous rows and the batch fills the vector registers.

W of shape ``(n_out, n_in)`` is stored in panels: panel p holds the connections from inputs ``p * tile`` to
``(p + 1) * tile``, and within it connections are ordered by output, then by input. Going through all outputs panel by
panel keeps the activations of a tile in the cache, and all arrays are read from front to back. With one panel this is
CSR.

- ``indptr`` int64 ``(n_panels * n_out + 1,)``: the connections from panel p to output o begin at ``[p * n_out + o]``
- ``indices`` int32 ``(nnz,)``: the input of each
- ``values`` float32 ``(nnz,)``

Every matrix must be C-contiguous float32 with a number of columns that is a multiple of the length of ``lanes``
vectors (:mod:`dst.kernels.rows`; pad with zeros: columns whose output gradient is zero add nothing to any result).
Kernels write into arrays that the caller owns and allocate nothing. Those that take a range of outputs or inputs write
nothing that belongs to others, and their results do not depend on the range: threads may share out a layer.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from dst.kernels.jit import kernel
from dst.kernels.rows import row_add, row_dot, row_fma, row_load, row_splat, row_store, row_where_positive
from dst.kernels.simd import WIDTH, vadd, vload, vsplat, vstore_sums, vsum

Floats = npt.NDArray[np.float32]
Ints32 = npt.NDArray[np.int32]
Ints64 = npt.NDArray[np.int64]
Lanes = tuple[int, ...]

_ZERO = np.float32(0)
# Numba looks at each use of an index whether it is negative, unless it is unsigned.
_U1, _U2, _U3, _U4 = np.uintp(1), np.uintp(2), np.uintp(3), np.uintp(4)


def aligned(shape: tuple[int, int]) -> Floats:
    """Return an uninitialised C-contiguous float32 matrix that begins at a multiple of 64 bytes.

    With a batch that fills whole cache lines no vector straddles two of them, which would cost a third of the speed.
    """
    line = 64 // 4
    memory = np.empty(shape[0] * shape[1] + line, np.float32)
    start = -(memory.ctypes.data // 4) % line
    return memory[start : start + shape[0] * shape[1]].reshape(shape)


def tile_inputs(n_in: int, n_out: int, nnz: int, batch: int) -> int:
    """Return how many inputs make a panel: as many as fit a cache, as long as the panels keep the loops long.

    The activations of a tile should fill a small part of the second-level cache (64 KB), or more of it; the smallest
    wins whose panels hold at least 80 vector operations an output on average. A panel costs a load and a store of the
    output row, so shorter loops lose more than the cache gains.
    """
    for cache_bytes in (2**16, 2**17, 2**18, 2**19):
        tile = max(1, cache_bytes // (4 * batch))
        if tile >= n_in:
            break
        if nnz / n_out * tile / n_in * batch / WIDTH >= 80:
            return tile
    return n_in


@kernel
def gather(table: Floats, rows: Ints64, out: Floats) -> None:
    """Write the samples ``rows`` of a table ``(n_samples, n_features)`` to ``out`` ``(n_features, >= len(rows))``.

    Columns of ``out`` beyond ``len(rows)`` become zero. A cache line of each sample is read at a time, and what it is
    written to stays in the first-level cache.
    """
    n_features = np.uintp(table.shape[1])
    step = np.uintp(WIDTH)
    for first in range(np.uintp(0), n_features, step):
        last = min(first + step, n_features)
        for j in range(np.uintp(rows.shape[0])):
            row = np.uintp(rows[j])
            for i in range(first, last):
                out[i, j] = table[row, i]
        for i in range(first, last):
            for j in range(np.uintp(rows.shape[0]), np.uintp(out.shape[1])):
                out[i, j] = _ZERO


@kernel
def gather_sparse(indptr: Ints64, indices: Ints32, values: Floats, rows: Ints64, out: Floats) -> None:
    """Write the samples ``rows`` of a CSR table to ``out`` ``(n_features, >= len(rows))``, dense.

    ``indptr`` ``(n_samples + 1,)`` says where each sample's ``indices`` (features) and ``values`` begin. Columns of
    ``out`` beyond ``len(rows)`` become zero.
    """
    out[:] = _ZERO
    for j in range(rows.shape[0]):
        for k in range(indptr[rows[j]], indptr[rows[j] + 1]):
            out[indices[k], j] = values[k]


@kernel
def forward(
    indptr: Ints64,
    indices: Ints32,
    values: Floats,
    bias: Floats,
    x: Floats,
    y: Floats,
    relu: bool,
    from_output: int,
    to_output: int,
    lanes: Lanes,
) -> None:
    """Write ``W x + b``, or ``max(W x + b, 0)``, to some rows of ``y``.

    ``x`` is ``(n_in, batch)``, ``y`` is ``(n_out, batch)``.
    A row of ``y`` stays in registers over all connections of a panel. Four or more vectors keep as many multiplications
    under way; with fewer, two connections at a time have sums of their own.
    """
    batch = np.intp(x.shape[1])
    n_out = y.shape[0]
    n_panels = (indptr.shape[0] - 1) // n_out
    for panel in range(n_panels):
        for o in range(from_output, to_output):
            first, last = np.uintp(indptr[panel * n_out + o]), np.uintp(indptr[panel * n_out + o + 1])
            for column in range(0, batch, WIDTH * len(lanes)):
                to = o * batch + column
                total = row_splat(bias[o], lanes) if panel == 0 else row_load(y, to, lanes)
                if len(lanes) >= 4:
                    for k in range(first, last):
                        total = row_fma(values[k], row_load(x, np.intp(indices[k]) * batch + column, lanes), total)
                else:
                    other = row_splat(_ZERO, lanes)
                    pairs = first + ((last - first) & ~_U1)
                    for k in range(first, pairs, _U2):
                        total = row_fma(values[k], row_load(x, np.intp(indices[k]) * batch + column, lanes), total)
                        at = np.intp(indices[k + _U1]) * batch + column
                        other = row_fma(values[k + _U1], row_load(x, at, lanes), other)
                    if pairs < last:
                        at = np.intp(indices[pairs]) * batch + column
                        total = row_fma(values[pairs], row_load(x, at, lanes), total)
                    total = row_add(total, other)
                if relu and panel == n_panels - 1:
                    total = row_where_positive(total, total)
                row_store(y, to, total)


@kernel
def row_sums(dy: Floats, sums: Floats) -> None:
    """Write the sum of each row of ``dy`` ``(n_out, batch)`` to ``sums``: the loss gradient of the biases."""
    batch = np.intp(dy.shape[1])
    for o in range(dy.shape[0]):
        total = vsplat(_ZERO)
        for column in range(0, batch, WIDTH):
            total = vadd(total, vload(dy, o * batch + column))
        sums[o] = vsum(total)


@kernel
def weight_gradient(
    indptr: Ints64,
    indices: Ints32,
    x: Floats,
    dy: Floats,
    from_row: int,
    to_row: int,
    dvalues: Floats,
    lanes: Lanes,
) -> None:
    """Write the loss gradient of the connections of some rows, given activations ``x`` and output gradient ``dy``.

    ``dvalues[k - k0] = sum_j dy[o, j] x[i, j]`` for connection ``k`` from input ``i`` to output ``o``, in the rows
    ``from_row`` to ``to_row`` of ``indptr``, ``k0`` being the first of these connections. The row of ``dy`` stays in
    registers; four connections at a time share the summing up.
    """
    batch = np.intp(x.shape[1])
    n_out = dy.shape[0]
    offset = indptr[from_row]
    for row in range(from_row, to_row):
        first, last = np.uintp(indptr[row]), np.uintp(indptr[row + 1])
        fours = first + ((last - first) & ~_U3)
        for column in range(0, batch, WIDTH * len(lanes)):
            gradient = row_load(dy, np.intp(row % n_out) * batch + column, lanes)
            for k in range(first, fours, _U4):
                a = row_dot(gradient, row_load(x, np.intp(indices[k]) * batch + column, lanes))
                b = row_dot(gradient, row_load(x, np.intp(indices[k + _U1]) * batch + column, lanes))
                c = row_dot(gradient, row_load(x, np.intp(indices[k + _U2]) * batch + column, lanes))
                d = row_dot(gradient, row_load(x, np.intp(indices[k + _U3]) * batch + column, lanes))
                at = np.intp(k) - offset
                if column == 0:
                    vstore_sums(dvalues, at, a, b, c, d)
                else:
                    before0, before1, before2, before3 = dvalues[at], dvalues[at + 1], dvalues[at + 2], dvalues[at + 3]
                    vstore_sums(dvalues, at, a, b, c, d)
                    dvalues[at] += before0
                    dvalues[at + 1] += before1
                    dvalues[at + 2] += before2
                    dvalues[at + 3] += before3
            for k in range(fours, last):
                dot = vsum(row_dot(gradient, row_load(x, np.intp(indices[k]) * batch + column, lanes)))
                at = np.intp(k) - offset
                dvalues[at] = dot if column == 0 else dvalues[at] + dot


@kernel
def both_gradients(
    starts: Ints64,
    outputs: Ints32,
    slots: Ints32,
    values: Floats,
    x: Floats,
    dy: Floats,
    dx: Floats,
    dvalues: Floats,
    sums: Floats,
    scale: float,
    from_input: int,
    to_input: int,
    lanes: Lanes,
) -> None:
    """Write the loss gradients of the connections that leave some inputs, and of these inputs.

    One load of a row of ``dy`` serves both, and the rows of ``x`` and ``dx`` stay in registers; this needs the
    connections in the order of their inputs as well (:func:`by_input`). ``dx`` is zero where ``x`` is: the input is the
    output of a ReLU, whose mask is applied here.

    Args:
        starts: int64 ``(n_in + 1,)``: where each input's connections begin in the two lists below.
        outputs: int32 ``(nnz,)``: the output of each connection.
        slots: int32 ``(nnz,)``: its place in ``values``.
        values: float32 ``(nnz,)``.
        x: input of the layer ``(n_in, batch)``, not negative.
        dy: gradient of its output ``(n_out, batch)``.
        dx: written, ``(n_in, batch)``.
        dvalues: written, float32 ``(nnz,)``, in the order of ``values``.
        sums: scratch, float32 ``(4,)``.
        scale: ``dx`` is multiplied by it: what dropout multiplied the values with that it kept, else 1.
        from_input: the first of the inputs.
        to_input: the one behind the last.
        lanes: the type of a row of activations (:func:`dst.kernels.rows.lanes`).
    """
    batch = np.intp(x.shape[1])
    factor = np.float32(scale)
    for i in range(from_input, to_input):
        first, last = np.uintp(starts[i]), np.uintp(starts[i + 1])
        fours = first + ((last - first) & ~_U3)
        for column in range(0, batch, WIDTH * len(lanes)):
            at = i * batch + column
            activation = row_load(x, at, lanes)
            total = row_splat(_ZERO, lanes)
            for k in range(first, fours, _U4):
                slot0, slot1 = np.uintp(slots[k]), np.uintp(slots[k + _U1])
                slot2, slot3 = np.uintp(slots[k + _U2]), np.uintp(slots[k + _U3])
                gradient = row_load(dy, np.intp(outputs[k]) * batch + column, lanes)
                total = row_fma(values[slot0], gradient, total)
                a = row_dot(activation, gradient)
                gradient = row_load(dy, np.intp(outputs[k + _U1]) * batch + column, lanes)
                total = row_fma(values[slot1], gradient, total)
                b = row_dot(activation, gradient)
                gradient = row_load(dy, np.intp(outputs[k + _U2]) * batch + column, lanes)
                total = row_fma(values[slot2], gradient, total)
                c = row_dot(activation, gradient)
                gradient = row_load(dy, np.intp(outputs[k + _U3]) * batch + column, lanes)
                total = row_fma(values[slot3], gradient, total)
                d = row_dot(activation, gradient)
                vstore_sums(sums, 0, a, b, c, d)
                if column == 0:
                    dvalues[slot0], dvalues[slot1], dvalues[slot2], dvalues[slot3] = sums[0], sums[1], sums[2], sums[3]
                else:
                    dvalues[slot0] += sums[0]
                    dvalues[slot1] += sums[1]
                    dvalues[slot2] += sums[2]
                    dvalues[slot3] += sums[3]
            for k in range(fours, last):
                slot0 = np.uintp(slots[k])
                gradient = row_load(dy, np.intp(outputs[k]) * batch + column, lanes)
                total = row_fma(values[slot0], gradient, total)
                dot = vsum(row_dot(activation, gradient))
                dvalues[slot0] = dot if column == 0 else dvalues[slot0] + dot
            total = row_fma(factor, total, row_splat(_ZERO, lanes))
            row_store(dx, at, row_where_positive(activation, total))


@kernel
def by_input(indptr: Ints64, indices: Ints32, n_in: int, n_out: int) -> tuple[Ints64, Ints32, Ints32]:
    """Return ``starts``, ``outputs`` and ``slots`` of :func:`both_gradients`: the connections by their inputs."""
    starts = np.zeros(n_in + 1, np.int64)
    for k in range(indices.shape[0]):
        starts[indices[k] + 1] += 1
    for i in range(n_in):
        starts[i + 1] += starts[i]
    outputs = np.empty(indices.shape[0], np.int32)
    slots = np.empty(indices.shape[0], np.int32)
    to = starts[:-1].copy()
    for row in range(indptr.shape[0] - 1):
        o = row % n_out
        for k in range(indptr[row], indptr[row + 1]):
            at = to[indices[k]]
            outputs[at] = o
            slots[at] = k
            to[indices[k]] = at + 1
    return starts, outputs, slots


@kernel
def input_gradient(indptr: Ints64, indices: Ints32, values: Floats, dy: Floats, dx: Floats, lanes: Lanes) -> None:
    """Write ``transpose(W) dy`` to ``dx``: ``dy`` is ``(n_out, batch)``, ``dx`` is ``(n_in, batch)``."""
    batch = np.intp(dy.shape[1])
    n_out = dy.shape[0]
    dx[:] = _ZERO
    for row in range(indptr.shape[0] - 1):
        for column in range(0, batch, WIDTH * len(lanes)):
            gradient = row_load(dy, np.intp(row % n_out) * batch + column, lanes)
            for k in range(np.uintp(indptr[row]), np.uintp(indptr[row + 1])):
                at = np.intp(indices[k]) * batch + column
                row_store(dx, at, row_fma(values[k], gradient, row_load(dx, at, lanes)))


@kernel
def input_strength(indices: Ints32, values: Floats, n_in: int) -> npt.NDArray[np.float64]:
    """Return the sum of ``|w|`` over the connections that leave each input, float64 ``(n_in,)``."""
    strength = np.zeros(n_in, np.float64)
    for c in range(indices.shape[0]):
        strength[indices[c]] += abs(values[c])
    return strength
