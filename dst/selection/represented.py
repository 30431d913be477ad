"""Stand-ins of chosen columns: the columns that were not chosen and that a chosen one represents."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from dst.data.dataset import Part
from dst.errors import check_rules
from dst.selection.columns import Floats, Ints, TrainingColumns, spread
from dst.selection.correlations import root_rv
from dst.selection.order import TIE

CLOSEST = 20
"""Stand-ins of a column that lists and selectors keep: a table of genes has thousands."""


@dataclass(frozen=True)
class StandIn:
    """A column that a chosen one represents.

    Attributes:
        column: its number in the table.
        r: its correlation with the chosen one, in [0, 1]: ``sqrt(RV)``, which is ``|r|`` of numbers
            (:mod:`dst.selection.correlations`).
    """

    column: int
    r: float


def stand_ins(
    train: Part, chosen: Ints, *, at_least: float = 0.7, most: int | None = None
) -> dict[int, tuple[StandIn, ...]]:
    """Return the columns that each chosen column represents, by falling correlation.

    A column that was not chosen goes to the chosen one that it correlates with the most, the first of equal ones. Each
    is compared with all chosen ones: twice rows x encoded columns x chosen encodings operations.

    Args:
        train: training rows.
        chosen: column numbers, int64 ``(n_chosen,)``, in the order of entering.
        at_least: the correlation from which on a column is represented.
        most: how many stand-ins of a chosen column are returned, the closest; None: all.

    Returns:
        The stand-ins of each chosen column, in the order of ``chosen``; equal ones in the table's order.

    Raises:
        InputError: ``at_least`` is not above 0 and at most 1, or ``most`` is below 1.
    """
    check_rules(
        ("0 < at_least <= 1", 0 < at_least <= 1, f"at_least={at_least}"),
        ("most >= 1", most is None or most >= 1, f"most={most}"),
    )
    if not len(chosen):
        return {}
    last = int(train.x.shape[1]) - 1 if train.origin is None else int(train.origin.max())
    n_features = max(last, int(chosen.max())) + 1  # a chosen one may have no encodings
    table = TrainingColumns(train.x, train.origin, n_features)
    representing = table.centred(chosen)
    directions = np.hstack([_of_spread_one(representing.block(position)) for position in range(len(chosen))])
    column, owner, r = np.array([], dtype=np.int64), np.array([], dtype=np.int64), np.array([])
    for columns in table.in_blocks(np.setdiff1d(np.arange(n_features), chosen), directions.shape[1]):
        others = table.centred(columns)
        products = others.products(directions)
        shared = representing.by_column(others.by_column(np.square(products, out=products)).T).T
        largest = root_rv(shared.max(axis=1), others.spreads)
        close = np.flatnonzero(largest >= at_least - TIE)
        each = root_rv(shared[close], others.spreads[close, None])
        column = np.concatenate([column, columns[close]])
        owner = np.concatenate([owner, np.argmax(each >= largest[close, None] - TIE, axis=1)])
        r = np.concatenate([r, largest[close]])
    order = np.lexsort((column, -r, owner))
    ends = np.searchsorted(owner[order], np.arange(len(chosen)), side="right")
    return {
        int(representative): tuple(StandIn(int(column[other]), float(r[other])) for other in others[:most])
        for representative, others in zip(chosen, np.split(order, ends)[:-1], strict=True)
    }


def _of_spread_one(block: Floats) -> Floats:
    norm = spread(block)
    return block / math.sqrt(norm) if norm > 0 else block
