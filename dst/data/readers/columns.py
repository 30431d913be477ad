"""From named columns to a table: labels, groups and times apart, words as categories, numbers as they are."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from dst.data.readers.table import Roles, Table, shorten, to_labels
from dst.errors import InputError
from dst.limits import check_columns

if TYPE_CHECKING:
    import pandas as pd

MAX_CATEGORIES = 1000
"""Categories of a column."""

FEW_CATEGORIES = 20
"""Above this many categories, a column with more of them than half of its rows is taken for an identifier."""


def from_columns(frame: pd.DataFrame, roles: Roles) -> Table:
    """The table in a frame whose column names are known to be good, see ``check_names``.

    A column of numbers or truth values is numeric, also where the numbers are saved as text; a column of words, and any
    that ``roles`` calls categorical, becomes the codes of its categories in sorted order. Missing values stay missing.

    Raises:
        InputError: a column mixes numbers and words, holds neither, or has too many categories; a label, group or time
            is missing, or is none.
    """
    target = str(roles.target)
    names = [name for name in frame.columns if name not in (target, roles.group, roles.time)]
    unlabelled = int(frame[target].isna().sum())
    if unlabelled:
        raise InputError(f"{unlabelled} of {len(frame)} rows have no label in column {target!r}")
    try:
        labels = to_labels(frame[target].to_numpy())
    except InputError as error:
        raise InputError(f"column {target!r}: {error}") from error
    x, categories = _features(frame[names], frozenset(roles.categorical))
    return Table(
        x,
        labels,
        tuple(names),
        categories,
        groups=None if roles.group is None else to_groups(roles.group, frame[roles.group]),
        times=None if roles.time is None else to_times(roles.time, frame[roles.time]),
    )


def check_names(columns: Sequence[str], roles: Roles) -> None:
    """Raise an InputError unless every column has a name of its own and every role names one of them."""
    check_unique(columns)
    if roles.target is None:
        unnamed = next((name for name in columns if name.lower() in ("null", "~")), None)
        hint = "" if unnamed is None else f" (in YAML, {unnamed} is no name unless it stands in quotes)"
        raise InputError(f"the label column must be named (target){hint}; the columns are {shorten(columns)}")
    for name in (roles.target, roles.group, roles.time, *roles.categorical):
        if name is not None:
            find_column(name, columns)
    check_columns(len(columns))


def check_unique(columns: Sequence[str]) -> None:
    """Raise an InputError unless every column has a name of its own."""
    nameless = [number for number, name in enumerate(columns, start=1) if not name]
    if nameless:
        raise InputError(f"every column needs a name, but column {nameless[0]} has none (a saved row index?)")
    repeated = [name for name, count in Counter(columns).items() if count > 1]
    if repeated:
        raise InputError(f"every column needs its own name, but these repeat: {shorten(repeated)}")


def find_column(name: str, columns: Sequence[str]) -> int:
    """The column's number; an InputError with the nearest name where there is none."""
    if name not in columns:
        near = difflib.get_close_matches(name, columns, n=1, cutoff=0.6)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise InputError(f"no column {name!r}: {hint}the columns are {shorten(columns)}")
    return columns.index(name)


def number_categories(name: str, values: npt.NDArray[Any]) -> tuple[npt.NDArray[np.float32], tuple[str, ...]]:
    """Codes and names of the categories of a column of numbers, ``(n_rows,)``; NaN is a missing value."""
    present = ~np.isnan(values)
    found, codes = np.unique(values[present], return_inverse=True)
    return _codes(name, present, codes), tuple(number_name(value) for value in found)


def to_groups(name: str, values: pd.Series) -> npt.NDArray[np.int64]:
    """A code a row for a column that says which rows belong together.

    Raises:
        InputError: a row has no group.
    """
    lacking = int(values.isna().sum())
    if lacking:
        raise InputError(f"{lacking} of {len(values)} rows have no group in column {name!r}")
    groups = values.to_numpy()
    return np.unique(groups.astype(str) if groups.dtype.kind == "O" else groups, return_inverse=True)[1].astype(
        np.int64
    )


