"""The runs of W&B that lie on this machine: offline ones, and online ones until a server has them."""

from __future__ import annotations

import re
import shutil
from contextlib import suppress
from pathlib import Path

_NAME = re.compile(r"(?:offline-)?run-\d{8}_\d{6}-(.+)")
_LATEST = "latest-run"


class LocalRuns:
    """The folders of runs, by id; the place is read once, however many runs lie there.

    Args:
        place: the folder ``wandb/`` that they lie in.
    """

    def __init__(self, place: Path) -> None:
        self._place = place
        self._paths: dict[str, list[Path]] = {}
        for path in place.iterdir() if place.is_dir() else ():
            if (match := _NAME.fullmatch(path.name)) is not None:
                self._paths.setdefault(match[1], []).append(path)

    def add(self, run: str, path: Path) -> None:
        """Take note of a run's new folder."""
        self._paths.setdefault(run, []).append(path)

    def remove(self, run: str) -> None:
        """Remove a run's folders: half-written, superseded, or safe on the server."""
        again = [f"{run}-{count}" for count in range(1, 10)]  # W&B's name for one more of the same second
        for name in (run, *again):
            for path in self._paths.pop(name, ()):
                shutil.rmtree(path, ignore_errors=True)

    def trim(self, path: Path) -> None:
        """Remove from a finished run's folder what nothing reads: logs, and folders that are empty."""
        for name in ("logs", "tmp"):
            shutil.rmtree(path / name, ignore_errors=True)
        with suppress(OSError):
            (path / "files").rmdir()

    def link(self, path: Path) -> None:
        """Let ``latest-run``, which `wandb leet` opens, be a run's folder."""
        link = self._place / _LATEST
        with suppress(OSError):
            link.unlink(missing_ok=True)
            link.symlink_to(path.name)
