"""The products of a sparse linear layer ``Y = W X + b``.

Everything is feature-major: a matrix of activations has one row a feature and one column a sample of the batch, so
that a connection touches two contiguous rows and the batch fills the vector registers. W of shape ``(n_out, n_in)`` is
CSR by output neuron: ``indptr`` int64 ``(n_out + 1,)``, ``indices`` int32 ``(nnz,)`` sorted within each row, ``values``
float32 ``(nnz,)``.

Every matrix must be C-contiguous float32 with a number of columns that is a multiple of :data:`dst.kernels.simd.WIDTH`
(pad with zeros: columns whose output gradient is zero add nothing to any result). Kernels write into arrays that the
caller owns and allocate nothing.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from dst.kernels.jit import kernel
from dst.kernels.simd import (
    WIDTH,
    vadd,
    vfma,
    vload,
    vmul,
    vsplat,
    vstore,
    vstore_sums,
    vsum,
    vwhere_positive,
)

Floats = npt.NDArray[np.float32]
Ints32 = npt.NDArray[np.int32]
Ints64 = npt.NDArray[np.int64]

_ZERO = np.float32(0)


def padded(columns: int) -> int:
    """Return the smallest multiple of the vector width that is at least ``columns``."""
    return -(-columns // WIDTH) * WIDTH


def aligned(shape: tuple[int, int]) -> Floats:
    """Return an uninitialised C-contiguous float32 matrix that begins at a multiple of 64 bytes.

    With a batch that fills whole cache lines no vector straddles two of them, which would cost a third of the speed.
    """
    line = 64 // 4
    memory = np.empty(shape[0] * shape[1] + line, np.float32)
    start = -(memory.ctypes.data // 4) % line
    return memory[start : start + shape[0] * shape[1]].reshape(shape)


def tile_inputs(n_in: int, n_out: int, nnz: int, batch: int) -> int:
    """Return how many inputs make a tile: as many as fit a cache, as long as the tiles keep the loops long.

    A tile's activations should fill the first-level cache (32 KB), a part of the second (128 KB) or all of it (512 KB);
    the smallest wins whose segments hold at least 192 vector operations on average. A tile costs a load and a store of
    the output row, so shorter segments lose more than the cache gains.
    """
    for cache_bytes in (2**15, 2**17, 2**19):
        tile = max(1, cache_bytes // (4 * batch))
        if tile >= n_in:
            break
        if nnz / n_out * tile / n_in * batch / WIDTH >= 192:
            return tile
    return n_in


@kernel
def gather(table: Floats, rows: Ints64, out: Floats) -> None:
    """Write the samples ``rows`` of a feature-major table ``(n, n_samples)`` to ``out`` ``(n, >= len(rows))``.

    Columns of ``out`` beyond ``len(rows)`` become zero.
    """
    for i in range(table.shape[0]):
        for j in range(rows.shape[0]):
            out[i, j] = table[i, rows[j]]
        for j in range(rows.shape[0], out.shape[1]):
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
    segments: Ints64,
    n_tiles: int,
    indices: Ints32,
    values: Floats,
    bias: Floats,
    x: Floats,
    y: Floats,
    relu: bool,
) -> None:
    """Write ``W x + b``, or ``max(W x + b, 0)``, to ``y``: ``x`` is ``(n_in, batch)``, ``y`` is ``(n_out, batch)``.

    Four sums at a time stay in registers over all connections of a segment (:func:`tile_segments`; ``indptr`` and 1 for
    a layer that is not tiled), so that four multiplications are under way at once: those of four vectors of the batch
    with one connection while there are as many, then of two vectors with two, then of one with four.
    """
    batch = np.intp(x.shape[1])
    zero = vsplat(_ZERO)
    for tile in range(n_tiles):
        opening, closing = tile == 0, relu and tile == n_tiles - 1
        for o in range(y.shape[0]):
            first, last = segments[o * n_tiles + tile], segments[o * n_tiles + tile + 1]
            start = vsplat(bias[o])
            to = o * batch
            column = np.intp(0)
            while column + 4 * WIDTH <= batch:
                if opening:
                    a, b, c, d = start, start, start, start
                else:
                    a, b = vload(y, to + column), vload(y, to + column + WIDTH)
                    c, d = vload(y, to + column + 2 * WIDTH), vload(y, to + column + 3 * WIDTH)
                for k in range(first, last):
                    weight = vsplat(values[k])
                    at = np.intp(indices[k]) * batch + column
                    a = vfma(weight, vload(x, at), a)
                    b = vfma(weight, vload(x, at + WIDTH), b)
                    c = vfma(weight, vload(x, at + 2 * WIDTH), c)
                    d = vfma(weight, vload(x, at + 3 * WIDTH), d)
                if closing:
                    a, b = vwhere_positive(a, a), vwhere_positive(b, b)
                    c, d = vwhere_positive(c, c), vwhere_positive(d, d)
                vstore(y, to + column, a)
                vstore(y, to + column + WIDTH, b)
                vstore(y, to + column + 2 * WIDTH, c)
                vstore(y, to + column + 3 * WIDTH, d)
                column += 4 * WIDTH
            while column + 2 * WIDTH <= batch:
                if opening:
                    a, b = start, start
                else:
                    a, b = vload(y, to + column), vload(y, to + column + WIDTH)
                c, d = zero, zero
                pairs = first + (last - first) // 2 * 2
                for k in range(first, pairs, 2):
                    weight, other = vsplat(values[k]), vsplat(values[k + 1])
                    at, beside = np.intp(indices[k]) * batch + column, np.intp(indices[k + 1]) * batch + column
                    a, b = vfma(weight, vload(x, at), a), vfma(weight, vload(x, at + WIDTH), b)
                    c, d = vfma(other, vload(x, beside), c), vfma(other, vload(x, beside + WIDTH), d)
                if pairs < last:
                    weight = vsplat(values[pairs])
                    at = np.intp(indices[pairs]) * batch + column
                    a, b = vfma(weight, vload(x, at), a), vfma(weight, vload(x, at + WIDTH), b)
                a, b = vadd(a, c), vadd(b, d)
                if closing:
                    a, b = vwhere_positive(a, a), vwhere_positive(b, b)
                vstore(y, to + column, a)
                vstore(y, to + column + WIDTH, b)
                column += 2 * WIDTH
            if column < batch:
                a = start if opening else vload(y, to + column)
                b, c, d = zero, zero, zero
                fours = first + (last - first) // 4 * 4
                for k in range(first, fours, 4):
                    a = vfma(vsplat(values[k]), vload(x, np.intp(indices[k]) * batch + column), a)
                    b = vfma(vsplat(values[k + 1]), vload(x, np.intp(indices[k + 1]) * batch + column), b)
                    c = vfma(vsplat(values[k + 2]), vload(x, np.intp(indices[k + 2]) * batch + column), c)
                    d = vfma(vsplat(values[k + 3]), vload(x, np.intp(indices[k + 3]) * batch + column), d)
                for k in range(fours, last):
                    a = vfma(vsplat(values[k]), vload(x, np.intp(indices[k]) * batch + column), a)
                a = vadd(vadd(a, b), vadd(c, d))
                if closing:
                    a = vwhere_positive(a, a)
                vstore(y, to + column, a)


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
    segments: Ints64,
    n_tiles: int,
    indices: Ints32,
    x: Floats,
    dy: Floats,
    from_output: int,
    to_output: int,
    dvalues: Floats,
) -> None:
    """Write the loss gradient of the connections of some outputs, given activations ``x`` and output gradient ``dy``.

    ``dvalues[k - k0] = sum_j dy[o, j] x[i, j]`` for connection ``k`` from input ``i`` to output ``o``, with
    ``from_output <= o < to_output`` and ``k0`` the first of these connections. Connections are taken four at a time:
    they share the loads of ``dy`` and the summing up.
    """
    batch = np.intp(x.shape[1])
    offset = segments[from_output * n_tiles]
    zero = vsplat(_ZERO)
    for tile in range(n_tiles):
        for o in range(from_output, to_output):
            first, last = segments[o * n_tiles + tile], segments[o * n_tiles + tile + 1]
            row = o * batch
            fours = first + (last - first) // 4 * 4
            for k in range(first, fours, 4):
                at0 = np.intp(indices[k]) * batch
                at1 = np.intp(indices[k + 1]) * batch
                at2 = np.intp(indices[k + 2]) * batch
                at3 = np.intp(indices[k + 3]) * batch
                a, b, c, d = zero, zero, zero, zero
                for column in range(0, batch, WIDTH):
                    gradient = vload(dy, row + column)
                    a = vfma(gradient, vload(x, at0 + column), a)
                    b = vfma(gradient, vload(x, at1 + column), b)
                    c = vfma(gradient, vload(x, at2 + column), c)
                    d = vfma(gradient, vload(x, at3 + column), d)
                vstore_sums(dvalues, k - offset, a, b, c, d)
            for k in range(fours, last):
                at0 = np.intp(indices[k]) * batch
                a = zero
                for column in range(0, batch, WIDTH):
                    a = vfma(vload(dy, row + column), vload(x, at0 + column), a)
                dvalues[k - offset] = vsum(a)


@kernel
def tile_segments(indptr: Ints64, indices: Ints32, tile: int, n_tiles: int) -> Ints64:
    """Return where the connections from each tile of inputs to each output begin, int64 ``(n_out * n_tiles + 1,)``.

    Inputs ``t * tile .. (t + 1) * tile`` are tile t; ``[o * n_tiles + t]`` is its first connection to output o. As
    indices ascend within an output, a segment is a run of connections. Going through all outputs tile by tile keeps the
    tile's activations in the cache.
    """
    n_out = indptr.shape[0] - 1
    segments = np.empty(n_out * n_tiles + 1, np.int64)
    for o in range(n_out):
        k = indptr[o]
        for t in range(n_tiles):
            segments[o * n_tiles + t] = k
            while k < indptr[o + 1] and indices[k] < (t + 1) * tile:
                k += 1
    segments[n_out * n_tiles] = indptr[n_out]
    return segments


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
) -> None:
    """Write the loss gradients of a layer's connections and of its input, by input neuron.

    One load of ``dy`` serves both, and four connections share a load and a store of ``dx``; this needs the connections
    in the order of their inputs as well (:func:`by_input`). ``dx`` is zero where ``x`` is: the input is the output of a
    ReLU, whose mask is applied here.

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
    """
    batch = np.intp(x.shape[1])
    zero, scaled = vsplat(_ZERO), vsplat(np.float32(scale))
    for i in range(x.shape[0]):
        first, last = starts[i], starts[i + 1]
        row = i * batch
        for column in range(0, batch, WIDTH):
            vstore(dx, row + column, zero)
        fours = first + (last - first) // 4 * 4
        for k in range(first, fours, 4):
            slot0, slot1, slot2, slot3 = slots[k], slots[k + 1], slots[k + 2], slots[k + 3]
            w0, w1, w2, w3 = vsplat(values[slot0]), vsplat(values[slot1]), vsplat(values[slot2]), vsplat(values[slot3])
            of0, of1 = np.intp(outputs[k]) * batch, np.intp(outputs[k + 1]) * batch
            of2, of3 = np.intp(outputs[k + 2]) * batch, np.intp(outputs[k + 3]) * batch
            a, b, c, d = zero, zero, zero, zero
            for column in range(0, batch, WIDTH):
                value = vload(x, row + column)
                g0, g1 = vload(dy, of0 + column), vload(dy, of1 + column)
                g2, g3 = vload(dy, of2 + column), vload(dy, of3 + column)
                a, b, c, d = vfma(value, g0, a), vfma(value, g1, b), vfma(value, g2, c), vfma(value, g3, d)
                half = vfma(w0, g0, vmul(w1, g1))
                vstore(dx, row + column, vfma(w2, g2, vfma(w3, g3, vadd(half, vload(dx, row + column)))))
            vstore_sums(sums, 0, a, b, c, d)
            dvalues[slot0], dvalues[slot1], dvalues[slot2], dvalues[slot3] = sums[0], sums[1], sums[2], sums[3]
        for k in range(fours, last):
            slot0 = slots[k]
            w0 = vsplat(values[slot0])
            of0 = np.intp(outputs[k]) * batch
            a = zero
            for column in range(0, batch, WIDTH):
                g0 = vload(dy, of0 + column)
                a = vfma(vload(x, row + column), g0, a)
                vstore(dx, row + column, vfma(w0, g0, vload(dx, row + column)))
            dvalues[slot0] = vsum(a)
        for column in range(0, batch, WIDTH):
            total = vmul(scaled, vload(dx, row + column))
            vstore(dx, row + column, vwhere_positive(vload(x, row + column), total))


@kernel
def by_input(indptr: Ints64, indices: Ints32, n_in: int) -> tuple[Ints64, Ints32, Ints32]:
    """Return ``starts``, ``outputs`` and ``slots`` of :func:`both_gradients`: the connections by their inputs."""
    starts = np.zeros(n_in + 1, np.int64)
    for k in range(indices.shape[0]):
        starts[indices[k] + 1] += 1
    for i in range(n_in):
        starts[i + 1] += starts[i]
    outputs = np.empty(indices.shape[0], np.int32)
    slots = np.empty(indices.shape[0], np.int32)
    to = starts[:-1].copy()
    for o in range(indptr.shape[0] - 1):
        for k in range(indptr[o], indptr[o + 1]):
            at = to[indices[k]]
            outputs[at] = o
            slots[at] = k
            to[indices[k]] = at + 1
    return starts, outputs, slots


@kernel
def input_gradient(indptr: Ints64, indices: Ints32, values: Floats, dy: Floats, dx: Floats) -> None:
    """Write ``transpose(W) dy`` to ``dx``: ``dy`` is ``(n_out, batch)``, ``dx`` is ``(n_in, batch)``."""
    batch = np.intp(dy.shape[1])
    dx[:] = _ZERO
    for o in range(dy.shape[0]):
        first, last = indptr[o], indptr[o + 1]
        column = np.intp(0)
        while column + 2 * WIDTH <= batch:
            low = vload(dy, o * batch + column)
            high = vload(dy, o * batch + column + WIDTH)
            for c in range(first, last):
                weight = vsplat(values[c])
                at = np.intp(indices[c]) * batch + column
                vstore(dx, at, vfma(weight, low, vload(dx, at)))
                vstore(dx, at + WIDTH, vfma(weight, high, vload(dx, at + WIDTH)))
            column += 2 * WIDTH
        if column < batch:
            low = vload(dy, o * batch + column)
            for c in range(first, last):
                at = np.intp(indices[c]) * batch + column
                vstore(dx, at, vfma(vsplat(values[c]), low, vload(dx, at)))


@kernel
def input_strength(indices: Ints32, values: Floats, n_in: int) -> npt.NDArray[np.float64]:
    """Return the sum of ``|w|`` over the connections that leave each input, float64 ``(n_in,)``."""
    strength = np.zeros(n_in, np.float64)
    for c in range(indices.shape[0]):
        strength[indices[c]] += abs(values[c])
    return strength
