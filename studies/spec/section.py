"""Sections of a spec, whose keys are all known, and the kinds of values that several of them take."""

from __future__ import annotations

import typing
from collections.abc import Collection, Hashable
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo, field_validator, model_validator

from dst.errors import unknown_name
from dst.files.plain import plain
from studies.spec.unquoted import read_as


class Section(BaseModel):
    """A part of a spec: immutable, and every key must be known. NumPy's numbers become Python's; true is no number."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @classmethod
    def __pydantic_init_subclass__(cls, **_: Any) -> None:
        """Say once for each class which of its keys are numbers."""
        cls._numeric = frozenset(name for name, field in cls.model_fields.items() if _is_numeric(field.annotation))

    _numeric: ClassVar[frozenset[str]] = frozenset()

    @model_validator(mode="before")
    @classmethod
    def _plain_numbers(cls, given: Any) -> Any:
        return plain(given)

    @field_validator("*", mode="before")
    @classmethod
    def _truth_is_no_number(cls, given: Any, info: ValidationInfo) -> Any:
        """Refuse true and false, which Python takes for 1 and 0."""
        if info.field_name in cls._numeric:
            for number in given if is_list(given) else (given,):
                if isinstance(number, bool):
                    raise ValueError(f"must be a number, but {read_as(number)}")
        return given


def _is_numeric(annotation: Any) -> bool:
    """Say whether what a key takes is a number, or a list of some."""
    kinds = {annotation}
    for _ in range(4):  # a number in limits, in a tuple, that may be absent
        kinds |= {inner for kind in kinds for inner in typing.get_args(kind) if isinstance(inner, Hashable)}
    return bool(kinds & {int, float}) and bool not in kinds


PositiveInt = Annotated[int, Field(ge=1)]
"""A whole number from 1."""


def one_of(kind: str, registry: Collection[str]) -> BeforeValidator:
    """Return the check that a text is a name of a registry, to annotate a key with.

    Args:
        kind: of the thing that is named, for the message (:func:`dst.errors.unknown_name`).
        registry: the names that exist.
    """

    def known(given: Any) -> Any:
        if isinstance(given, str) and given not in registry:
            raise ValueError(unknown_name(kind, given, registry))
        return given  # what is no text is refused as such

    return BeforeValidator(known)


def is_list(given: Any) -> bool:
    """Say whether YAML, or Python, wrote a list."""
    return isinstance(given, list | tuple)
