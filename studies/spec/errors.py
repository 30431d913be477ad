"""Errors of a spec, each in one line."""

from __future__ import annotations

import typing
from collections.abc import Sequence
from typing import Any

import pydantic
from pydantic import BaseModel

from dst.errors import InputError, unknown_name
from studies.spec.unquoted import reading


class SpecError(InputError):
    """A spec breaks a rule; the message is one line with the key, the rule and what was given."""


def one_line(error: pydantic.ValidationError, model: type[BaseModel], listed: type[BaseModel]) -> str:
    """Return the first problem in one line: where, what rule, what was given; an unknown key with its nearest.

    Args:
        error: the problems that pydantic found.
        model: of the whole document.
        listed: of the items of its list of mappings.
    """
    problem = error.errors(include_url=False)[0]
    where = ".".join(str(part) for part in problem["loc"])
    if problem["type"] == "extra_forbidden":
        *parents, key = problem["loc"]
        valid = _keys_at(model, listed, parents)
        prefix = ".".join(map(str, parents))
        return f"{prefix}: {unknown_name('key', str(key), valid)}" if prefix else unknown_name("key", str(key), valid)
    if problem["type"] == "missing":
        return f"{where}: is required"
    if (why := _reading(problem)) is not None:
        return f"{where.removesuffix('.str')}: {why}"
    if problem["type"] == "tuple_type":
        return f"{where}: must be a list, but got {problem['input']!r}"
    if problem["type"] == "model_type":
        keys = ", ".join(_keys_at(model, listed, problem["loc"]))
        return f"{where}: must be a mapping with the keys {keys}, but got {problem['input']!r}"
    message = problem["msg"].removeprefix("Value error, ")
    message = message[:1].lower() + message[1:]
    if problem["type"] == "value_error" or where.startswith("storage"):  # which may hold a password
        return f"{where}: {message}" if where else message
    return f"{where}: {message}, but got {problem['input']!r}"


def _reading(problem: Any) -> str | None:
    """Say what is wrong with a value that may have been meant as text; None for any other problem."""
    why = reading(problem["input"])
    dataset = len(problem["loc"]) == 2 and problem["loc"][0] == "datasets"
    if why is None or (problem["type"] not in ("string_type", "literal_error") and not dataset):
        return None
    rule = problem["msg"][:1].lower() + problem["msg"][1:] if problem["type"] == "literal_error" else "must be text"
    return f"{rule}, but {why}"


def _keys_at(model: type[BaseModel], listed: type[BaseModel], location: Sequence[int | str]) -> list[str]:
    """Return the keys that a section of the spec knows."""
    for part in location:
        if isinstance(part, int):
            model = listed
        elif isinstance(part, str) and part in model.model_fields:
            annotation = model.model_fields[part].annotation
            for kind in (annotation, *typing.get_args(annotation)):  # a section may be optional
                if isinstance(kind, type) and issubclass(kind, BaseModel):
                    model = kind
    return list(model.model_fields)
