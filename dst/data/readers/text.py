"""Tables in text: comma-separated values, plain or gzipped, and svmlight."""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np

from dst.data.readers.columns import check_names, from_columns
from dst.data.readers.table import Roles, Table, numbered, shorten, to_labels
from dst.errors import InputError
from dst.limits import check_bytes, check_columns, unreadable

MISSING = ("", "?", "NA", "N/A", "n/a", "#N/A", "<NA>", "NaN", "nan", "NAN", "null", "NULL", "None")
"""What means "no value" in a feature column. In the label, group and time columns only an empty cell does: "None" and
"NA" are names that classes have."""

_CHUNK = 2**20


def read_csv(path: Path, roles: Roles) -> Table:
    """Read comma-separated values in UTF-8, with one line of names first and as many fields in every line.

    The file is gone through twice: pandas neither counts the fields of a short line nor says where a text is none, so a
    first pass does, and takes the labels as they are written.
    """
    import pandas as pd

    with unreadable():
        _check_unpacked(path)
        header, cells, n_rows = _scan(path, roles)
        frame = pd.read_csv(
            path,
            index_col=False,
            na_values=list(MISSING),
            keep_default_na=False,
            low_memory=False,  # types by whole columns
            encoding="utf-8-sig",
            skipinitialspace=True,
        )
    if len(frame) != n_rows or frame.shape[1] != len(header):
        raise InputError(f"cannot be read: {n_rows} lines of {len(header)} fields, but {frame.shape} values in them")
    frame.columns = pd.Index(header)
    for name, column in cells.items():
        frame[name] = _typed(column)
    return from_columns(frame, roles)


def read_svmlight(path: Path, roles: Roles) -> Table:
    """Read ``label index:value ...`` lines into a sparse table."""
    from scipy.sparse import csr_array
    from sklearn.datasets import load_svmlight_file

    named = next((name for name in (roles.target, roles.group, roles.time, *roles.categorical) if name), None)
    if named is not None:
        raise InputError(f"an .svmlight file has its label first in each line and no column names, so not {named!r}")
    with unreadable():
        x, labels = load_svmlight_file(path, dtype=np.float64)
        check_columns(x.shape[1])
        x = csr_array(x)
        x.sum_duplicates()
    return Table(x, to_labels(labels), numbered(x.shape[1]))


def _scan(path: Path, roles: Roles) -> tuple[list[str], dict[str, list[str]], int]:
    """The header, the cells of the columns that are no features, and how many rows there are."""
    with _opened(path) as text:
        lines = csv.reader(text, skipinitialspace=True, strict=True)
        header = next((line for line in lines if line), None)
        if header is None:
            raise InputError("cannot be read: it is empty, where a line of column names is needed")
        _check_delimiter(header)
        check_names(header, roles)
        wanted = [name for name in (roles.target, roles.group, roles.time) if name is not None]
        places = [header.index(name) for name in wanted]
        columns: list[list[str]] = [[] for _ in wanted]
        n_rows = 0
        for line in lines:
            if not line or (len(line) == 1 < len(header) and not line[0].strip()):
                continue
            if len(line) != len(header):
                raise InputError(
                    f"every line needs as many fields as the header, {len(header)}, but line {lines.line_num} has "
                    f"{len(line)}"
                )
            n_rows += 1
            for column, place in zip(columns, places, strict=True):
                column.append(line[place].strip())
    return header, dict(zip(wanted, columns, strict=True)), n_rows


def _check_delimiter(header: list[str]) -> None:
    """Raise an InputError if the one column that there is looks like several."""
    other = next((mark for mark in ";\t|" if len(header) == 1 and mark in header[0]), None)
    if other is not None:
        raise InputError(f"columns must be separated by commas, but {shorten(header)} seems separated by {other!r}")


def _typed(cells: list[str]) -> Any:
    """Numbers if all cells are, else the words; None where a cell is empty."""
    import pandas as pd

    words = pd.Series([cell or None for cell in cells], dtype=object)
    numbers = pd.to_numeric(words, errors="coerce")
    return words if numbers.isna().any() or not len(words) else numbers


def _check_unpacked(path: Path) -> None:
    """Raise an InputError if the file is UTF-16, or unpacks to more than a file of its size may."""
    size, packed = 0, path.stat().st_size
    with _raw(path) as file:
        if file.read(2) in (b"\xff\xfe", b"\xfe\xff"):
            raise InputError("cannot be read: it is UTF-16, where UTF-8 is needed")
        if isinstance(file, gzip.GzipFile):
            while chunk := file.read(_CHUNK):
                size += len(chunk)
                check_bytes(size, packed)


@contextmanager
def _opened(path: Path) -> Iterator[IO[str]]:
    with _raw(path) as raw, io.TextIOWrapper(raw, encoding="utf-8-sig", newline="") as text:
        yield text


def _raw(path: Path) -> gzip.GzipFile | io.BufferedReader:
    return gzip.open(path) if path.name.lower().endswith(".gz") else path.open("rb")
