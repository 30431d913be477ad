"""A column of text: numbers, words, dates, or neither of them as it is."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from dst.data.readers.dates import layout
from dst.data.readers.levels import levels_problem
from dst.data.readers.missing_words import MISSING, is_placeholder
from dst.data.readers.notes import Note
from dst.data.readers.numerals import Numeral, common_conventions, is_padded, numeral
from dst.data.readers.table import Roles
from dst.data.readers.units import are_amounts, are_quarters
from dst.data.readers.wholes import merged_note, merged_words
from dst.errors import listed

DATES_REMEDY = "--dates COL (days and parts), --time COL or --drop COL"
_AMOUNTS = "numbers with units or limits"
_LAYOUTS = {
    "iso": ("dates", "dates", DATES_REMEDY),
    "other": (
        "dates not in ISO 8601",
        "dates in another layout than ISO 8601",
        "write 2024-01-31, then --dates COL; or --drop COL",
    ),
    "time": ("times of day", "times of day or durations", "write them as numbers, or --drop COL"),
}


@dataclass(frozen=True)
class Tidied:
    """The columns that a column becomes, by name, and what was noticed."""

    columns: dict[str, Any]
    notes: tuple[Note, ...] = ()


def refused(name: str, kind: str, says: str, remedy: str, example: str = "") -> Tidied:
    """A column that is left out, with the note that says why."""
    return Tidied({}, (Note(kind, says, remedy, name, example, refused=True),))


@dataclass(frozen=True)
class Words:
    """A column of text.

    Attributes:
        name: the column.
        present: whether a row has a value.
        codes: the word of each row that has one, by number.
        words: the words, without the spaces around them.
        raw: the words as they are written.
    """

    name: str
    present: npt.NDArray[np.bool_]
    codes: npt.NDArray[np.int64]
    words: list[str]
    raw: tuple[str, ...] = field(default=())

    def without(self, missing: Sequence[str]) -> Words:
        """The column with no value where one of these words is."""
        gone = [number for number, word in enumerate(self.words) if word in missing]
        if not gone:
            return self
        kept = ~np.isin(self.codes, gone)
        present = self.present.copy()
        present[present] = kept
        codes, words = merged(self.codes[kept], self.words)
        used, codes = np.unique(codes, return_inverse=True)
        return replace(self, present=present, codes=codes, words=[words[number] for number in used])

    def as_categories(self, asked: bool = False) -> Tidied:
        """The column as words, if there are not too many; that words look like numbers is noted unless asked for."""
        amounts = not asked and are_amounts(self.words)
        problem = levels_problem(self.name, len(self.words), len(self.codes))
        if problem and amounts:
            says = f"column {self.name!r} holds what look like {_AMOUNTS}: {self._shown(list(range(len(self.words))))}"
            return refused(self.name, _AMOUNTS, says, "write the numbers alone, or --drop COL", self.words[0])
        if problem:
            example = self.words[0] if self.words else ""
            return refused(self.name, "like an identifier", problem, "--drop COL", example)
        column = np.full(len(self.present), None, dtype=object)
        column[self.present] = np.array(self.words, dtype=object)[self.codes] if self.words else []
        notes: tuple[Note, ...] = ()
        if len({word.strip() for word in self.raw}) < len(self.raw):
            example = next(word for word in self.raw if word != word.strip())
            notes = (Note("spaces around words", "", "read without them", self.name, repr(example)),)
        if amounts:
            remedy = "read as categories; write the numbers alone if they are"
            notes = (*notes, Note(_AMOUNTS, "", remedy, self.name, self.words[0]))
        elif not asked and are_quarters(self.words):
            notes = (*notes, Note("quarters", "", "read as categories", self.name, self.words[0]))
        return Tidied({self.name: column}, (*notes, *alike_notes(self.name, self.words, "categories")))

    def as_numbers_or_words(self, roles: Roles) -> Tidied:
        """The column as numbers if all its words are, as words if none is; refused if it is neither."""
        plain = _plain_numbers(self.words)
        if plain is not None and not (roles.decimal == "," and _may_be_thousands(self.words)):
            return self._numbers(plain, self._padded(plain), self.words)
        convention = roles.convention
        numerals = {number: found for number, word in enumerate(self.words) if (found := numeral(word, convention))}
        layouts = {
            number: kind
            for number, word in enumerate(self.words)
            if number not in numerals and (kind := layout(word)) is not None
        }
        rest = [number for number in range(len(self.words)) if number not in numerals and number not in layouts]
        if not numerals and not layouts:
            return self._truth_values_with_gaps() or self.as_categories()
        missing = [number for number in rest if self.words[number] in MISSING]
        if missing and len(missing) == len(rest):
            return self.without([self.words[number] for number in missing]).as_numbers_or_words(roles)
        stand_in = [number for number in rest if is_placeholder(self.words[number])]
        words = [number for number in rest if number not in stand_in]
        has_plain = any((".", None) in found.conventions and not found.unit for found in numerals.values())
        if words and not has_plain and self._rows(words) > self._rows([*numerals, *layouts]):
            return self._mostly_words(numerals, layouts)
        if words or (numerals and layouts):
            return self._mixed(words or list(layouts), numerals, layouts)
        problems = self._dates(layouts) if layouts else self._units(numerals, convention)
        if stand_in:
            problems.append(self._stand_ins(stand_in, "dates" if layouts else "numbers"))
        refused = [note for note in problems if note.refused]
        if refused:
            return Tidied({}, tuple(refused))
        digits = [numerals[number].digits(convention) for number in range(len(self.words))]
        return self._numbers(np.array(list(map(float, digits))), problems, digits)

    def _numbers(self, values: npt.NDArray[np.float64], notes: Sequence[Note], digits: Sequence[str]) -> Tidied:
        """The column as numbers, given the one that each word is and its digits, unless two of them become one."""
        if (merged := merged_words(digits)) is not None:
            notes = [*notes, merged_note(self.name, merged)]
        if any(note.refused for note in notes):
            return Tidied({}, tuple(notes))
        column = np.full(len(self.present), np.nan)
        column[self.present] = values[self.codes]
        return Tidied({self.name: column}, tuple(notes))

    def _padded(self, values: npt.NDArray[np.float64]) -> list[Note]:
        """A note on numbers that begin with a 0; refused where that makes two codes one number."""
        padded = [number for number, word in enumerate(self.words) if is_padded(word)]
        if not padded:
            return []
        counts = dict(zip(*np.unique(values, return_counts=True), strict=True))
        merged = next((number for number in padded if counts[values[number]] > 1), None)
        if merged is None:
            remedy = "read as numbers; --categorical COL if they are codes"
            return [Note("numbers that begin with 0", "", remedy, self.name, self.words[padded[0]])]
        other = next(n for n in range(len(self.words)) if n != merged and values[n] == values[merged])
        both = f"{self.words[merged]!r} and {self.words[other]!r}"
        says = f"column {self.name!r} holds {both}, which are one number: codes with leading zeros"
        remedy = "--categorical COL, or write them alike"
        return [Note("leading zeros that differ", says, remedy, self.name, both, refused=True)]

    def _dates(self, layouts: dict[int, Any]) -> list[Note]:
        kinds = set(layouts.values())
        kind, what, remedy = _LAYOUTS["iso" if kinds == {"iso"} else "time" if kinds == {"time"} else "other"]
        number = next(number for number, found in layouts.items() if kinds == {"iso"} or found != "iso")
        says = f"column {self.name!r} holds {what}: {self._shown([number])}"
        return [Note(kind, says, remedy, self.name, self.words[number], refused=True)]

    def _units(self, numerals: dict[int, Numeral], convention: tuple[str, str | None]) -> list[Note]:
        """Notes on numbers in other conventions than the named one, and on their percent and currency signs."""
        units = {found.unit for found in numerals.values()}
        first = next(iter(numerals))
        notes = []
        if len(units) > 1:
            shown = listed([unit or "none" for unit in sorted(units)], "and")
            says = f"column {self.name!r} holds numbers with different signs, {shown}: {self._shown(list(numerals))}"
            notes.append(Note("numbers with different signs", says, "write them alike", self.name, shown, refused=True))
        elif units != {""}:
            unit = next(iter(units))
            kind = "percent signs" if unit in "%‰" else "currency signs"
            notes.append(Note(kind, "", "read as numbers without the sign", self.name, self.words[first]))
        others = {number: found for number, found in numerals.items() if convention not in found.conventions}
        if others:
            notes.append(self._other_convention(numerals, others))
        return notes

    def _other_convention(self, numerals: dict[int, Numeral], others: dict[int, Numeral]) -> Note:
        """A note that says which options would read the numbers."""
        fitting = common_conventions(list(numerals.values()))
        common = [
            (decimal, thousands)
            for place, (decimal, thousands) in enumerate(fitting)
            if thousands not in {mark for _, mark in fitting[:place]}
        ][:2]
        example = self.words[next(iter(others))]
        if not common:
            says = f"column {self.name!r} holds numbers written in several ways: {self._shown(list(others))}"
            return Note("numbers written in several ways", says, "write them alike", self.name, example, refused=True)
        kind = " or ".join(dict.fromkeys(_what_is_written(*convention) for convention in common))
        options = " or ".join(_options(*convention) for convention in common)
        says = f"column {self.name!r} holds what look like numbers with {kind}: {self._shown(list(others))}"
        return Note(kind, says, f"{options} (if numbers)", self.name, example, refused=True)

    def _mostly_words(self, numerals: dict[int, Numeral], layouts: dict[int, Any]) -> Tidied:
        """The column as categories, with a note on the numbers or dates that are some of them."""
        result = self.as_categories()
        kind = f"words and some {'numbers' if numerals else 'dates'}"
        remedy = "read as categories; name words for missing with --missing-values"
        note = Note(kind, "", remedy, self.name, self.words[next(iter(numerals or layouts))])
        return replace(result, notes=(*result.notes, note))

    def _truth_values_with_gaps(self) -> Tidied | None:
        """A refusal where the words are truth values and some that seem to mean no value."""
        rest = [number for number, word in enumerate(self.words) if word.casefold() not in ("true", "false")]
        if not rest or len(rest) == len(self.words) or not all(is_placeholder(self.words[number]) for number in rest):
            return None
        return Tidied({}, (self._stand_ins(rest, "truth values"),))

    def _mixed(self, words: list[int], numerals: dict[int, Numeral], layouts: dict[int, Any]) -> Tidied:
        what = "numbers" if numerals else "dates"
        with_what = "words" if set(words) - set(layouts) else "dates"
        kind = f"{what} and {with_what}"
        says = f"column {self.name!r} mixes {kind}: {self._shown(words)}"
        remedy = "mend them, --missing-values WORD or --categorical COL"
        example = self.words[words[0]]
        return Tidied({}, (Note(kind, says, remedy, self.name, example, refused=True),))

    def _stand_ins(self, numbers: list[int], among: str) -> Note:
        return stand_in_note(self.name, among, [self.words[number] for number in numbers], self._shown(numbers))

    def _rows(self, numbers: list[int]) -> int:
        return int(np.isin(self.codes, numbers).sum())

    def _shown(self, numbers: list[int]) -> str:
        """The first cells with these words, and their rows."""
        places = np.flatnonzero(np.isin(self.codes, numbers))
        rows = np.flatnonzero(self.present)[places]
        cells = [
            f"{self.words[self.codes[place]][:40]!r} in row {row + 1}"
            for place, row in zip(places[:3], rows, strict=False)
        ]
        return ", ".join(cells) + (f" and {len(places) - 3} more" if len(places) > 3 else "")


def stand_in_note(name: str, among: str, words: Sequence[str], shown: str) -> Note:
    """A note that refuses words that seem to mean no value, and says how they are named as such."""
    options = " ".join(f"--missing-values {_quoted(word)}" for word in words[:2])
    more = " ..." if len(words) > 2 else ""
    says = f"column {name!r} mixes {among} and words that seem to mean no value: {shown}"
    return Note("words for missing", says, f"{options}{more}", name, words[0], refused=True)


def alike_notes(name: str, words: Sequence[str], what: str) -> list[Note]:
    """A note where two words differ in the spaces within them only."""
    seen: dict[str, str] = {}
    for word in words:
        other = seen.setdefault(" ".join(word.split()), word)
        if other != word:
            example = f"{other!r} and {word!r}"
            return [Note("words that differ in spaces", "", f"two {what}; write them alike", name, example)]
    return []


def _plain_numbers(words: list[str]) -> npt.NDArray[np.float64] | None:
    """The words as numbers, if they all are as they stand."""
    import pandas as pd

    numbers = pd.to_numeric(pd.Series(words, dtype=object), errors="coerce").to_numpy(dtype=np.float64)
    return None if not len(words) or np.isnan(numbers).any() else numbers


def _what_is_written(decimal: str, thousands: str | None) -> str:
    if thousands is not None:
        return "thousands separators"
    return "decimal commas" if decimal == "," else "decimal points"


def _may_be_thousands(words: Sequence[str]) -> bool:
    """Return whether plain numbers, such as 1.234 and 7, could also be written with points between thousands."""
    if not any("." in word for word in words):
        return False
    with_points = (",", ".")
    return all((found := numeral(word, with_points)) and with_points in found.conventions for word in words)


def _options(decimal: str, thousands: str | None) -> str:
    options = [f"--decimal {decimal}"] if decimal != "." or thousands is None else []
    options += [f"--thousands {_quoted(thousands)}"] if thousands is not None else []
    return " ".join(options)


def _quoted(word: str) -> str:
    """A word as a shell takes it."""
    return '"\'"' if word == "'" else shlex.quote(word)


def merged(codes: npt.NDArray[np.int64], words: Sequence[str]) -> tuple[npt.NDArray[np.int64], list[str]]:
    """Codes of the words without repetition."""
    unique = list(dict.fromkeys(words))
    if len(unique) == len(words):
        return codes, unique
    place = {word: number for number, word in enumerate(unique)}
    return np.array([place[word] for word in words], dtype=np.int64)[codes], unique
