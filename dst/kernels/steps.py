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

BLOCK = 16384
"""Gradients that gather before their optimizer step: enough for long vector loops, few enough for the cache."""


@kernel
def update_by_output(
    is_adam: bool,
    segments: Ints64,
    n_tiles: int,
    indices: Ints32,
    x: Floats,
    dy: Floats,
    values: Floats,
    first_moments: Floats,
    second_moments: Floats,
    gradient: Floats,
    hyper: Floats,
) -> None:
    """Take an optimizer step on all connections of a layer, a block of output neurons after the other.

    Args:
        is_adam: Adam, else gradient descent with momentum.
        segments: int64, of :func:`dst.kernels.linear.tile_segments`.
        n_tiles: tiles of inputs.
        indices: int32 ``(nnz,)``.
        x: input of the layer, float32 ``(n_in, batch)``.
        dy: gradient of its output, float32 ``(n_out, batch)``.
        values: float32 ``(nnz,)``, changed.
        first_moments: float32 ``(nnz,)``, changed.
        second_moments: float32 ``(nnz,)``, changed by Adam only.
        gradient: scratch, float32, at least :data:`BLOCK` and the longest row of connections together.
        hyper: settings of the optimizer.
    """
    n_out = dy.shape[0]
    start = 0
    for o in range(n_out):
        k0 = segments[start * n_tiles]
        count = segments[(o + 1) * n_tiles] - k0
        if count >= BLOCK or o == n_out - 1:
            weight_gradient(segments, n_tiles, indices, x, dy, start, o + 1, gradient)
            update(is_adam, values, first_moments, second_moments, gradient, k0, count, hyper)
            start = o + 1
