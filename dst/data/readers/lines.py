"""The lines of a text file: the separator of fields, the lines of the table, and the lines around it."""

from __future__ import annotations

import csv
import gzip
import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import IO

import numpy as np

from dst.data.readers.columns import check_names
from dst.data.readers.notes import Note
from dst.data.readers.table import SEPARATORS, Roles, shorten
from dst.errors import InputError
from dst.files.limits import check_bytes

_CHUNK = 2**20
_SEP = re.compile(r'"?sep=(.)"?[,;|\s]*', re.IGNORECASE)  # a spreadsheet that saves it again adds empty fields
_BEFORE_A_FIELD = np.frombuffer(b',;\t| "\r\n', dtype=np.uint8)
_SIGNS = np.frombuffer(b"+-", dtype=np.uint8)


@dataclass(frozen=True)
class Layout:
    """The place of the table in a text file.

    Attributes:
        separator: what stands between fields.
        first: how many lines there are before the first row.
        width: the most fields that a line has.
        places: the number of the field of each column, by its name.
        n_rows: rows of the table.
        cells: the cells of the label, group and time columns, as they are written.
        padded: the columns with a cell that begins with a 0 before another digit.
        notes: what was noticed.
    """

    separator: str
    first: int
    width: int
    places: dict[str, int]
    n_rows: int
    cells: dict[str, list[str]]
    padded: frozenset[str]
    notes: tuple[Note, ...]


def scan(path: Path, roles: Roles) -> Layout:
    """Go through a text file once.

    Excel's first line ``sep=;`` names the separator. Empty fields at the ends of lines are no columns. A first field
    that the header lacks is the row name of R's ``write.table``, where it is quoted or counts 1, 2, ... in every line.

    Raises:
        InputError: the file is UTF-16 or unpacks to too much, has no header or lines of other numbers of fields, or a
            role names no column.
    """
    may_pad = _look_at_bytes(path)
    with opened(path) as text:
        start = text.readline()
        named = _SEP.fullmatch(start)
        before = 1 if named else 0
        separator = roles.separator or (named[1] if named and named[1] in SEPARATORS else ",")
        source = _Lines(text if named else chain([start], text))
        lines = csv.reader(source, delimiter=separator, skipinitialspace=True, strict=True)
        header = next((line for line in lines if line), None)
        if header is None:
            raise InputError("cannot be read: it is empty, where a line of column names is needed")
        first = lines.line_num + before
        other = _other_separator(header, separator)
        if other is not None:
            return _with_separator(path, roles, header, separator, other)
        reader = _Reader(header, roles, may_pad)
        for line in lines:
            if line and not (len(line) == 1 < len(header) and not line[0].strip()):
                reader.read(line, lines.line_num + before, source.last)
        notes = reader.finish()
    if named:
        notes.insert(0, Note("first line names the separator", "", "it is left out", example=start.strip()))
    return Layout(
        separator,
        first,
        reader.most,
        reader.places,
        reader.n_rows,
        reader.cells,
        frozenset(name for name, place in reader.places.items() if place in reader.padded),
        tuple(notes),
    )


class _Lines:
    """The lines of a text; remembers the last one."""

    def __init__(self, lines: Iterator[str] | IO[str]) -> None:
        self._lines = iter(lines)
        self.last = ""

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        self.last = next(self._lines)
        return self.last


