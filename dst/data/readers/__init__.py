"""Files of labelled tables: one reader a format, the same checks for all of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Unpack

import numpy as np

from dst.data.readers.columns import find_column
from dst.data.readers.mat import read_mat
from dst.data.readers.notes import Note
from dst.data.readers.npz import read_npz
from dst.data.readers.parquet import read_parquet
from dst.data.readers.table import (
    ReadOptions,
    Roles,
    Table,
    check_table,
    infinite_columns,
    missing_counts,
    select_columns,
    shorten,
    with_float_type,
)
from dst.data.readers.text import read_csv, read_svmlight
from dst.errors import InputError
from dst.files.limits import check_bytes

__all__ = [
    "NAMED_COLUMNS",
    "READERS",
    "ReadOptions",
    "Roles",
    "Table",
    "read_table",
    "shorten",
    "survey_table",
    "table_suffix",
]

READERS: dict[str, Callable[[Path, Roles], Table]] = {
    ".mat": read_mat,
    ".npz": read_npz,
    ".csv": read_csv,
    ".csv.gz": read_csv,
    ".parquet": read_parquet,
    ".svmlight": read_svmlight,
}
"""Ending of a file's name -> what reads it: ``reader(path, roles)``, raising an InputError that names no file."""

NAMED_COLUMNS = (".csv", ".csv.gz", ".parquet")
"""The formats whose columns have names and kinds of their own."""


def read_table(
    path: str | Path,
    target: str | None = None,
    *,
    group: str | None = None,
    time: str | None = None,
    categorical: Sequence[str] = (),
    task: str = "classification",
    **options: Unpack[ReadOptions],
) -> Table:
    """Read a labelled table from a file; its name's ending says the format.

    ``.mat`` (MATLAB 4, 5 and 7.3) and ``.npz`` hold a matrix ``X``, ``x``, ``fea`` or ``data``, dense or sparse, and a
    vector ``Y``, ``y``, ``gnd``, ``target`` or ``labels``; the columns are called ``f0``, ``f1``, ... . ``.csv``,
    ``.csv.gz`` and ``.parquet`` hold named columns, one of them the labels; a column of words is categorical.
    ``.svmlight`` holds the label first in each line, and is sparse. Sparse data stay sparse. A missing value becomes
    NaN, whatever stands for it in the file. Numbers are read as float64 and kept as float32 where that loses nothing
    (:mod:`dst.data.precision`).

    Nothing is unpickled. A file that claims more memory than ``dst.files.limits`` allows is refused before any
    of it is allocated.

    Args:
        path: the file.
        target: the label column (required for ``.csv``, ``.csv.gz`` and ``.parquet``), or the variable that holds the
            labels in a ``.mat`` or ``.npz`` file.
        group: a column, or variable, that says which rows belong together; it is no feature.
        time: a column, or variable, that says when each row was taken, as a number or a date; it is no feature.
        categorical: columns that hold categories though they look like numbers, or both numbers and words.
        task: ``classification``, ``regression`` (the target becomes float64) or ``auto``: numbers where one is a
            fraction.
        options: how columns and cells are read, see :class:`ReadOptions`; all but ``drop`` are for ``NAMED_COLUMNS``.

    Raises:
        InputError: the file is missing, of an unknown format or unreadable; it names no labels; columns mix numbers
            and words, hold neither, hold dates, or numbers that are written in another way than named; a column is
            infinite or beyond float32 somewhere, or has no value at all; a column of words looks like an identifier;
            labels, groups or times are missing or are none; column names are missing or repeat; there are no rows or no
            columns.
    """
    return _read(path, target, group=group, time=time, categorical=categorical, survey=False, task=task, **options)


def survey_table(
    path: str | Path,
    target: str | None = None,
    *,
    group: str | None = None,
    time: str | None = None,
    categorical: Sequence[str] = (),
    **options: Unpack[ReadOptions],
) -> Table:
    """Read a labelled table as ``read_table`` does, for a look over it.

    Columns that would be refused, and rows without a label, are noted and left out. A target of fractions is numbers.
    """
    return _read(path, target, group=group, time=time, categorical=categorical, survey=True, task="auto", **options)


def _read(path: str | Path, target: str | None, *, survey: bool, **options: Any) -> Table:
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
        roles = Roles.of(target, survey=survey, **options)
        if suffix in NAMED_COLUMNS:
            table = READERS[suffix](path, roles)
        else:
            table = _without(READERS[suffix](path, replace(roles, drop=())), roles)
        table = _without_useless(table) if survey else table
        if table.x.shape[1] or not any(note.refused for note in table.notes):
            check_table(table)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error.__cause__
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from error
    return with_float_type(table)


def _without(table: Table, roles: Roles) -> Table:
    """The table of an archive without the columns that are dropped."""
    if roles.of_columns:
        valid = ", ".join(NAMED_COLUMNS)
        raise InputError(f"{roles.of_columns[0]} is for files of named columns ({valid}), but this one holds a matrix")
    names = list(table.feature_names)
    return select_columns(table, {find_column(name, names) for name in roles.drop})


def _without_useless(table: Table) -> Table:
    """The table without columns that hold infinite values, or none; its notes name them."""
    if 0 in table.x.shape:
        return table
    problems = {
        "infinite values, or beyond float32": infinite_columns(table.x),
        "no value in any row": np.flatnonzero(missing_counts(table.x) == table.x.shape[0]),
    }
    notes = [
        Note(kind, "", "mend them, or --drop COL", table.feature_names[column], refused=True)
        for kind, columns in problems.items()
        for column in columns
    ]
    out = {int(column) for columns in problems.values() for column in columns}
    return replace(select_columns(table, out), notes=(*table.notes, *notes))


def table_suffix(path: str | Path) -> str | None:
    """The ending in ``READERS`` that the file's name has, whatever its case, or None."""
    name = Path(path).name.lower()
    return next((suffix for suffix in READERS if name.endswith(suffix)), None)
