"""What the commands share: options of several, results as a table or one JSON object, messages to stderr."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from typing import Annotated, Any

import typer

from dst.errors import printable, shortened

_LONGEST_CELL = 300

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
Target = Annotated[str | None, typer.Option(help="Label column of a .csv or .parquet file.")]
Categorical = Annotated[
    list[str] | None, typer.Option(help="A column of categories that look like numbers; repeatable.")
]
Impute = Annotated[str | None, typer.Option(help="What stands in for missing numbers: mean, median, zero or knn.")]
Indicators = Annotated[bool, typer.Option("--indicators", help="Add a column for where a number is missing.")]
"""The option of every command that has results."""


def say(message: str) -> None:
    """Write a line to stderr; one that cannot be written (a full disk, a terminal that is gone) changes nothing."""
    with suppress(OSError):
        typer.echo(message, err=True)


def print_json(document: dict[str, Any]) -> None:
    """Print one JSON object on one line."""
    typer.echo(json.dumps(document))


def print_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print rows below their head, in columns as wide as their widest cell."""
    rows = [[_shown(cell) for cell in row] for row in rows]
    widths = [max(len(line[column]) for line in (head, *rows)) for column in range(len(head))]
    for line in (head, *rows):
        typer.echo("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def _shown(cell: str) -> str:
    """Return a cell on one line: names may hold line breaks, or what a terminal takes for commands, and be long."""
    return shortened(printable(cell), _LONGEST_CELL, "...")


def as_text(value: Any) -> str:
    """Return a cell; ``-`` for None and False."""
    return "-" if value is None or value is False else str(value)


def as_number(value: Any) -> str:
    """Return a cell; floats have four significant digits."""
    return f"{value:.4g}" if isinstance(value, float) else as_text(value)


def as_percent(share: float | None) -> str:
    """Return a share as a cell in percent with one digit; ``-`` for None."""
    return "-" if share is None else f"{100 * share:.1f}"


def as_mib(size: int | None) -> str:
    """Return bytes as a cell in MiB; ``-`` for None."""
    return "-" if size is None else f"{size / 2**20:,.0f} MiB"
