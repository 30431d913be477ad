"""The gradient of one output of a sparse network with respect to its input, for a block of samples at once.

Feature-major as in :mod:`dst.kernels.linear`, with as many columns as a row of ``lanes`` vectors has, so that a row of
gradients is loaded once per connection and the one that is being made stays in registers. The gradient of an output
starts as a row of the last layer's weights and goes back through the inner layers; in the first layer, which has most
connections and behind which nothing lies, it is summed up as it is made and never stored. A gradient of all outputs
together, as a loss has one, goes back through the last layer as through an inner one.

Connections go by input (:func:`live_by_input`): ``starts`` int64 ``(n_in + 1,)`` says where each input's ``outputs``
int32 and ``weights`` float32 begin.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numba.extending import intrinsic

from dst.kernels.jit import kernel
from dst.kernels.rows import row_dot, row_fma, row_load, row_splat, row_store, row_where_positive
from dst.kernels.simd import VECTOR, VECTOR_IR, called, vsum

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Ints32 = npt.NDArray[np.int32]
Ints64 = npt.NDArray[np.int64]
Lanes = tuple[int, ...]

_ZERO = np.float32(0)


@intrinsic  # type: ignore[untyped-decorator]
def row_abs(typingctx: Any, row: Any) -> Any:
    """Return a vector of 16 values whose sum is that of the magnitudes in a row."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        parts = [
            called(builder, "llvm.fabs.v16f32", VECTOR_IR, [builder.extract_value(args[0], v)]) for v in range(len(row))
        ]
        total = parts[0]
        for part in parts[1:]:
            total = builder.fadd(total, part)
        return total

    return VECTOR(row), codegen


@kernel
def transposed(rows: Floats, x: Floats) -> None:
    """Write samples ``(n, n_features)`` to ``x`` ``(n_features, >= n)``, in squares that stay in the cache.

    Columns of ``x`` beyond the samples become zero.
    """
    n, n_features = rows.shape
    for low in range(0, n_features, 16):
        for left in range(0, x.shape[1], 16):
            for i in range(low, min(low + 16, n_features)):
                for j in range(left, left + 16):
                    x[i, j] = rows[j, i] if j < n else _ZERO


@kernel
def live_rows(x: Floats) -> Bools:
    """Say of each row of ``x`` ``(n, batch)`` whether any of its values is positive."""
    live = np.zeros(x.shape[0], np.bool_)
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            if x[i, j] > _ZERO:
                live[i] = True
                break
    return live


@kernel
def live_by_input(
    indptr: Ints64, indices: Ints32, values: Floats, live_inputs: Bools, live_outputs: Bools
) -> tuple[Ints64, Ints32, Floats]:
    """Return ``starts``, ``outputs`` and ``weights`` of the connections through which a gradient can go.

    Args:
        indptr: int64, of panels (:mod:`dst.kernels.linear`), as are the next two.
        indices: int32 ``(nnz,)``.
        values: float32 ``(nnz,)``.
        live_inputs: bool ``(n_in,)``: connections from the others are left out.
        live_outputs: bool ``(n_out,)``: likewise connections to others.
    """
    n_out = live_outputs.shape[0]
    starts = np.zeros(live_inputs.shape[0] + 1, np.int64)
    for row in range(indptr.shape[0] - 1):
        if live_outputs[row % n_out]:
            for k in range(indptr[row], indptr[row + 1]):
                starts[indices[k] + 1] += live_inputs[indices[k]]
    for i in range(live_inputs.shape[0]):
        starts[i + 1] += starts[i]
    outputs = np.empty(starts[-1], np.int32)
    weights = np.empty(starts[-1], np.float32)
    to = starts[:-1].copy()
    for row in range(indptr.shape[0] - 1):
        o = row % n_out
        if live_outputs[o]:
            for k in range(indptr[row], indptr[row + 1]):
                i = indices[k]
                if live_inputs[i]:
                    outputs[to[i]] = o
                    weights[to[i]] = values[k]
                    to[i] += 1
    return starts, outputs, weights


