"""MATLAB 5 files (``save -v6`` and ``-v7``): the matrices, characters and cells of strings that make a table.

SciPy's reader follows the numbers of a broken file to wherever they point, and the process ends there. This one knows
less, which is all that tables need, and compares every number with the bytes that there are. Source of the format:
MathWorks, "MAT-File Format", version 5.
"""

from __future__ import annotations

import math
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dst.data.readers.columns import number_name
from dst.data.readers.table import Roles, Table
from dst.data.readers.variables import from_variables, sparse_matrix, wanted_names
from dst.errors import InputError
from dst.files.limits import check_bytes

_HEADER = 128  # bytes of text, version and byte order before the first element
_PEEK = 2**12  # bytes of an element that hold its flags, shape and name
_MATRIX, _COMPRESSED = 14, 15
_TYPES = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
_CODINGS = {1: "latin-1", 2: "latin-1", 4: "utf-16", 16: "utf-8", 17: "utf-16", 18: "utf-32"}
_CELL, _CHAR, _SPARSE, _OPAQUE = 1, 4, 5, 17
_NUMBERS = range(6, 16)
_CLASSES = {1: "cell", 2: "struct", 3: "object", 4: "char", 5: "sparse", 16: "function", 17: "object"}
_COMPLEX = 0x800


def read_mat5(path: Path, roles: Roles) -> Table:
    """Read a MATLAB 5 file.

    Raises:
        InputError: what ``dst.data.readers.mat.read_mat`` raises.
    """
    file = path.read_bytes()
    cursor = _Cursor(memoryview(file), {b"IM": "<", b"MI": ">"}[file[126:128]], _HEADER)
    elements: dict[str, tuple[int, memoryview]] = {}
    while cursor.left >= 8:
        kind, content = cursor.take()
        if kind in (_MATRIX, _COMPRESSED):
            elements.setdefault(_variable(_peek(kind, content), cursor.order).name, (kind, content))
    features, vectors = wanted_names(elements, roles)
    read = {
        name: _variable(_unpack(*elements[name], cursor.order, len(file)), cursor.order)
        for name in dict.fromkeys((features, *vectors.values()))
    }
    beside = {role: (name, _vector(read[name])) for role, name in vectors.items()}
    return from_variables(features, _features(read[features], beside["target"][1].size), beside, roles)


