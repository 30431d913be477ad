"""A labelled table as its file gives it, and the rules that hold for every format."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypedDict, Unpack

import numpy as np
import numpy.typing as npt

from dst.data.dataset import TableMatrix
from dst.data.precision import lost_by_division, narrowed
from dst.data.readers.notes import Note
from dst.data.readers.numerals import THOUSANDS, Convention
from dst.errors import InputError, unknown_name

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
        notes: what was noticed while it was read.
    """

    x: TableMatrix
    labels: npt.NDArray[Any]
    feature_names: tuple[str, ...]
    categories: Mapping[int, tuple[str, ...]] = field(default_factory=dict)
    groups: npt.NDArray[np.int64] | None = None
    times: npt.NDArray[np.float64] | None = None
    notes: tuple[Note, ...] = ()


class ReadOptions(TypedDict, total=False):
    """Keywords that say how the columns and cells of a table are read; all may be left out.

    Attributes:
        drop: columns that are left out.
        drop_unlabelled: whether rows without a label are left out; otherwise they are refused.
        index_column: the column of a saved row index, which is left out.
        dates: columns of dates that become numbers, see :func:`dst.data.readers.dates.date_parts`.
        decimal: the decimal mark of numbers in text, ``.`` or ``,``.
        thousands: what stands between thousands in them, one of ``, . ' _`` or a blank; None: nothing.
        missing_values: further words that mean "no value", in every column.
        separator: what stands between the fields of a text file, ``,``, ``;``, ``|`` or a tab; None: a comma, or what a
            first line such as ``sep=;`` says.
    """

    drop: Sequence[str] | str
    drop_unlabelled: bool
    index_column: str | None
    dates: Sequence[str] | str
    decimal: str
    thousands: str | None
    missing_values: Sequence[str] | str
    separator: str | None


TASKS = ("auto", "classification", "regression")
"""What a target is: labels of classes, numbers, or what it looks like."""

SEPARATORS = (",", ";", "\t", "|")
"""What may stand between the fields of a text file."""


@dataclass(frozen=True)
class Roles:
    """The reading of a file: columns that are no plain features, and how cells are written.

    Attributes:
        target: holds the labels; None: the format's own rule finds them.
        group: says which rows belong together, if any does.
        time: says when each row was taken, if any does.
        categorical: columns that are categories though they may hold numbers.
        survey: whether what would be refused is noted and left out instead, for a look over the table.
        task: what the target is, a name in :data:`TASKS`.

    The others are those of :class:`ReadOptions`.
    """

    target: str | None = None
    group: str | None = None
    time: str | None = None
    categorical: tuple[str, ...] = ()
    drop: tuple[str, ...] = ()
    drop_unlabelled: bool = False
    index_column: str | None = None
    dates: tuple[str, ...] = ()
    decimal: str = "."
    thousands: str | None = None
    missing_values: tuple[str, ...] = ()
    separator: str | None = None
    survey: bool = False
    task: str = "classification"

    @classmethod
    def of(
        cls,
        target: str | None = None,
        group: str | None = None,
        time: str | None = None,
        categorical: Sequence[str] | str = (),
        *,
        survey: bool = False,
        task: str = "classification",
        **options: Unpack[ReadOptions],
    ) -> Roles:
        """The roles that a caller names, where one name will do for a list of one.

        Raises:
            InputError: a column has two roles, or a mark is none that numbers or fields are written with.
        """
        given: dict[str, Any] = {key: value for key, value in options.items() if value is not None}
        for key in ("drop", "dates", "missing_values"):
            given[key] = _words(given.get(key, ()))
        if task not in TASKS:
            raise InputError(unknown_name("task", task, TASKS))
        return cls(target, group, time, _words(categorical), survey=survey, task=task, **given)

    def __post_init__(self) -> None:
        """Raise an InputError if a column has two roles, or a mark is none."""
        named = [self.target, self.group, self.time, self.index_column, *self.categorical, *self.dates, *self.drop]
        twice = [name for name in dict.fromkeys(named) if name is not None and named.count(name) > 1]
        if twice:
            raise InputError(
                "a column has one role (target, group, time, categorical, dates, index_column or drop), but "
                f"{twice[0]!r} has two"
            )
        if self.decimal not in (".", ","):
            raise InputError(f"decimal must be '.' or ',', but got {self.decimal!r}")
        if self.thousands is not None and (self.thousands not in THOUSANDS or self.thousands == self.decimal):
            valid = ", ".join(repr(mark) for mark in THOUSANDS if mark != self.decimal)
            raise InputError(
                f"thousands must be one of {valid} beside decimal {self.decimal!r}, but got {self.thousands!r}"
            )
        if self.separator is not None and self.separator not in SEPARATORS:
            raise InputError(f"separator must be one of {', '.join(map(repr, SEPARATORS))}, but got {self.separator!r}")

    @property
    def convention(self) -> Convention:
        """The convention of numbers in text."""
        return self.decimal, self.thousands

    @property
    def left_out(self) -> tuple[str, ...]:
        """The columns that are no part of the table."""
        return self.drop if self.index_column is None else (*self.drop, self.index_column)

    @property
    def of_columns(self) -> tuple[str, ...]:
        """Options that were named and exist for tables of named columns only, ``drop`` apart."""
        given = {key: getattr(self, key) for key in ReadOptions.__annotations__ if key != "drop"}
        plain = Roles()
        return tuple(key for key, value in given.items() if value != getattr(plain, key))


