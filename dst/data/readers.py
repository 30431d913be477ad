"""Files of labelled tables: one reader a format, the same checks for all of them."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from dst.data.dataset import Matrix
from dst.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

# Names under which the archives of this field keep features and labels; the first one present counts.
_FEATURES = ("X", "x", "fea", "data")
_LABELS = ("Y", "y", "gnd", "target", "labels")

# What means "no value" in a feature column of a CSV file. In the label column only an empty cell does: "None" and
# "NA" are names that classes have.
_MISSING = ["", "?", "NA", "N/A", "n/a", "#N/A", "<NA>", "NaN", "nan", "NAN", "null", "NULL", "None"]


@dataclass(frozen=True)
class Table:
    """A labelled table as its file gives it.

    Attributes:
        x: features, float32 of shape ``(n_samples, n_features)``, at least one row and one column, finite or NaN where a
            value is missing: an array in C order, or a sparse CSR array. A categorical column holds the codes
            ``0 .. n - 1`` of its categories.
        labels: one label a row, int64 or str of shape ``(n_samples,)``.
        feature_names: one name a column, no two alike.
        categories: the names of the categories of each categorical column, by column number.
        groups: a code a row, int64 ``(n_samples,)``, where a group column was named, else None.
        times: float64 ``(n_samples,)``, where a time column was named, else None.
    """

    x: Matrix
    labels: npt.NDArray[Any]
    feature_names: tuple[str, ...]
    categories: Mapping[int, tuple[str, ...]] = field(default_factory=dict)
    groups: npt.NDArray[np.int64] | None = None
    times: npt.NDArray[np.float64] | None = None


def read_table(path: str | Path, target: str | None = None) -> Table:
    """Read a labelled table from a file; its name's ending says the format.

    ``.mat`` (MATLAB 5, dense or sparse) and ``.npz`` hold a matrix ``X``, ``x``, ``fea`` or ``data`` and a vector
    ``Y``, ``y``, ``gnd``, ``target`` or ``labels``. ``.csv``, ``.csv.gz`` and ``.parquet`` hold named columns, one of
    them the labels. ``.svmlight`` holds the label first in each line.

    Args:
        path: the file.
        target: the label column (required for ``.csv``, ``.csv.gz`` and ``.parquet``), or the variable that holds the
            labels in a ``.mat`` or ``.npz`` file.

    Raises:
        InputError: the file is missing, of an unknown format or unreadable; it names no labels; a feature is not
            numeric, missing, infinite or beyond float32; labels are missing, fractions or too few; column names are
            missing or repeat; there are no rows or no columns.
    """
    path = Path(path).expanduser()
    suffix = table_suffix(path)
    if suffix is None:
        raise InputError(f"{path}: a table's file name ends in one of {', '.join(READERS)}")
    if not path.exists():
        raise InputError(f"{path}: no such file")
    if not path.is_file():
        raise InputError(f"{path}: a table is a file, and this is none")
    try:
        table = READERS[suffix](path, target)
        _check(table)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error.__cause__
    return table


def table_suffix(path: str | Path) -> str | None:
    """The ending in ``READERS`` that the file's name has, whatever its case, or None."""
    name = Path(path).name.lower()
    return next((suffix for suffix in READERS if name.endswith(suffix)), None)


def shorten(names: Sequence[str], limit: int = 8) -> str:
    """Names in quotes, the first ``limit`` of them and how many more there are."""
    shown = ", ".join(repr(name) for name in names[:limit])
    return shown if len(names) <= limit else f"{shown} and {len(names) - limit} more"


def _read_mat(path: Path, target: str | None) -> Table:
    from scipy.io import loadmat

    with _unreadable():
        try:
            variables = loadmat(path)
        except NotImplementedError as error:  # scipy's word for MATLAB 7.3, which is HDF5
            raise InputError("a MATLAB 7.3 file cannot be read: save it with -v7") from error
    return _from_variables({name: v for name, v in variables.items() if not name.startswith("__")}, target)


