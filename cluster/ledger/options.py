"""The call of a factory by the name and options that a spec gives."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar, get_args, get_type_hints

from pydantic import ValidationError, validate_call

T = TypeVar("T")


class OptionError(ValueError):
    """A sampler or pruner does not exist, or does not take such an option. The message is one line."""


def build(kind: str, table: Mapping[str, Callable[..., T]], name: str, options: Mapping[str, Any], **given: Any) -> T:
    """Call the factory that a name stands for.

    Args:
        kind: a noun for messages, e.g. ``"sampler"``.
        table: the factories by name; their annotated keyword-only parameters are the options.
        name: the name that was asked for.
        options: the options that were asked for.
        **given: the factory's positional parameters, which the program itself passes on.

    Raises:
        OptionError: the name or an option is unknown, or an option's value breaks its annotation or its factory's rule.
    """
    if name not in table:
        raise OptionError(_unknown(kind, name, table))
    factory = table[name]
    valid = [p.name for p in inspect.signature(factory).parameters.values() if p.kind is p.KEYWORD_ONLY]
    for option in options:
        if option not in valid:
            raise OptionError(_unknown(f"option of {kind} {name!r}", option, valid))
    hints = get_type_hints(factory)
    for option, value in options.items():  # true would be taken for 1
        if isinstance(value, bool) and bool not in (hints[option], *get_args(hints[option])):
            raise OptionError(f"{kind} {name!r}, {option}: must not be true or false, but got {value}")
    try:
        return validate_call(factory)(**given, **options)
    except ValidationError as error:
        first = error.errors()[0]
        raise OptionError(f"{kind} {name!r}, {first['loc'][0]}: {first['msg']}, got {first['input']!r}") from None
    except ValueError as error:
        raise OptionError(f"{kind} {name!r}: {error}") from None


def _unknown(kind: str, given: str, valid: Iterable[str]) -> str:
    names = sorted(valid)
    near = difflib.get_close_matches(given, names, n=1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    return f"unknown {kind} {given!r}: {hint}valid are {', '.join(names) or 'none'}"
