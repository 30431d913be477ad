"""A temporary folder for Ray that goes with its process, if need be at the next start of another."""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from cluster.jobs import ClusterError

PREFIX = "ray-"
SOCKET_ROOM = 40
"""Bytes of a folder's path under which the paths of Ray's sockets stay below 104: all that macOS lets them have."""

_TAKEN = re.compile(r"[\w. /-]+", re.ASCII)
"""Paths that Ray takes: others break its sockets, its JSON or the URLs that it makes of them."""

_OTHER_PLACES = ("/tmp", "/var/tmp")  # noqa: S108  # a folder of our own is made there, closed to others
_LOG = logging.getLogger(__name__)
OWNER = ".owner"
"""A file that is locked while the folder's process lives; the system ends the lock however the process dies."""


@contextlib.contextmanager
def scratch_folder(place: str | None = None) -> Iterator[str]:
    """Make a folder, having removed what killed processes of this user have left behind; remove it at the end.

    Args:
        place: the folder to make it in; None: that for temporary files.
    """
    place = place or tempfile.gettempdir()
    remove_left_behind(place)
    with tempfile.TemporaryDirectory(prefix=PREFIX, dir=place, ignore_cleanup_errors=True) as folder:
        unnamed = Path(folder, f"{OWNER}.new")
        with unnamed.open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            unnamed.rename(unnamed.with_name(OWNER))  # not before it is locked: without the file nobody takes it away
            yield folder


def place_for_ray(*, sockets: bool) -> str:
    """Return the folder for temporary files, or another one where Ray could not work in it, with a warning.

    A path that is only too long is no reason for a warning: no setting of the user's is wrong, and nothing is lost.

    Args:
        sockets: True where Ray makes its sockets in the folder: the operating system bounds the length of their paths.

    Raises:
        ClusterError: there is no place whose path Ray takes.
    """
    wanted = tempfile.gettempdir()
    room = SOCKET_ROOM - len(f"/{PREFIX}12345678/r") if sockets else 4096  # as tempfile makes names, and Ray's folder
    bound = f"at most {room} characters, all of them" if sockets else "only"
    rule = f"Ray needs a folder for temporary files whose path has {bound} ASCII letters, digits, spaces or _ - . /"
    for place in (wanted, os.environ.get("RAY_TMPDIR", wanted), *_OTHER_PLACES):
        if len(place) <= room and _TAKEN.fullmatch(place) and os.access(place, os.W_OK | os.X_OK):
            if place in _OTHER_PLACES and place != wanted:
                long = _TAKEN.fullmatch(wanted) and os.access(wanted, os.W_OK | os.X_OK)  # as on macOS, always
                _LOG.log(logging.INFO if long else logging.WARNING, "%s: it is %s instead of %s", rule, place, wanted)
            return place
    raise ClusterError(f"{rule}, but that is {wanted}: set TMPDIR to another one")


def remove_left_behind(place: str | None = None) -> None:
    """Remove the folders whose process is dead. What cannot be removed now is left to the next call."""
    for folder in Path(place or tempfile.gettempdir()).glob(f"{PREFIX}*"):
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
