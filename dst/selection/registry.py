"""Selection rules by name. Specs are checked by this table, so that it loads NumPy alone."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from dst.data.dataset import Part
from dst.errors import InputError, check_rules, unknown_name
from dst.selection.columns import CentredColumns, Floats, centred_labels
from dst.selection.correlations import Correlations, decorrelated, mrmr, threshold, top
from dst.selection.residuals import LabelResiduals, Residuals, determinantal, greedy


class Followed(Protocol):
    """What is known of candidates about the columns that have entered."""

    def enter(self, block: Floats) -> None:
        """Take account of a column that enters, of encodings float64 ``(n_rows, n_encodings)``."""


_Followed = TypeVar("_Followed", bound=Followed)


@dataclass(frozen=True)
class Rule(Generic[_Followed]):
    """A rule: the next column is the one of the largest score times weight.

    Attributes:
        follow: makes what is followed of candidates while columns enter, from the candidates and the training rows.
        weigh: weighs the candidates by it, from that and the strength, float64 ``(n_candidates,)`` in [0, 1]; strength
            0 gives 1 to all.
        strength: the default.
        meaning: what strength means; larger, repetition counts for more.
        strongest: the largest strength that there is.
        reads_labels: whether the answer depends on the labels, other than by the scores.
        zero_is_final: whether a column of weight 0 has it whatever else enters.
    """

    follow: Callable[[CentredColumns, Part], _Followed]
    weigh: Callable[[_Followed, float], Floats]
    strength: float
    meaning: str
    strongest: float = math.inf
    reads_labels: bool = False
    zero_is_final: bool = False


def _correlations(columns: CentredColumns, train: Part) -> Correlations:
    return Correlations(columns, len(train.y))


def _residuals(columns: CentredColumns, train: Part) -> Residuals:
    return Residuals(columns, len(train.y))


def _label_residuals(columns: CentredColumns, train: Part) -> LabelResiduals:
    return LabelResiduals(columns, centred_labels(train))


SELECTION_RULES: dict[str, Rule[Any]] = {
    "top": Rule(_correlations, top, 0.0, "nothing: repetition does not count", strongest=0.0),
    "threshold": Rule(
        _correlations,
        threshold,
        0.1,
        "1 less the largest correlation that two chosen columns may have",
        strongest=1.0,
        zero_is_final=True,
    ),
    "decorrelated": Rule(
        _correlations, decorrelated, 0.5, "power of 1 less the largest correlation", zero_is_final=True
    ),
    "determinantal": Rule(
        _residuals, determinantal, 1.0, "power of the share of variance that is left, to score^2", zero_is_final=True
    ),
    "greedy": Rule(
        _label_residuals, greedy, 1.0, "power of the share of the labels that a column adds", reads_labels=True
    ),
    "mrmr": Rule(_correlations, mrmr, 1.0, "power of the mean correlation that divides the score"),
}
"""Name -> its rule."""


def check_selection(rule: str, strength: float | None = None) -> None:
    """Refuse a rule or a strength that there is not.

    Args:
        rule: a name in :data:`SELECTION_RULES`.
        strength: of the rule; None: its default.

    Raises:
        InputError: no such rule, or the strength is no number from 0 to the rule's largest.
    """
    if rule not in SELECTION_RULES:
        raise InputError(unknown_name("selection rule", rule, SELECTION_RULES))
    if strength is None:
        return
    if isinstance(strength, bool) or not isinstance(strength, int | float):
        raise InputError(f"the strength of the rule {rule!r} must be a number, but got {strength!r}")
    strongest = SELECTION_RULES[rule].strongest
    limits = "0 <= strength" if math.isinf(strongest) else f"0 <= strength <= {strongest:g}"
    holds = 0 <= strength <= strongest and not math.isinf(strength)
    check_rules((f"{limits} of the rule {rule!r}", holds, f"strength={strength}"))
