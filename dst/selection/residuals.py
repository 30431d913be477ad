"""Rules that weigh a column by what is left of it when the entered ones are projected out: determinantal, greedy.

R_i, the residual of the encodings X_i of a column, is never computed. Each column that enters adds orthonormal
directions q, and with ``c = X_i' q`` alone

    ||R_i||^2 -= ||c||^2,    R_i' Y -= c (q' Y),    R_i' R_i -= c c',

so that a step costs one product with the candidates.
"""

from __future__ import annotations

import numpy as np

from dst.selection.columns import CentredColumns, Floats

NOTHING = 1e-10
"""The share of a column's variance, or of the labels', up to which nothing is left of it."""

RIDGE = 0.05
"""Of :func:`greedy`: the share of a column's variance that is added to what is left of it.

Of numbers, 0 is orthogonal least squares (Chen, Billings and Luo 1989), which takes the column that leaves the least of
the labels, however little of the column is left; a large ridge is orthogonal matching pursuit (Pati et al. 1993), which
compares all columns at their full length.
"""


class Residuals:
    """What is left of columns after those that have entered.

    Attributes:
        left: sum of squares that is left of each encoded column, float64 ``(n_encoded,)``.
    """

    def __init__(self, columns: CentredColumns, n_rows: int) -> None:
        self._columns = columns
        self._directions = np.zeros((0, n_rows))
        self._variances = columns.by_column(columns.squares)
        self.left = columns.squares.copy()

    def enter(self, block: Floats) -> None:
        """Take account of a column that enters, of encodings ``(n_rows, n_encodings)``."""
        for encoding in block.T:
            q = self._direction(encoding)
            if q is not None:
                self._directions = np.vstack([self._directions, q])
                products = self._columns.products(q)
                self.left = np.maximum(self.left - np.square(products), 0.0)
                self._project_out(q, products)

    def share_left(self) -> Floats:
        """Return the share of each column's variance that is left, float64 ``(n_columns,)``; 0 of a constant one."""
        left = self._columns.by_column(self.left)
        share = np.divide(left, self._variances, out=np.zeros_like(left), where=self._variances > 0)
        return np.where(share > NOTHING, share, 0.0)

    def _project_out(self, q: Floats, products: Floats) -> None:
        """Take account of a direction ``(n_rows,)`` and its products with the encoded columns ``(n_encoded,)``."""

    def _direction(self, encoding: Floats) -> Floats | None:
        """Return what an encoding adds to the directions so far, of length 1; None: nothing.

        By Gram-Schmidt, twice: the second time takes off what rounding left of the first (Giraud et al. 2005).
        """
        q = encoding
        for _ in range(2):
            q = q - (self._directions @ q) @ self._directions
        square = float(q @ q)
        return q / np.sqrt(square) if square > NOTHING * float(encoding @ encoding) else None


