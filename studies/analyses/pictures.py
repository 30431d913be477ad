"""The README's pictures, of a real study: ``python -m studies.analyses.pictures --study runs/quickstart``.

``report.png`` is the upper part of the study's page as Chromium draws it, ``terminal.svg`` what ``dst best`` prints.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.text import Text

from dst.errors import InputError
from studies.store.files import write_bytes, write_text
from studies.store.folder import StudyFolder
from studies.surroundings import child_environment

FOLDER = Path(__file__).parents[1] / "results" / "pictures"

BROWSERS = ("chromium", "chromium-browser", "google-chrome")

SIZE = (1280, 1100)
"""Pixels of the page that are shown."""

COLUMNS = 100
"""Characters of a line of the terminal."""


def draw(study: StudyFolder, out: Path) -> None:
    """Write both pictures of a study.

    Args:
        study: a finished study.
        out: folder of the pictures.

    Raises:
        InputError: the folder has no report, or there is no Chromium.
        OSError: a file cannot be written.
        subprocess.CalledProcessError: the browser or the command failed.
    """
    if not study.report.is_file():
        raise InputError(f"{study.path} must hold a finished study, but has no report.html")
    write_bytes(out / "report.png", _page(study.report))
    write_text(out / "terminal.svg", _terminal(study))


def _page(report: Path) -> bytes:
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        raise InputError(f"one of {', '.join(BROWSERS)} must be installed to draw the page")
    with tempfile.TemporaryDirectory() as folder:
        picture = Path(folder) / "report.png"
        options = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", f"--user-data-dir={folder}"]
        window = ",".join(map(str, SIZE))
        subprocess.run(  # noqa: S603 - a browser that was found
            [browser, *options, f"--window-size={window}", f"--screenshot={picture}", report.resolve().as_uri()],
            check=True,
            capture_output=True,
        )
        return picture.read_bytes()


def _terminal(study: StudyFolder) -> str:
    shown = Path("runs") / study.path.name
    command = "from studies.cli.main import main; main()"
    printed = subprocess.run(  # noqa: S603 - our own command
        [sys.executable, "-P", "-c", command, "best", str(study.path)],
        check=True,
        capture_output=True,
        text=True,
        env={**child_environment(), "COLUMNS": str(COLUMNS)},
    ).stdout
    with open(os.devnull, "w", encoding="utf-8") as nowhere:
        console = Console(record=True, width=COLUMNS, file=nowhere, color_system="truecolor", force_terminal=True)
        console.print(Text(f"$ dst best {shown}", style="bold"))
        console.print(Text(printed.rstrip()))
        return console.export_svg(title="dst", clear=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Draw the pictures; return 2 if that is impossible."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--study", type=Path, required=True, help="a finished study's folder")
    parser.add_argument("--out", type=Path, default=FOLDER, help=f"the pictures' folder (default {FOLDER})")
    options = parser.parse_args(arguments)
    try:
        draw(StudyFolder(options.study.resolve()), options.out)
    except (InputError, OSError) as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
