"""What is shown of a study, made of its records in a process of its own: ``python -m studies.dashboard.snapshot``.

Nothing is written into the study's folder: tables and report come into another one. Its storage is read and never held.
"""

from __future__ import annotations

import json
import sqlite3
import sys
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from cluster.ledger.storage.files import BUSY_SECONDS, file_uri, read_only
from studies.report.status import study_status
from studies.report.write import write_results
from studies.store.archive import StudyArchive
from studies.store.files import write_text
from studies.store.folder import StudyFolder
from studies.store.lock import owner_lives
from studies.surroundings import give_way, say

NICENESS = 10
"""How far the process stands back behind the study's trials."""


@dataclass(frozen=True)
class Snapshot(StudyFolder):
    """A folder for tables and report of a study, whose spec and records are those in the study's own folder.

    Attributes:
        path: the folder; it need not exist.
        source: the study's own.
    """

    source: StudyFolder

    @property
    def spec(self) -> Path:
        """The study's."""
        return self.source.spec

    @property
    def records(self) -> Path:
        """The study's."""
        return self.source.records

    @property
    def spent(self) -> Path:
        """The study's."""
        return self.source.spent

    @property
    def status(self) -> Path:
        """``status.json``: what :func:`studies.report.status.study_status` says, and more.

        ``running``: whether a run is at work; ``core_seconds``: those that the snapshot took.
        """
        return self.path / "status.json"


def take(snapshot: Snapshot) -> None:
    """Write a snapshot of a study; its files are replaced one by one, each at once.

    Args:
        snapshot: where to; may hold an earlier one.

    Raises:
        InputError: the folder holds no study, or its storage cannot be opened.
        RecordError: a record is damaged.
        OSError: a file cannot be written.
    """
    archive, source = StudyArchive(snapshot), snapshot.source
    write_results(archive)
    if archive.spec.storage is None and source.storage.exists():
        _copy(source.storage, snapshot.storage)
    status: dict[str, Any] = {"running": owner_lives(source), **study_status(source.path)}
    status["core_seconds"] = time.process_time()
    write_text(snapshot.status, json.dumps(status))


def _copy(database: Path, copy: Path) -> None:
    """Copy a database by transactions: whoever reads the copy sees the one before or this one."""
    options = urlencode(read_only(database))
    with (
        closing(sqlite3.connect(f"{file_uri(database)}?{options}", BUSY_SECONDS, uri=True)) as source,
        closing(sqlite3.connect(copy, BUSY_SECONDS)) as target,
    ):
        source.backup(target)


def main(arguments: list[str]) -> int:
    """Take a snapshot of the study in the first folder into the second; return 1 if that is impossible now."""
    give_way(NICENESS)
    study, path = map(Path, arguments)
    try:
        take(Snapshot(path, StudyFolder(study)))
    except Exception as error:  # a page shows it
        say(" ".join(str(error).split()))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