def _read_npz(path: Path, target: str | None) -> Table:
    with _unreadable(), path.open("rb") as file:
        archive = np.load(file, allow_pickle=False)
        variables = dict(archive) if isinstance(archive, np.lib.npyio.NpzFile) else None
    if variables is None:
        raise InputError("cannot be read: one bare array, where an archive of X and y is needed (numpy.savez)")
    return _from_variables(variables, target)


def _read_svmlight(path: Path, target: str | None) -> Table:
    from sklearn.datasets import load_svmlight_file

    if target is not None:
        raise InputError(f"an .svmlight file has its label first in each line, so no target {target!r} can be named")
    with _unreadable():
        x, labels = load_svmlight_file(path, dtype=np.float32)
    return Table(x.toarray(), _labels(labels), _numbered(x.shape[1]))


def _read_csv(path: Path, target: str | None) -> Table:
    import pandas as pd

    how: dict[str, Any] = {"keep_default_na": False, "encoding": "utf-8-sig", "skipinitialspace": True}
    with _unreadable():  # the header on its own first: pandas renames what repeats
        header = pd.read_csv(path, header=None, nrows=1, dtype=str, **how).iloc[0].tolist()
    label = _label_column(header, target)
    missing = {name: [""] if name == label else _MISSING for name in header}
    with _unreadable():
        frame = pd.read_csv(path, na_values=missing, low_memory=False, **how)
    if not isinstance(frame.index, pd.RangeIndex):
        raise InputError(f"rows have more fields than the header, which names {len(header)} columns")
    return _from_frame(frame, label)


def _read_parquet(path: Path, target: str | None) -> Table:
    import pandas as pd
    from pyarrow import parquet

    with _unreadable():
        columns = parquet.read_schema(path)
    # A saved pandas index is a column of the file but none of the table.
    index = [i for i in (columns.pandas_metadata or {}).get("index_columns", []) if isinstance(i, str)]
    label = _label_column([name for name in columns.names if name not in index], target)
    with _unreadable(), path.open("rb") as file:  # an open file: a path such as year=2024/t.parquet adds a column
        frame = pd.read_parquet(file)
    frame.columns = frame.columns.astype(str)
    return _from_frame(frame, label)


READERS: dict[str, Callable[[Path, str | None], Table]] = {
    ".mat": _read_mat,
    ".npz": _read_npz,
    ".csv": _read_csv,
    ".csv.gz": _read_csv,
    ".parquet": _read_parquet,
    ".svmlight": _read_svmlight,
}
"""Ending of a file's name -> what reads it: ``reader(path, target)``, raising an InputError that names no file."""


@contextmanager
def _unreadable() -> Iterator[None]:
    """Turn whatever a library raises on a broken file into an InputError; a parser may raise anything."""
    try:
        yield
    except (InputError, MemoryError):
        raise
    except Exception as error:
        said = str(error).strip() or type(error).__name__
        raise InputError(f"cannot be read: {said.splitlines()[0]}") from error


def _from_variables(variables: Mapping[str, Any], target: str | None) -> Table:
    """The table in the variables of an archive: a matrix and a vector."""
    features = next((name for name in _FEATURES if name in variables), None)
    if features is None:
        raise InputError(f"needs a variable {' or '.join(_FEATURES)}, but holds {_listing(list(variables))}")
    wanted = _LABELS if target is None else (target,)
    label = next((name for name in wanted if name in variables and name != features), None)
    if label is None:
        raise InputError(f"needs a variable {' or '.join(wanted)}, but holds {_listing(list(variables))}")
    x = variables[features]  # an array, or a scipy.sparse matrix; both have ndim, dtype and astype
    if x.ndim != 2:
        raise InputError(f"{features} must be a table of shape (rows, columns), but its shape is {x.shape}")
    if x.dtype.kind not in "biuf":
        raise InputError(f"{features} must be numeric, but its type is {x.dtype}")
    with np.errstate(over="ignore"):  # a value beyond float32 becomes infinite: _check says so
        x = x.astype(np.float32)
    dense = x if isinstance(x, np.ndarray) else x.toarray()
    try:
        labels = _labels(_vector(variables[label]))
    except InputError as error:
        raise InputError(f"{label}: {error}") from error
    return Table(np.ascontiguousarray(dense), labels, _numbered(dense.shape[1]))


