"""Files of known datasets: their folder, their hashes, their tables."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from dst.data.entry import Entry
from dst.data.known.registry import DATASETS, find_name
from dst.data.readers import Table, read_table
from dst.errors import InputError, unknown_name

DATA_DIR_VARIABLE = "DST_DATA_DIR"
"""The environment variable that names the folder with the registry's files."""


def data_folder(data_dir: str | Path | None = None) -> Path:
    """The folder of the registry's files: the argument, else ``DST_DATA_DIR``, else the user's cache folder."""
    given = str(data_dir) if data_dir is not None else os.environ.get(DATA_DIR_VARIABLE, "")
    if given:
        return Path(given).expanduser()
    import pooch

    return Path(pooch.os_cache("dst"))


def read_entry(entry: Entry, path: Path) -> tuple[Table, str]:
    """The table in an entry's file, and the file's SHA-256.

    Raises:
        InputError: the file has another SHA-256 than the registry knows, or is no table.
    """
    sha256 = file_sha256(path)
    if entry.sha256 is not None and sha256 != entry.sha256:
        raise InputError(
            f"{path} is not the registry's {entry.name}: its SHA-256 must be {entry.sha256}, but is {sha256}; "
            f"to use it as a table of your own, give its path under another name"
        )
    return read_table(path), sha256


def file_sha256(path: Path) -> str:
    """The SHA-256 of a file's bytes, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def find_entry(name: str) -> Entry:
    """The registry's entry of that name.

    Raises:
        InputError: there is none.
    """
    entry = find_name(name)
    if entry is None:
        raise InputError(unknown_name("dataset", name, DATASETS))
    return entry
