"""Rules that weigh a column by its correlation with those that have entered: threshold, decorrelated, mRMR.

The correlation of two columns is r = sqrt(RV), with the RV coefficient of Escoufier (1973) of their encodings A and B,

    RV = ||A'B||^2 / sqrt(||A'A||^2 ||B'B||^2),

which is |r| of Pearson where each is a number. A constant column correlates with nothing: r = 0.
"""

from __future__ import annotations

import math

import numpy as np

from dst.selection.columns import CentredColumns, Floats, spread
from dst.selection.order import TIE


class Correlations:
    """Correlations of columns with those that have entered.

    Attributes:
        largest: the largest of each column, float64 ``(n_columns,)``.
        total: their sum, float64 ``(n_columns,)``.
        n_entered: how many columns have entered.
        n_rows: rows.
    """

    def __init__(self, columns: CentredColumns, n_rows: int) -> None:
        self._columns = columns
        self.n_rows = n_rows
        self.largest = np.zeros(len(columns.counts))
        self.total = np.zeros(len(columns.counts))
        self.n_entered = 0

    def enter(self, block: Floats) -> None:
        """Take account of a column that enters, of encodings ``(n_rows, n_encodings)``."""
        r = correlations(self._columns, block)
        self.largest = np.maximum(self.largest, r)
        self.total += r
        self.n_entered += 1


def correlations(columns: CentredColumns, block: Floats) -> Floats:
    """Return the correlation of each column with another one, float64 ``(n_columns,)`` in [0, 1].

    Args:
        columns: the columns.
        block: the encodings of the other, centred, float64 ``(n_rows, n_encodings)``.
    """
    shared = columns.by_column(np.square(columns.products(block)).sum(axis=1))
    return root_rv(shared, columns.spreads * spread(block))


def root_rv(shared: Floats, scale: Floats) -> Floats:
    """Return ``sqrt(RV)``.

    Args:
        shared: ``||A'B||^2`` of each pair.
        scale: ``||A'A|| ||B'B||`` of each; 0 of a constant column, whose r is 0.
    """
    rv = np.divide(shared, scale, out=np.zeros_like(shared), where=scale > 0)
    return np.asarray(np.sqrt(np.minimum(rv, 1.0)), dtype=np.float64)


def top(followed: Correlations, strength: float) -> Floats:
    """Weigh all columns alike: the columns of highest score."""
    return np.ones_like(followed.largest)


def threshold(followed: Correlations, strength: float) -> Floats:
    """Leave a column out while others are left whose correlations are all within ``1 - strength``."""
    return np.asarray(followed.largest <= 1 - strength + TIE, dtype=np.float64)


def decorrelated(followed: Correlations, strength: float) -> Floats:
    """Weigh by ``(1 - max r)^strength``."""
    return np.asarray(np.power(_above_rounding(1 - followed.largest), strength), dtype=np.float64)


def mrmr(followed: Correlations, strength: float) -> Floats:
    """Weigh by ``(c / max(mean r, c))^strength``: relevance over mean redundancy, mRMR's quotient (Peng et al. 2005).

    ``c = sqrt(2 / (pi n))`` is the mean of ``|r|`` between independent numbers in n rows. A mean below it is chance:
    dividing by it would let columns win by luck, or by being constant.
    """
    chance = math.sqrt(2 / (math.pi * followed.n_rows))
    mean = followed.total / max(followed.n_entered, 1)
    return np.asarray(np.power(chance / np.maximum(mean, chance), strength), dtype=np.float64)


def _above_rounding(shares: Floats) -> Floats:
    """Return shares with 0 where rounding alone keeps them from it."""
    return np.where(shares > TIE, shares, 0.0)