def _words(given: Sequence[str] | str) -> tuple[str, ...]:
    """One word, or several."""
    return (given,) if isinstance(given, str) else tuple(map(str, given))


def select_columns(table: Table, left_out: Collection[int]) -> Table:
    """The table without these features."""
    if not left_out:
        return table
    kept = [column for column in range(len(table.feature_names)) if column not in left_out]
    x = table.x[:, kept]
    return replace(
        table,
        x=np.ascontiguousarray(x) if isinstance(x, np.ndarray) else x,
        feature_names=tuple(table.feature_names[column] for column in kept),
        categories={new: table.categories[old] for new, old in enumerate(kept) if old in table.categories},
    )


def with_float_type(table: Table) -> Table:
    """The table as float32 where that loses nothing, and a note on what the scaling of a sparse one will lose."""
    x = narrowed(table.x)
    says = (
        "its values lie far from zero, and maxabs, which scales sparse tables, only divides: float32 makes some equal"
    )
    notes = [
        Note("values far from zero in a sparse table", says, "subtract what they share", table.feature_names[column])
        for column in lost_by_division(x)
    ]
    return replace(table, x=x, notes=(*table.notes, *notes))


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
    """The number of missing values of each column, int64 ``(n_features,)``."""
    if isinstance(x, np.ndarray):
        with np.errstate(invalid="ignore"):
            suspects = np.flatnonzero(np.isnan(x.sum(axis=0, dtype=np.float64)))
        counts = np.zeros(x.shape[1], dtype=np.int64)
        counts[suspects] = np.isnan(x[:, suspects]).sum(axis=0)
        return counts
    return np.bincount(x.indices[np.isnan(x.data)], minlength=x.shape[1]).astype(np.int64)


def to_target(values: npt.NDArray[Any], task: str) -> npt.NDArray[Any]:
    """Labels as :func:`to_labels` has them, or numbers as float64.

    Args:
        values: one a row.
        task: a name in :data:`TASKS`; with ``auto`` numbers of which one is a fraction are numbers, all else is labels.

    Raises:
        InputError: a value is missing, labels are fractions, or numbers are words or infinite.
    """
    if task == "regression" or (task == "auto" and _has_fraction(values)):
        return _to_numbers(values)
    return to_labels(values)


def _has_fraction(values: npt.NDArray[Any]) -> bool:
    if values.dtype.kind != "f":
        return False
    known = values[np.isfinite(values)]
    return bool((known != np.floor(known)).any())


def _to_numbers(values: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    try:
        numbers = values.astype(np.float64)
    except (TypeError, ValueError):
        raise InputError("a target of numbers (task regression) must be numbers, but some are words") from None
    missing = int(np.isnan(numbers).sum())
    if missing:
        raise InputError(f"{missing} of {len(numbers)} rows have no label")
    if np.isinf(numbers).any():
        raise InputError("a target of numbers must be finite, but some are infinite")
    return numbers


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
            raise InputError(
                f"labels must be classes, words or whole numbers, but there is {fractions[0]:g}: dst select and "
                "SparseFeatureSelector take numbers too"
            )
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