@dataclass
class _Cursor:
    """A place among elements: each is a tag, of its type and its length in bytes, and its content."""

    data: memoryview
    order: str
    at: int = 0

    @property
    def left(self) -> int:
        return len(self.data) - self.at

    def take(self) -> tuple[int, memoryview]:
        """The type and the content of the next element."""
        if self.left < 8:
            raise InputError("cannot be read: it is cut short before an element")
        kind, length = struct.unpack_from(f"{self.order}II", self.data, self.at)
        start = self.at + 8
        self.at = start + length
        if kind != _COMPRESSED:
            self.at += -length % 8
        if kind >> 16:  # a small element: type and length share four bytes, and four of content follow
            kind, length, start = kind & 0xFFFF, kind >> 16, start - 4
            self.at = start + 4
        if length > min(self.at, len(self.data)) - start:
            raise InputError(f"cannot be read: it is cut short in an element of {length:,} bytes")
        return kind, self.data[start : start + length]

    def numbers(self) -> npt.NDArray[Any]:
        """The numbers in the next element."""
        kind, content = self.take()
        if kind not in _TYPES:
            raise InputError(f"cannot be read: there are no numbers in an element of type {kind}")
        dtype = np.dtype(f"{self.order}{_TYPES[kind]}")
        return np.frombuffer(content[: len(content) // dtype.itemsize * dtype.itemsize], dtype)


@dataclass(frozen=True)
class _Variable:
    """The header of a variable, and a cursor on what follows it."""

    name: str
    kind: int
    is_complex: bool
    shape: tuple[int, ...]
    content: _Cursor

    @property
    def kind_name(self) -> str:
        if self.is_complex:
            return "complex number"
        return "number" if self.kind in _NUMBERS else _CLASSES.get(self.kind, f"variable of class {self.kind}")


def _peek(kind: int, content: memoryview) -> memoryview:
    """The content of a matrix, at least as far as its header reaches."""
    return content if kind == _MATRIX else memoryview(zlib.decompressobj().decompress(content, _PEEK))[8:]


def _unpack(kind: int, content: memoryview, order: str, file_bytes: int) -> memoryview:
    """The content of a matrix, whole."""
    if kind == _MATRIX:
        return content
    stream = zlib.decompressobj()
    tag = stream.decompress(content, 8)
    inner, length = struct.unpack(f"{order}II", tag) if len(tag) == 8 else (0, 0)
    if inner != _MATRIX:
        raise InputError(f"cannot be read: a compressed element holds an element of type {inner}")
    check_bytes(length, file_bytes)
    unpacked = stream.decompress(stream.unconsumed_tail, max(length, 1))
    if len(unpacked) < length:
        raise InputError(f"cannot be read: it is cut short in an element of {length:,} bytes")
    return memoryview(unpacked)


def _variable(data: memoryview, order: str) -> _Variable:
    """The variable in the content of a matrix element."""
    cursor = _Cursor(data, order)
    flags = cursor.numbers()
    if len(flags) < 1 or flags.dtype.kind not in "iu":
        raise InputError("cannot be read: a variable has no flags")
    flag = int(flags[0])
    shape = () if flag & 0xFF == _OPAQUE else tuple(map(int, cursor.numbers()))
    if any(size < 0 for size in shape):
        raise InputError(f"cannot be read: a variable has the shape {shape}")
    name = bytes(cursor.take()[1]).decode("ascii", "replace")
    return _Variable(name, flag & 0xFF, bool(flag & _COMPLEX), shape, cursor)


def _features(found: _Variable, n_rows: int) -> Any:
    if found.kind == _SPARSE and not found.is_complex:
        rows, starts, values = (found.content.numbers() for _ in range(3))
        count = min(len(rows), len(values))  # MATLAB keeps room for more
        used = int(starts[-1]) if len(starts) else 0
        if not 0 <= used <= count:
            raise InputError(f"the parts of the sparse matrix do not fit together: {count} values, and {used} needed")
        indices, indptr = rows[:used].astype(np.int64), starts.astype(np.int64)
        return sparse_matrix("csc", np.array(found.shape), _native(values[:used]), indices, indptr, n_rows)
    if found.kind not in _NUMBERS or found.is_complex:
        raise InputError(f"{found.name} must hold numbers, but it is a {found.kind_name}")
    return _array(found)


def _vector(found: _Variable) -> npt.NDArray[Any]:
    """Labels, groups or times: numbers, or words in rows of characters or in cells."""
    if found.kind in _NUMBERS and not found.is_complex:
        return _array(found)
    if found.kind == _CHAR:
        return np.array(_rows_of_words(found))
    if found.kind != _CELL:
        raise InputError(f"{found.name} must hold numbers or strings, but it is a {found.kind_name}")
    words = []
    for _ in range(math.prod(found.shape)):
        kind, content = found.content.take()
        if kind != _MATRIX:
            raise InputError(f"cannot be read: a cell of {found.name} holds an element of type {kind}")
        words.append(_word(found.name, _variable(content, found.content.order)))
    return np.array(words)


def _word(name: str, cell: _Variable) -> str:
    """The content of a cell: a string, or a number as a string."""
    if cell.kind == _CHAR:
        rows = _rows_of_words(cell)
        if len(rows) <= 1:
            return "".join(rows)
    elif cell.kind in _NUMBERS and not cell.is_complex and math.prod(cell.shape) <= 1:
        return "".join(number_name(value) for value in _array(cell).flat)
    raise InputError(f"{name} must hold numbers or strings, but a cell of it holds a {cell.kind_name} of {cell.shape}")


def _array(found: _Variable) -> npt.NDArray[Any]:
    """The numbers of a variable in its shape."""
    values = found.content.numbers()
    if len(values) != math.prod(found.shape):
        raise InputError(f"{found.name} claims {math.prod(found.shape):,} values, but holds {len(values):,}")
    return _native(values).reshape(found.shape, order="F")


def _rows_of_words(found: _Variable) -> list[str]:
    """The strings in the rows of a matrix of characters, which lie column by column."""
    kind, content = found.content.take()
    if kind not in _CODINGS:
        raise InputError(f"cannot be read: there are no characters in an element of type {kind}")
    coding = _CODINGS[kind]
    if coding in ("utf-16", "utf-32"):
        coding += "-le" if found.content.order == "<" else "-be"
    letters = bytes(content).decode(coding)
    if len(letters) != math.prod(found.shape):
        raise InputError(f"{found.name} claims {math.prod(found.shape):,} characters, but holds {len(letters):,}")
    rows = found.shape[0] if letters else 0
    return [letters[row::rows] for row in range(rows)]


def _native(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return values.astype(values.dtype.newbyteorder("="), copy=False)
