"""NumPy archives: a dense matrix, or the parts of a sparse one, beside the labels."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from dst.data.readers.table import Roles, Table
from dst.data.readers.variables import from_variables, sparse_matrix, wanted_names
from dst.errors import InputError
from dst.files.archive import read_member
from dst.files.limits import check_bytes, unreadable

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
            arrays = {name: read_member(archive, members[name]) for name in sorted(needed)}
    x: Any = arrays[features]
    if sparse:
        layout = np.asarray(arrays.get("format", "csr")).astype(str).item()
        n_rows = arrays[vectors["target"]].size
        x = sparse_matrix(layout, arrays["shape"], x, arrays["indices"], arrays["indptr"], n_rows)
    return from_variables(features, x, {role: (name, arrays[name]) for role, name in vectors.items()}, roles)
