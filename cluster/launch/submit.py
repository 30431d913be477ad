"""Handing a filled-in launch file to the client of its platform."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence


class SubmitError(OSError):
    """The client did not take the launch file."""


class NoClientError(ValueError):
    """The client of the platform is not installed here."""


def submit(commands: Sequence[Sequence[str]]) -> None:
    """Run a platform's commands one after another; what they print goes where this process prints.

    Raises:
        NoClientError: the first word of a command is no program here; then none has been run.
        SubmitError: a command ended with a status other than 0; those after it were not run.
    """
    for command in commands:
        if shutil.which(command[0]) is None:
            raise NoClientError(f"--submit needs the command {command[0]}, which is not installed here")
    for command in commands:
        ended = subprocess.run(command, check=False)  # noqa: S603  the commands are this package's own
        if ended.returncode != 0:
            raise SubmitError(f"{' '.join(command)} ended with status {ended.returncode}")
