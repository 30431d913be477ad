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


_MUCH = 0.01
"""The share from which on so much is left of a direction that rounding is none of it."""


class Residuals:
    """What is left of columns after those that have entered.

    Attributes:
        left: sum of squares that is left of each encoded column, float64 ``(n_encoded,)``.
    """

    def __init__(self, columns: CentredColumns, n_rows: int) -> None:
        self._columns = columns
        self._room = np.empty((16, n_rows))  # for directions, doubled when it is full
        self._n_directions = 0
        self._variances = columns.by_column(columns.squares)
        self.left = columns.squares.copy()

    def enter(self, block: Floats) -> None:
        """Take account of a column that enters, of encodings ``(n_rows, n_encodings)``."""
        added = self._added_by(block)
        if not len(added):
            return
        self._append(added)
        products = self._columns.products(added.T)
        self.left = np.maximum(self.left - np.einsum("ij,ij->i", products, products), 0.0)
        self._project_out(added, products)

    def share_left(self) -> Floats:
        """Return the share of each column's variance that is left, float64 ``(n_columns,)``; 0 of a constant one."""
        left = self._columns.by_column(self.left)
        share = np.divide(left, self._variances, out=np.zeros_like(left), where=self._variances > 0)
        return np.where(share > NOTHING, share, 0.0)

    def _project_out(self, added: Floats, products: Floats) -> None:
        """Take account of directions ``(n_added, n_rows)`` and their products with the encoded ``(n_encoded, ...)``."""

    def _added_by(self, block: Floats) -> Floats:
        """Return what encodings add to the directions so far, orthonormal, float64 ``(n_added, n_rows)``.

        These are the principal axes of what is left of the encodings, each taken at length 1: dependent encodings, as
        of all levels of a category, have axes of which nothing is left. Where little is left of one, the second time
        takes off what rounding left of the first (Giraud et al. 2005).
        """
        rest = block.T
        squares = np.einsum("ij,ij->i", rest, rest)
        rest = rest[squares > 0] / np.sqrt(squares[squares > 0])[:, None]
        directions = self._room[: self._n_directions]
        for _ in range(2):
            rest -= (rest @ directions.T) @ directions
            shares, axes = np.linalg.eigh(rest @ rest.T)
            left = shares > NOTHING
            rest = (axes[:, left] / np.sqrt(shares[left])).T @ rest
            if (shares[left] > _MUCH).all():
                break
        return np.asarray(rest, dtype=np.float64)

    def _append(self, added: Floats) -> None:
        n_directions = self._n_directions + len(added)
        if n_directions > len(self._room):
            room = np.empty((max(n_directions, 2 * len(self._room)), self._room.shape[1]))
            room[: self._n_directions] = self._room[: self._n_directions]
            self._room = room
        self._room[self._n_directions : n_directions] = added
        self._n_directions = n_directions


class LabelResiduals(Residuals):
    """What is left of columns, and what it says about what is left of the labels.

    A column with several encodings keeps ``R_i'R_i + ridge I``: the ridge keeps what it is solved for from rounding.

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
        self._grams = [columns.grams(blocks) for blocks in columns.blocks]
        for blocks, grams in zip(columns.blocks, self._grams, strict=True):
            np.einsum("ijj->ij", grams)[:] += self._ridges[blocks.positions, None]  # a view of the diagonals

    def gain(self) -> Floats:
        """Return the share of the labels' variance that each column adds, with its ridge, float64 ``(n_columns,)``.

        ``tr(Q' R_i (R_i'R_i + ridge I)^-1 R_i' Q) / ||Y||^2`` with Q, what is left of the labels Y: ``R_i'Q = R_i'Y``.
        """
        gains, is_left = np.zeros(len(self._variances)), self.share_left() > 0
        encoded = self._columns.starts[self._numbers]
        explained = np.einsum("ij,ij->i", self.with_labels[encoded], self.with_labels[encoded])
        length = self.left[encoded] + self._ridges[self._numbers]
        gains[self._numbers] = np.divide(explained, length, out=np.zeros_like(length), where=length > 0)
        for blocks, grams in zip(self._columns.blocks, self._grams, strict=True):
            some = is_left[blocks.positions]
            shared = self.with_labels[blocks.encoded[some]]
            gains[blocks.positions[some]] = np.sum(shared * np.linalg.solve(grams[some], shared), axis=(1, 2))
        variance = float(np.square(self._labels).sum())
        shares = gains / variance if variance > 0 else np.zeros_like(gains)
        return np.where((shares > NOTHING) & is_left, shares, 0.0)

    def gain_by_chance(self) -> Floats:
        """Return how much more each column would gain by chance than one number, float64 ``(n_columns,)``; numbers: 0.

        Were Q turned at random in the ``n - 1 - m`` dimensions that m directions have left of the rows' space, a column
        would gain ``df / (n - 1 - m)`` of its square on average, with the degrees of freedom
        ``df = tr(R_i'R_i (R_i'R_i + ridge I)^-1)`` of its encodings. A number of which all is left has
        ``1 / (1 + ridge)`` of them.
        """
        gains = np.zeros(len(self._variances))
        dimensions = len(self._labels) - 1 - self._n_directions
        variance = float(np.square(self._labels).sum())
        if not self._grams or dimensions < 1 or variance == 0:
            return gains
        left = variance - float(np.square(self._room[: self._n_directions] @ self._labels).sum())
        for blocks, grams in zip(self._columns.blocks, self._grams, strict=True):
            varies = self._variances[blocks.positions] > 0
            positions = blocks.positions[varies]
            traces = np.trace(np.linalg.inv(grams[varies]), axis1=1, axis2=2)
            freedom = grams.shape[1] - self._ridges[positions] * traces - 1 / (1 + self._ridge)
            gains[positions] = np.maximum(freedom, 0.0) * max(left, 0.0) / dimensions / variance
        return gains

    def _project_out(self, added: Floats, products: Floats) -> None:
        self.with_labels -= products @ (added @ self._labels)
        for blocks, grams in zip(self._columns.blocks, self._grams, strict=True):
            c = products[blocks.encoded]
            grams -= c @ c.swapaxes(1, 2)


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
