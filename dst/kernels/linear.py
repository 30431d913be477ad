"""The products of a sparse linear layer ``Y = W X + b``.

Everything is feature-major: a matrix of activations has one row a feature and one column a sample of the batch, so
that a connection touches two contiguous rows and the batch fills the vector registers. W of shape ``(n_out, n_in)`` is
CSR by output neuron: ``indptr`` int64 ``(n_out + 1,)``, ``indices`` int32 ``(nnz,)`` sorted within each row, ``values``
float32 ``(nnz,)``.

Every matrix must be C-contiguous float32 with a number of columns that is a multiple of :data:`dst.kernels.simd.WIDTH`
(pad with zeros: columns whose output gradient is zero add nothing to any result). Kernels read two vectors of the
batch at a time, so that every index that is loaded serves 32 samples, and write into arrays that the caller owns.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from dst.kernels.jit import kernel
from dst.kernels.simd import WIDTH, vfma, vload, vsplat, vstore, vsum

Floats = npt.NDArray[np.float32]
Ints32 = npt.NDArray[np.int32]
Ints64 = npt.NDArray[np.int64]

_ZERO = np.float32(0)
_ONE = np.float32(1)


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
def forward(indptr: Ints64, indices: Ints32, values: Floats, bias: Floats, x: Floats, y: Floats) -> None:
    """Write ``W x + b`` to ``y``: ``x`` is ``(n_in, batch)``, ``y`` is ``(n_out, batch)``."""
    batch = np.intp(x.shape[1])
    for o in range(y.shape[0]):
        first, last = indptr[o], indptr[o + 1]
        start = vsplat(bias[o])
        column = np.intp(0)
        while column + 2 * WIDTH <= batch:
            low, high = start, start
            for c in range(first, last):
                weight = vsplat(values[c])
                at = np.intp(indices[c]) * batch + column
                low = vfma(weight, vload(x, at), low)
                high = vfma(weight, vload(x, at + WIDTH), high)
            vstore(y, o * batch + column, low)
            vstore(y, o * batch + column + WIDTH, high)
            column += 2 * WIDTH
        if column < batch:
            low = start
            for c in range(first, last):
                low = vfma(vsplat(values[c]), vload(x, np.intp(indices[c]) * batch + column), low)
            vstore(y, o * batch + column, low)


@kernel
def weight_gradient(indptr: Ints64, indices: Ints32, x: Floats, dy: Floats, dvalues: Floats, dbias: Floats) -> None:
    """Write the loss gradients of values and bias, given the activations ``x`` and the output gradient ``dy``.

    ``dvalues[c] = sum_j dy[o, j] x[i, j]`` for connection ``c`` from input ``i`` to output ``o``.
    """
    batch = np.intp(x.shape[1])
    zero, one = vsplat(_ZERO), vsplat(_ONE)
    for o in range(dy.shape[0]):
        first, last = indptr[o], indptr[o + 1]
        dvalues[first:last] = _ZERO
        total = zero
        column = np.intp(0)
        while column + 2 * WIDTH <= batch:
            low = vload(dy, o * batch + column)
            high = vload(dy, o * batch + column + WIDTH)
            total = vfma(one, low, vfma(one, high, total))
            for c in range(first, last):
                at = np.intp(indices[c]) * batch + column
                dvalues[c] += vsum(vfma(low, vload(x, at), vfma(high, vload(x, at + WIDTH), zero)))
            column += 2 * WIDTH
        if column < batch:
            low = vload(dy, o * batch + column)
            total = vfma(one, low, total)
            for c in range(first, last):
                dvalues[c] += vsum(vfma(low, vload(x, np.intp(indices[c]) * batch + column), zero))
        dbias[o] = vsum(total)


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
