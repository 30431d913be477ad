"""One run at a time in a study's folder."""

from __future__ import annotations

import fcntl
import logging
import os
import re
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TextIO

import psutil

from dst.errors import InputError
from studies.store.files import open_for_lock
from studies.store.folder import StudyFolder

BEAT_SECONDS = 10.0
STALE_SECONDS = 60.0
"""After that long without a beat, an owner on another machine counts as dead."""

_LOG = logging.getLogger(__name__)
_OWNER = re.compile(r"process (\d+) on (\S+)")


@contextmanager
def owned(folder: StudyFolder, *, beat_seconds: float = BEAT_SECONDS) -> Iterator[None]:
    """Hold the folder while a run writes to it.

    The lock is the operating system's, so it ends with the process, however that dies. The file that carries it says
    who has it, is emptied at the end, and is touched every ten seconds meanwhile: where a file system keeps locks to
    each machine (some mounts of NFS), that tells a run on another machine that lives from one that died.

    Args:
        folder: the study's folder.
        beat_seconds: between two touches.

    Raises:
        InputError: another process has it; the message names its host and process id.
    """
    try:
        lock = open_for_lock(folder.lock)
    except OSError as error:
        raise InputError(f"{folder.lock} cannot be opened: {error.strerror}") from error
    with lock as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InputError(f"{folder.path} is in use by {_said(file) or 'another run'}") from None
        except OSError as error:
            raise InputError(
                f"{folder.path}: its file system has no locks ({error.strerror}): give another --out"
            ) from error
        _look_at_the_last_owner(folder, file)
        owner = f"process {os.getpid()} on {socket.gethostname()}\n"
        _write(file, owner)
        ended = threading.Event()
        beat = threading.Thread(target=_beat, args=(file, owner, ended, beat_seconds), name="lock", daemon=True)
        beat.start()
        try:
            yield
        finally:
            ended.set()
            beat.join()
            with suppress(OSError):  # a full disk
                if _said(file) == owner.strip():
                    _write(file, "")


def owner_lives(folder: StudyFolder) -> bool:
    """Say whether a run is at work in a folder, as far as can be seen without touching its lock.

    Args:
        folder: the study's folder; one without a lock has no owner.
    """
    try:
        with folder.lock.open(encoding="utf-8", errors="replace") as file:
            match = _OWNER.match(_said(file))
            age = time.time() - os.fstat(file.fileno()).st_mtime
    except OSError:
        return False
    if match is None:
        return False
    return psutil.pid_exists(int(match[1])) if match[2] == socket.gethostname() else age < STALE_SECONDS


def _look_at_the_last_owner(folder: StudyFolder, file: TextIO) -> None:
    """Say what is known of a run that did not get to its end, and refuse where it may live on another machine."""
    match = _OWNER.match(_said(file))
    if match is None:
        return
    if match[2] == socket.gethostname():
        _LOG.warning("the last run here, process %s, was ended from outside; this one goes on from there", match[1])
        return
    age = _age(file.fileno())
    if age < STALE_SECONDS:
        raise InputError(
            f"{folder.path} is in use by {match[0]}: it gave a sign of life {age:.0f} s ago. If it has died since, "
            f"try again after {STALE_SECONDS:.0f} s"
        )
    _LOG.warning(
        "the last run here, %s, has given no sign of life for %.0f s; this one goes on from there", match[0], age
    )


def _age(descriptor: int) -> float:
    """Return the seconds since a file was touched, by the clock of its file system."""
    before = os.stat(descriptor)
    os.utime(descriptor)
    age = os.stat(descriptor).st_mtime - before.st_mtime
    os.utime(descriptor, ns=(before.st_atime_ns, before.st_mtime_ns))  # who looks gives no sign of life
    return max(0.0, age)


def _beat(file: TextIO, owner: str, ended: threading.Event, seconds: float) -> None:
    """Give signs of life; end the run if another one has taken the folder, because this machine stood still."""
    while not ended.wait(seconds):
        with suppress(OSError):
            content = os.pread(file.fileno(), 200, 0).decode(errors="replace")
            if content != owner:
                _LOG.error("the folder was taken over by %s: this run ends", " ".join(content.split()) or "another run")
                ignored = signal.getsignal(signal.SIGINT) is signal.SIG_IGN  # a shell does so in the background
                os.kill(os.getpid(), signal.SIGTERM if ignored else signal.SIGINT)
                return
            os.utime(file.fileno())


def _said(file: TextIO) -> str:
    file.seek(0)
    return " ".join(file.read(200).split())


def _write(file: TextIO, text: str) -> None:
    file.seek(0)
    file.truncate(0)
    file.write(text)
    file.flush()