@kernel
def seed(indptr: Ints64, indices: Ints32, values: Floats, output: int, x: Floats, dx: Floats, lanes: Lanes) -> None:
    """Write the gradient of one output of a layer with respect to its input ``x = relu(...)`` before the ReLU.

    ``dx[i, j] = W[output, i]`` where ``x[i, j] > 0``, else 0; ``x`` and ``dx`` are ``(n_in, batch)``; the layer is in
    one panel.
    """
    batch = np.intp(x.shape[1])
    dx[:] = _ZERO
    for k in range(indptr[output], indptr[output + 1]):
        at = np.intp(indices[k]) * batch
        row_store(dx, at, row_where_positive(row_load(x, at, lanes), row_splat(values[k], lanes)))


@kernel
def back(starts: Ints64, outputs: Ints32, weights: Floats, dy: Floats, x: Floats, dx: Floats, lanes: Lanes) -> None:
    """Write ``transpose(W) dy`` where ``x > 0``, else 0, to ``dx``: through a layer and the ReLU before it.

    ``dy`` is ``(n_out, batch)``; ``x``, the input of the layer, and ``dx`` are ``(n_in, batch)``.
    """
    batch = np.intp(dy.shape[1])
    for i in range(dx.shape[0]):
        total = row_splat(_ZERO, lanes)
        for k in range(np.uintp(starts[i]), np.uintp(starts[i + 1])):
            total = row_fma(weights[k], row_load(dy, np.intp(outputs[k]) * batch, lanes), total)
        row_store(dx, i * batch, row_where_positive(row_load(x, i * batch, lanes), total))


@kernel
def back_to_input(starts: Ints64, outputs: Ints32, weights: Floats, dy: Floats, dx: Floats, lanes: Lanes) -> None:
    """Write ``transpose(W) dy`` to ``dx``: ``dy`` is ``(n_out, batch)``, ``dx`` is ``(n_in, batch)``."""
    batch = np.intp(dy.shape[1])
    for i in range(dx.shape[0]):
        total = row_splat(_ZERO, lanes)
        for k in range(np.uintp(starts[i]), np.uintp(starts[i + 1])):
            total = row_fma(weights[k], row_load(dy, np.intp(outputs[k]) * batch, lanes), total)
        row_store(dx, i * batch, total)


@kernel
def add_magnitudes(starts: Ints64, outputs: Ints32, weights: Floats, dy: Floats, sums: Doubles, lanes: Lanes) -> None:
    """Add ``sum_j |transpose(W) dy|[i, j]`` to ``sums[i]``, float64 ``(n_in,)``; ``dy`` is ``(n_out, batch)``."""
    batch = np.intp(dy.shape[1])
    for i in range(sums.shape[0]):
        total = row_splat(_ZERO, lanes)
        for k in range(np.uintp(starts[i]), np.uintp(starts[i + 1])):
            total = row_fma(weights[k], row_load(dy, np.intp(outputs[k]) * batch, lanes), total)
        sums[i] += vsum(row_abs(total))


@kernel
def add_magnitudes_and_squares(
    starts: Ints64, outputs: Ints32, weights: Floats, dy: Floats, magnitudes: Doubles, squares: Doubles, lanes: Lanes
) -> None:
    """Add as :func:`add_magnitudes`, and ``sum_j (transpose(W) dy)[i, j]^2`` to ``squares[i]``, float64 ``(n_in,)``."""
    batch = np.intp(dy.shape[1])
    for i in range(squares.shape[0]):
        total = row_splat(_ZERO, lanes)
        for k in range(np.uintp(starts[i]), np.uintp(starts[i + 1])):
            total = row_fma(weights[k], row_load(dy, np.intp(outputs[k]) * batch, lanes), total)
        magnitudes[i] += vsum(row_abs(total))
        squares[i] += vsum(row_dot(total, total))
