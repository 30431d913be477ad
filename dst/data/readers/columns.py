"""Tables from named columns: labels, groups and times apart, words as categories, numbers as they are."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from dst.data.precision import float_type
from dst.data.readers.counters import counter_notes
from dst.data.readers.labels import label_notes
from dst.data.readers.levels import levels_problem
from dst.data.readers.notes import Note, refuse
from dst.data.readers.table import Roles, Table, shorten, to_target
from dst.data.readers.tidy import decoded, tidied, without_words
from dst.data.readers.wholes import column_note
from dst.errors import InputError
from dst.files.limits import check_columns

if TYPE_CHECKING:
    import pandas as pd


def from_frame_columns(frame: pd.DataFrame, roles: Roles) -> Table:
    """The table in a frame that holds all columns, see ``from_columns``."""
    beside = {name: frame[name] for name in (roles.target, roles.group, roles.time) if name is not None}
    apart = {*beside, *roles.left_out}
    return from_columns(frame[[name for name in frame.columns if name not in apart]], beside, roles)


def from_columns(
    features: pd.DataFrame, beside: Mapping[str, pd.Series], roles: Roles, notes: Sequence[Note] = ()
) -> Table:
    """The table of columns whose names are known to be good, see ``check_names``.

    A column of numbers or truth values is numeric, also where the numbers are saved as text; a column of words, and any
    that ``roles`` calls categorical, becomes the codes of its categories in sorted order; a column that ``roles`` calls
    dates becomes several. Missing values stay missing.

    Args:
        features: the columns that are features.
        beside: the label, group and time columns.
        roles: how they are read.
        notes: what was noticed before.

    Raises:
        InputError: columns mix numbers and words, hold neither, or have too many categories; a label, group or time
            is missing, or is none. All columns that cannot be features are named at once.
    """
    target = str(roles.target)
    beside = {name: without_words(decoded(values), roles.missing_values) for name, values in beside.items()}
    if beside[target].dtype.kind == "M":
        kind = beside[target].dtype
        raise InputError(f"column {target!r}: labels must be classes, words or whole numbers, but their type is {kind}")
    features, found = tidied(features, roles)
    notes = [*notes, *found, *label_notes(target, beside[target], roles)]
    labelled = beside[target].notna().to_numpy()
    if not labelled.all():
        unlabelled = len(labelled) - int(labelled.sum())
        says = f"{unlabelled} of {len(labelled)} rows have no label in column {target!r}"
        remedy = "left out" if roles.drop_unlabelled else "--drop-unlabelled leaves them out"
        refused = not roles.drop_unlabelled
        notes.append(Note("rows without a label", says, remedy, target, str(unlabelled), refused=refused))
        features = features[labelled]
        beside = {name: values[labelled] for name, values in beside.items()}
    unreadable = _unreadable(features, frozenset(roles.categorical))
    notes += unreadable
    if not roles.survey:
        refuse(notes)
    features = features.drop(columns=[str(note.column) for note in unreadable])
    check_unique(list(features.columns))
    try:
        labels = to_target(beside[target].to_numpy(), roles.task)
    except InputError as error:
        raise InputError(f"column {target!r}: {error}") from error
    x, categories = _features(features, frozenset(roles.categorical))
    return Table(
        x,
        labels,
        tuple(map(str, features.columns)),
        categories,
        groups=None if roles.group is None else to_groups(roles.group, beside[roles.group]),
        times=None if roles.time is None else to_times(roles.time, beside[roles.time]),
        notes=(*notes, *counter_notes(x, features, categories)),
    )


def check_names(columns: Sequence[str], roles: Roles) -> None:
    """Raise an InputError unless every column has a name of its own and every role names one of them."""
    check_unique(columns)
    if roles.target is None:
        unnamed = next((name for name in columns if name.lower() in ("null", "~")), None)
        hint = "" if unnamed is None else f" (in YAML, {unnamed} is no name unless it stands in quotes)"
        raise InputError(f"the label column must be named (target){hint}; the columns are {shorten(columns)}")
    for name in (roles.target, roles.group, roles.time, *roles.categorical, *roles.dates, *roles.left_out):
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


def number_categories(
    values: npt.NDArray[Any], present: npt.NDArray[np.bool_] | None = None
) -> tuple[npt.NDArray[np.float64], tuple[str, ...]]:
    """Codes and names of the categories of a column of numbers.

    Args:
        values: the numbers as they were read, of any type: ``(n_rows,)``, or those of the rows that have one.
        present: bool ``(n_rows,)``, which rows have one; None: those whose number is not NaN.
    """
    if present is None:
        present = ~np.isnan(values)
        values = values[present]
    found, codes = np.unique(values, return_inverse=True)
    return _codes(present, codes), tuple(number_name(value) for value in found)


def to_groups(name: str, values: pd.Series) -> npt.NDArray[np.int64]:
    """A code a row for a column that says which rows belong together; spaces around a word are no part of it.

    Raises:
        InputError: a row has no group, or one without a name.
    """
    if values.dtype.kind in "OSU":
        words = values.map(lambda cell: cell.strip() if isinstance(cell, str) else cell, na_action="ignore")
        values = words.where(words != "")
    lacking = int(values.isna().sum())
    if lacking:
        raise InputError(f"{lacking} of {len(values)} rows have no group in column {name!r}")
    groups = values.to_numpy()
    return np.unique(groups.astype(str) if groups.dtype.kind == "O" else groups, return_inverse=True)[1].astype(
        np.int64
    )


def to_times(name: str, values: pd.Series) -> npt.NDArray[np.float64]:
    """The time of each row: numbers as they are, dates (ISO 8601 where they are text) as seconds since 1970 UTC.

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


