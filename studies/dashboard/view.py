"""A study as a browser sees it: its latest snapshot, made anew while somebody looks and the study goes on."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from studies.dashboard.snapshot import Snapshot
from studies.store.folder import StudyFolder
from studies.surroundings import child_environment

PATIENCE = 20.0
"""Of a view: one core is taken for 5% of the time."""

WATCHED_SECONDS = 30.0
"""After that long without a look nobody is there, and no snapshot is made."""

_LOOK_SECONDS = 0.5

Mark = tuple[int, ...]


@dataclass(frozen=True)
class Shown:
    """What a page asks for every few seconds.

    Attributes:
        version: grows with each snapshot; 0: there is none yet.
        taken: when it was begun, seconds since 1970.
        status: see :attr:`studies.dashboard.snapshot.Snapshot.status`; None: there is none yet.
        problem: why the latest attempt failed, in a line; empty: it did not.
    """

    version: int = 0
    taken: float | None = None
    status: dict[str, Any] | None = None
    problem: str = ""


class View:
    """Takes snapshots of a study, in processes of their own and one at a time.

    Args:
        folder: the study's.
        path: where its snapshot goes; a folder of its own.
        seconds: between two snapshots, at least.
        patience: how many times the core-seconds of a snapshot are waited after it, at least.
    """

    def __init__(self, folder: StudyFolder, path: Path, seconds: float, patience: float = PATIENCE) -> None:
        self.folder = folder
        self.snapshot = Snapshot(path, folder)
        self._seconds = seconds
        self._patience = patience
        self._shown = Shown()
        self._looked = -WATCHED_SECONDS
        self._ended = threading.Event()
        self._child: subprocess.Popen[str] | None = None
        self._thread = threading.Thread(target=self._keep, name=f"view of {folder.path.name}", daemon=True)

    def start(self) -> None:
        """Begin to take snapshots."""
        self._thread.start()

    def close(self) -> None:
        """Take no more of them; one that is being taken is left."""
        self._ended.set()
        if self._child is not None:
            self._child.kill()
        self._thread.join()

    def look(self) -> Shown:
        """Return what there is, and note that somebody looks."""
        self._looked = time.monotonic()
        return self._shown

    def _keep(self) -> None:
        mark, due = None, 0.0
        while not self._ended.wait(_LOOK_SECONDS):
            now = time.monotonic()
            if now < due or now - self._looked > WATCHED_SECONDS or (found := mark_of(self.folder)) == mark:
                continue
            core_seconds = self._take()
            if core_seconds is not None:
                mark = found
            due = time.monotonic() + max(self._seconds, self._patience * (core_seconds or 0.0))

    def _take(self) -> float | None:
        """Take a snapshot; return the core-seconds that it took, None if that failed."""
        taken = time.time()
        with subprocess.Popen(  # noqa: S603 - our own command
            [sys.executable, "-P", "-m", "studies.dashboard.snapshot", str(self.folder.path), str(self.snapshot.path)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            env=child_environment(),
            start_new_session=True,
        ) as self._child:
            said = self._child.communicate()[1].strip()
        before = self._shown
        if self._child.returncode == 0:
            status = json.loads(self.snapshot.status.read_text(encoding="utf-8"))
            self._shown = Shown(before.version + 1, taken, status)
            return float(status["core_seconds"])
        problem = said.splitlines()[-1] if said else f"the snapshot ended with status {self._child.returncode}"
        self._shown = Shown(before.version, before.taken, before.status, problem)
        return None


def mark_of(folder: StudyFolder) -> Mark:
    """Return what changes when a record is added to a study, its spec changes, or its run begins or ends.

    Args:
        folder: the study's.
    """
    folders = [folder.records, *folder.records.glob("*/")]
    return (*map(_changed, (*sorted(folders), folder.spec, folder.spent)), _size(folder.lock))


def _changed(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
