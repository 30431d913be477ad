"""One run at a time in a study's folder."""

from __future__ import annotations

import fcntl
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager

from dst.errors import InputError
from studies.folder import StudyFolder


@contextmanager
def owned(folder: StudyFolder) -> Iterator[None]:
    """Hold the folder while a run writes to it.

    The lock is the operating system's, so it ends with the process, however that dies; the file that carries it only
    says who has it.

    Raises:
        InputError: another process has it; the message names its host and process id.
    """
    with folder.lock.open("a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.seek(0)
            raise InputError(f"{folder.path} is in use by {file.read().strip() or 'another run'}") from None
        file.truncate(0)
        file.write(f"process {os.getpid()} on {socket.gethostname()}\n")
        file.flush()
        yield
