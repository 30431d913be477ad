"""The forms of one parameter in YAML, and the checks that need nothing but its own keys."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Any, Self

import numpy as np
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from search_spaces.errors import SpaceError, unknown
from search_spaces.space import Fixed, Value

# YAML 1.1 takes 1e-3 for text, because its floats need a dot and a signed exponent; nobody means the text.
_EXPONENT = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)[eE][+-]?\d+")


_LARGEST_INTEGER = 2**53
"""Samplers compute in floats of 64 bits, which hold no larger integer exactly."""


def _plain(given: object) -> object:
    """Return NumPy's numbers and arrays, also within a mapping or list, as Python's."""
    if isinstance(given, np.generic | np.ndarray):
        return given.tolist()
    if isinstance(given, Mapping):
        return {key: _plain(value) for key, value in given.items()}
    return [_plain(value) for value in given] if isinstance(given, list | tuple) else given


def _scalar(given: object) -> Value:
    value = float(given) if isinstance(given, str) and _EXPONENT.fullmatch(given) else given
    if isinstance(value, bool | str) or (isinstance(value, float) and math.isfinite(value)):
        return value
    if isinstance(value, int):
        if abs(value) > _LARGEST_INTEGER:
            raise ValueError(f"must be within 2**53 where it is an integer, got one of {value.bit_length()} bits")
        return value
    raise ValueError(f"must be a finite number, a text, true or false, got {given!r}")


def _number(given: object) -> int | float:
    value = _scalar(given)
    if isinstance(value, bool | str):
        raise ValueError(f"must be a number, got {given!r}")
    return value


def _listed(given: object) -> object:
    return given if isinstance(given, list | tuple) else [given]


Scalar = Annotated[Any, BeforeValidator(_scalar)]
Number = Annotated[Any, BeforeValidator(_number)]
Condition = Annotated[list[Scalar], BeforeValidator(_listed), Field(min_length=1)]


class _Declared(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    when: dict[str, Condition] = Field(default_factory=dict)


class Single(_Declared):
    """``{value: V}``: a constant, for the sake of its condition; without one, a bare scalar says the same."""

    value: Scalar

    def domain(self) -> Fixed:
        """The value, hidden from samplers."""
        return Fixed(self.value)


class Choice(_Declared):
    """``{values: [...]}``: one of several; the only kind that may be a parent in another parameter's ``when``."""

    values: Annotated[list[Scalar], Field(min_length=1)]

    @model_validator(mode="after")
    def _no_duplicates(self) -> Self:
        for i, value in enumerate(self.values):
            if value in self.values[:i]:
                raise ValueError(f"values must differ from one another, got {value!r} twice")
        return self

    def domain(self) -> BaseDistribution | Fixed:
        """A categorical distribution, or the value where there is only one."""
        return CategoricalDistribution(self.values) if len(self.values) > 1 else Fixed(self.values[0])


class Range(_Declared):
    """``{low: A, high: B, log: false, step: null}``, both ends included; integers where both ends are."""

    low: Number
    high: Number
    log: bool = False
    step: Number | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        low, high, step = self.low, self.high, self.step
        if not low < high:
            raise ValueError(f"low < high must hold, got low={low!r}, high={high!r}")
        if self.log and low <= 0:
            raise ValueError(f"low > 0 must hold on a log scale, got low={low!r}")
        if self.log and step is not None:
            raise ValueError(f"step must be left out on a log scale, got step={step!r}")
        if step is not None:
            if step <= 0:
                raise ValueError(f"step > 0 must hold, got step={step!r}")
            if self._integers and not isinstance(step, int):
                raise ValueError(f"step must be an integer where low and high are, got step={step!r}")
            if (high - low) / step > _LARGEST_INTEGER:
                raise ValueError(f"high - low must be at most 2**53 steps, got {low!r}, {high!r}, step={step!r}")
            if (Decimal(str(high)) - Decimal(str(low))) % Decimal(str(step)) != 0:
                raise ValueError(f"high - low must be a multiple of step, got {low!r}, {high!r}, step={step!r}")
        return self

    @property
    def _integers(self) -> bool:
        return isinstance(self.low, int) and isinstance(self.high, int)

    def domain(self) -> BaseDistribution:
        """An integer or a float distribution."""
        if self._integers:
            return IntDistribution(self.low, self.high, log=self.log, step=self.step or 1)
        return FloatDistribution(self.low, self.high, log=self.log, step=self.step)


Declared = Single | Choice | Range


def parse_parameter(path: str, given: object) -> Declared:
    """Read one parameter.

    Args:
        path: where it stands, for messages, e.g. ``"space.l2"``.
        given: a scalar, or a mapping with ``value``, ``values`` or ``low`` and ``high``; numbers of Python or NumPy.

    Raises:
        SpaceError: the mapping has unknown or missing keys, or its values break a rule.
    """
    given = _plain(given)
    if not isinstance(given, Mapping):
        given = {"value": given}
    if "values" in given:
        kind: type[Declared] = Choice
    elif "value" in given:
        kind = Single
    elif "low" in given or "high" in given:
        kind = Range
    else:
        raise SpaceError(
            f"{path}: a parameter needs 'values', 'value', or 'low' and 'high', "
            f"got {', '.join(map(repr, given)) or 'no keys'}"
        )
    try:
        return kind.model_validate(dict(given))
    except ValidationError as error:
        raise SpaceError("; ".join(_phrase(path, kind, one) for one in error.errors())) from None


def _phrase(path: str, kind: type[Declared], error: Any) -> str:
    keys = [str(part) for part in error["loc"]]
    if error["type"] == "extra_forbidden":
        return f"{path}: {unknown('key', keys[-1], kind.model_fields)}"
    rule = error["msg"].removeprefix("Value error, ")
    got = "" if "got" in rule or error["type"] == "missing" else f", got {error['input']!r}"
    return f"{'.'.join([path, *keys])}: {rule}{got}"
