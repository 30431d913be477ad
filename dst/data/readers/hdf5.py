"""MATLAB 7.3 files, which are HDF5: matrices lie transposed, sparse ones as the columns of a CSC matrix."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dst.data.readers.table import Roles, Table
from dst.data.readers.variables import from_variables, sparse_matrix, wanted_names
from dst.errors import InputError
from dst.files.limits import check_bytes

_NUMERIC = frozenset(
    f"{kind}{bits}" for kind, sizes in (("int", (8, 16, 32, 64)), ("uint", (8, 16, 32, 64))) for bits in sizes
) | {"double", "single", "logical"}


def read_mat73(path: Path, roles: Roles) -> Table:
    """Read a MATLAB 7.3 file, dense or sparse; labels may be numbers, characters or a cell array of strings.

    Links to other files and data kept outside the file are refused.

    Raises:
        InputError: what ``dst.data.readers.mat.read_mat`` raises.
    """
    import h5py

    size = path.stat().st_size
    with h5py.File(path, "r") as file:
        features, vectors = wanted_names([name for name in file if not name.startswith("#")], roles)
        beside = {role: (name, _vector(file, name, size)) for role, name in vectors.items()}
        x = _matrix(file, features, size, n_rows=beside["target"][1].size)
    return from_variables(features, x, beside, roles)


def _matrix(file: Any, name: str, size: int, n_rows: int) -> Any:
    import h5py

    found = _variable(file, name)
    if isinstance(found, h5py.Dataset):
        if (kind := _kind(found)) not in _NUMERIC:
            raise InputError(f"{name} must hold numbers, but it is a {kind}")
        return _read(name, found, size).T
    if "MATLAB_sparse" not in found.attrs:
        raise InputError(f"{name} must hold numbers, but it is a {_kind(found)}")
    columns = _read(name, _variable(found, "jc"), size)
    entries = "data" in found and "ir" in found  # a matrix without entries has neither
    data = _read(name, _variable(found, "data"), size) if entries else np.zeros(0)
    rows = _read(name, _variable(found, "ir"), size) if entries else np.zeros(0, dtype=np.int64)
    shape = np.array([int(found.attrs["MATLAB_sparse"]), columns.size - 1], dtype=np.int64)
    indices, indptr = rows.ravel().astype(np.int64), columns.ravel().astype(np.int64)
    return sparse_matrix("csc", shape, data.ravel(), indices, indptr, n_rows)


def _vector(file: Any, name: str, size: int) -> npt.NDArray[Any]:
    import h5py

    found = _variable(file, name)
    if not isinstance(found, h5py.Dataset):
        raise InputError(f"{name} must hold numbers or strings, but it is a {_kind(found)}")
    kind = _kind(found)
    values = _read(name, found, size)
    if kind == "cell":
        if values.dtype != h5py.ref_dtype:
            raise InputError(f"{name} is a cell array, but holds no strings")
        return np.array(list(_strings(file, name, values.ravel(), size)))
    if kind == "char":  # one row of characters a label
        return np.array(["".join(map(chr, row)).rstrip() for row in np.atleast_2d(values.T).tolist()])
    if kind not in _NUMERIC:
        raise InputError(f"{name} must hold numbers or strings, but it is a {kind}")
    return values if values.size == max(values.shape, default=0) else values.T


def _strings(file: Any, name: str, references: npt.NDArray[Any], size: int) -> Iterator[str]:
    """The strings that the references of a cell array lead to."""
    import h5py

    for reference in references:
        cell = file[reference]
        if not isinstance(cell, h5py.Dataset) or _kind(cell) != "char":
            raise InputError(f"{name} must hold numbers or strings, but a cell of it holds a {_kind(cell)}")
        empty = cell.attrs.get("MATLAB_empty", 0)
        yield "" if empty else "".join(map(chr, _read(name, cell, size).ravel().tolist()))


def _variable(group: Any, name: str) -> Any:
    """The object of that name in the file itself."""
    import h5py

    if not isinstance(group.get(name, getlink=True), h5py.HardLink):
        raise InputError(f"{name} must lie in the file itself, but it is a link")
    return group[name]


def _kind(found: Any) -> str:
    """MATLAB's word for a type; NumPy's where MATLAB did not write the file."""
    word = found.attrs.get("MATLAB_class")
    if word is None:
        return str(found.dtype) if hasattr(found, "dtype") and found.dtype.kind in "iu" else _float_kind(found)
    return word.decode("ascii", "replace") if isinstance(word, bytes) else str(word)


def _float_kind(found: Any) -> str:
    is_float = hasattr(found, "dtype") and found.dtype.kind in "bf"
    return "double" if is_float else "struct"


def _read(name: str, found: Any, size: int) -> npt.NDArray[Any]:
    """A dataset's values, if they lie in the file and are not more than a file of ``size`` bytes may hold."""
    import h5py

    if not isinstance(found, h5py.Dataset):
        raise InputError(f"{name} must hold numbers, but a part of it is a group")
    if found.is_virtual or found.external:
        raise InputError(f"{name} must lie in the file itself, but its values are kept outside")
    check_bytes(int(np.prod(found.shape, dtype=object)) * found.dtype.itemsize, size)
    return np.asarray(found[()])
