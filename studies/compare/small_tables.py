"""Small tables of results that are committed: as CSV, and on the terminal."""

from __future__ import annotations

import sys
from pathlib import Path

import pandas as pd

from studies.store.files import write_text


def to_csv(table: pd.DataFrame) -> str:
    """Return a table as it is committed: six digits, the same bytes on every machine."""
    return table.to_csv(index=False, lineterminator="\n", float_format="%.6g")


def print_and_keep(table: pd.DataFrame, out: Path | None) -> None:
    """Print a table with three decimals, and write it as CSV if a file is given.

    Raises:
        OSError: the file cannot be written.
    """
    sys.stdout.write(table.round(3).to_string(index=False) + "\n")
    if out is not None:
        write_text(out, to_csv(table))
