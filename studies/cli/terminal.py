"""What the commands share: options of several, results as a table or one JSON object, messages to stderr."""

from __future__ import annotations

import functools
import inspect
import json
from collections.abc import Callable, Sequence
from typing import Annotated, Any

import typer

from dst.errors import printable, shortened
from studies.surroundings import say

_LONGEST_CELL = 300

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
"""The option of every command that has results."""

Target = Annotated[str | None, typer.Option(help="Label column of a .csv or .parquet file.")]
Categorical = Annotated[
    list[str] | None, typer.Option(help="A column of categories that look like numbers; repeatable.")
]
Impute = Annotated[str | None, typer.Option(help="What stands in for missing numbers: mean, median, zero or knn.")]
Indicators = Annotated[bool, typer.Option("--indicators", help="Add a column for where a number is missing.")]
"""Options of the commands that read a table: the target, categories, and what becomes of missing numbers."""


READING: dict[str, Any] = {
    "drop": Annotated[list[str] | None, typer.Option(metavar="COL", help="A column to leave out; repeatable.")],
    "index_column": Annotated[str | None, typer.Option(metavar="COL", help="The column of a saved row index.")],
    "dates": Annotated[
        list[str] | None,
        typer.Option(metavar="COL", help="A column of dates: days since the first, month, weekday, hour; repeatable."),
    ],
    "decimal": Annotated[str | None, typer.Option(help="Decimal mark of numbers: . or ,  [default: .]")],
    "thousands": Annotated[str | None, typer.Option(help="What stands between thousands: , . ' _ or a blank.")],
    "missing_values": Annotated[
        list[str] | None, typer.Option(metavar="WORD", help="A further word that means no value; repeatable.")
    ],
    "separator": Annotated[str | None, typer.Option(help="What stands between the fields of a .csv file.")],
}
"""The options that say how a table's columns and cells are read, by the keywords of :class:`dst.data.ReadOptions`."""


def reads_tables(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of :data:`READING`; its argument ``reading`` gets those that are given."""
    signature = inspect.signature(command, eval_str=True)
    own = [parameter for name, parameter in signature.parameters.items() if name != "reading"]
    added = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)
        for name, annotation in READING.items()
    ]

    @functools.wraps(command)
    def with_reading(**given: Any) -> None:
        options = {name: given.pop(name) for name in READING}
        command(**given, reading={name: value for name, value in options.items() if value not in (None, [])})

    parameters = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in own] + added
    with_reading.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    with_reading.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return with_reading


def warn_of(notes: Sequence[str]) -> None:
    """Write what was noticed while a table was read to stderr."""
    for note in notes:
        say(f"warning: {note}")


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
