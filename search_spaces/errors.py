"""The one exception for a space that cannot be right."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class SpaceError(ValueError):
    """A declared space breaks a rule.

    The message is one line: where, the rule, what was given and, for a name, the nearest valid one.
    """


def unknown(kind: str, given: object, valid: Iterable[object]) -> str:
    """One phrase for a name that does not exist: the nearest that does, and all of them.

    Args:
        kind: what is being named, e.g. ``"parameter"``.
        given: the name that was given.
        valid: the names that exist.
    """
    names = {str(name).casefold(): str(name) for name in sorted(valid, key=str)}
    near = difflib.get_close_matches(str(given).casefold(), names, n=1)
    hint = f"did you mean {names[near[0]]!r}? " if near else ""
    return f"unknown {kind} {given!r}: {hint}valid are {', '.join(names.values()) or 'none'}"
