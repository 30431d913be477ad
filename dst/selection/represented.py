"""Stand-ins of chosen columns: the columns that were not chosen and that a chosen one represents."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dst.data.dataset import Part
from dst.errors import check_rules
from dst.selection.columns import Ints, TrainingColumns
from dst.selection.correlations import root_rv
from dst.selection.order import TIE

_BLOCK = 2**22  # numbers of a block of columns in float64: 32 MB


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


def stand_ins(train: Part, chosen: Ints, *, at_least: float = 0.7) -> dict[int, tuple[StandIn, ...]]:
    """Return the columns that each chosen column represents, by falling correlation.

    A column that was not chosen goes to the chosen one that it correlates with the most, the first of equal ones.

    Args:
        train: training rows.
        chosen: column numbers, int64 ``(n_chosen,)``, in the order of entering.
        at_least: the correlation from which on a column is represented.

    Returns:
        The stand-ins of each chosen column, in the order of ``chosen``; equal ones in the table's order.

    Raises:
        InputError: ``at_least`` is not above 0 and at most 1.
    """
    check_rules(("0 < at_least <= 1", 0 < at_least <= 1, f"at_least={at_least}"))
    if not len(chosen):
        return {}
    last = int(train.x.shape[1]) - 1 if train.origin is None else int(train.origin.max())
    n_features = max(last, int(chosen.max())) + 1  # a chosen one may have no encodings
    table = TrainingColumns(train.x, train.origin, n_features)
    representing = table.centred(chosen)
    directions = np.hstack([representing.block(position) for position in range(len(chosen))])
    found: dict[int, list[StandIn]] = {int(column): [] for column in chosen}
    for columns in _blocks(table, np.setdiff1d(np.arange(n_features), chosen), directions.shape[1]):
        others = table.centred(columns)
        shared = representing.by_column(others.by_column(np.square(others.products(directions))).T).T
        r = root_rv(shared, np.multiply.outer(others.spreads, representing.spreads))
        largest = r.max(axis=1, keepdims=True)
        owner = np.argmax(r >= largest - TIE, axis=1)
        for row in np.flatnonzero(largest[:, 0] >= at_least - TIE):
            found[int(chosen[owner[row]])].append(StandIn(int(columns[row]), float(largest[row, 0])))
    return {column: tuple(sorted(each, key=lambda other: -other.r)) for column, each in found.items()}


def _blocks(table: TrainingColumns, columns: Ints, n_directions: int) -> list[Ints]:
    """Return columns in blocks that take a bounded amount of memory, one column at least."""
    if not len(columns):
        return []
    width = max(1, _BLOCK // (table.n_rows + n_directions))
    number = (np.cumsum(table.n_encodings(columns)) - 1) // width
    return np.split(columns, np.flatnonzero(np.diff(number)) + 1)
