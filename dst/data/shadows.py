"""Scores of a table's columns from the scores of their encodings, less what no effect would give.

A column of categories reaches a ranker as a column of zeros and ones for each of its categories; a column of numbers
with missing values may bring an indicator. Their scores cannot be summed (a random column of 200 categories would beat
the columns that decide the class), and their mean is not enough (200 categories fit more noise than one number does).
So the scores of a column are pooled (:meth:`Columns.pooled`), and what is expected of it under no effect is taken off
(:meth:`Columns.above_chance`). That expectation is measured: the ranker is also given *shadows*, copies of columns
whose rows were dealt out anew. A shadow has the values, the categories and their shares of the column that it copies,
and it competes in the same model, but has no effect. A column that is independent of the labels and of all other
columns is exchangeable with its shadow, so that the difference of their scores is symmetric about 0, however many
categories there are and whatever the model is. A column without effect that goes along with others is judged beside a
copy that does not: shadows are no knockoffs, and control no rate of false discoveries.

Sources: Sandri and Zuccolotto (J. Comput. Graph. Stat. 2008) and Nembrini, Koenig and Wright (Bioinformatics 2018) for
the impurity of trees; the shadow attributes of Kursa and Rudnicki (J. Stat. Softw. 2010) for any ranking; Barber and
Candes (Ann. Statist. 2015) for the statistic that is symmetric under no effect.

A ranker holds as many encoded columns again, besides its table, while it runs.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dst.data.dataset import Part, as_array
from dst.data.preparation import beside, encodings_of

NUMBER_SHADOWS = 16
"""Shadows of plain numbers at most: as they are all alike, their median stands for each."""

POOLINGS = ("mean", "root_mean_square", "root_sum", "sum")
"""How the scores of the encoded columns of a column become one.

``mean``
    For squares of magnitudes by unit of the input: ``sum_e p_e s_e`` with ``p_e`` the share of rows in category e, the
    square of what ``root_mean_square`` makes of their roots.
``root_mean_square``
    For magnitudes by unit of the input (weights, gradients, coefficients): ``sqrt(sum_e p_e s_e^2)`` with ``p_e`` the
    share of rows in category e, the root mean square over training rows of the magnitude that the row's category has; a
    group norm (Yuan and Lin, JRSSB 2006) in units of the data. It does not grow with the number of categories, and a
    scaled number's is its own magnitude.
``root_sum``
    For parts of a whole that are of one size under no effect, such as decreases of impurity: their sum over the root of
    their number. The sum of e such parts spreads as ``sqrt(e)`` does, so that without effect columns of many categories
    would fill both ends of a ranking.
``sum``
    For parts that are weighted by their rows already (products with the input), or scores that stand at the first
    encoding alone.
"""

Scores = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Columns:
    """The column of the table, or the shadow, that each encoded column belongs to.

    Attributes:
        n_features: columns of the table.
        origin: for each encoded column the column of the table, ``0 .. n_features - 1``, or ``n_features`` plus the
            number of the shadow, int64 ``(n_encoded,)``.
        share: for each encoded column the share of the training rows that it is 1 in, float64 ``(n_encoded,)``; 1 for
            scaled numbers.
        copied: the column of the table that each shadow copies, int64 ``(n_shadows,)``.
        plain: which columns of the table are numbers without an indicator, bool ``(n_features,)``.
    """

    n_features: int
    origin: Ints
    share: Scores
    copied: Ints
    plain: npt.NDArray[np.bool_]

    def pooled(self, scores: Scores, pooling: str) -> Scores:
        """Return one score for each column of the table and, behind them, for each shadow.

        Args:
            scores: float64 ``(n_encoded,)``.
            pooling: a name in :data:`POOLINGS`.

        Returns:
            float64 ``(n_features + n_shadows,)``.
        """
        weights = scores**2 if pooling == "root_mean_square" else scores
        if pooling in ("mean", "root_mean_square"):
            weights = self.share * weights
        size = self.n_features + len(self.copied)
        sums = np.bincount(self.origin, weights=weights, minlength=size).astype(np.float64)
        if pooling == "root_mean_square":
            return np.sqrt(sums)
        return sums / np.sqrt(np.bincount(self.origin, minlength=size).clip(1)) if pooling == "root_sum" else sums

    def above_chance(self, pooled: Scores) -> Scores:
        """Return by how much each column's score exceeds that of its shadow, float64 ``(n_features,)``.

        The median of the plain numbers' shadows is taken off each plain number: it stands for them all, leaves their
        order as it is, and, where a sparse model gives most columns 0, is 0 like the difference of a category's.
        Below 0 a column did worse than its copy without effect.

        Args:
            pooled: what :meth:`pooled` returned.
        """
        scores, shadows = pooled[: self.n_features].copy(), pooled[self.n_features :]
        of_numbers = self.plain[self.copied]
        scores[self.copied[~of_numbers]] -= shadows[~of_numbers]
        if of_numbers.any():
            scores[self.plain] -= np.median(shadows[of_numbers])
        return scores


def columns_of(part: Part, n_features: int) -> Columns:
    """Return the columns of a part without shadows.

    Args:
        part: training rows, with encodings.
        n_features: columns of the table.
    """
    n_encoded = int(part.x.shape[1])
    origin = np.arange(n_encoded) if part.origin is None else part.origin
    n_numbers = n_encoded if part.n_numbers is None else part.n_numbers
    share = np.ones(n_encoded)
    share[n_numbers:] = np.asarray(part.x[:, n_numbers:].mean(axis=0, dtype=np.float64)).ravel()
    plain = np.zeros(n_features, np.bool_)
    plain[origin[:n_numbers]] = True
    plain[origin[n_numbers:]] = False
    return Columns(n_features, origin, share, np.array([], np.int64), plain)


def with_shadows(
    train: Part, validation: Part, n_features: int, rng: np.random.Generator
) -> tuple[Part, Part, Columns]:
    """Return both parts with shadows behind their columns, and which is which.

    Every column that is not a plain number has a shadow, and of the plain numbers up to :data:`NUMBER_SHADOWS`, drawn.
    Rows of the two parts are dealt out apart.

    Args:
        train: training rows, with encodings.
        validation: rows of the same encodings.
        n_features: columns of the table.
        rng: draws.
    """
    columns = columns_of(train, n_features)
    numbers = np.flatnonzero(columns.plain)
    drawn = rng.choice(numbers, min(NUMBER_SHADOWS, len(numbers)), replace=False)
    copied = np.union1d(np.setdiff1d(columns.origin, numbers), drawn)
    encodings = encodings_of(columns.origin)
    encoded = [encodings[column] for column in copied]
    shadowed = dataclasses.replace(
        columns,
        origin=np.concatenate(
            [columns.origin, *(np.full(len(encoding), n_features + number) for number, encoding in enumerate(encoded))]
        ),
        share=np.concatenate([columns.share, *(columns.share[encoding] for encoding in encoded)]),
        copied=copied,
    )
    return (
        _with_copies(train, encoded, shadowed.origin, rng),
        _with_copies(validation, encoded, shadowed.origin, rng),
        shadowed,
    )


def _with_copies(part: Part, encoded: list[Ints], origin: Ints, rng: np.random.Generator) -> Part:
    """Append the encoded columns of each column that is copied, in an order of rows of its own."""
    n_rows = len(part.y)
    copies = [as_array(part.x[:, encoding])[rng.permutation(n_rows)] for encoding in encoded]
    return dataclasses.replace(part, x=beside([part.x, *copies]), origin=origin)
