"""Robust feature selection: regression on the classes with L2,1-norms of loss and penalty.

Nie, Huang, Cai and Ding, "Efficient and Robust Feature Selection via Joint L2,1-Norms Minimization", NeurIPS 2010.
Minimised over W, ``(n_columns, n_classes)``, is their equation 9,

    ||X W - Y||_{2,1} + gamma ||W||_{2,1},    ||M||_{2,1} = sum_i ||row i of M||,

so that a row of the table counts by its distance, not by its square, and a column is of use to all classes or to none.
X and Y (classes coded one against the others) are centred in place of an intercept. Their algorithm solves, again and
again, the least squares problem in which each norm is its square over twice its last value; the objective never rises.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from dst.data.dataset import Matrix, Part
from dst.errors import check_rules
from dst.files.checkpoint import State
from dst.rankers.base import FeatureScores, OnEpoch
from dst.selection.columns import Floats, centred_labels

SMALLEST = 1e-6
"""Added to the square of a norm, as its square: the weights of the least squares problem stay finite."""


@dataclass(frozen=True)
class RfsConfig:
    """Settings of :func:`rank_by_rfs`.

    Attributes:
        gamma: strength of the penalty; 10 as in the comparison of NeuroFS (Atashgahi et al., TMLR 2023).
        iterations: how many least squares problems are solved at most.
        tolerance: share of the objective by which it must fall for another.
    """

    gamma: float = 10.0
    iterations: int = 50
    tolerance: float = 1e-5

    def __post_init__(self) -> None:
        check_rules(
            ("0 < gamma < inf", 0 < self.gamma < math.inf, f"gamma={self.gamma}"),
            ("iterations >= 1", self.iterations >= 1, f"iterations={self.iterations}"),
            ("0 <= tolerance < 1", 0 <= self.tolerance < 1, f"tolerance={self.tolerance}"),
        )


def rank_by_rfs(
    train: Part,
    validation: Part,
    config: RfsConfig,
    rng: np.random.Generator,
    on_epoch: OnEpoch,
    state: State | None = None,
) -> FeatureScores:
    """Rank by the norm of each column's coefficients over the classes; the metric is named ``row_norm``.

    Nothing is drawn. The systems have as many equations as the table has rows or columns, whichever are fewer; a sparse
    table is centred in the products.
    """
    started = time.perf_counter()
    rows, labels = CentredRows(train.x), centred_labels(train)
    coefficients, _ = solve(rows, labels, config)
    shares = np.bincount(train.y, minlength=train.n_classes) / len(train.y)
    predicted = rows.products(coefficients, validation.x) + shares
    return FeatureScores(
        scores={"row_norm": np.linalg.norm(coefficients, axis=1)},
        engine="none",
        seconds={"train": time.perf_counter() - started},
        val_accuracy=float((predicted.argmax(axis=1) == validation.y).mean()),
        dense_size=int(coefficients.size),
    )


class CentredRows:
    """A table with its columns centred, in float64; a sparse one stays sparse, and its means are taken off products.

    Attributes:
        shape: rows and columns.
    """

    def __init__(self, x: Matrix) -> None:
        self.shape: tuple[int, int] = (int(x.shape[0]), int(x.shape[1]))
        self._x: Any = x.astype(np.float64)
        self._means = np.asarray(self._x.mean(axis=0)).ravel()
        if isinstance(x, np.ndarray):
            self._x -= self._means

    @property
    def _left(self) -> Floats:
        """The means that are still in the values."""
        return np.zeros_like(self._means) if isinstance(self._x, np.ndarray) else self._means

    def products(self, coefficients: Floats, x: Matrix | None = None) -> Floats:
        """Return ``X W``, float64 ``(n_rows, n_outputs)``.

        Args:
            coefficients: W, float64 ``(n_columns, n_outputs)``.
            x: other rows, centred by the same means; None: these.
        """
        values, left = (self._x, self._left) if x is None else (x, self._means)
        return np.asarray(values @ coefficients - left @ coefficients, dtype=np.float64)

    def transposed_products(self, outputs: Floats) -> Floats:
        """Return ``X' V``, float64 ``(n_columns, n_outputs)``.

        Args:
            outputs: V, float64 ``(n_rows, n_outputs)``.
        """
        return np.asarray(self._x.T @ outputs - np.multiply.outer(self._left, outputs.sum(axis=0)), dtype=np.float64)

    def rows_gram(self, weights: Floats) -> Floats:
        """Return ``X diag(weights) X'``, float64 ``(n_rows, n_rows)``.

        Args:
            weights: of the columns, float64 ``(n_columns,)``.
        """
        if isinstance(self._x, np.ndarray):
            return np.asarray((self._x * weights) @ self._x.T)
        with_means = self._x @ (weights * self._means)
        return _less_means(
            self._x.multiply(weights[None, :]).tocsr() @ self._x.T,
            np.ones(self.shape[0]),
            with_means,
            float(weights @ np.square(self._means)),
        )

    def columns_gram(self, weights: Floats) -> Floats:
        """Return ``X' diag(weights) X``, float64 ``(n_columns, n_columns)``.

        Args:
            weights: of the rows, float64 ``(n_rows,)``.
        """
        if isinstance(self._x, np.ndarray):
            return np.asarray(self._x.T @ (weights[:, None] * self._x))
        return _less_means(
            self._x.T @ self._x.multiply(weights[:, None]).tocsr(),
            self._means,
            self._x.T @ weights,
            float(weights.sum()),
        )


def solve(rows: CentredRows, labels: Floats, config: RfsConfig) -> tuple[Floats, list[float]]:
    """Return the coefficients, float64 ``(n_columns, n_classes)``, and the objective after each iteration.

    With S the norms of the residuals' rows and T those of the coefficients' rows, both of the iteration before, an
    iteration is ``W = T X' (X T X' + gamma S)^-1 Y`` (the authors' equation 19 with ``A = (X, gamma I)``), or the same
    by the columns, ``W = h (h X' S^-1 X h + gamma I)^-1 h X' S^-1 Y`` with ``h = sqrt(T)``.

    Args:
        rows: X.
        labels: Y, centred, float64 ``(n_rows, n_classes)``.
        config: strength and when to stop.
    """
    from scipy.linalg import solve as solution

    n_rows, n_columns = rows.shape
    of_rows, of_columns = np.ones(n_rows), np.ones(n_columns)
    objectives: list[float] = []
    while True:
        if n_rows <= n_columns:
            system = rows.rows_gram(of_columns)
            system[np.diag_indices(n_rows)] += config.gamma * of_rows
            dual = solution(system, labels, assume_a="pos", overwrite_a=True)
            coefficients = of_columns[:, None] * rows.transposed_products(dual)
        else:
            root = np.sqrt(of_columns)[:, None]
            system = root * rows.columns_gram(1 / of_rows) * root.T
            system[np.diag_indices(n_columns)] += config.gamma
            known = root * rows.transposed_products(labels / of_rows[:, None])
            coefficients = root * solution(system, known, assume_a="pos", overwrite_a=True)
        of_rows, of_columns = _norms(rows.products(coefficients) - labels), _norms(coefficients)
        objectives.append(float(of_rows.sum() + config.gamma * of_columns.sum()))
        if len(objectives) == config.iterations or (
            len(objectives) > 1 and objectives[-2] - objectives[-1] <= config.tolerance * objectives[-2]
        ):
            return np.asarray(coefficients, dtype=np.float64), objectives


def _norms(matrix: Floats) -> Floats:
    """Return the norms of the rows, none below :data:`SMALLEST`."""
    return np.asarray(np.sqrt(np.square(matrix).sum(axis=1) + SMALLEST**2), dtype=np.float64)


def _less_means(products: Any, means: Floats, with_means: Floats, total: float) -> Floats:
    """Return ``products - u m' - m u' + total m m'`` with the means m and u, what was multiplied with them, dense."""
    crossed = np.multiply.outer(means, with_means)
    return np.asarray(products.toarray() - crossed - crossed.T + total * np.multiply.outer(means, means))
