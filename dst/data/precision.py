"""The float type of a table: float32 where it loses nothing that scaling could show, else float64.

Tables are read as float64 and rankers see scaled float32. A table in between may be rounded to float32, x -> f(x), for
half of the memory, but only while that is lost in what scaling does anyway. Three things can go wrong:

1. **Far from zero, beside a small spread.** What a scaled column shows is its standard deviation s, so the error after
   scaling is ``|x - f(x)| / s``, and ``|x - f(x)|`` grows with ``|x|``. A scaled value z is itself rounded by up to
   ``2**-24 |z|``: an error of :data:`NEGLIGIBLE` = 2**-19 is what a value of 32 deviations has at any rate. The limit
   is reached where a column's values are some 32 to 64 times as large as their deviation (1013.2 hPa, Unix seconds,
   UTM metres). The largest error among the paper's datasets at hand is 2**-19.6 (COIL20; Prostate_GE 2**-19.7), and
   2**-20.7 among all others and the tables that need no file: all of them stay float32, and a stricter power of two
   would not keep them.
2. **Different values that become one.** No two different whole numbers may: identifiers, codes such as 20240115 and
   times are whole, and a far value beside them (a 0 for "unknown") may make their deviation so large that the first
   rule says nothing. Other numbers meet by chance, two of n smooth ones in about ``0.28 n**2 NEGLIGIBLE`` pairs at the
   limit above, and a column that varies never becomes constant within it.
3. **Overflow and underflow**, whose errors are as large as the value, so that the first rule finds them.

A table breaks a rule as soon as a column does, and is float64 as a whole then.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from dst.data.dataset import TableMatrix

NEGLIGIBLE = 2.0**-19
"""Error of rounding, in standard deviations of a column, that is lost in the rounding of scaled values."""

_NOISE = 2.0**-46  # of a value's size: a column of a smaller range holds what sums in float64 leave behind
_BLOCK = 2**22  # values of a dense table that are sorted at a time

Doubles = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


def float_type(dtype: Any) -> type[np.float32 | np.float64]:
    """Return float32 for a type of numbers all of which float32 holds, else float64."""
    return np.float32 if isinstance(dtype, np.dtype) and np.can_cast(dtype, np.float32) else np.float64


def narrowed(x: TableMatrix) -> TableMatrix:
    """Return a table as float32 if that loses nothing that scaling could show (see the module), else as it is.

    Args:
        x: float32 or float64 ``(n_rows, n_columns)``, finite or NaN: an array, or a sparse CSR array.
    """
    if x.dtype == np.float32 or any(_loses(values) for values in _values(x)):
        return x
    return x.astype(np.float32)


def lost_by_division(x: TableMatrix) -> list[int]:
    """Return the columns of a sparse table of which float32 loses something though they are divided by their maximum.

    That is all that the scaling ``maxabs``, which keeps zeros, does: values far from zero stay far from it.

    Args:
        x: float32 or float64 ``(n_rows, n_columns)``, an array or a sparse CSR array. A float32 table has lost nothing,
            and a dense one is shifted when it is scaled: for both the list is empty.
    """
    if isinstance(x, np.ndarray) or x.dtype == np.float32:
        return []
    by_column = x.tocsc()
    lost = []
    for column in range(by_column.shape[1]):
        values = by_column.data[by_column.indptr[column] : by_column.indptr[column + 1]]
        values = np.sort(values[~np.isnan(values)])
        if not values.any():
            continue
        values /= np.abs(values).max()
        zeros = np.array([x.shape[0] - (by_column.indptr[column + 1] - by_column.indptr[column])])
        if _loses(_Values(values, np.zeros(len(values), dtype=np.int64), zeros)):
            lost.append(column)
    return lost


def merged_integers(values: npt.NDArray[Any]) -> tuple[int, int] | None:
    """Return two different integers of a column that float64 makes one, if there are some.

    Args:
        values: integers ``(n_rows,)``.
    """
    if not len(values) or max(abs(int(values.min())), abs(int(values.max()))) <= 2**53:
        return None
    distinct = np.unique(values)
    floats = distinct.astype(np.float64)
    merged = np.flatnonzero(floats[1:] == floats[:-1])
    return (int(distinct[merged[0]]), int(distinct[merged[0] + 1])) if len(merged) else None


@dataclass(frozen=True)
class _Values:
    """The values of some columns that are present, one column after another, each by rising value.

    Attributes:
        values: float64 ``(n,)``.
        columns: the column of each, int64 ``(n,)``, counted from 0.
        zeros: how many zeros each column has that are not among the values, int64 ``(n_columns,)``.
    """

    values: Doubles
    columns: Ints
    zeros: Ints


def _values(x: TableMatrix) -> Iterator[_Values]:
    n_rows, n_columns = map(int, x.shape)
    if not isinstance(x, np.ndarray):
        stored = np.bincount(x.indices, minlength=n_columns)
        present = ~np.isnan(x.data)
        values, columns = x.data[present], x.indices[present].astype(np.int64)
        order = np.lexsort((values, columns))
        yield _Values(values[order], columns[order], n_rows - stored)
        return
    width = max(1, _BLOCK // n_rows)
    for first in range(0, n_columns, width):
        block = x[:, first : first + width]
        with np.errstate(over="ignore"):
            inexact = (block != block.astype(np.float32)) & ~np.isnan(block)
        block = block[:, inexact.any(axis=0)]
        values = np.sort(block.T, axis=1)  # NaN last
        present = ~np.isnan(values)
        columns = np.repeat(np.arange(len(values)), present.sum(axis=1))
        yield _Values(values[present], columns, np.zeros(len(values), dtype=np.int64))


def _loses(given: _Values) -> bool:
    """Say whether float32 loses what scaling could show of one of these columns."""
    values, columns = given.values, given.columns
    with np.errstate(over="ignore"):
        rounded = values.astype(np.float32).astype(np.float64)
    error = np.abs(values - rounded)
    if not error.any():
        return False
    largest = np.zeros(len(given.zeros))
    np.maximum.at(largest, columns, error)
    if (_varies(given) & (largest > NEGLIGIBLE * _deviations(given))).any():
        return True
    lower, upper = values[:-1], values[1:]
    merged = (columns[1:] == columns[:-1]) & (lower < upper) & (rounded[:-1] == rounded[1:])
    return bool((merged & (lower == np.floor(lower)) & (upper == np.floor(upper))).any())


def _varies(given: _Values) -> npt.NDArray[np.bool_]:
    """Say of each column whether it has different values, by more than what float64 itself leaves behind."""
    counts = np.bincount(given.columns, minlength=len(given.zeros))
    varies = (given.zeros > 0) & (counts > 0)
    held = np.flatnonzero(counts)
    ends = np.cumsum(counts)[held]
    low, high = given.values[ends - counts[held]], given.values[ends - 1]
    varies[held] |= high - low > _NOISE * np.maximum(np.abs(low), np.abs(high))
    return varies


def _deviations(given: _Values) -> Doubles:
    """Return the standard deviation of each column, its zeros included."""
    size = len(given.zeros)
    count = np.maximum(np.bincount(given.columns, minlength=size) + given.zeros, 1)
    mean = np.bincount(given.columns, weights=given.values, minlength=size) / count
    squares = np.bincount(given.columns, weights=np.square(given.values - mean[given.columns]), minlength=size)
    return np.asarray(np.sqrt((squares + given.zeros * np.square(mean)) / count), dtype=np.float64)
