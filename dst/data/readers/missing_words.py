"""Words that mean that there is no value.

| words | among numbers or dates | among words |
|---|---|---|
| ``MISSING``: an empty cell, NaN, NULL of databases, errors of spreadsheets | missing | missing in ``.csv`` |
| placeholders: ``.`` (SAS, Stata), ``-``, ``N.A.``, ``missing``, ``unknown``, ... | refused until named | a category |
| what ``missing_values`` names | missing | missing |

In label and group columns only an empty cell, and what ``missing_values`` names, is missing: "None" and "NA" are names
that classes have. Among labels that are numbers otherwise they are refused until named.
"""

from __future__ import annotations

import re

_NAN = ("NaN", "nan", "NAN", "-nan", "-NaN", "-NAN", "+nan", "+NaN", "nan(ind)", "-nan(ind)", "nan(snan)")
_MICROSOFT = ("1.#QNAN", "-1.#QNAN", "1.#IND", "-1.#IND", "1.#SNAN", "1.#NAN")
_SPREADSHEET = (
    "#N/A",
    "#N/A N/A",
    "#NA",
    "#DIV/0!",
    "#VALUE!",
    "#REF!",
    "#NULL!",
    "#NUM!",
    "#NAME?",
    "#SPILL!",
    "#CALC!",
)
_DATABASE = ("null", "NULL", "\\N", "None", "<NA>", "NaT")

MISSING = ("", "?", "NA", "N/A", "n/a", *_NAN, *_MICROSOFT, *_SPREADSHEET, *_DATABASE)
"""What means "no value" in every feature column of a text file: nothing else can be meant."""

_MARKS = (".", "..", "...", "-", "--", "---", "\u2013", "\u2014", "_", "*", "**", "??", "???")
_WORDS = (
    "na",
    "nan",
    "n.a",
    "n.a.",
    "n/a.",
    "nd",
    "n/d",
    "n.d.",
    "nr",
    "nil",
    "none",
    "null",
    "missing",
    "empty",
    "blank",
)
_PHRASES = (
    "unknown",
    "unk",
    "undefined",
    "tbd",
    "not available",
    "not applicable",
    "not reported",
    "not known",
    "no data",
)
_PLACEHOLDERS = frozenset(
    [*_MARKS, *_WORDS, *_PHRASES, *(f"{a}{word}{b}" for a, b in ("()", "<>", "[]") for word in _WORDS)]
)
_PATTERN = re.compile(r"\.[a-z_]|#[^\W\d_][\w/ ]*[!?]", re.IGNORECASE)  # SAS's special missing values; #WERT!, #BEZUG!


def is_placeholder(word: str) -> bool:
    """Return whether a word among numbers is likely to say that there is no value."""
    return word in MISSING or word.casefold() in _PLACEHOLDERS or _PATTERN.fullmatch(word) is not None