def to_times(name: str, values: pd.Series) -> npt.NDArray[np.float64]:
    """When each row was taken: numbers as they are, dates (ISO 8601 where they are text) as seconds since 1970 UTC.

    Raises:
        InputError: a row has no time, or one that is neither.
    """
    import pandas as pd

    if values.dtype.kind not in "biufM":
        numbers = pd.to_numeric(values, errors="coerce")
        dates = pd.to_datetime(values, format="ISO8601", utc=True, errors="coerce")
        values = dates if numbers.isna().sum() > dates.isna().sum() else numbers
    lacking = np.flatnonzero(values.isna())
    if len(lacking):
        raise InputError(
            f"every row needs a time, a number or an ISO 8601 date, but {len(lacking)} of {len(values)} rows have none "
            f"in column {name!r}, the first in row {lacking[0] + 1}"
        )
    if values.dtype.kind == "M":
        stamps = pd.DatetimeIndex(values)
        stamps = stamps.tz_localize("UTC") if stamps.tz is None else stamps.tz_convert("UTC")
        return np.asarray((stamps - pd.Timestamp(0, tz="UTC")) / pd.Timedelta(seconds=1), dtype=np.float64)
    times = values.to_numpy(dtype=np.float64)
    if not np.isfinite(times).all():
        raise InputError(f"times must be finite, but column {name!r} holds an infinite one")
    return times


def _features(
    frame: pd.DataFrame, categorical: frozenset[str]
) -> tuple[npt.NDArray[np.float32], dict[int, tuple[str, ...]]]:
    """The features, float32 ``(n_rows, n_columns)``, and the categories of those that have some."""
    plain = [
        dtype.kind in "biuf" and not hasattr(dtype, "categories") and name not in categorical
        for name, dtype in frame.dtypes.items()
    ]
    numeric = frame.loc[:, plain]
    with np.errstate(over="ignore"):  # a value beyond float32 becomes infinite: check_table says so
        x = numeric.to_numpy(dtype=np.float32, na_value=np.nan)
    if all(plain):
        return np.ascontiguousarray(x), {}
    features = np.empty(frame.shape, dtype=np.float32)
    features[:, plain] = x
    categories = {}
    for column in (number for number, is_plain in enumerate(plain) if not is_plain):
        name = str(frame.columns[column])
        features[:, column], found = _worded(name, frame[name], name in categorical)
        if found is not None:
            categories[column] = found
    return features, categories


def _worded(name: str, values: pd.Series, categorical: bool) -> tuple[npt.NDArray[np.float32], tuple[str, ...] | None]:
    """A column that is not plainly numeric, and its categories if it has some."""
    import pandas as pd

    if isinstance(values.dtype, pd.CategoricalDtype):
        categorical, values = True, values.astype(values.dtype.categories.dtype)
    if values.dtype.kind in "biuf":
        return number_categories(name, values.to_numpy(dtype=np.float64, na_value=np.nan))
    if values.dtype.kind in "mM":
        raise InputError(f"column {name!r} holds dates: name it as time, or replace it by numbers")
    present = values.notna().to_numpy()
    cells = values.to_numpy(dtype=object)[present]
    others = [type(cell).__name__ for cell in cells if not isinstance(cell, str | int | float | np.number | np.bool_)]
    if others:
        raise InputError(f"a column holds numbers or words, but column {name!r} holds {shorten(sorted(set(others)))}")
    numbers = pd.to_numeric(pd.Series(cells, dtype=object), errors="coerce").to_numpy(dtype=np.float64)
    words = np.isnan(numbers)
    if not categorical and not words.any():
        column = np.full(len(values), np.nan, dtype=np.float32)
        with np.errstate(over="ignore"):
            column[present] = numbers
        return column, None
    if not categorical and not words.all():
        rows = np.flatnonzero(present)[words]
        shown = ", ".join(
            f"{str(cell)[:40]!r} in row {row + 1}" for row, cell in zip(rows[:3], cells[words], strict=False)
        )
        more = f" and {len(rows) - 3} more" if len(rows) > 3 else ""
        raise InputError(
            f"column {name!r} mixes numbers and words: {shown}{more}; mend them, or name the column as categorical"
        )
    texts = np.array([str(cell) for cell in cells], dtype=object)  # a NumPy text array is as wide as its longest cell
    codes, found = pd.factorize(texts, sort=True)
    return _codes(name, present, codes), tuple(map(str, found))


def _codes(name: str, present: npt.NDArray[np.bool_], codes: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
    """Codes at the rows that have a value, NaN at the others, if there are not too many categories."""
    count = int(codes.max()) + 1 if len(codes) else 0
    if count > MAX_CATEGORIES or (count > FEW_CATEGORIES and count > len(codes) / 2):
        raise InputError(
            f"column {name!r} has {count} categories in {len(codes)} rows, like an identifier: a column may have "
            f"{MAX_CATEGORIES}, and above {FEW_CATEGORIES} no more than half as many as rows; leave the column out"
        )
    column = np.full(len(present), np.nan, dtype=np.float32)
    column[present] = codes
    return column


def number_name(value: Any) -> str:
    """A number as a person writes it: 3, not 3.0."""
    return str(int(value)) if np.isfinite(value) and value == int(value) else str(value)
