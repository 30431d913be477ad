"""The process that sends a study to W&B while it runs, as the driver sees it: started, told the end, waited for."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from studies.spec.tracking import WandbSpec
from studies.store.files import write_text
from studies.store.folder import StudyFolder
from studies.store.record_schema import Record
from studies.surroundings import child_environment
from studies.tracking.content import running_file
from studies.tracking.destination import destination

WAIT_SECONDS = 50.0
"""The most seconds that a study waits for its last uploads, so that it ends within a minute of its last trial."""

NOTE_SECONDS = 1.0
"""The least seconds between two notes of the trials at work."""

_COMMAND = "from studies.cli.main import main; main()"


class Publisher:
    """Sends a study to W&B in a process of its own, which can neither slow nor hold the study.

    The process reads the study's folder. It hears of the end on its standard input, and of the driver's death too: then
    it sends what there is, and ends.

    Args:
        folder: the study's.
    """

    def __init__(self, folder: StudyFolder) -> None:
        self._folder = folder
        self._noted: list[Record] = []
        self._due = 0.0
        self._log = folder.wandb / "track.log"
        folder.wandb.mkdir(parents=True, exist_ok=True)
        running_file(folder).unlink(missing_ok=True)
        self._log.unlink(missing_ok=True)  # a link would lead out of the folder
        with self._log.open("x", encoding="utf-8") as log:
            self._process = subprocess.Popen(  # noqa: S603 - our own command
                [sys.executable, "-P", "-c", _COMMAND, "track", str(folder.path), "--follow", "--told"],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                env=child_environment(),
                start_new_session=True,  # so that Ctrl+C reaches the driver alone
            )

    def takes_note(self) -> bool:
        """Say whether it is time to note the trials at work again."""
        return time.monotonic() >= self._due

    def note(self, running: Sequence[Record]) -> None:
        """Note the trials at work, for their runs; nothing is written where that is known.

        Args:
            running: their records so far.
        """
        self._due = time.monotonic() + NOTE_SECONDS
        if list(running) == self._noted:
            return
        self._noted = list(running)
        with suppress(OSError, TypeError, ValueError):  # what is only shown costs the study nothing
            write_text(running_file(self._folder), json.dumps(self._noted))

    def end(self, ending: str) -> None:
        """Tell the process how the study ended: ``finished``, ``failed`` or ``interrupted``."""
        running_file(self._folder).unlink(missing_ok=True)
        if (stream := self._process.stdin) is not None:
            with suppress(OSError):
                stream.write(ending.encode())
                stream.close()

    def wait(self, seconds: float = WAIT_SECONDS) -> str | None:
        """Wait for the last uploads; return what the user has to know, or None.

        Args:
            seconds: after which the process is ended, whatever is left.
        """
        rest = f"dst track {self._folder.path} sends the rest"
        try:
            status = self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            return f"W&B does not have all of the study yet after {seconds:.0f} s: {rest}"
        except KeyboardInterrupt:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            raise
        return None if status == 0 else f"{self._last_line()}: {rest}"

    def said(self) -> str | None:
        """Return what the process said of the runs that it sent, and where they are; None where it said nothing."""
        with suppress(OSError):
            lines = self._log.read_text(encoding="utf-8", errors="replace").split("\n")
            return next((line for line in reversed(lines) if " runs sent" in line), None)
        return None

    def _last_line(self) -> str:
        with suppress(OSError):
            lines = self._log.read_text(encoding="utf-8", errors="replace").split("\n")
            written = [line for line in lines if line.strip()]
            if written:
                return written[-1].removeprefix("error: ")
        return "W&B: the process that sends the study ended without a word"


@contextmanager
def publishing(folder: StudyFolder, spec: WandbSpec) -> Iterator[Publisher | None]:
    """Send a study to W&B while the block runs it; None where its runs go nowhere.

    When the block ends, the process is told so, and not waited for.

    Args:
        folder: the study's, with its ``study.yaml``.
        spec: says where the runs go.
    """
    if destination(spec, folder).mode == "disabled":
        yield None
        return
    publisher = Publisher(folder)
    try:
        yield publisher
    except KeyboardInterrupt:
        publisher.end("interrupted")
        raise
    except BaseException:
        publisher.end("failed")
        raise
    publisher.end("finished")
