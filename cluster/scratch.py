"""A temporary folder for Ray that goes with its process, if need be at the next start of another."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

PREFIX = "ray-"
OWNER = ".owner"
"""Locked while the folder's process lives: the operating system ends the lock with the process, however that dies."""


@contextlib.contextmanager
def scratch_folder() -> Iterator[str]:
    """Make a folder, having removed what killed processes of this user have left behind; remove it at the end."""
    remove_left_behind()
    with tempfile.TemporaryDirectory(prefix=PREFIX, ignore_cleanup_errors=True) as folder:
        unnamed = Path(folder, f"{OWNER}.new")
        with unnamed.open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            unnamed.rename(unnamed.with_name(OWNER))  # not before it is locked: without the file nobody takes it away
            yield folder


def remove_left_behind() -> None:
    """Remove the folders whose process is dead. What cannot be removed now is left to the next call."""
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError):
            if folder.is_symlink() or folder.stat().st_uid != os.getuid():
                continue
            with (folder / OWNER).open() as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # raises while the process lives
                for inside in folder.iterdir():
                    if inside.is_dir() and not inside.is_symlink():
                        shutil.rmtree(inside)
                    elif inside.name != OWNER:
                        inside.unlink()
                (folder / OWNER).unlink()  # last: without it the folder would stay for ever
                folder.rmdir()
