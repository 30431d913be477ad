"""Labels, groups and times of a text file: numbers where their spelling says no more than the number, else words."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from dst.data.readers.missing_words import is_placeholder
from dst.data.readers.notes import Note
from dst.data.readers.numerals import numeral
from dst.data.readers.table import Roles
from dst.data.readers.wholes import as_whole, is_large
from dst.data.readers.words import alike_notes, stand_in_note

if TYPE_CHECKING:
    import pandas as pd

_WHOLE = re.compile(r"[+-]?(0|[1-9]\d*)(\.0*)?")


def typed(name: str, role: str, cells: Sequence[str], roles: Roles) -> tuple[pd.Series, list[Note]]:
    """The values of a column that is no feature, and what is odd about them.

    Whole numbers in plain digits are numbers, and so are fractions, which no label may be. Words stay as they are
    written, without the spaces around them: 01 and 1, or 1E1 and 10, are two classes. A missing value is None.

    Args:
        name: the column.
        role: ``target``, ``group`` or ``time``.
        cells: as they are written.
        roles: its convention of numbers and its missing values.
    """
    import pandas as pd

    stripped = [cell.strip() for cell in cells]
    words = [None if cell == "" or cell in roles.missing_values else cell for cell in stripped]
    series = pd.Series(words, dtype=object)
    found = sorted({word for word in words if word is not None})
    plain = [_plain(word, roles) for word in found]
    numbers = pd.to_numeric(series.map(dict(zip(found, plain, strict=True))), errors="coerce")
    notes = []
    if len({cell for cell in cells if cell.strip()}) > len(set(stripped) - {""}):
        notes.append(_spaces(name, next(cell for cell in cells if cell.strip() != cell and cell.strip())))
    if not found or numbers.isna().any():
        return series, notes
    if role == "time":
        return numbers, notes
    if role == "group" and numbers.dtype.kind == "f" and is_large(numbers.to_numpy()):
        return series, notes  # floats would make two groups one
    if all(_WHOLE.fullmatch(word) for word in plain):
        return numbers, [
            *notes,
            *_two_spellings(name, role, found, refused=True, value=lambda word: _plain(word, roles)),
        ]
    values = [float(word) for word in plain]
    has_number = any(abs(value) != float("inf") for value in values)
    if has_number and any(value != int(value) if abs(value) != float("inf") else True for value in values):
        return numbers, notes  # a regression target, which labels cannot be
    return series, [*notes, *_two_spellings(name, role, found, refused=False, value=str)]


def label_notes(name: str, values: pd.Series, roles: Roles) -> list[Note]:
    """Notes on words among numbers that seem to mean no label, and on words that differ in spaces only."""
    if values.dtype.kind not in "OSU":
        return []
    words = list(dict.fromkeys(str(cell).strip() for cell in values.dropna().unique()))
    numbers = {word for word in words if numeral(word, roles.convention) is not None}
    rest = [word for word in words if word and word not in numbers]
    if numbers and rest and all(map(is_placeholder, rest)):
        return [stand_in_note(name, "labels that are numbers", rest, ", ".join(map(repr, rest[:3])))]
    return alike_notes(name, words, "labels")


def _plain(word: str, roles: Roles) -> str:
    """A number that is written in the named convention, as Python writes it; anything else as it is."""
    if roles.convention == (".", None):
        return word
    cell = numeral(word, roles.convention)
    if cell is None or cell.unit or roles.convention not in cell.conventions:
        return word
    is_plain = (".", None) in cell.conventions and cell.value((".", None)) == cell.value(roles.convention)
    return word if is_plain else cell.digits(roles.convention)


def _two_spellings(name: str, role: str, found: Sequence[str], refused: bool, value: Any) -> list[Note]:
    """A note where two words are one number."""
    spellings: dict[float, list[str]] = {}
    for word in found:
        number = value(word)
        whole = as_whole(number)
        spellings.setdefault(float(number) if whole is None else whole, []).append(word)
    twice = next((words[:2] for words in spellings.values() if len(words) > 1), None)
    if twice is None:
        return []
    example = " and ".join(map(repr, twice))
    what = "labels" if role == "target" else f"{role}s"
    if refused:
        says = f"column {name!r} has {what} that are one number in two spellings: {example}"
        return [Note(f"{what} in two spellings", says, "write them alike", name, example, refused=True)]
    return [Note(f"{what} of one value", "", f"read as different {what}, as they are written", name, example)]


def _spaces(name: str, example: str) -> Note:
    return Note("spaces around words", "", "read without them", name, repr(example))