def _from_frame(frame: pd.DataFrame, label: str) -> Table:
    """The table in a frame whose columns have different names, one of them ``label``."""
    features = frame.drop(columns=label)
    words = [str(name) for name, dtype in features.dtypes.items() if dtype.kind not in "biuf"]
    if words and len(frame):  # a column without rows has no type to judge
        raise InputError(f"features must be numeric, but these columns are not: {shorten(words)}")
    unlabelled = int(frame[label].isna().sum())
    if unlabelled:
        raise InputError(f"{unlabelled} of {len(frame)} rows have no label in column {label!r}")
    try:
        labels = _labels(frame[label].to_numpy())
    except InputError as error:
        raise InputError(f"column {label!r}: {error}") from error
    with np.errstate(over="ignore"):
        x = features.to_numpy(dtype=np.float32, na_value=np.nan)
    return Table(np.ascontiguousarray(x), labels, tuple(map(str, features.columns)))


def _label_column(columns: Sequence[str], target: str | None) -> str:
    """The label column's name, once the names are known to be good."""
    nameless = [number for number, name in enumerate(columns, start=1) if not name]
    if nameless:
        raise InputError(f"every column needs a name, but column {nameless[0]} has none (a saved row index?)")
    if len(set(columns)) < len(columns):
        repeated = [name for name in dict.fromkeys(columns) if columns.count(name) > 1]
        raise InputError(f"every column needs its own name, but these repeat: {shorten(repeated)}")
    if target is None:
        raise InputError(f"the label column must be named (target); the columns are {_listing(columns)}")
    if target not in columns:
        near = difflib.get_close_matches(target, columns, n=1, cutoff=0.6)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise InputError(f"no column {target!r}: {hint}the columns are {_listing(columns)}")
    return target


def _vector(values: Any) -> npt.NDArray[Any]:
    """One dimension out of a column, a row or MATLAB's cell array of strings."""
    array = np.asarray(values.toarray() if hasattr(values, "toarray") else values)
    if array.size != max(array.shape, default=0):
        raise InputError(f"labels must be one a row, but their shape is {array.shape}")
    if array.dtype.kind == "O":
        return np.array([str(np.asarray(cell).item()) if np.size(cell) == 1 else "" for cell in array.flat])
    return array.reshape(-1)


def _labels(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Labels as int64 where they are whole numbers, as str where they are words.

    Raises:
        InputError: a label is missing, or a fraction: that is a regression target.
    """
    if values.dtype.kind == "O":  # what pandas keeps text and mixed columns in
        values = np.asarray(values.tolist())
    if values.dtype.kind == "f":
        if np.isnan(values).any():
            raise InputError(f"{int(np.isnan(values).sum())} of {len(values)} rows have no label")
        fractions = values[~np.isfinite(values) | (values != np.floor(values))]
        if len(fractions):
            raise InputError(f"labels must be classes, words or whole numbers, but there is {fractions[0]:g}")
    if values.dtype.kind in "iuf":
        return values.astype(np.int64)
    words = np.char.strip(values.astype(str))
    if (words == "").any():
        raise InputError(f"{int((words == '').sum())} of {len(words)} rows have no label")
    return words


def _check(table: Table) -> None:
    """Raise an InputError if the table is empty, ragged or not finite."""
    rows, columns = table.x.shape
    if columns == 0:
        raise InputError("there are no feature columns")
    if rows == 0:
        raise InputError("there are no rows")
    if rows != len(table.labels):
        raise InputError(f"every row needs one label, but there are {rows} rows and {len(table.labels)} labels")
    bad = ~np.isfinite(table.x)
    if bad.any():
        missing = int(np.isnan(table.x).sum())
        column = int(np.flatnonzero(bad.any(axis=0))[0])
        raise InputError(
            f"values must be finite, but {missing} are missing (NaN) and {int(bad.sum()) - missing} infinite or beyond "
            f"float32, the first in column {table.feature_names[column]!r}; missing data is not supported yet"
        )


def _numbered(n_features: int) -> tuple[str, ...]:
    """Names for the columns of a format that has none."""
    return tuple(f"f{column}" for column in range(n_features))


def _listing(names: Sequence[str]) -> str:
    return shorten(names) if names else "none"
