"""Tables of the report as plain data, from which the page, ``report.md`` and LaTeX are made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Kind = Literal["", "number", "name", "code"]


@dataclass(frozen=True)
class Cell:
    """A cell of a table.

    Attributes:
        text: what it says.
        kind: a number, the name of its row, code (which may wrap), or nothing of that.
        chosen: True if it is set off: what validation chose.
        tag: a word beside it; empty: none.
    """

    text: str
    kind: Kind = ""
    chosen: bool = False
    tag: str = ""


@dataclass(frozen=True)
class Table:
    """A table.

    Attributes:
        name: of its file, where it is written to one.
        caption: says what it shows.
        head: titles of the columns; those above numbers begin with ``#``.
        rows: cells, as many in each as there are titles.
        total: True if the last row is the sum of the others.
    """

    name: str
    caption: str
    head: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    total: bool = False
