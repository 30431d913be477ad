"""MATLAB files, by their version: 4 through SciPy, 5 on our own, 7.3 (which is HDF5) through h5py."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np

from dst.data.readers.hdf5 import read_mat73
from dst.data.readers.mat5 import read_mat5
from dst.data.readers.table import Roles, Table
from dst.data.readers.variables import from_variables, wanted_names
from dst.errors import InputError
from dst.files.limits import check_bytes, unreadable

_ORDERS = {b"IM": "little", b"MI": "big"}


def read_mat(path: Path, roles: Roles) -> Table:
    """Read a MATLAB file that holds a matrix ``X`` and a vector ``Y`` under one of their usual names.

    Only these are read. A struct, object or cell array in their place is an error, but for labels in a cell array of
    strings.

    Raises:
        InputError: the file is broken or of no known version, or holds no such variables.
    """
    with unreadable():
        return {1: read_mat5, 2: read_mat73}.get(_version(path), _read_mat4)(path, roles)


def _version(path: Path) -> int:
    """The major version in the header of a MATLAB 5 or 7.3 file; 0: there is no such header."""
    with path.open("rb") as file:
        header = file.read(128)
    order = _ORDERS.get(header[126:128])
    if order is None:
        return 0
    return header[125] if order == "little" else header[124]


def _read_mat4(path: Path, roles: Roles) -> Table:
    """Read a MATLAB 4 file, which is a row of plain matrices."""
    from scipy.io import loadmat, whosmat
    from scipy.io.matlab import matfile_version

    if matfile_version(path)[0] != 0:
        raise InputError("cannot be read: it is of no known version of MATLAB")
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # numbers in the order of a VAX or a Cray, which SciPy reads wrong
        listed: dict[str, tuple[int, ...]] = {name: shape for name, shape, _ in whosmat(path)}
        features, vectors = wanted_names(listed, roles)
        needed = {features, *vectors.values()}
        check_bytes(sum(8 * int(np.prod(listed[name], dtype=object)) for name in needed), path.stat().st_size)
        variables: dict[str, Any] = loadmat(path, variable_names=sorted(needed), spmatrix=False)
    beside = {role: (name, variables[name]) for role, name in vectors.items()}
    return from_variables(features, variables[features], beside, roles)
