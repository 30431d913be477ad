"""Selections by name, as specs, records and commands write them: ``greedy``, or with its strength ``greedy:0.5``.

What a trial is judged by is a ranking: an importance metric and what is made of its scores. Its name is the metric's
where the K columns of highest score are taken, else ``METRIC+SELECTION``: ``neuron_attribution+greedy``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dst.data.dataset import Part
from dst.errors import InputError
from dst.selection.columns import Floats, Ints
from dst.selection.registry import SELECTION_RULES, check_selection
from dst.selection.select import select_columns

TOP = "top"
_JOINT = "+"


@dataclass(frozen=True)
class Selection:
    """A selection rule and its strength.

    Args:
        rule: a name in :data:`dst.selection.registry.SELECTION_RULES`.
        strength: how much repetition counts; None: the rule's default.

    Raises:
        InputError: no such rule, or a strength that the rule does not have.
    """

    rule: str = TOP
    strength: float | None = None

    def __post_init__(self) -> None:
        check_selection(self.rule, self.strength)
        strength = SELECTION_RULES[self.rule].strength if self.strength is None else float(self.strength)
        object.__setattr__(self, "strength", strength)

    @classmethod
    def parse(cls, name: str) -> Selection:
        """Return the selection of a name.

        Raises:
            InputError: no such rule, or its strength is no number that the rule has.
        """
        rule, colon, strength = name.partition(":")
        if not colon:
            return cls(rule)
        try:
            return cls(rule, float(strength))
        except ValueError as error:
            if isinstance(error, InputError):
                raise
            raise InputError(
                f"a selection is a rule, or a rule and its strength as in greedy:0.5, but got {name!r}"
            ) from error

    @property
    def name(self) -> str:
        """The rule, and its strength where that is not the default."""
        if self.strength == SELECTION_RULES[self.rule].strength:
            return self.rule
        return f"{self.rule}:{str(self.strength).removesuffix('.0')}"

    def ranking_of(self, metric: str) -> str:
        """Return the name of the ranking that this makes of a metric's scores."""
        return metric if self.name == TOP else f"{metric}{_JOINT}{self.name}"

    def columns(
        self, scores: Floats, train: Part, k: int, rng: np.random.Generator, groups: Ints | None = None
    ) -> Ints:
        """Return the selected columns in the order of entering, see :func:`dst.selection.select.select_columns`."""
        return select_columns(scores, train, k, self.rule, self.strength, rng=rng, groups=groups)


def metric_of(ranking: str) -> str:
    """Return the importance metric of a ranking."""
    return ranking.partition(_JOINT)[0]


def selection_of(ranking: str) -> Selection:
    """Return the selection of a ranking.

    Raises:
        InputError: there is no such selection.
    """
    return Selection.parse(ranking.partition(_JOINT)[2] or TOP)
