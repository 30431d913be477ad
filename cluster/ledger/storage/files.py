"""Names of an SQLite file for those who open it."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import quote

BUSY_SECONDS = 60
"""The longest wait of a reader or the writer for the other: a dashboard that looks on must not end a study."""


def file_uri(path: Path) -> str:
    """Return SQLite's own URI of a file, without options, whatever characters its path has.

    It has its own escapes: of ``?``, ``#`` and ``%``, which would end or change a path, of braces, in which Optuna
    looks for the parts of a template, and of bytes that are no characters.
    """
    return f"file:{quote(os.fsencode(path.absolute()))}"


def read_only(path: Path) -> dict[str, str]:
    """Return the options of a file to read.

    Where nothing can be written its log cannot be read, so it must have none.
    """
    still = not os.access(path.parent, os.W_OK) and not path.with_name(path.name + "-wal").exists()
    return {"mode": "ro", **({"immutable": "1"} if still else {})}
