"""A labelled table as its file gives it, and the rules that hold for every format."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from dst.data.dataset import TableMatrix
from dst.errors import InputError

_LARGEST_LABEL = 2**53  # beyond it a float is not every whole number


@dataclass(frozen=True)
class Table:
    """A labelled table as its file gives it.

    Attributes:
        x: features, float32 or float64 of shape ``(n_samples, n_features)``, at least one row and one column, finite or
            NaN where a value is missing: an array in C order, or a sparse CSR array. A categorical column holds the
            codes ``0 .. n - 1`` of its categories.
        labels: one label a row, int64 or str of shape ``(n_samples,)``.
        feature_names: one name a column, no two alike.
        categories: the names of the categories of each categorical column, by column number.
        groups: a code a row, int64 ``(n_samples,)``, where a group column was named, else None.
        times: float64 ``(n_samples,)``, where a time column was named, else None.
    """

    x: TableMatrix
    labels: npt.NDArray[Any]
    feature_names: tuple[str, ...]
    categories: Mapping[int, tuple[str, ...]] = field(default_factory=dict)
    groups: npt.NDArray[np.int64] | None = None
    times: npt.NDArray[np.float64] | None = None


@dataclass(frozen=True)
class Roles:
    """Which columns are no plain features.

    Attributes:
        target: holds the labels; None: the format's own rule finds them.
        group: says which rows belong together, if any does.
        time: says when each row was taken, if any does.
        categorical: columns that are categories though they may hold numbers.
    """

    target: str | None = None
    group: str | None = None
    time: str | None = None
    categorical: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Raise an InputError if a column has two roles."""
        named = [name for name in (self.target, self.group, self.time, *self.categorical) if name is not None]
        twice = [name for name in dict.fromkeys(named) if named.count(name) > 1]
        if twice:
            raise InputError(f"a column has one role (target, group, time or categorical), but {twice[0]!r} has two")


def check_table(table: Table) -> None:
    """Raise an InputError if the table is empty, ragged, infinite somewhere or has a column without any value.

    Values beyond float32 are refused though a table may be float64: what rankers get is float32, and a column that is
    constant in the training rows is only shifted, whatever other rows hold.
    """
    rows, columns = table.x.shape
    if columns == 0:
        raise InputError("there are no feature columns")
    if rows == 0:
        raise InputError("there are no rows")
    for what, values in (("label", table.labels), ("group", table.groups), ("time", table.times)):
        if values is not None:
            check_rows(what, (rows, columns), len(values))
    infinite = infinite_columns(table.x)
    if len(infinite):
        names = [table.feature_names[column] for column in infinite]
        raise InputError(f"values must be finite and within float32, but these columns have others: {shorten(names)}")
    empty = np.flatnonzero(missing_counts(table.x) == rows)
    if len(empty):
        names = [table.feature_names[column] for column in empty]
        raise InputError(f"every column needs a value in some row, but these have none: {shorten(names)}")


def check_rows(what: str, shape: tuple[int, int], count: int) -> None:
    """Raise an InputError unless there are as many labels, groups or times as rows.

    Args:
        what: ``label``, ``group`` or ``time``.
        shape: rows and columns of the features.
        count: how many there are.
    """
    rows, columns = shape
    if count != rows:
        transposed = ": is X transposed (features x samples)? It needs one row a sample" if count == columns else ""
        raise InputError(f"every row needs one {what}, but there are {rows} rows and {count} {what}s{transposed}")


def infinite_columns(x: TableMatrix) -> npt.NDArray[np.int64]:
    """The numbers of the columns that hold a value beyond float32, or an infinite one."""
    if isinstance(x, np.ndarray):
        with np.errstate(over="ignore"):
            low, high = (side(x, axis=0).astype(np.float32) for side in (np.fmin.reduce, np.fmax.reduce))
        return np.flatnonzero(np.isinf(low) | np.isinf(high))
    with np.errstate(over="ignore"):
        return np.unique(x.indices[np.isinf(x.data.astype(np.float32))]).astype(np.int64)


def missing_counts(x: TableMatrix) -> npt.NDArray[np.int64]:
    """How many values of each column are missing, int64 ``(n_features,)``."""
    if isinstance(x, np.ndarray):
        with np.errstate(invalid="ignore"):
            suspects = np.flatnonzero(np.isnan(x.sum(axis=0, dtype=np.float64)))
        counts = np.zeros(x.shape[1], dtype=np.int64)
        counts[suspects] = np.isnan(x[:, suspects]).sum(axis=0)
        return counts
    return np.bincount(x.indices[np.isnan(x.data)], minlength=x.shape[1]).astype(np.int64)


def to_labels(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Labels as int64 where they are whole numbers, as str where they are words.

    Raises:
        InputError: a label is missing, or a fraction: that is a regression target.
    """
    if values.dtype.kind == "O":  # what pandas keeps text and mixed columns in
        import pandas as pd

        missing = int(pd.isna(values).sum())
        if missing:
            raise InputError(f"{missing} of {len(values)} rows have no label")
        values = np.asarray([value if isinstance(value, int | float | np.number) else str(value) for value in values])
    if values.dtype.kind == "f":
        if np.isnan(values).any():
            raise InputError(f"{int(np.isnan(values).sum())} of {len(values)} rows have no label")
        fractions = values[~np.isfinite(values) | (values != np.floor(values))]
        if len(fractions):
            raise InputError(f"labels must be classes, words or whole numbers, but there is {fractions[0]:g}")
    if values.dtype.kind in "iuf":
        large = values[(values > _LARGEST_LABEL) | (values < -_LARGEST_LABEL)]
        if len(large):
            raise InputError(f"labels that are numbers must be within 2**53, but there is {large[0]:g}")
        return values.astype(np.int64)
    if values.dtype.kind not in "bSU":
        raise InputError(f"labels must be classes, words or whole numbers, but their type is {values.dtype}")
    words = np.char.strip(values.astype(str))
    if (words == "").any():
        raise InputError(f"{int((words == '').sum())} of {len(words)} rows have no label")
    return words


def numbered(n_features: int) -> tuple[str, ...]:
    """Names for the columns of a format that has none."""
    return tuple(f"f{column}" for column in range(n_features))


def shorten(names: Sequence[str], limit: int = 8) -> str:
    """The first ``limit`` names in quotes, cut where long, and how many more there are; ``none`` for no names."""
    shown = ", ".join(repr(name if len(name) <= 60 else f"{name[:57]}...") for name in names[:limit])
    return (shown if len(names) <= limit else f"{shown} and {len(names) - limit} more") or "none"