class _Reader:
    """Takes the fields of one line after another, and knows in the end which of them make the table."""

    def __init__(self, header: list[str], roles: Roles, may_pad: bool) -> None:
        self._written = len(header)
        while header and not header[-1].strip():
            header = header[:-1]
        self._width = len(header)
        self._roles = roles
        self._may_pad = may_pad
        self._row_names: list[str] | None = None
        self._quoted = False
        self._nameless_place: int | None = None
        self._trailing = self._written > self._width
        self._header = [name if name.strip() else f"Unnamed: {place}" for place, name in enumerate(header)]
        self._nameless = [name for name, given in zip(self._header, header, strict=True) if not given.strip()]
        roles = roles if roles.index_column != "" else _renamed(roles)
        check_names(self._header, roles)
        wanted = [name for name in (roles.target, roles.group, roles.time) if name is not None]
        self._wanted = [(name, self._header.index(name)) for name in wanted]
        self._left_out = set(roles.left_out)
        self.cells: dict[str, list[str]] = {name: [] for name in wanted}
        self.padded: set[int] = set()
        self.n_rows = 0
        self.most = self._width

    @property
    def places(self) -> dict[str, int]:
        """The field of each column that is part of the table."""
        shift = 0 if self._row_names is None else 1
        refused = set() if self._roles.survey is False else set(self._nameless)
        out = self._left_out | refused
        return {name: place + shift for place, name in enumerate(self._header) if name not in out}

    def read(self, line: list[str], number: int, written: str) -> None:
        """Take the fields of a line."""
        if self.n_rows == 0 and len(line) == self._width + 1 == self._written + 1 and line[-1].strip():
            self._row_names = []
            self._quoted = written.lstrip().startswith('"')
            self._wanted = [(name, place + 1) for name, place in self._wanted]
        width = self._width if self._row_names is None else self._width + 1
        if len(line) != width:
            self._check_width(line, width, number)
        self.most = max(self.most, len(line))
        if self._row_names is not None:
            self._row_names.append(line[0].strip())
            if not self._quoted and line[0].strip() != str(len(self._row_names)):
                raise self._of_other_width(line, number)
        self.n_rows += 1
        for name, place in self._wanted:
            self.cells[name].append(line[place])
        if self._may_pad:
            self.padded.update(
                place for place, cell in enumerate(line) if "0" in cell[:2] and re.match(r"[+-]?0\d", cell) is not None
            )

    def finish(self) -> list[Note]:
        """Return notes on the lines, when there are no more."""
        notes = []
        if self._nameless_place is not None:
            raise InputError(f"every column needs a name, but column {self._nameless_place + 1} has none")
        if self._row_names is not None:
            if len(set(self._row_names)) < self.n_rows:
                rule = f"every line needs as many fields as the header, {self._width}"
                raise InputError(f"{rule}, but all lines have {self._width + 1}")
            says = "the first field of each line has no name in the header, like R's row names"
            notes.append(Note("row names without a header", says, "they are left out", example=self._row_names[0]))
        if self._trailing:
            notes.append(Note("empty fields at the ends of lines", "", "they are left out"))
        for name in self._nameless:
            if name not in self._left_out:
                place = self._header.index(name) + 1
                says = f"every column needs a name, but column {place} has none (a saved row index?)"
                remedy = f"--index-column '{name}'"
                notes.append(Note("column without a name", says, remedy, name, refused=True))
        return notes

    def _check_width(self, line: list[str], width: int, number: int) -> None:
        """Raise an InputError unless what a line has too much is empty."""
        if len(line) < width:
            raise self._of_other_width(line, number)
        extra = next((place for place in range(width, len(line)) if line[place].strip()), None)
        if extra is None:
            self._trailing = True
        elif extra < self._written:
            self._nameless_place = extra if self._nameless_place is None else min(extra, self._nameless_place)
        else:
            raise self._of_other_width(line, number)

    def _of_other_width(self, line: list[str], number: int) -> InputError:
        return InputError(
            f"every line needs as many fields as the header, {self._width}, but line {number} has {len(line)}"
        )


def _renamed(roles: Roles) -> Roles:
    """The roles with the name that a first column without one gets."""
    return replace(roles, index_column="Unnamed: 0")


def _other_separator(header: list[str], separator: str) -> str | None:
    """The likely separator of the fields, if the only column looks like several."""
    marks = (mark for mark in SEPARATORS if mark != separator and len(header) == 1 and mark in header[0])
    return next(marks, None)


def _with_separator(path: Path, roles: Roles, header: list[str], separator: str, other: str) -> Layout:
    """Refuse a file whose fields are separated by another mark, or go through it by that mark in a survey."""
    shown = "commas" if separator == "," else repr(separator)
    says = f"columns must be separated by {shown}, but {shorten(header)} seems separated by {other!r}"
    remedy = f"--separator {other!r}, and --decimal , where numbers are written so"
    note = Note("fields separated by another mark", says, remedy, example=other, refused=True)
    if not roles.survey:
        raise InputError(f"{says}: {remedy}")
    layout = scan(path, replace(roles, separator=other))
    return replace(layout, notes=(note, *layout.notes))


def _look_at_bytes(path: Path) -> bool:
    """Return whether a field may begin with a 0 before another digit.

    Raises:
        InputError: the file is UTF-16, or unpacks to more than a file of its size may.
    """
    size, packed, found, last = 0, path.stat().st_size, False, b"\n\n\n"
    with _raw(path) as file:
        while chunk := file.read(_CHUNK):
            if size == 0 and chunk[:2] in (b"\xff\xfe", b"\xfe\xff"):
                raise InputError("cannot be read: it is UTF-16, where UTF-8 is needed")
            size += len(chunk)
            if isinstance(file, gzip.GzipFile):
                check_bytes(size, packed)
            found = found or _has_padded(last + chunk)
            last = (last + chunk)[-3:]
    return found


def _has_padded(chunk: bytes) -> bool:
    codes = np.frombuffer(chunk, dtype=np.uint8)
    zeros = np.flatnonzero(codes[2:-1] == ord("0")) + 2
    zeros = zeros[(codes[zeros + 1] >= ord("0")) & (codes[zeros + 1] <= ord("9"))]
    begins = np.where(np.isin(codes[zeros - 1], _SIGNS), codes[zeros - 2], codes[zeros - 1])
    return bool(np.isin(begins, _BEFORE_A_FIELD).any())


@contextmanager
def opened(path: Path) -> Iterator[IO[str]]:
    """The file as text, unpacked, its line ends as they are."""
    with _raw(path) as raw, io.TextIOWrapper(raw, encoding="utf-8-sig", newline="") as text:
        yield text


def _raw(path: Path) -> gzip.GzipFile | io.BufferedReader:
    return gzip.open(path) if path.name.lower().endswith(".gz") else path.open("rb")
