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
def forward(indptr: Ints64, indices: Ints32, values: Floats, bias: Floats, x: Floats, y: Floats, relu: bool) -> None:
    """Write ``W x + b``, or ``max(W x + b, 0)``, to ``y``: ``x`` is ``(n_in, batch)``, ``y`` is ``(n_out, batch)``.

    Four vectors of the batch at a time while there are as many, then two, then one: an index and a value that are
    loaded serve up to 64 samples, whose sums stay in registers over all connections of the neuron.
    """
    batch = np.intp(x.shape[1])
    for o in range(y.shape[0]):
        first, last = indptr[o], indptr[o + 1]
        start = vsplat(bias[o])
        column = np.intp(0)
        while column + 4 * WIDTH <= batch:
            a, b, c, d = start, start, start, start
            for k in range(first, last):
                weight = vsplat(values[k])
                at = np.intp(indices[k]) * batch + column
                a = vfma(weight, vload(x, at), a)
                b = vfma(weight, vload(x, at + WIDTH), b)
                c = vfma(weight, vload(x, at + 2 * WIDTH), c)
                d = vfma(weight, vload(x, at + 3 * WIDTH), d)
            if relu:
                a, b, c, d = vwhere_positive(a, a), vwhere_positive(b, b), vwhere_positive(c, c), vwhere_positive(d, d)
            to = o * batch + column
            vstore(y, to, a)
            vstore(y, to + WIDTH, b)
            vstore(y, to + 2 * WIDTH, c)
            vstore(y, to + 3 * WIDTH, d)
            column += 4 * WIDTH
        while column + 2 * WIDTH <= batch:
            a, b = start, start
            for k in range(first, last):
                weight = vsplat(values[k])
                at = np.intp(indices[k]) * batch + column
                a = vfma(weight, vload(x, at), a)
                b = vfma(weight, vload(x, at + WIDTH), b)
            if relu:
                a, b = vwhere_positive(a, a), vwhere_positive(b, b)
            vstore(y, o * batch + column, a)
            vstore(y, o * batch + column + WIDTH, b)
            column += 2 * WIDTH
        if column < batch:
            a = start
            for k in range(first, last):
                a = vfma(vsplat(values[k]), vload(x, np.intp(indices[k]) * batch + column), a)
            if relu:
                a = vwhere_positive(a, a)
            vstore(y, o * batch + column, a)


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
    indptr: Ints64, indices: Ints32, x: Floats, dy: Floats, from_output: int, to_output: int, dvalues: Floats
) -> None:
    """Write the loss gradient of the connections of some outputs, given activations ``x`` and output gradient ``dy``.

    ``dvalues[k - indptr[from_output]] = sum_j dy[o, j] x[i, j]`` for connection ``k`` from input ``i`` to output ``o``
    with ``from_output <= o < to_output``. Connections are taken four at a time: they share the loads of ``dy`` and the
    summing up.
    """
    batch = np.intp(x.shape[1])
    offset = indptr[from_output]
    zero = vsplat(_ZERO)
    for o in range(from_output, to_output):
        first, last = indptr[o], indptr[o + 1]
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
def both_gradients(
    starts: Ints64,
    outputs: Ints32,
    slots: Ints32,
    values: Floats,
    x: Floats,
    dy: Floats,
    dx: Floats,
    dvalues: Floats,
) -> None:
    """Write the loss gradients of a layer's connections and of its input, by input neuron.

    One load of ``dy`` serves both, and the sums for ``dx`` stay in registers; this needs the connections in the order
    of their inputs as well (:func:`by_input`). ``dx`` is zero where ``x`` is: the input is the output of a ReLU, whose
    mask is applied here.

    Args:
        starts: int64 ``(n_in + 1,)``: where each input's connections begin in the two lists below.
        outputs: int32 ``(nnz,)``: the output of each connection.
        slots: int32 ``(nnz,)``: its place in ``values``.
        values: float32 ``(nnz,)``.
        x: input of the layer ``(n_in, batch)``, not negative.
        dy: gradient of its output ``(n_out, batch)``.
        dx: written, ``(n_in, batch)``.
        dvalues: written, float32 ``(nnz,)``, in the order of ``values``.
    """
    batch = np.intp(x.shape[1])
    zero = vsplat(_ZERO)
    for k in range(outputs.shape[0]):
        dvalues[k] = _ZERO
    for i in range(x.shape[0]):
        first, last = starts[i], starts[i + 1]
        column = np.intp(0)
        while column + 4 * WIDTH <= batch:
            at = i * batch + column
            x0, x1, x2, x3 = vload(x, at), vload(x, at + WIDTH), vload(x, at + 2 * WIDTH), vload(x, at + 3 * WIDTH)
            d0, d1, d2, d3 = zero, zero, zero, zero
            for k in range(first, last):
                slot = slots[k]
                weight = vsplat(values[slot])
                of = np.intp(outputs[k]) * batch + column
                g0, g1 = vload(dy, of), vload(dy, of + WIDTH)
                g2, g3 = vload(dy, of + 2 * WIDTH), vload(dy, of + 3 * WIDTH)
                d0, d1 = vfma(weight, g0, d0), vfma(weight, g1, d1)
                d2, d3 = vfma(weight, g2, d2), vfma(weight, g3, d3)
                dvalues[slot] += vsum(vfma(x0, g0, vfma(x1, g1, vfma(x2, g2, vmul(x3, g3)))))
            vstore(dx, at, vwhere_positive(x0, d0))
            vstore(dx, at + WIDTH, vwhere_positive(x1, d1))
            vstore(dx, at + 2 * WIDTH, vwhere_positive(x2, d2))
            vstore(dx, at + 3 * WIDTH, vwhere_positive(x3, d3))
            column += 4 * WIDTH
        while column + 2 * WIDTH <= batch:
            at = i * batch + column
            x0, x1 = vload(x, at), vload(x, at + WIDTH)
            d0, d1 = zero, zero
            for k in range(first, last):
                slot = slots[k]
                weight = vsplat(values[slot])
                of = np.intp(outputs[k]) * batch + column
                g0, g1 = vload(dy, of), vload(dy, of + WIDTH)
                d0, d1 = vfma(weight, g0, d0), vfma(weight, g1, d1)
                dvalues[slot] += vsum(vfma(x0, g0, vmul(x1, g1)))
            vstore(dx, at, vwhere_positive(x0, d0))
            vstore(dx, at + WIDTH, vwhere_positive(x1, d1))
            column += 2 * WIDTH
        if column < batch:
            at = i * batch + column
            x0 = vload(x, at)
            d0 = zero
            for k in range(first, last):
                slot = slots[k]
                g0 = vload(dy, np.intp(outputs[k]) * batch + column)
                d0 = vfma(vsplat(values[slot]), g0, d0)
                dvalues[slot] += vsum(vmul(x0, g0))
            vstore(dx, at, vwhere_positive(x0, d0))


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
