"""Time and work of a study that its records do not say: time on the clock, and work that was lost.

A process that is killed cannot say how long it had worked. So the run that hands out jobs keeps one small file about
those that are out, about a second old; the next run finds there what was lost.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from studies.spec.documents import read_json
from studies.store.files import write_text
from studies.store.record_codec import RecordError

SAVE_SECONDS = 1.0
"""The greatest age of the file while a study runs, in seconds."""

_BELOW_ZERO = 1e-3
"""Seconds below zero that stand for 0: version 0.1.0 wrote them of jobs that were lost before they began."""


@dataclass(frozen=True)
class SpentSoFar:
    """The time that a study has spent, as its file holds it.

    Attributes:
        wall_seconds: wall-clock time of the study, over all runs, each from the first job on.
        search_seconds: the part of it in which a search was going on.
        lost: seconds of attempts whose process died, by job; those of an ended trial are in its record.
        running: seconds that jobs had been at work when the file was written.
    """

    wall_seconds: float
    search_seconds: float
    lost: Mapping[str, float]
    running: Mapping[str, float]


def read_spent(path: Path) -> SpentSoFar:
    """Read the file; where there is none, nothing is spent.

    Raises:
        RecordError: the file is damaged.
    """
    try:
        document = read_json(path)
        lost, running = (_seconds(document[key]) for key in ("lost", "running"))
        searched = _duration(document["search_seconds"])
        return SpentSoFar(_duration(document.get("wall_seconds", searched)), searched, lost, running)
    except FileNotFoundError:
        return SpentSoFar(0.0, 0.0, {}, {})
    except (OSError, ArithmeticError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise RecordError(f"{path}: cannot be read as what a study has spent ({error})") from error


class Spent:
    """Keeps the file for the run that hands out jobs.

    Args:
        path: the file; it need not exist.
        clock: seconds.

    Attributes:
        wall_seconds: see :class:`SpentSoFar`.
        search_seconds: see :class:`SpentSoFar`.
        lost: see :class:`SpentSoFar`; what was running when the run before this one died is part of it.

    Raises:
        RecordError: the file is damaged.
    """

    def __init__(self, path: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._path = path
        self._clock = clock
        before = read_spent(path)
        self.wall_seconds = before.wall_seconds
        self.search_seconds = before.search_seconds
        self.lost = dict(before.lost)
        self._began: dict[str, float] = {}
        self._ticked: float | None = None
        for key, seconds in before.running.items():
            self._lose(key, seconds)
        if before.running:
            self.save()
        self._saved = clock()

    def begin(self, key: str) -> None:
        """Take note that a worker begins with a job."""
        self._began[key] = self._clock()
        if self._ticked is None:
            self._ticked = self._clock()

    def end(self, key: str) -> float:
        """Take note that a worker has ended with a job; return its seconds, 0 when it never began."""
        now = self._clock()
        return now - self._began.pop(key, now)

    def lose(self, key: str) -> None:
        """Take note that the process of a job has died, and that the job will be done again."""
        self._lose(key, self.end(key))
        self.save()

    def settle(self, key: str) -> None:
        """Forget what was lost of a job: its record says so now."""
        self.lost.pop(key, None)

    def tick(self, *, searching: bool) -> None:
        """Let time pass, and write the file when it is old. Time counts from the first job on.

        Args:
            searching: whether a search was going on since the last call.
        """
        now = self._clock()
        if self._ticked is not None:
            self.wall_seconds += now - self._ticked
            self.search_seconds += searching * (now - self._ticked)
            self._ticked = now
        if now - self._saved >= SAVE_SECONDS:
            self.save()

    def save(self) -> None:
        """Write the file."""
        now = self._clock()
        running = {key: now - began for key, began in self._began.items()}
        document = {
            "wall_seconds": self.wall_seconds,
            "search_seconds": self.search_seconds,
            "lost": self.lost,
            "running": running,
        }
        write_text(self._path, json.dumps(document, sort_keys=True) + "\n")
        self._saved = now

    def _lose(self, key: str, seconds: float) -> None:
        self.lost[key] = self.lost.get(key, 0.0) + seconds


def _seconds(document: Any) -> dict[str, float]:
    return {str(key): _duration(seconds) for key, seconds in document.items()}


def _duration(given: Any) -> float:
    seconds = float(given)
    if -_BELOW_ZERO < seconds < 0:
        return 0.0
    if not 0 <= seconds < math.inf:
        raise ValueError(f"seconds must be finite and not negative, got {seconds}")
    return seconds
