"""MATLAB files: versions 4 and 5 through SciPy, 7.3 (which is HDF5) through h5py."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import IO, Any

import numpy as np

from dst.data.readers.hdf5 import read_mat73
from dst.data.readers.limits import check_bytes, unreadable
from dst.data.readers.table import Roles, Table
from dst.data.readers.variables import from_variables, wanted_names
from dst.errors import InputError

_HEADER = 128  # bytes of text, version and byte order before the first element of a MATLAB 5 file
_COMPRESSED = 15  # the type of an element that is a zlib stream
_CHUNK = 2**20
_VERSION_73 = 2
_NUMERIC = ("double", "single", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "logical")


def read_mat(path: Path, roles: Roles) -> Table:
    """Read a MATLAB file that holds a matrix ``X`` and a vector ``Y`` under one of their usual names.

    Only these are read. A struct, object or cell array in their place is an error, but for labels in a cell array of
    strings.
    """
    from scipy.io import loadmat, whosmat
    from scipy.io.matlab import MatReadError

    with unreadable():
        if _is_version_73(path):
            return read_mat73(path, roles)
        _check_unpacked(path)
        listed = {name: (shape, kind) for name, shape, kind in whosmat(path)}
        features, vectors = wanted_names(listed, roles)
        _check_kind(features, listed[features], (*_NUMERIC, "sparse"))
        for name in vectors.values():
            _check_kind(name, listed[name], (*_NUMERIC, "sparse", "char", "cell"))
        needed = [features, *vectors.values()]
        check_bytes(sum(8 * int(np.prod(listed[name][0], dtype=object)) for name in needed if name != features), 0)
        _check_matrix(listed[features], path.stat().st_size)
        try:
            variables = loadmat(path, variable_names=needed, spmatrix=False)
        except MatReadError as error:
            raise InputError(f"cannot be read: {str(error).splitlines()[0]}") from error
    for name in needed:
        if name not in variables:
            raise InputError(f"cannot be read: {name} is announced but not there")
    beside = {role: (name, variables[name]) for role, name in vectors.items()}
    return from_variables(features, variables[features], beside, roles)


def _check_kind(name: str, listed: tuple[tuple[int, ...], str], allowed: tuple[str, ...]) -> None:
    kind = listed[1]
    if kind not in allowed:
        raise InputError(f"{name} must hold numbers{' or strings' if 'char' in allowed else ''}, but it is a {kind}")


def _check_matrix(listed: tuple[tuple[int, ...], str], file_bytes: int) -> None:
    """Raise an InputError if the features claim more memory than their file may take."""
    shape, kind = listed
    cells = int(np.prod(shape, dtype=object))
    check_bytes(8 * (sum(shape) if kind == "sparse" else cells), file_bytes)


def _is_version_73(path: Path) -> bool:
    """Whether the header's version is 2, in either byte order."""
    with path.open("rb") as file:
        header = file.read(_HEADER)
    if len(header) < _HEADER:
        return False
    order = {b"IM": "<", b"MI": ">"}.get(header[126:128])
    return order is not None and struct.unpack(f"{order}H", header[124:126])[0] >> 8 == _VERSION_73


def _check_unpacked(path: Path) -> None:
    """Raise an InputError if the elements of a MATLAB 5 file unpack to more than it may, or are cut short."""
    size, unpacked = path.stat().st_size, 0
    with path.open("rb") as file:
        order = {b"IM": "<", b"MI": ">"}.get(file.read(_HEADER)[126:128])
        while order is not None and len(tag := file.read(8)) == 8:
            kind, length = struct.unpack(f"{order}II", tag)
            if file.tell() + length > size:
                left = size - file.tell()
                raise InputError(f"cannot be read: it is cut short, {left:,} bytes into an element of {length:,}")
            if kind == _COMPRESSED:
                unpacked = _count(file, length, unpacked, size)
            else:
                file.seek(length, 1)


def _count(file: IO[bytes], length: int, unpacked: int, size: int) -> int:
    """Bytes that the zlib stream of ``length`` bytes unpacks to, on top of ``unpacked``; checked as they come."""
    stream = zlib.decompressobj()
    while length:
        packed: Any = file.read(min(_CHUNK, length))
        length -= len(packed)
        while packed:
            unpacked += len(stream.decompress(packed, _CHUNK))
            packed = stream.unconsumed_tail
            check_bytes(unpacked, size)
    return unpacked
