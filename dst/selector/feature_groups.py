"""Columns that a selector selects together or not at all."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import numpy.typing as npt

from dst.errors import InputError
from dst.files.plain import plain


def group_codes(given: Any, n_features: int) -> npt.NDArray[np.int64] | None:
    """Return the group of each column, int64 ``(n_features,)``, -1 for one that enters alone; None: all do.

    Args:
        given: lists of column numbers.
        n_features: columns of the table.

    Raises:
        InputError: it is something else, a list is empty, or a column is unknown or in two groups.
    """
    groups = plain(given)
    if not isinstance(groups, list | tuple) or not all(isinstance(group, list | tuple) and group for group in groups):
        raise InputError(f"feature_groups must be lists of one column number or more, but got {given!r}")
    columns = [column for group in groups for column in group]
    unknown = next((c for c in columns if type(c) is not int or not 0 <= c < n_features), None)
    if unknown is not None:
        raise InputError(f"feature_groups takes column numbers from 0 to {n_features - 1}, but got {unknown!r}")
    twice = next((column for column, count in Counter(columns).items() if count > 1), None)
    if twice is not None:
        raise InputError(f"a column is in one of feature_groups at most, once, but column {twice} is named again")
    if not groups:
        return None
    codes = np.full(n_features, -1, dtype=np.int64)
    for code, group in enumerate(groups):
        codes[list(group)] = code
    return codes


def large_enough(every_k: tuple[int, ...], groups: npt.NDArray[np.int64] | None) -> tuple[int, ...]:
    """Return the numbers of columns that the smallest group, or a column that enters alone, fits into.

    Args:
        every_k: numbers of columns.
        groups: see :func:`group_codes`.

    Raises:
        InputError: there is none.
    """
    if groups is None or (groups < 0).any():
        return every_k
    smallest = int(np.bincount(groups).min())
    if every_k[-1] < smallest:
        raise InputError(
            f"at least one of feature_groups must fit into the columns that are selected, but the smallest has "
            f"{smallest}, and {every_k[-1]} are to be selected"
        )
    return tuple(k for k in every_k if k >= smallest)
