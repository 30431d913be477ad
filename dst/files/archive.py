"""NumPy archives that somebody else may have written: nothing is unpickled, and no claim is believed."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from dst.errors import InputError
from dst.files.limits import check_bytes, unreadable


def read_arrays(path: Path) -> dict[str, npt.NDArray[Any]]:
    """Read all arrays of an archive (``numpy.savez``), by name.

    Raises:
        OSError: there is no such file.
        InputError: it is damaged or something else, or claims more memory than :mod:`dst.files.limits` allows.
    """
    size = path.stat().st_size
    with unreadable():
        if not path.is_file() or not zipfile.is_zipfile(path):
            raise InputError("it is no archive of arrays (numpy.savez)")
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            check_bytes(sum(member.file_size for member in members), size)
            return {member.filename.removesuffix(".npy"): read_member(archive, member) for member in members}


def read_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> npt.NDArray[Any]:
    """Return a member of an archive, once its header claims no more than the member holds.

    Raises:
        InputError: it holds Python objects, or another number of bytes than its header claims.
    """
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
