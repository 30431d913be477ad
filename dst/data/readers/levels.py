"""The limit of a column's categories."""

from __future__ import annotations

MAX_CATEGORIES = 1000
"""Categories of a column."""

FEW_CATEGORIES = 20
"""Above this many categories, a column with more of them than half of its rows is taken for an identifier."""


def levels_problem(name: str, n_categories: int, n_values: int) -> str:
    """Why a column with so many categories among so many values is no feature; empty: it may be one."""
    if n_categories <= MAX_CATEGORIES and (n_categories <= FEW_CATEGORIES or n_categories <= n_values / 2):
        return ""
    return (
        f"column {name!r} has {n_categories} categories in {n_values} rows, like an identifier: a column may have "
        f"{MAX_CATEGORIES}, and above {FEW_CATEGORIES} no more than half as many as rows"
    )
