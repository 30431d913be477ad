"""Writing a file so that it is there whole, or not at all."""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import TextIO

LONGEST_NAME = 255
"""Bytes of a file's name, on every file system that is in use."""

TEMP_SUFFIX = ".tmp"
"""Ends the name of a file that is still being written; nothing with this ending is ever read."""


def write_bytes(path: Path, data: bytes) -> None:
    """Write ``data`` to ``path``: a reader, or a crash at any moment, finds the old file or the new one.

    The bytes go to a hidden temporary file in the same folder, reach the disk (fsync), take the file's name (rename),
    and the new name reaches the disk too. A crash leaves at worst the temporary file, which is harmless.

    Args:
        path: the file; folders above it are made when missing.
        data: all that it shall hold.

    Raises:
        OSError: the file cannot be written; nothing has changed.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # By a part of the name: the longest name that a file may have leaves no room for more.
    temp = path.with_name(f".{path.name[:40]}.{os.getpid()}-{secrets.token_hex(4)}{TEMP_SUFFIX}")
    try:
        # Not tempfile.mkstemp: its files are closed to everyone else (mode 0600), and the rename would keep that.
        with temp.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temp, path)
    except BaseException:
        temp.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def write_text(path: Path, text: str) -> None:
    """Write ``text`` as UTF-8, with its line ends as they are, whole or not at all (see :func:`write_bytes`)."""
    write_bytes(path, text.encode("utf-8"))


def open_for_lock(path: Path) -> TextIO:
    """Open a file that carries a lock, making it when it is missing; a link is not followed.

    Raises:
        OSError: it cannot be opened, or is a link.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
    return os.fdopen(descriptor, "r+", encoding="utf-8", errors="replace")


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