def _plain(frame: pd.DataFrame, categorical: frozenset[str]) -> list[bool]:
    """Return whether each column holds numbers and no categories."""
    return [
        dtype.kind in "biuf" and not hasattr(dtype, "categories") and name not in categorical
        for name, dtype in frame.dtypes.items()
    ]


def _unreadable(frame: pd.DataFrame, categorical: frozenset[str]) -> list[Note]:
    """Notes on integers that become one as floats, and on columns of too many categories."""
    notes, dtypes = [], list(frame.dtypes)
    for place, is_plain in enumerate(_plain(frame, categorical)):
        if is_plain and dtypes[place].kind not in "iu":
            continue
        name, values = str(frame.columns[place]), frame.iloc[:, place].dropna()
        if not is_plain:
            problem = levels_problem(name, values.nunique(), len(values))
            if problem:
                example = str(values.iloc[0])
                notes.append(Note("like an identifier", problem, "--drop COL", name, example, refused=True))
        else:
            note = column_note(name, values.to_numpy(dtype=f"{values.dtype.kind}8"))
            notes += [] if note is None else [note]
    return notes


def _features(
    frame: pd.DataFrame, categorical: frozenset[str]
) -> tuple[npt.NDArray[np.float32 | np.float64], dict[int, tuple[str, ...]]]:
    """The features, float32 or float64 ``(n_rows, n_columns)``, and the categories of those that have some."""
    plain = _plain(frame, categorical)
    numeric = frame.loc[:, plain]
    kind = max(
        (float_type(dtype) for dtype in numeric.dtypes), key=lambda dtype: np.dtype(dtype).itemsize, default=np.float32
    )
    x = numeric.to_numpy(dtype=kind, na_value=np.nan)
    if all(plain):
        return np.ascontiguousarray(x), {}
    features = np.empty(frame.shape, dtype=np.float64)
    features[:, plain] = x
    categories = {}
    for column in (number for number, is_plain in enumerate(plain) if not is_plain):
        features[:, column], categories[column] = _worded(frame.iloc[:, column])
    return features, categories


def _pandas_categories(values: pd.Series) -> tuple[npt.NDArray[np.float64], tuple[str, ...]]:
    """Codes and names of the categories that occur in a column of pandas categories, whatever their type."""
    import pandas as pd

    codes = values.cat.codes.to_numpy()  # -1 where the value is missing
    present = codes >= 0
    categories = values.cat.categories
    if categories.dtype.kind in "biuf":
        return number_categories(categories.to_numpy()[codes[present]], present)
    texts = np.array([str(category) for category in categories], dtype=object)
    codes, names = pd.factorize(texts[codes[present]], sort=True)
    return _codes(present, codes), tuple(map(str, names))


def _worded(values: pd.Series) -> tuple[npt.NDArray[np.float64], tuple[str, ...]]:
    """The codes and names of a column of categories, which are words or numbers."""
    import pandas as pd

    if isinstance(values.dtype, pd.CategoricalDtype):
        return _pandas_categories(values)
    if values.dtype.kind in "biuf":
        return number_categories(values.dropna().to_numpy(), values.notna().to_numpy())
    present = values.notna().to_numpy()
    codes, found = pd.factorize(values.to_numpy(dtype=object)[present], sort=True)
    return _codes(present, codes), tuple(map(str, found))


def _codes(present: npt.NDArray[np.bool_], codes: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Codes at the rows that have a value, NaN at the others."""
    column = np.full(len(present), np.nan)
    column[present] = codes
    return column


def number_name(value: Any) -> str:
    """A number as a person writes it: 3, not 3.0."""
    return str(int(value)) if np.isfinite(value) and value == int(value) else str(value)
