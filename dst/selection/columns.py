"""Columns of training rows as selection rules see them: centred, in float64, each with all of its encodings."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from dst.data.dataset import Matrix, Part, as_array

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_BLOCK = 2**22  # numbers in float64 that are made at a time: 32 MB


@dataclass(frozen=True)
class Blocks:
    """Columns that have the same number of encodings, two or more.

    Attributes:
        positions: of the columns, int64 ``(n_columns,)``.
        encoded: their encodings, int64 ``(n_columns, n_encodings)``.
    """

    positions: Ints
    encoded: Ints


class CentredColumns:
    """Some columns of a table, feature-major; a column without encodings is a constant one.

    A sparse table stays sparse: its means are taken off the products.

    Attributes:
        squares: sum of squares of each encoded column about its mean, float64 ``(n_encoded,)``.
        counts: how many encodings each column has, int64 ``(n_columns,)``.
        starts: which encoded column is its first, int64 ``(n_columns,)``.
    """

    def __init__(self, values: Matrix, counts: Ints) -> None:
        """Take the encoded columns ``values``, float32 ``(n_rows, n_encoded)``, ``counts`` of them for each column."""
        self.counts = counts
        self.starts = np.cumsum(counts) - counts
        self._values: Any
        self._means = np.zeros(0)  # of sparse columns, that are still to be taken off
        if isinstance(values, np.ndarray):
            self._values = np.array(values.T, dtype=np.float64, order="C")
            self._values -= self._values.mean(axis=1, keepdims=True)
            self.squares = np.einsum("ij,ij->i", self._values, self._values)
        else:
            self._values = values.T.tocsr().astype(np.float64)
            self._means = np.asarray(self._values.sum(axis=1)).ravel() / values.shape[0]
            self.squares = self._sparse_squares()

    def products(self, directions: Floats) -> Floats:
        """Return ``X' D``, float64 ``(n_encoded, ...)``.

        Args:
            directions: D, float64 ``(n_rows,)`` or ``(n_rows, n_directions)``.
        """
        found: Floats = self._values @ directions
        if not isinstance(self._values, np.ndarray):
            found -= np.multiply.outer(self._means, directions.sum(axis=0))
        return found

    def block(self, position: int) -> Floats:
        """Return the encodings of a column, dense, float64 ``(n_rows, n_encodings)``; not to be written to."""
        return self._dense(slice(self.starts[position], self.starts[position] + self.counts[position])).T

    @cached_property
    def blocks(self) -> tuple[Blocks, ...]:
        """The columns with several encodings, by how many they have."""
        found = []
        for width in np.unique(self.counts[self.counts > 1]).tolist():
            positions = np.flatnonzero(self.counts == width)
            found.append(Blocks(positions, self.starts[positions, None] + np.arange(width)))
        return tuple(found)

    def grams(self, blocks: Blocks) -> Floats:
        """Return ``X_i' X_i`` of some columns, float64 ``(n_columns, n_encodings, n_encodings)``."""
        n_columns, width = blocks.encoded.shape
        n_rows = int(self._values.shape[1])
        found = np.empty((n_columns, width, width))
        step = max(1, _BLOCK // (width * max(n_rows, 1)))
        for first in range(0, n_columns, step):
            some = slice(first, first + step)
            encodings = self._dense(blocks.encoded[some].ravel()).reshape(-1, width, n_rows)
            found[some] = encodings @ encodings.swapaxes(1, 2)
        return found

    def by_column(self, values: Floats) -> Floats:
        """Return sums over the encodings of each column, float64 ``(n_columns, ...)``; not to be written to.

        Args:
            values: float64 ``(n_encoded, ...)``.
        """
        encoded = self.counts > 0
        if len(values) == len(self.counts) and encoded.all():
            return values
        sums = np.zeros((len(self.counts), *values.shape[1:]))
        if encoded.any():
            sums[encoded] = np.add.reduceat(values, self.starts[encoded], axis=0)
        return sums

    @cached_property
    def spreads(self) -> Floats:
        """The norm of each column's Gram matrix, float64 ``(n_columns,)``; of a number its sum of squares."""
        norms = self.by_column(self.squares).copy()
        for blocks in self.blocks:
            norms[blocks.positions] = np.linalg.norm(self.grams(blocks), axis=(1, 2))
        return norms

    def _dense(self, encoded: Ints | slice) -> Floats:
        """Return encoded columns, centred, float64 ``(n, n_rows)``."""
        values = self._values[encoded]
        if isinstance(values, np.ndarray):
            return values
        return np.asarray(as_array(values) - self._means[encoded, None], dtype=np.float64)

    def _sparse_squares(self) -> Floats:
        """Sum squares about the mean, zeros and others apart: a difference of two large sums would lose a small one."""
        stored = np.diff(self._values.indptr)
        rows = np.repeat(np.arange(len(stored)), stored)
        about = np.bincount(rows, np.square(self._values.data - self._means[rows]), minlength=len(stored))
        return np.asarray(about + (self._values.shape[1] - stored) * np.square(self._means), dtype=np.float64)


class TrainingColumns:
    """All columns of a table in some rows, by their numbers in the table.

    Attributes:
        n_rows: rows.
    """

    def __init__(self, x: Matrix, origin: Ints | None, n_features: int) -> None:
        """Take a table.

        Args:
            x: float32 ``(n_rows, n_encoded)``, dense or sparse.
            origin: the column of each encoded one, int64 ``(n_encoded,)``; None: they are the same.
            n_features: how many columns there are.
        """
        self.n_rows = int(x.shape[0])
        self._x: Any = x if isinstance(x, np.ndarray) else x.tocsc()
        self._by_column: Ints | None = None
        if origin is not None:
            self._by_column = np.argsort(origin, kind="stable")
            self._counts = np.bincount(origin, minlength=n_features)
            self._starts = np.cumsum(self._counts) - self._counts

    def centred(self, columns: Ints) -> CentredColumns:
        """Return some columns, in the order that is given.

        Args:
            columns: int64 ``(n_columns,)``.
        """
        counts = self.n_encodings(columns)
        if self._by_column is None:
            return CentredColumns(self._x[:, columns], counts)
        before = np.cumsum(counts) - counts
        places = np.repeat(self._starts[columns] - before, counts) + np.arange(counts.sum())
        return CentredColumns(self._x[:, self._by_column[places]], counts)

    def n_encodings(self, columns: Ints) -> Ints:
        """Return how many encodings each of some columns has, int64 ``(n_columns,)``."""
        if self._by_column is None:
            return np.ones(len(columns), dtype=np.int64)
        return np.asarray(self._counts[columns], dtype=np.int64)

    def in_blocks(self, columns: Ints, n_directions: int = 0) -> list[Ints]:
        """Return columns in blocks that take a bounded amount of memory, each one column at least.

        Args:
            columns: int64 ``(n_columns,)``.
            n_directions: that each block is multiplied with.
        """
        if not len(columns):
            return []
        width = max(1, _BLOCK // (self.n_rows + n_directions))
        number = (np.cumsum(self.n_encodings(columns)) - 1) // width
        return np.split(columns, np.flatnonzero(np.diff(number)) + 1)


def spread(block: Floats) -> float:
    """Return the norm of the Gram matrix of the encodings of a column, ``sqrt(tr((B'B)^2))``.

    Args:
        block: B, float64 ``(n_rows, n_encodings)``.
    """
    n_rows, n_encodings = block.shape
    return float(np.linalg.norm(block.T @ block if n_encodings <= n_rows else block @ block.T))


def centred_labels(train: Part) -> Floats:
    """Return what a network would learn, centred, float64 ``(n_rows, n_outputs)``.

    Args:
        train: training rows. Classes are coded one against the others; without classes (``n_classes`` 0) the labels
            are numbers, float ``(n_rows,)`` or ``(n_rows, n_outputs)``.
    """
    if train.n_classes > 0:
        labels = np.asarray(train.y[:, None] == np.arange(train.n_classes), dtype=np.float64)
    else:
        labels = np.asarray(train.y, dtype=np.float64).reshape(len(train.y), -1)
    return np.asarray(labels - labels.mean(axis=0), dtype=np.float64)
