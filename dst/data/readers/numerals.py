"""Numbers as people and spreadsheets write them: decimal commas, thousands separators, percent and currency signs.

A *convention* is a decimal mark and a mark between thousands. Which one a file uses cannot be known from ``1,234``, so
another convention than the one that the caller named is never read, only told apart from words.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

Convention = tuple[str, str | None]
"""The decimal mark, and the mark between thousands if there is one."""

CONVENTIONS: tuple[Convention, ...] = (
    (".", None),
    (",", None),
    (".", ","),
    (",", "."),
    (".", " "),
    (",", " "),
    (".", "'"),
    (",", "'"),
    (".", "_"),
)
"""The conventions that are told apart, the plain one first."""

THOUSANDS = (",", ".", " ", "'", "_")
"""What may stand between thousands; a blank also means a non-breaking or narrow one."""

_MARKS = {" ": "[ \u00a0\u202f\u2009]", "'": "['\u2019]"}
_SIGN = "[+\\-\u2212]"
_CURRENCY = "[$¢£¤¥₠-⃀]|(?:USD|EUR|GBP|CHF|JPY|CNY|INR|CAD|AUD|BRL|SEK|NOK|DKK|PLN)(?![A-Za-z])"
_PARTS = re.compile(rf"({_SIGN}?)\s*({_CURRENCY})?\s*(.*?)\s*({_CURRENCY}|[%‰])?")
_SIGNS = ("+", "-", "\u2212")
_DIGIT = re.compile("[0-9]")
_PADDED = re.compile(rf"{_SIGN}?0\d.*")
_CANONICAL = re.compile(r"-?(0|[1-9]\d*)(\.\d*)?|-?\d\.\d+[eE][+-]?\d+|-?\d[eE]-\d+")


@dataclass(frozen=True)
class Numeral:
    """A cell that is a number in some convention.

    Attributes:
        sign: a minus before the currency sign, or nothing.
        body: the digits with their marks.
        unit: its percent or currency signs, or nothing.
        conventions: those in which it is a number.
    """

    sign: str
    body: str
    unit: str
    conventions: frozenset[Convention]

    def value(self, convention: Convention) -> float:
        """The number in one of its conventions; ``52 %`` is 52."""
        return float(self.digits(convention))

    def digits(self, convention: Convention) -> str:
        """The number as Python writes it, with all digits that it has."""
        decimal, thousands = convention
        digits = self.body if thousands is None else re.sub(_mark(thousands), "", self.body)
        return (self.sign + digits.replace(decimal, ".")).replace("\u2212", "-")


def numeral(cell: str, given: Convention) -> Numeral | None:
    """Return what a cell without spaces around it is as a number, in the given or a known convention; None: nothing."""
    if _DIGIT.search(cell) is None:
        return None
    if conventions := _conventions(_shape(cell), given):
        return Numeral("", cell, "", conventions)
    parts = _PARTS.fullmatch(cell)
    if parts is None:
        return None
    sign, before, body, after = (part or "" for part in parts.groups())
    if (sign and body[:1] in _SIGNS) or not (conventions := _conventions(_shape(body), given)):
        return None
    return Numeral(sign, body, before + after, conventions)


def _shape(body: str) -> str:
    """A number with 9 for each digit but for a 0 in front: which other digits it has makes no difference."""
    shape = _DIGIT.sub("9", body)
    first = 1 if body[:1] in _SIGNS else 0
    return f"{shape[:first]}0{shape[first + 1 :]}" if body[first : first + 1] == "0" else shape


@lru_cache(maxsize=4096)
def _conventions(shape: str, given: Convention) -> frozenset[Convention]:
    """The conventions in which a shape is a number."""
    return frozenset(convention for convention in (given, *CONVENTIONS) if _pattern(convention).fullmatch(shape))


def common_conventions(numerals: Sequence[Numeral]) -> list[Convention]:
    """The known conventions in which all of them are numbers, and whose mark between thousands one of them has."""
    return [
        (decimal, thousands)
        for decimal, thousands in CONVENTIONS
        if all((decimal, thousands) in numeral.conventions for numeral in numerals)
        and (thousands is None or any(re.search(_mark(thousands), numeral.body) for numeral in numerals))
    ]


def is_padded(cell: str) -> bool:
    """Return whether a number begins with a 0 that it does not need, as codes do."""
    return _PADDED.fullmatch(cell) is not None


def is_canonical(cell: str) -> bool:
    """Return whether a number is written as programs write it, so that no other spelling is to be expected."""
    return _CANONICAL.fullmatch(cell) is not None


@lru_cache
def _pattern(convention: Convention) -> re.Pattern[str]:
    decimal, thousands = re.escape(convention[0]), convention[1]
    whole = r"\d+"
    if thousands is not None:
        mark = _mark(thousands)
        whole = rf"(?:\d+|[1-9]\d{{0,2}}(?:{mark}\d{{2,3}})*{mark}\d{{3}})"  # 12,34,567 in India
    return re.compile(rf"{_SIGN}?(?:{whole}(?:{decimal}\d*)?|{decimal}\d+)(?:[eE][+-]?\d+)?", re.ASCII)


def _mark(thousands: str) -> str:
    return _MARKS.get(thousands, re.escape(thousands))