class LabelResiduals(Residuals):
    """What is left of columns, and what it says about what is left of the labels.

    A column with several encodings keeps ``(R_i'R_i + ridge I)^-1``, brought up to date by Sherman and Morrison's
    formula: the ridge keeps its divisor away from 0.

    Attributes:
        with_labels: ``R_i' Y``, float64 ``(n_encoded, n_outputs)``.
    """

    def __init__(self, columns: CentredColumns, labels: Floats, ridge: float = RIDGE) -> None:
        """Follow columns.

        Args:
            columns: candidates.
            labels: Y, centred, float64 ``(n_rows, n_outputs)``.
            ridge: the share of a column's variance that is added to what is left of it.
        """
        super().__init__(columns, len(labels))
        self._labels = labels
        self.with_labels = columns.products(labels)
        self._ridge = ridge
        self._ridges = ridge * self._variances
        self._numbers = np.flatnonzero((columns.counts == 1) & (self._variances > 0))
        self._blocks = np.flatnonzero((columns.counts > 1) & (self._variances > 0)).tolist()
        self._inverses = {position: self._inverse(position) for position in self._blocks}

    def gain(self) -> Floats:
        """Return the share of the labels' variance that each column adds, with its ridge, float64 ``(n_columns,)``.

        ``tr(Q' R_i (R_i'R_i + ridge I)^-1 R_i' Q) / ||Y||^2`` with Q, what is left of the labels Y: ``R_i'Q = R_i'Y``.
        """
        gains = np.zeros(len(self._variances))
        encoded = self._columns.starts[self._numbers]
        explained = np.einsum("ij,ij->i", self.with_labels[encoded], self.with_labels[encoded])
        length = self.left[encoded] + self._ridges[self._numbers]
        gains[self._numbers] = np.divide(explained, length, out=np.zeros_like(length), where=length > 0)
        for position in self._blocks:
            shared = self.with_labels[self._rows(position)]
            gains[position] = np.sum(shared * (self._inverses[position] @ shared))
        variance = float(np.square(self._labels).sum())
        shares = gains / variance if variance > 0 else np.zeros_like(gains)
        return np.where((shares > NOTHING) & (self.share_left() > 0), shares, 0.0)

    def gain_by_chance(self) -> Floats:
        """Return how much more each column would gain by chance than one number, float64 ``(n_columns,)``; numbers: 0.

        Were Q turned at random in the ``n - 1 - m`` dimensions that m directions have left of the rows' space, a column
        would gain ``df / (n - 1 - m)`` of its square on average, with the degrees of freedom
        ``df = tr(R_i'R_i (R_i'R_i + ridge I)^-1)`` of its encodings. A number of which all is left has
        ``1 / (1 + ridge)`` of them.
        """
        gains = np.zeros(len(self._variances))
        dimensions = len(self._labels) - 1 - len(self._directions)
        variance = float(np.square(self._labels).sum())
        if not self._blocks or dimensions < 1 or variance == 0:
            return gains
        left = variance - float(np.square(self._directions @ self._labels).sum())
        for position in self._blocks:
            inverse = self._inverses[position]
            freedom = len(inverse) - self._ridges[position] * np.trace(inverse) - 1 / (1 + self._ridge)
            gains[position] = max(freedom, 0.0) * max(left, 0.0) / dimensions / variance
        return gains

    def _project_out(self, q: Floats, products: Floats) -> None:
        self.with_labels -= np.multiply.outer(products, q @ self._labels)
        for position in self._blocks:
            inverse, c = self._inverses[position], products[self._rows(position)]
            reached = inverse @ c
            inverse += np.multiply.outer(reached, reached / (1 - c @ reached))

    def _inverse(self, position: int) -> Floats:
        block = self._columns.block(position)
        ridge = self._ridges[position] * np.eye(block.shape[1])
        return np.asarray(np.linalg.inv(block.T @ block + ridge), dtype=np.float64)

    def _rows(self, position: int) -> slice:
        start = self._columns.starts[position]
        return slice(start, start + self._columns.counts[position])


def determinantal(followed: Residuals, strength: float) -> Floats:
    """Weigh by ``share^(strength / 2)``, the root of a column's conditional variance.

    At strength 1 each column raises ``det(S C S)`` of the chosen ones the most, S their scores and C their
    correlations: ``score^2 x share`` is what the column adds as a factor, by pivoted Cholesky (Chen et al. 2018).
    """
    return np.asarray(np.power(followed.share_left(), strength / 2), dtype=np.float64)


def greedy(followed: LabelResiduals, strength: float) -> Floats:
    """Weigh by ``gain^strength``: orthogonal matching pursuit on the labels, with a ridge, times the score.

    The ridge is a share of the column's own variance over all of its encodings, so that no unit matters, that a column
    of which little is left gains little, and that one of many rare categories does not gain by their number.
    """
    return np.asarray(np.power(followed.gain(), strength), dtype=np.float64)
