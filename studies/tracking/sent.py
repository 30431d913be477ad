"""The note of what was sent: a line a run, appended when the run is where it should be."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from studies.spec.documents import read_json
from studies.store.files import write_text
from studies.store.folder import StudyFolder

_NAME = "sent.jsonl"
_EARLIER = "sent.json"
"""The file of earlier versions: one object, which was written anew for each run."""


class NotesError(Exception):
    """The note of what was sent is damaged."""


class SentNotes:
    """What was sent of a study, by run.

    A process that dies leaves at worst half a line at the end, whose run counts as not sent. Runs that were deleted on
    a server are noted too: it takes no run of their ids any more.

    Args:
        folder: the study's; its ``wandb/`` exists.

    Raises:
        NotesError: the file is damaged.
    """

    def __init__(self, folder: StudyFolder) -> None:
        self._path = folder.wandb / _NAME
        earlier = folder.wandb / _EARLIER
        self._notes = {**_read_earlier(earlier), **dict(_lines(self._path))}
        lines = (json.dumps({"id": name, **note}, sort_keys=True) + "\n" for name, note in self._notes.items())
        write_text(self._path, "".join(lines))
        earlier.unlink(missing_ok=True)

    def __contains__(self, run: object) -> bool:
        """Say whether a run was sent, anywhere and with any content."""
        return run in self._notes

    def __len__(self) -> int:
        """Count the runs."""
        return len(self._notes)

    def __iter__(self) -> Iterator[str]:
        """Iterate over the ids of runs that were sent."""
        return iter(self._notes)

    def of(self, run: str) -> dict[str, Any]:
        """Return what is noted of a run; nothing if it was not sent."""
        return self._notes.get(run, {})

    def add(self, run: str, note: dict[str, Any]) -> None:
        """Note where a run is, and with what content."""
        self._notes[run] = note
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"id": run, **note}, sort_keys=True) + "\n")


def _lines(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    if not path.exists():
        return
    *whole, last = path.read_text(encoding="utf-8", errors="replace").split("\n")
    del last  # empty, or half a line
    for number, line in enumerate(whole, start=1):
        try:
            note = json.loads(line)
            yield note.pop("id"), note
        except (ValueError, AttributeError, KeyError) as error:
            raise NotesError(f"{path} is damaged in line {number}: delete it to send all runs again") from error


def _read_earlier(path: Path) -> dict[str, dict[str, Any]]:
    if not path.exists():
        return {}
    try:
        notes = read_json(path)
        if not isinstance(notes, dict) or not all(isinstance(note, dict) for note in notes.values()):
            raise ValueError("it must hold an object of objects")
    except (OSError, ValueError) as error:
        raise NotesError(f"{path} is damaged ({error}): delete it to send all runs again") from error
    return notes
