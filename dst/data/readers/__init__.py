"""Files of labelled tables: one reader a format, the same checks for all of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from dst.data.precision import narrowed
from dst.data.readers.mat import read_mat
from dst.data.readers.npz import read_npz
from dst.data.readers.parquet import read_parquet
from dst.data.readers.table import Roles, Table, check_table, shorten
from dst.data.readers.text import read_csv, read_svmlight
from dst.errors import InputError
from dst.limits import check_bytes

__all__ = ["READERS", "Roles", "Table", "read_table", "shorten", "table_suffix"]

READERS: dict[str, Callable[[Path, Roles], Table]] = {
    ".mat": read_mat,
    ".npz": read_npz,
    ".csv": read_csv,
    ".csv.gz": read_csv,
    ".parquet": read_parquet,
    ".svmlight": read_svmlight,
}
"""Ending of a file's name -> what reads it: ``reader(path, roles)``, raising an InputError that names no file."""


def read_table(
    path: str | Path,
    target: str | None = None,
    *,
    group: str | None = None,
    time: str | None = None,
    categorical: Sequence[str] = (),
) -> Table:
    """Read a labelled table from a file; its name's ending says the format.

    ``.mat`` (MATLAB 4, 5 and 7.3) and ``.npz`` hold a matrix ``X``, ``x``, ``fea`` or ``data``, dense or sparse, and a
    vector ``Y``, ``y``, ``gnd``, ``target`` or ``labels``; the columns are called ``f0``, ``f1``, ... . ``.csv``,
    ``.csv.gz`` and ``.parquet`` hold named columns, one of them the labels; a column of words is categorical.
    ``.svmlight`` holds the label first in each line, and is sparse. Sparse data stay sparse. A missing value becomes
    NaN, whatever stands for it in the file. Numbers are read as float64 and kept as float32 where that loses nothing
    (:mod:`dst.data.precision`).

    Nothing is unpickled. A file that claims more memory than ``dst.limits`` allows is refused before any
    of it is allocated.

    Args:
        path: the file.
        target: the label column (required for ``.csv``, ``.csv.gz`` and ``.parquet``), or the variable that holds the
            labels in a ``.mat`` or ``.npz`` file.
        group: a column, or variable, that says which rows belong together; it is no feature.
        time: a column, or variable, that says when each row was taken, as a number or a date; it is no feature.
        categorical: columns that hold categories though they look like numbers, or both numbers and words.

    Raises:
        InputError: the file is missing, of an unknown format or unreadable; it names no labels; a column mixes numbers
            and words, holds neither, is infinite or beyond float32 somewhere, or has no value at all; a column of words
            looks like an identifier; labels, groups or times are missing or are none; column names are missing or
            repeat; there are no rows or no columns.
    """
    path = Path(path).expanduser()
    suffix = table_suffix(path)
    if suffix is None:
        raise InputError(f"{path}: a table's file name ends in one of {', '.join(READERS)}")
    try:
        if not path.exists():
            raise InputError("no such file")
        if not path.is_file():
            raise InputError("a table is a file, and this is none")
        check_bytes(path.stat().st_size, path.stat().st_size)
        table = READERS[suffix](path, Roles(target, group, time, tuple(categorical)))
        check_table(table)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error.__cause__
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from error
    return replace(table, x=narrowed(table.x))


def table_suffix(path: str | Path) -> str | None:
    """The ending in ``READERS`` that the file's name has, whatever its case, or None."""
    name = Path(path).name.lower()
    return next((suffix for suffix in READERS if name.endswith(suffix)), None)
