"""Gradient and optimizer step in one pass, where the gradient of a whole layer need not be held."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from dst.kernels.jit import kernel
from dst.kernels.linear import weight_gradient
from dst.kernels.optimizers import update

Floats = npt.NDArray[np.float32]
Ints32 = npt.NDArray[np.int32]
Ints64 = npt.NDArray[np.int64]
Lanes = tuple[int, ...]

BLOCK = 4096
"""Gradients that gather before their optimizer step: enough for long vector loops, few enough for the cache."""


@kernel
def update_by_output(
    is_adam: bool,
    indptr: Ints64,
    indices: Ints32,
    x: Floats,
    dy: Floats,
    values: Floats,
    first_moments: Floats,
    second_moments: Floats,
    gradient: Floats,
    hyper: Floats,
    from_output: int,
    to_output: int,
    lanes: Lanes,
) -> None:
    """Take an optimizer step on the connections to some outputs, panel by panel, a block of rows after the other.

    Args:
        is_adam: Adam, else gradient descent with momentum.
        indptr: int64, of panels (:mod:`dst.kernels.linear`).
        indices: int32 ``(nnz,)``.
        x: input of the layer, float32 ``(n_in, batch)``.
        dy: gradient of its output, float32 ``(n_out, batch)``.
        values: float32 ``(nnz,)``, changed.
        first_moments: float32 ``(nnz,)``, changed.
        second_moments: float32 ``(nnz,)``, changed by Adam only.
        gradient: scratch, float32, at least :data:`BLOCK` and the longest row of connections together.
        hyper: settings of the optimizer.
        from_output: the first of the outputs.
        to_output: the one behind the last.
        lanes: the type of a row of activations (:func:`dst.kernels.rows.lanes`).
    """
    n_out = dy.shape[0]
    for panel_row in range(0, indptr.shape[0] - 1, n_out):
        start = panel_row + from_output
        end = panel_row + to_output
        for row in range(start, end):
            count = indptr[row + 1] - indptr[start]
            if count >= BLOCK or row == end - 1:
                weight_gradient(indptr, indices, x, dy, start, row + 1, gradient, lanes)
                update(is_adam, values, first_moments, second_moments, gradient, indptr[start], count, hyper)
                start = row + 1
