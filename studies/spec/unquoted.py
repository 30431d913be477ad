"""Values that YAML 1.1 makes of words that a user meant as text, and messages about them."""

from __future__ import annotations

import datetime as dt
from typing import Any

_READINGS: tuple[tuple[type | tuple[type, ...], str], ...] = (
    (bool, "YAML reads yes, no, on, off, true and false as true or false"),
    ((int, float), "YAML reads it as a number"),
    (dt.date, "YAML reads it as a date"),  # of which a time is one
    (type(None), "YAML reads null, ~ and an empty place as no value"),
)


def reading(given: Any) -> str | None:
    """Say why a value may not be the text that somebody wrote, and that quotes help; None for text, lists, mappings.

    Text cannot be had back from the value: ``yes``, ``on`` and ``True`` are all true, and ``0x10`` is sixteen.
    """
    why = read_as(given)
    return None if why is None else f"{why}, so put text that looks like that in quotes"


def read_as(given: Any) -> str | None:
    """Say what YAML may have made a value of; None for text, lists and mappings."""
    for kinds, what in _READINGS:
        if isinstance(given, kinds):
            shown = given.isoformat() if isinstance(given, dt.date) else repr(given)
            return f"got {shown}: {what}"
    return None
