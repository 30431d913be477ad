"""The proximal step of a group penalty: the connections that leave each input shrink together."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from dst.kernels.jit import kernel

Floats = npt.NDArray[np.float32]
Ints32 = npt.NDArray[np.int32]


@kernel
def shrink_inputs(indices: Ints32, values: Floats, threshold: float, n_in: int) -> None:
    """Multiply the weights w of the n connections of each input with ``max(0, 1 - threshold sqrt(n) / ||w||)``.

    This is the proximal operator of ``threshold * sum_i sqrt(n_i) ||w_i||``, the group lasso (Yuan and Lin, JRSSB 2006,
    equation 2.4), whose groups are the inputs. An input whose connections are all zero keeps them so.

    Args:
        indices: int32 ``(nnz,)``: the input of each connection, in any order.
        values: float32 ``(nnz,)``, changed.
        threshold: step size times penalty, 0 or more.
        n_in: inputs.
    """
    squares = np.zeros(n_in, np.float64)
    counts = np.zeros(n_in, np.int64)
    for k in range(indices.shape[0]):
        squares[indices[k]] += np.float64(values[k]) * np.float64(values[k])
        counts[indices[k]] += 1
    factors = np.zeros(n_in, np.float32)
    for i in range(n_in):
        if squares[i] > 0:
            factors[i] = max(0.0, 1.0 - threshold * np.sqrt(counts[i] / squares[i]))
    for k in range(indices.shape[0]):
        values[k] *= factors[indices[k]]
