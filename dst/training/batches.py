"""Minibatches of a table, and the targets that each loss compares a network's outputs with."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from dst.data.dataset import Part
from dst.errors import InputError
from dst.kernels import linear
from dst.kernels.losses import Targets
from dst.training.engines.engine import Engine, Floats

_SPARSE_CHUNK = 128
"""Validation rows of a sparse table that are made dense at a time."""


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


def targets_of(part: Part, loss: str) -> Targets | None:
    """Return what a loss compares the outputs on these rows with, as engines take it; None: the inputs themselves."""
    if loss == "cross_entropy":
        return part.y
    return np.atleast_2d(part.y.T).astype(np.float32) if loss == "squared_error" else None


class Batches:
    """A table, dense or sparse, from which feature-major minibatches are gathered.

    Args:
        part: rows; its ``y`` holds class codes, or float32 targets for ``squared_error``.
        loss: a name in :data:`dst.training.config.LOSSES`.
        width: minibatches get zero columns up to a multiple of this.

    Raises:
        ValueError: there are not as many rows as targets.
    """

    def __init__(self, part: Part, loss: str, width: int) -> None:
        if part.x.shape[0] != len(part.y):  # kernels do not look whether an index is within an array
            raise ValueError(f"x and y must have as many rows, but have {part.x.shape[0]} and {len(part.y)}")
        self._n_features = part.x.shape[1]
        self._gather: Callable[[npt.NDArray[np.int64], Floats], None]
        if isinstance(part.x, np.ndarray):
            self._gather = partial(linear.gather, np.ascontiguousarray(part.x))
        else:
            csr = part.x.indptr.astype(np.int64), part.x.indices.astype(np.int32), part.x.data
            self._gather = partial(linear.gather_sparse, *csr)
        self._width = width
        self._targets = targets_of(part, loss)

    def rows(self, rows: npt.NDArray[np.int64], into: Floats | None = None) -> tuple[Floats, Targets]:
        """Return ``x`` float32 ``(n_features, >= n)`` and the targets of these n rows, as an engine takes them.

        Args:
            rows: int64 ``(n,)``.
            into: an ``x`` that was returned before and is not needed any more; it is used again where its size fits,
                since fresh memory in every step costs more time than filling it.
        """
        shape = self._n_features, -(-len(rows) // self._width) * self._width
        x = into if into is not None and into.shape == shape else linear.aligned(shape)
        self._gather(rows, x)
        y = x[:, : len(rows)] if self._targets is None else self._targets[..., rows]
        return x, y.copy()


class HeldOut:
    """The validation rows: gathered once, or a chunk at a time where the table is sparse and dense rows would not fit.

    Args:
        part: validation rows; their ``y`` holds class codes, or float32 targets for ``squared_error``.
        loss: a name in :data:`LOSSES`.
        engine: computes the loss and the accuracy.
    """

    def __init__(self, part: Part, loss: str, engine: Engine) -> None:
        self._batches = Batches(part, loss, engine.width)
        self._engine = engine
        rows = np.arange(len(part.y))
        if isinstance(part.x, np.ndarray):
            self._chunks = [rows]
            self._whole: tuple[Floats, Targets] | None = self._batches.rows(rows)
        else:
            self._chunks = [rows[first : first + _SPARSE_CHUNK] for first in range(0, len(rows), _SPARSE_CHUNK)]
            self._whole = None

    def evaluate(self) -> tuple[float, float]:
        """Return the loss and the accuracy on all rows (float targets: R squared)."""
        if self._whole is not None:
            return self._engine.evaluate(*self._whole)
        n_rows = sum(map(len, self._chunks))
        loss, hits = 0.0, 0.0
        sums, squares = np.zeros(1), 0.0
        for rows in self._chunks:
            x, y = self._batches.rows(rows)
            chunk_loss, chunk_hits = self._engine.evaluate(x, y)
            loss += chunk_loss * len(rows) / n_rows
            hits += chunk_hits * len(rows) / n_rows
            if y.dtype == np.float32:
                sums = sums + y.sum(axis=1, dtype=np.float64)
                squares += float(np.square(y, dtype=np.float64).mean(axis=0).sum())
        if not sums.any() and not squares:
            return loss, hits
        spread = squares / n_rows - float(np.mean((sums / n_rows) ** 2))
        return loss, 1 - loss / spread if spread > 0 else 0.0
