"""A reader's notes on a table: columns that are refused, and columns that may mean something else than was read."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from dst.errors import InputError

REFUSED = "refused: "
"""Begins the line of a note on what no command reads as it is."""

_SHOWN, _LONGEST = 3, 20
_SENTENCES = 6


@dataclass(frozen=True)
class Note:
    """One thing that was noticed about one column, or about the whole table.

    Attributes:
        kind: what it is, in a few words; notes of one kind and remedy share a line.
        says: the sentence for an error message.
        remedy: what to do; ``COL`` stands for the column.
        column: its column; None: the whole table.
        example: a cell of it, as it is written.
        refused: whether the table cannot be read as it is.
    """

    kind: str
    says: str
    remedy: str
    column: str | None = None
    example: str = ""
    refused: bool = False


def note_lines(notes: Sequence[Note]) -> list[str]:
    """One line a kind and remedy: its columns with an example, and what to do; refused ones first, in order."""
    groups: dict[tuple[bool, str, str], list[Note]] = {}
    for note in sorted(notes, key=lambda note: not note.refused):
        groups.setdefault((note.refused, note.kind, note.remedy), []).append(note)
    return [
        f"{REFUSED if refused else ''}{kind}{_where(group)}: {remedy}"
        for (refused, kind, remedy), group in groups.items()
    ]


def refuse(notes: Sequence[Note]) -> None:
    """Raise one InputError for all notes that refuse the table, if there are some."""
    refused = [note for note in notes if note.refused]
    if not refused:
        return
    sentences = [f"{note.says}; {_remedy(note)}" for note in refused[:_SENTENCES]]
    more = len(refused) - len(sentences)
    kinds = ", ".join(dict.fromkeys(note.kind for note in refused[_SENTENCES:]))
    ends = f". And {more} more columns ({kinds}): `dst datasets check` lists them" if more else ""
    raise InputError(". ".join(sentences) + ends)


def _remedy(note: Note) -> str:
    """The remedy for one column, with its name as a shell takes it."""
    if note.column is None or len(note.column) > _LONGEST:
        return note.remedy
    return re.sub(r"\bCOL\b", lambda _: shlex.quote(str(note.column)), note.remedy)


def _where(notes: Sequence[Note]) -> str:
    columns = [note.column for note in notes if note.column is not None]
    example = notes[0].example and f" ({_cut(notes[0].example)})"
    if not columns:
        return example
    shown = ", ".join(repr(_cut(column)) for column in columns[:_SHOWN])
    more = f" and {len(columns) - _SHOWN} more" if len(columns) > _SHOWN else ""
    return f", {shown}{more}{example}"


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
