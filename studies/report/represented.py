"""The columns that a selected one represents, as a cell of a table."""

from __future__ import annotations

from collections.abc import Sequence

_NAMED = 5


def stands_for(others: Sequence[tuple[int, float]], names: Sequence[str]) -> str:
    """Return the closest of the columns that a selected one represents: ``petal width (0.96), sepal length (0.87)``.

    Args:
        others: their numbers and correlations with it, the closest first.
        names: the columns' names.
    """
    return ", ".join(f"{names[column]} ({r:.2f})" for column, r in others[:_NAMED])
