"""Reading files that somebody else may have written: no more of them than a study can mean, and JSON as plain data."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any

from search_spaces.documents import DocumentError

MAX_BYTES = 4 * 2**20
"""Of a YAML document: a study of some thousands of datasets."""

MAX_JSON_BYTES = 512 * 2**20
"""Of a JSON document: the names of millions of columns."""


def read_text(path: Path) -> str:
    """Read a YAML file's text.

    Raises:
        OSError: it cannot be read.
        DocumentError: it is too large, or not UTF-8.
    """
    return _read(path, MAX_BYTES)


def read_json(path: Path) -> Any:
    """Return the content of a JSON file.

    Raises:
        OSError: it cannot be read.
        DocumentError: it is too large, is not JSON, or is nested too deeply.
    """
    return parse_json(_read(path, MAX_JSON_BYTES))


def _read(path: Path, most: int) -> str:
    """Return a file's text; one that is no regular file could go on for ever, or never begin."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise DocumentError("is no regular file")
        data = file.read(most + 1)
    if len(data) > most:
        raise DocumentError(f"at most {most} bytes can be read, but there are more")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise DocumentError(f"is not UTF-8: {error}") from error


def parse_json(text: str) -> Any:
    """Return the content of a JSON document.

    Raises:
        DocumentError: it is not JSON, or nested too deeply.
    """
    try:
        return json.loads(text)
    except RecursionError:
        raise DocumentError("is nested too deeply") from None
    except ValueError as error:
        raise DocumentError(f"is not JSON: {error}") from error
