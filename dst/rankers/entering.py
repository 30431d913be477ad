"""Columns that enter one by one, each the best beside those that have entered, and the scores that say their order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from dst.data.dataset import Part
from dst.data.preparation import at_first_encoding, column_numbers
from dst.errors import check_rules
from dst.selection.columns import CentredColumns, Floats, Ints, TrainingColumns
from dst.selection.order import first_of_largest
from dst.selection.registry import Followed

_Followed = TypeVar("_Followed", bound=Followed)


@dataclass(frozen=True)
class EnteringConfig:
    """Settings of rankers by an order of entering.

    Attributes:
        depth: how many columns enter at most. All others are equal, so that K must not be larger; on a table of many
            columns each that enters costs one product with all of them.
    """

    depth: int = 300

    def __post_init__(self) -> None:
        check_rules(("depth >= 1", self.depth >= 1, f"depth={self.depth}"))

    def check_k(self, n_features: int, k: int) -> None:
        """Refuse to select more columns than enter, see :func:`dst.rankers.base.check_k`."""
        check_rules(("k <= depth", k <= self.depth, f"k={k}, depth={self.depth}"))


def scores_of_entering(
    train: Part,
    depth: int,
    rng: np.random.Generator,
    follow: Callable[[CentredColumns], _Followed],
    worth: Callable[[_Followed, Ints], Floats],
) -> Floats:
    """Let columns enter, and return one over each one's place, float64 ``(n_encoded,)``: 1, 1/2, 1/3, ...

    A column that has not entered has 0; the score of a column with several encodings stands at the first of them. All
    columns are candidates, each with all its encodings. That the scores fall as 1 / place is for means of several
    orders, over inner splits or seeds: a column that entered early in one of them counts for more than one that entered
    late in all, as columns that repeat one another enter in each other's place.

    Args:
        train: training rows.
        depth: how many columns enter, if that many are worth it.
        rng: draws which of equal columns comes first.
        follow: makes what is followed of the columns while some enter.
        worth: of the columns, from that and from their numbers, int64 ``(n_columns,)`` (from 0 without gaps, as
            :func:`dst.data.preparation.column_numbers` counts); float64 ``(n_columns,)``. The next column is the one of
            the largest; one that is worth nothing, 0 or less, does not enter.
    """
    numbers = column_numbers(train)
    n_columns = int(numbers.max()) + 1
    order = rng.permutation(n_columns)
    table = TrainingColumns(train.x, None if train.origin is None else numbers, n_columns)
    columns = table.centred(order)
    followed = follow(columns)
    waiting = np.ones(n_columns, dtype=np.bool_)
    scores = np.zeros(n_columns)
    for place in range(1, min(depth, n_columns) + 1):
        values = np.where(waiting, worth(followed, order), 0.0)
        if not values.max() > 0:
            break
        position = first_of_largest(values)
        waiting[position] = False
        scores[order[position]] = 1 / place
        followed.enter(columns.block(position))
    return at_first_encoding(scores, numbers)
