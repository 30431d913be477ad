"""Errors: a call that cannot be right, a file that is not there, a training that diverges; and the words for them."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from typing import Any

_LONGEST = 4000
"""Characters of a message."""


def shortened(text: str, longest: int, gap: str) -> str:
    """Return a text without its middle, if it is longer than so many characters.

    Args:
        text: the text.
        longest: characters that are kept, half of them of its end.
        gap: stands for the middle; ``{left_out}`` in it for the number of characters.
    """
    if len(text) <= longest:
        return text
    return f"{text[: longest // 2]}{gap.format(left_out=len(text) - longest)}{text[-longest // 2 :]}"


def printable(text: str) -> str:
    """Return a text on one line, with line breaks and other control characters as escapes."""
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode() for character in text
    )


class InputError(ValueError):
    """What the caller gave breaks a rule: a name, a file, a value or a table.

    The message says the rule, what was given and, where that helps, what would be right. The command line prints it
    as one line and exits with status 2: what it quotes may be anything, so line breaks and other control characters are
    written as escapes, and the middle of a very long message is left out.
    """

    def __init__(self, message: str) -> None:
        super().__init__(shortened(printable(message), _LONGEST, " ... "))


class AbsentDataError(InputError):
    """A dataset is known, but its file is not there."""


class DivergedError(ArithmeticError):
    """A loss or a weight is no longer a finite number."""


def unknown_name(kind: str, given: str, valid: Iterable[str]) -> str:
    """One line for a name that is not among the valid ones, with the nearest of them.

    Args:
        kind: what is being named, e.g. ``"method"``.
        given: the name that the caller gave.
        valid: the names that exist.
    """
    names = sorted(valid)
    by_lower = {name.lower(): name for name in names}
    near = difflib.get_close_matches(given.lower(), by_lower, n=1, cutoff=0.6)
    hint = f"did you mean {by_lower[near[0]]!r}? " if near else ""
    return f"unknown {kind} {given!r}: {hint}valid are {', '.join(names)}"


def check_rules(*rules: tuple[str, bool, str]) -> None:
    """Refuse values that break a rule.

    Args:
        rules: each a rule, whether it holds, and what was given, e.g. ``("units >= 1", units >= 1, f"units={units}")``.

    Raises:
        InputError: a rule does not hold; the first of these is named.
    """
    for rule, holds, given in rules:
        if not holds:
            raise InputError(f"{rule} must hold, but got {given}")


def listed(items: Sequence[Any], word: str = "or") -> str:
    """Return one item or more in words: ``a, b or c``."""
    *firsts, last = map(str, items)
    return f"{', '.join(firsts)} {word} {last}" if firsts else last


def last_line(error: str | None) -> str | None:
    """Return the last line of a traceback that says something, or None for no error."""
    lines = [line for line in (error or "").splitlines() if line.strip()]
    return lines[-1].strip() if lines else None
