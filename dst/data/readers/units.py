"""Numbers with something around them that makes words of them: units (5 kg), limits (<5), suffixes (1.2k), quarters."""

from __future__ import annotations

import re
from collections.abc import Sequence

_LETTERS = r"[^\W\d_]"
_AMOUNT = re.compile(
    rf"([<>≤≥~≈±]=?)?\s*[+\-\u2212]?\d[\d.,]*(?:[eE][+-]?\d+)?\s*"
    rf"(°\s?{_LETTERS}?|{_LETTERS}{{0,5}}[²³]?(?:/{_LETTERS}{{1,4}}[²³]?)?)"
)
_HEXADECIMAL = re.compile(r"0x[0-9a-f]+", re.IGNORECASE)
_MULTIPLES = frozenset({"", "k", "K", "M", "G", "T", "B", "m", "mn", "bn", "Mio", "Mrd"})
_QUARTER = re.compile(r"\d{4}[ -]?Q[1-4]|Q[1-4][ /-]?\d{4}", re.IGNORECASE)


def are_amounts(words: Sequence[str]) -> bool:
    """Return whether all words are hexadecimal numbers, or have a limit, one common unit or a multiple each."""
    if len(words) < 2:
        return False
    if all(map(_HEXADECIMAL.fullmatch, words)):
        return True
    found = [_AMOUNT.fullmatch(word) for word in words]
    if not all(found):
        return False
    units = {match[2] for match in found if match}
    has_limit = any(match[1] for match in found if match)
    return (units != {""} and (len(units) == 1 or units <= _MULTIPLES)) or (units == {""} and has_limit)


def are_quarters(words: Sequence[str]) -> bool:
    """Return whether all words are quarters of a year, such as 2024Q1."""
    return len(words) > 1 and all(map(_QUARTER.fullmatch, words))
