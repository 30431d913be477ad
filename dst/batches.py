"""Minibatches of a table, and the targets that each loss compares a network's outputs with."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from dst.data.dataset import Part
from dst.engine import Floats, Targets
from dst.errors import InputError
from dst.kernels import linear

LOSSES = ("cross_entropy", "squared_error", "reconstruction")
"""Losses by name: cross-entropy on class codes; mean squared error on float targets, or on the inputs themselves."""


def output_width(part: Part, loss: str) -> int:
    """Return how many outputs a network has that is trained on these rows.

    Raises:
        InputError: the targets are not what the loss compares with.
    """
    if loss == "reconstruction":
        return int(part.x.shape[1])
    y: npt.NDArray[Any] = part.y
    if loss == "squared_error":
        if y.dtype != np.float32 or y.ndim not in (1, 2):
            raise InputError(
                "loss squared_error needs float32 targets of shape (n_rows,) or (n_rows, n_outputs), "
                f"but got {y.dtype} {y.shape}"
            )
        return 1 if y.ndim == 1 else int(y.shape[1])
    if y.dtype != np.int64 or y.ndim != 1:
        raise InputError(f"loss cross_entropy needs int64 class codes (n_rows,), but got {y.dtype} {y.shape}")
    return part.n_classes


class Batches:
    """A table kept feature-major, from which minibatches are gathered.

    Args:
        part: rows; its ``y`` holds class codes, or float32 targets for ``squared_error``.
        loss: a name in :data:`LOSSES`.
        width: minibatches get zero columns up to a multiple of this.
    """

    def __init__(self, part: Part, loss: str, width: int) -> None:
        self._table = np.ascontiguousarray(part.x.T)
        self._width = width
        self._targets: Targets | None = None  # the inputs themselves
        if loss == "cross_entropy":
            self._targets = part.y
        elif loss == "squared_error":
            self._targets = np.atleast_2d(part.y.T).astype(np.float32)

    def rows(self, rows: npt.NDArray[np.int64]) -> tuple[Floats, Targets]:
        """Return ``x`` float32 ``(n_features, >= n)`` and the targets of these n rows, as an engine takes them."""
        x = linear.aligned((self._table.shape[0], -(-len(rows) // self._width) * self._width))
        linear.gather(self._table, rows, x)
        y = x[:, : len(rows)] if self._targets is None else self._targets[..., rows]
        return x, y.copy()
