"""Columns of numbers that seem to say something else: the number of the row, an identifier, or a date."""

from __future__ import annotations

import re
from collections.abc import Container
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from dst.data.readers.dates import compact_dates
from dst.data.readers.notes import Note

if TYPE_CHECKING:
    import pandas as pd

Floats = npt.NDArray[np.floating[Any]]

_FEWEST_ROWS = 5
_FEWEST_IDENTIFIERS = 50
_ID_NAME = re.compile(r"(^|[ _.-])(?i:id|key|uuid|nr|no|num)([ _.-]|$)|[a-z](ID|Id|Nr|Num)$")
_INDEX_NAME = re.compile(
    r"unnamed: \d+(_level_\d+)?|index|level_0|row[._ ]?(names?|id|index|number|nr|no)|rn", re.IGNORECASE
)

_UNNAMED = re.compile(r"unnamed: \d", re.IGNORECASE)


def counter_notes(x: Floats, frame: pd.DataFrame, categories: Container[int]) -> list[Note]:
    """Notes on columns of whole numbers that count rows, name them, or whose digits are dates such as 20240131.

    Whole numbers of 50 rows or more that all differ may be identifiers, where they rise or the column is called one.

    A column counts rows if it rises by 1 from row to row, or holds each of 0 to n - 1, or of 1 to n, once. One with the
    name that programs give to a saved index need only hold each number once; one called ``Unnamed: 0``, which pandas
    gives to an index that was read back, any whole numbers.

    Args:
        x: the features ``(n_rows, n_columns)``.
        frame: the columns that they were made of.
        categories: the numbers of the columns that hold codes.
    """
    if len(x) < _FEWEST_ROWS:
        return []
    with np.errstate(invalid="ignore"):
        low, high = np.fmin.reduce(x, axis=0), np.fmax.reduce(x, axis=0)
        whole = (np.isnan(x[:_FEWEST_ROWS]) | (x[:_FEWEST_ROWS] % 1 == 0)).all(axis=0)
        spans = whole & (high - low == len(x) - 1)
        like_dates = whole & (low >= 1800_01_01) & (high <= 2200_01_01)
    ids = _identifiers(x, frame, low, high)
    named = [number for number, name in enumerate(frame.columns) if _INDEX_NAME.fullmatch(str(name))]
    notes = []
    for column in sorted({*np.flatnonzero(spans | like_dates), *named, *ids}):
        if column in categories:
            continue
        name, values = str(frame.columns[column]), frame.iloc[:, column].to_numpy(dtype=np.float64, na_value=np.nan)
        is_saved = column in named and (_UNNAMED.match(name) is not None or _all_differ(values))
        if _counts_rows(values) or (is_saved and not (values % 1).any()):
            remedy = "a saved row index? --index-column COL or --drop COL"
            notes.append(Note("row numbers", "", remedy, name, f"{values[0]:g}, {values[1]:g}, ..."))
        elif (dates := compact_dates(values)) is not None and dates.nunique() > 2:
            example = f"{values[~np.isnan(values)][0]:.0f}"
            notes.append(Note("numbers that look like dates", "", "read as numbers; or --dates COL", name, example))
        elif column in ids:
            example = f"{values[0]:.0f}, {values[1]:.0f}, ..."
            notes.append(Note("whole numbers that all differ", "", "identifiers? --drop COL", name, example))
    return notes


def _identifiers(x: Floats, frame: pd.DataFrame, low: Floats, high: Floats) -> list[int]:
    """Return the columns of whole numbers that all differ, where they rise from row to row or are called an id."""
    if len(x) < _FEWEST_IDENTIFIERS:
        return []
    found = []
    for column in np.flatnonzero(high - low >= len(x) - 1).tolist():
        values = x[:, column].astype(np.float64)
        rises = bool((values[1:] > values[:-1]).all())
        if (rises or _ID_NAME.search(str(frame.columns[column]))) and not (values % 1).any() and _all_differ(values):
            found.append(column)
    return found


def _counts_rows(values: npt.NDArray[np.float64]) -> bool:
    if (np.diff(values) == 1).all():
        return True
    start = values.min()
    return bool(start in (0, 1) and (np.sort(values) == np.arange(len(values)) + start).all())


def _all_differ(values: npt.NDArray[np.float64]) -> bool:
    return len(np.unique(values)) == len(values)
