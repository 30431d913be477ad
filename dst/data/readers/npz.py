"""NumPy archives: a dense matrix, or the parts of a sparse one, beside the labels."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from dst.data.readers.limits import check_bytes, unreadable
from dst.data.readers.table import Roles, Table
from dst.data.readers.variables import from_variables, sparse_matrix, wanted_names
from dst.errors import InputError

_SUFFIX = ".npy"
_SPARSE = ("data", "indices", "indptr", "shape")
"""What scipy.sparse.save_npz calls the parts of a matrix; it adds ``format``, which is csr where there is none."""


def read_npz(path: Path, roles: Roles) -> Table:
    """Read ``numpy.savez`` archives: ``X`` and ``y``, or the parts of ``scipy.sparse.save_npz`` and ``y``.

    Only the variables that make the table are unpacked, after their headers were compared with what they may hold;
    nothing is unpickled, and no name in the archive becomes a path.
    """
    size = path.stat().st_size
    with unreadable():
        if not zipfile.is_zipfile(path):
            raise InputError("cannot be read: it is no archive of X and y (numpy.savez)")
        with zipfile.ZipFile(path) as archive:
            members = {info.filename.removesuffix(_SUFFIX): info for info in archive.infolist()}
            sparse = set(_SPARSE) <= set(members) and "X" not in members
            features, vectors = wanted_names(members, roles, "data" if sparse else None)
            needed = {*vectors.values(), *((*_SPARSE, "format") if sparse else (features,))} & set(members)
            check_bytes(sum(members[name].file_size for name in needed), size)
            arrays = {name: _array(archive, members[name]) for name in sorted(needed)}
    x: Any = arrays[features]
    if sparse:
        layout = np.asarray(arrays.get("format", "csr")).astype(str).item()
        n_rows = arrays[vectors["target"]].size
        x = sparse_matrix(layout, arrays["shape"], x, arrays["indices"], arrays["indptr"], n_rows)
    return from_variables(features, x, {role: (name, arrays[name]) for role, name in vectors.items()}, roles)


def _array(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> npt.NDArray[Any]:
    """A member of the archive, once its header claims no more than the member holds."""
    with archive.open(info) as member:
        shape, dtype, header = _header(info.filename, member)
    claimed = int(np.prod(shape, dtype=object)) * dtype.itemsize
    if dtype.hasobject:
        raise InputError(f"{info.filename} holds Python objects, which are not unpickled")
    if claimed != info.file_size - header:
        raise InputError(
            f"{info.filename} claims {claimed:,} bytes of values in its header, but holds {info.file_size - header:,}"
        )
    with archive.open(info) as member:
        array: npt.NDArray[Any] = np.lib.format.read_array(member, allow_pickle=False)
        return array


def _header(name: str, member: IO[bytes]) -> tuple[tuple[int, ...], np.dtype[Any], int]:
    """The shape and type that a .npy file states, and the length of that statement."""
    readers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    version = np.lib.format.read_magic(member)
    if version not in readers:
        raise InputError(f"{name} must be of .npy version 1 or 2, but is of {version}")
    try:
        shape, _, dtype = readers[version](member)
    except (ValueError, SyntaxError) as error:
        raise InputError(f"cannot be read: the header of {name} describes no array") from error
    return shape, dtype, member.tell()
