"""A search space: parameters in order, each with its distribution and, maybe, a condition."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, TypeAlias

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import BaseTrial

from search_spaces.errors import SpaceError

Value: TypeAlias = bool | int | float | str

METHOD = "method"
"""The name of the parameter that every space starts with."""


@dataclass(frozen=True)
class Fixed:
    """A parameter with one possible value: it reaches the trial's parameters, but no sampler.

    Attributes:
        value: the value.
    """

    value: Value


@dataclass(frozen=True)
class Parameter:
    """One parameter.

    Attributes:
        name: its key in a trial's parameters.
        domain: where its value comes from.
        when: for each parent, the parent's values under which this parameter exists. All must hold; empty: always.
    """

    name: str
    domain: BaseDistribution | Fixed
    when: Mapping[str, tuple[Value, ...]] = field(default_factory=dict)

    def active(self, chosen: Mapping[str, Value]) -> bool:
        """Say whether the parameter exists beside the values chosen so far."""
        return all(parent in chosen and chosen[parent] in values for parent, values in self.when.items())

    def extremes(self) -> tuple[Value, ...]:
        """Return the values that bound the domain: all of a choice, both ends of a range."""
        match self.domain:
            case Fixed(value=value):
                return (value,)
            case CategoricalDistribution(choices=choices):
                return tuple(choice for choice in choices if choice is not None)
            case IntDistribution(low=low, high=high) | FloatDistribution(low=low, high=high):
                return (low, high)
            case _:
                raise TypeError(f"a domain must be fixed, categorical, int or float, got {self.domain!r}")

    def values(self) -> tuple[Value, ...]:
        """Return all values of the domain.

        Raises:
            SpaceError: it is a range without steps.
        """
        match self.domain:
            case IntDistribution(low=low, high=high, step=step, log=False):
                return tuple(range(low, high + 1, step))
            case FloatDistribution(low=low, high=high, step=step) if step is not None:
                first, by = Decimal(str(low)), Decimal(str(step))  # so that 0.1 + 2 * 0.1 is 0.3
                return tuple(float(first + i * by) for i in range(int((Decimal(str(high)) - first) / by) + 1))
            case FloatDistribution() | IntDistribution():
                raise SpaceError(f"space.{self.name}: a grid needs 'values' or a 'step', got a range without either")
            case _:
                return self.extremes()


@dataclass(frozen=True)
class Space:
    """A conditional search space.

    Attributes:
        parameters: in the order in which they are chosen; parents come before their children, ``method`` first.
    """

    parameters: tuple[Parameter, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """All parameters that a trial can have, in order."""
        return tuple(parameter.name for parameter in self.parameters)

    @property
    def distributions(self) -> dict[str, BaseDistribution]:
        """What a sampler may choose from: the parameters that have more than one possible value."""
        return {p.name: p.domain for p in self.parameters if not isinstance(p.domain, Fixed)}

    def describe(self) -> dict[str, dict[str, Any]]:
        """Return the space as plain data, in the words in which spaces are written."""
        return {
            parameter.name: _describe(parameter.domain)
            | ({"when": {name: list(values) for name, values in parameter.when.items()}} if parameter.when else {})
            for parameter in self.parameters
        }

    def grid(self) -> list[dict[str, Value]]:
        """Return every point of the space: all active parameters by name, the last of them changing fastest.

        Raises:
            SpaceError: a parameter has no finite set of values.
        """
        points: list[dict[str, Value]] = [{}]
        for parameter in self.parameters:
            values = parameter.values()
            points = [
                {**point, parameter.name: value} if parameter.active(point) else point
                for point in points
                for value in (values if parameter.active(point) else values[:1])
            ]
        return points

    def suggest(self, trial: BaseTrial) -> dict[str, Value]:
        """Choose the parameters of one trial.

        Args:
            trial: an Optuna trial; it records only what has more than one possible value.

        Returns:
            All active parameters by name, the fixed ones included.
        """
        chosen: dict[str, Value] = {}
        for parameter in self.parameters:
            if parameter.active(chosen):
                chosen[parameter.name] = _choose(trial, parameter.name, parameter.domain)
        return chosen


def _describe(domain: BaseDistribution | Fixed) -> dict[str, Any]:
    match domain:
        case Fixed(value=value):
            return {"value": value}
        case CategoricalDistribution(choices=choices):
            return {"values": list(choices)}
        case IntDistribution(low=low, high=high, log=log, step=step):
            return {"low": low, "high": high, "step": step, "log": log}
        case FloatDistribution(low=low, high=high, log=log, step=step):
            return {"low": low, "high": high, "step": step, "log": log}
        case _:
            raise TypeError(f"a domain must be fixed, categorical, int or float, got {domain!r}")


def _choose(trial: BaseTrial, name: str, domain: BaseDistribution | Fixed) -> Any:
    match domain:
        case Fixed(value=value):
            return value
        case CategoricalDistribution(choices=choices):
            return trial.suggest_categorical(name, choices)
        case IntDistribution():
            return trial.suggest_int(name, domain.low, domain.high, step=domain.step, log=domain.log)
        case FloatDistribution():
            return trial.suggest_float(name, domain.low, domain.high, step=domain.step, log=domain.log)
        case _:
            raise TypeError(f"a domain must be fixed, categorical, int or float, got {domain!r}")
