"""Whole numbers that are different but one as float64: beyond 2**53 a float is not every whole number."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from dst.data.precision import merged_integers
from dst.data.readers.notes import Note

LARGEST = 2**53
"""The largest whole number up to which float64 is every whole number."""

_WHOLE = re.compile(r"([+-]?\d+)(?:\.0*)?", re.ASCII)


def as_whole(word: str) -> int | None:
    """The whole number that a word in plain digits is, such as ``7`` or ``7.0``; None: it is none."""
    found = _WHOLE.fullmatch(word)
    return int(found[1]) if found and len(word) < 400 else None  # beyond the digits of any float


def merged_words(words: Iterable[str]) -> tuple[int, int] | None:
    """Return two different whole numbers among the words that float64 makes one, if there are some."""
    seen: dict[float, int] = {}
    for word in words:
        whole = as_whole(word) if len(word) > 15 else None
        if whole is not None and abs(whole) >= LARGEST:
            other = seen.setdefault(_float(whole), whole)
            if other != whole:
                return min(other, whole), max(other, whole)
    return None


def merged_note(name: str, merged: tuple[int, int]) -> Note:
    """A note that refuses a column for two whole numbers that become one."""
    return Note(
        "whole numbers that become one",
        merged_sentence(name, merged),
        "--categorical COL, subtract what they share, or --drop COL",
        name,
        str(merged[0]),
        refused=True,
    )


def merged_sentence(name: str, merged: tuple[int, int]) -> str:
    """The rule and the two numbers that break it."""
    both = f"{merged[0]} and {merged[1]} in column {name!r}"
    return f"whole numbers beyond 2**53 must differ as floats, but {both} become one"


def column_note(name: str, values: npt.NDArray[Any]) -> Note | None:
    """A note where a column of integers holds some that become one as floats."""
    merged = merged_integers(values)
    return None if merged is None else merged_note(name, merged)


def is_large(values: npt.NDArray[Any]) -> bool:
    """Return whether a column of numbers reaches whole numbers that a float may not be."""
    with np.errstate(invalid="ignore"):
        return bool((np.abs(values.astype(np.float64)) >= LARGEST).any())


def _float(whole: int) -> float:
    try:
        return float(whole)
    except OverflowError:
        return float("inf") if whole > 0 else float("-inf")
