"""Common parts of the commands: options of several, results as a table or one JSON object, messages to stderr."""

from __future__ import annotations

import functools
import inspect
import itertools
import json
import os
import shutil
import sys
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, is_dataclass
from typing import Annotated, Any

import typer

from dst.errors import printable, shortened
from studies.surroundings import say

_LONGEST_CELL = 300
_WHOLE = 20
"""Characters of a cell that is never wrapped: a figure with its deviation, a name."""

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
"""The option of every command that has results."""

Target = Annotated[str | None, typer.Option(help="Label column of a .csv or .parquet file.")]
Categorical = Annotated[
    list[str] | None, typer.Option(help="A column of categories that look like numbers; repeatable.")
]
Impute = Annotated[str | None, typer.Option(help="What stands in for missing numbers: mean, median, zero or knn.")]
Indicators = Annotated[bool, typer.Option("--indicators", help="Add a column for where a number is missing.")]
"""Options of the commands that read a table: the target, categories, and what becomes of missing numbers."""


@dataclass(frozen=True)
class ReadingOptions:
    """The options by which a table is read, named as in :class:`dst.data.ReadOptions`."""

    drop: Annotated[list[str] | None, typer.Option(metavar="COL", help="A column to leave out; repeatable.")] = None
    drop_unlabelled: Annotated[bool, typer.Option("--drop-unlabelled", help="Leave out rows without a label.")] = False
    index_column: Annotated[str | None, typer.Option(metavar="COL", help="The column of a saved row index.")] = None
    dates: Annotated[
        list[str] | None,
        typer.Option(metavar="COL", help="A column of dates: days since the first, month, weekday, hour; repeatable."),
    ] = None
    decimal: Annotated[str | None, typer.Option(help="Decimal mark of numbers: . or ,  \\[default: .]")] = None
    thousands: Annotated[str | None, typer.Option(help="What stands between thousands: , . ' _ or a blank.")] = None
    missing_values: Annotated[
        list[str] | None, typer.Option(metavar="WORD", help="A further word that means no value; repeatable.")
    ] = None
    separator: Annotated[str | None, typer.Option(help="What stands between the fields of a .csv file.")] = None

    def given(self) -> dict[str, Any]:
        """Return the options that were given, by name."""
        return {name: value for name, value in vars(self).items() if value not in (None, [], False)}


def with_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the fields of each argument that is a dataclass as options of its own, in their place.

    Typer makes an option of each argument. What belongs together is declared as a dataclass instead, of which the
    command receives an instance.
    """
    signature = inspect.signature(command, eval_str=True)
    groups = {
        name: own.annotation
        for name, own in signature.parameters.items()
        if isinstance(own.annotation, type) and is_dataclass(own.annotation)
    }
    options = [
        option.replace(kind=inspect.Parameter.KEYWORD_ONLY)
        for name, own in signature.parameters.items()
        for option in (_options(groups[name]) if name in groups else [own])
    ]

    @functools.wraps(command)
    def with_groups(**given: Any) -> None:
        made = {
            name: group(**{field.name: given.pop(field.name) for field in fields(group)})
            for name, group in groups.items()
        }
        command(**given, **made)

    with_groups.__signature__ = signature.replace(parameters=options)  # type: ignore[attr-defined]
    with_groups.__annotations__ = {option.name: option.annotation for option in options}
    return with_groups


def _options(group: type[Any]) -> list[inspect.Parameter]:
    """Return the fields of a dataclass as arguments of a command."""
    return list(inspect.signature(group, eval_str=True).parameters.values())


def warn_of(notes: Sequence[str]) -> None:
    """Write what was noticed while a table was read to stderr."""
    for note in notes:
        say(f"warning: {note}")


def print_json(document: dict[str, Any]) -> None:
    """Print one JSON object on one line."""
    typer.echo(json.dumps(document))


def print_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print rows below their head, in columns as wide as their widest cell.

    On a terminal that is too narrow, heads and long cells wrap between words; where that is not enough, each row is
    printed as lines of a head and its cell. No word and no figure is broken or cut.
    """
    rows = [[_shown(cell) for cell in row] for row in rows]
    widths = _column_widths(head, rows, terminal_width())
    if widths is None:
        _print_as_lines(head, rows)
        return
    for line in (head, *rows):
        wrapped = [_wrapped(cell, width) for cell, width in zip(line, widths, strict=True)]
        for cells in itertools.zip_longest(*wrapped, fillvalue=""):
            typer.echo("  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip())


def print_wrapped(text: str, indent: str = "") -> None:
    """Print a text; on a terminal its lines wrap between words, those after the first behind ``indent``."""
    width = terminal_width()
    lines = [text] if width is None else _wrapped(text, width, indent)
    for line in lines:
        typer.echo(line)


def terminal_width() -> int | None:
    """Return the columns of the terminal that stdout is, or that ``COLUMNS`` says; None: a file, of any width."""
    stated = os.environ.get("COLUMNS", "")
    if stated.isdecimal() and int(stated) > 0:
        return int(stated)
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def _column_widths(head: Sequence[str], rows: Sequence[Sequence[str]], limit: int | None) -> list[int] | None:
    """Return the width of each column; None where the table cannot be made as narrow as ``limit``."""
    columns = list(zip(head, *rows, strict=True))
    widths = [max(map(len, cells)) for cells in columns]
    if limit is None:
        return widths
    least = [
        max(_longest_word(title), *(len(cell) if len(cell) <= _WHOLE else _longest_word(cell) for cell in cells), 1)
        for title, *cells in columns
    ]
    gaps = 2 * (len(head) - 1)
    if sum(least) + gaps > limit:
        return None
    while sum(widths) + gaps > limit:
        _, widest = max((widths[place], place) for place in range(len(head)) if widths[place] > least[place])
        widths[widest] -= 1
    return widths


def _print_as_lines(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    width = max(map(len, head))
    for place, row in enumerate(rows):
        if place:
            typer.echo()
        for title, cell in zip(head, row, strict=True):
            print_wrapped(f"{title.ljust(width)}  {cell}", " " * (width + 2))


def _wrapped(text: str, width: int, indent: str = "") -> list[str]:
    if len(text) <= width:
        return [text]
    return textwrap.wrap(
        text, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False, drop_whitespace=True
    )


def _longest_word(text: str) -> int:
    return max(map(len, text.split()), default=0)


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
