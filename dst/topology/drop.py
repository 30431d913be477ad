"""Drop rules: scores of connections, of which the smallest drop."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from dst.kernels import linear
from dst.kernels.rows import lanes
from dst.topology.update import Update

DropRule = Callable[[Update], npt.NDArray[np.float32]]
"""Returns a score per connection, float32 ``(nnz,)``; the smallest are dropped."""


def drop_by_magnitude(update: Update) -> npt.NDArray[np.float32]:
    """Score by ``|w|`` (SET, RigL)."""
    scores: npt.NDArray[np.float32] = np.abs(update.layer.values.detach().numpy())
    return scores


MEST_LAMBDA = 1.0
"""Weight of the gradient in :func:`drop_by_magnitude_and_gradient`: at 1 the two terms are of one order here, gradients
of the mean loss being about as large as the weights that Adam at 1e-3 makes."""


def drop_by_magnitude_and_gradient(update: Update) -> npt.NDArray[np.float32]:
    """Score by ``|w| + lambda |g|`` with the loss gradient of the last minibatch (MEST; Yuan et al., NeurIPS 2021)."""
    layer = update.layer
    x, dy = (factor.numpy() for factor in update.gradient)
    gradient = np.empty(layer.nnz, np.float32)
    indptr, indices = layer.indptr.numpy(), layer.indices.numpy()
    linear.weight_gradient(indptr, indices, x, dy, 0, len(indptr) - 1, gradient, lanes(x.shape[1]))
    scores: npt.NDArray[np.float32] = np.abs(layer.values.detach().numpy())
    scores += np.float32(MEST_LAMBDA) * np.abs(gradient)
    return scores


DROP_RULES: dict[str, DropRule] = {
    "magnitude": drop_by_magnitude,
    "magnitude_gradient": drop_by_magnitude_and_gradient,
}
