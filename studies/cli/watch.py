"""``dst watch``: how far a study is, until its run ends."""

from __future__ import annotations

import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from studies.surroundings import say

if TYPE_CHECKING:
    from studies.plan.progress import DatasetProgress


def watch(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A study's folder.")],
    seconds: Annotated[float, typer.Option(min=0.1, help="Between two looks.")] = 2.0,
) -> None:
    """Show how far a study is until its run ends. Ctrl+C ends this, not the study."""
    from studies.plan.progress import make_progress
    from studies.report.status import study_status
    from studies.store.folder import StudyFolder
    from studies.store.lock import owner_lives

    document = study_status(folder)
    running = sum(counts["running"] for counts in document["datasets"].values())
    with suppress(KeyboardInterrupt), make_progress(sys.stderr, max(running, 1)) as progress:
        while True:
            lives = owner_lives(StudyFolder(folder))  # before the look: the last one sees the end
            document = study_status(folder)
            progress.update(_progress(document), document["cost"]["wall_seconds"])
            if not lives:
                say(f"No run is at work in {folder}; dst best {folder} shows what was found.")
                return
            time.sleep(seconds)


def _progress(document: dict[str, Any]) -> list[DatasetProgress]:
    from studies.plan.progress import DatasetProgress

    states = ("finished", "running", "stopped", "failed", "waiting")
    return [
        DatasetProgress(
            name=name,
            **{state: counts[state] for state in states},
            total=sum(counts[state] for state in states),
            best=counts["best_value"],
            stage="",
        )
        for name, counts in document["datasets"].items()
    ]
