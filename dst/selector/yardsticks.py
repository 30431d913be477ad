"""What the columns that a selector selected are worth, beside what costs nothing and what its rivals select.

Each ranking of a selector has training rows and held-out rows of its own. A support vector machine is fitted on the
training rows, on the columns that this ranking alone selects, and judged on the held-out rows; so is one on as many
random columns, on all columns, and on as many that L1 logistic regression (of numbers: the lasso) and extremely
randomised trees rank first there. Nothing sees more than :data:`dst.selector.auto_k.MAX_ROWS` rows of a part. The
held-out rows also decided when the networks stopped, which makes their columns' scores optimistic by a little.

Whether columns are better than chance is said of a measure that does not depend on how large the classes are: the area
under the ROC curve (chance: 1/2), of numbers the R squared (chance: 0). Its interval over rankings allows for the rows
that these share (:func:`dst.intervals.resampled_interval`).
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

from dst.data.dataset import Part
from dst.errors import InputError
from dst.intervals import resampled_interval
from dst.rankers import make_config
from dst.rankers.successive import rank_table
from dst.scoring import judge_numbers, rank_columns, score_columns, score_numbers
from dst.selector.auto_k import MAX_ROWS, some_rows
from dst.selector.parts import HELD_OUT
from dst.selector.selector import SparseFeatureSelector
from dst.stability import nogueira

SELECTED, RANDOM, ALL, NOTHING = "selected", "random", "all", "no column"
"""Names of yardsticks: the selector's own columns, as many random ones, all, the most frequent class or the mean."""

SURELY = 0.98
"""Confidence of the interval that must lie above chance: of a hundred tables without effect one is called better."""

MOST_VALUES = 5 * 10**7
"""Values of the training rows above which a machine on all columns is left out."""

REPEATS = 3
"""Rankings by shuffled targets, at most."""

_TREES = 100

RIVALS = {
    True: {"l1_logistic": {}, "extra_trees": {"trees": _TREES}},
    False: {"lasso": {}, "extra_trees": {"trees": _TREES}},
}
"""Rankers whose columns stand beside the selected ones, with their settings: of classes, and of numbers."""

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Yardstick:
    """What some columns are worth on held-out rows.

    Attributes:
        name: :data:`SELECTED`, :data:`RANDOM`, :data:`ALL`, :data:`NOTHING`, or a rival's.
        k: how many columns there are.
        mean: mean over rankings, of classes the accuracy, of numbers the R squared.
        low: lower end of its interval, 95%; None where there is a single ranking.
        high: upper end, cut at 1.
        balanced_accuracy: of classes the mean balanced accuracy; None of numbers.
        mae: of numbers the mean absolute error, in standard deviations of the target; None of classes.
    """

    name: str
    k: int
    mean: float
    low: float | None
    high: float | None
    balanced_accuracy: float | None
    mae: float | None


@dataclass(frozen=True)
class Yardsticks:
    """All of them, the selected columns first.

    Attributes:
        sticks: one for each name.
        held_out_rows: rows that each ranking held out, the most that were judged.
        above_chance: by how much the selected columns are better than chance: the lower end of the 98% interval of the
            area under the ROC curve less 1/2, or of the R squared; None where there is a single ranking.
    """

    sticks: tuple[Yardstick, ...]
    held_out_rows: int
    above_chance: float | None

    @property
    def better_than_chance(self) -> bool | None:
        """Whether the selected columns surely are; None where it is not known."""
        return None if self.above_chance is None else self.above_chance > 0

    @property
    def selected(self) -> Yardstick:
        """That of the selected columns."""
        return self.sticks[0]

    def named(self, name: str) -> Yardstick | None:
        """Return the one of a name, or None."""
        return next((stick for stick in self.sticks if stick.name == name), None)


@dataclass(frozen=True)
class _Worth:
    score: float
    above_chance: float
    balanced_accuracy: float | None = None
    mae: float | None = None


def measure(
    parts: Iterable[tuple[Part, Part]], selections: npt.NDArray[np.bool_], *, method: str, seed: int
) -> Yardsticks:
    """Judge the columns that each ranking selected, and the yardsticks beside them.

    Args:
        parts: training rows and held-out rows of each ranking (:meth:`dst.SparseFeatureSelector.parts`).
        selections: the columns that each selected, bool ``(n_rankings, n_features)``.
        method: the selector's; it is no rival of its own.
        seed: draws rows and random columns.

    Raises:
        InputError: a part has one class only, or a single row of numbers is held out.
    """
    worths: dict[str, list[_Worth]] = {}
    sizes: dict[str, int] = {}
    rows = 0
    for number, ((train, held_out), mask) in enumerate(zip(parts, selections, strict=True)):
        rng = np.random.default_rng([seed, number])
        train, held_out = (some_rows(part, MAX_ROWS, rng) for part in (train, held_out))
        rows = max(rows, len(held_out.y))
        _check(train, held_out)
        for name, columns in _columns(train, held_out, mask, method, rng).items():
            worths.setdefault(name, []).append(_worth(train, held_out, columns()))
            sizes[name] = 0 if name == NOTHING else len(mask) if name == ALL else int(mask.sum())
    sticks = tuple(_stick(name, sizes[name], of_name) for name, of_name in worths.items())
    low, _ = resampled_interval([worth.above_chance for worth in worths[SELECTED]], HELD_OUT, level=SURELY)
    return Yardsticks(sticks, rows, None if math.isnan(low) else low)


def stability_by_chance(selector: SparseFeatureSelector, X: Any, y: Any) -> float | None:
    """Return the stability of a selector's selections where the target is shuffled, so that no column says anything.

    It is not 0: the rankings of a table share rows, and some columns are chosen for how their values lie. At most
    :data:`REPEATS` rankings are made, on at most :data:`dst.selector.auto_k.MAX_ROWS` rows.

    Args:
        selector: a fitted one, whose settings are used.
        X: the table that it was fitted on.
        y: its target.

    Returns:
        None where it is not defined: a single ranking, or all columns selected.
    """
    if len(selector.selections_) < 2 or selector.selections_.all():
        return None
    rng = np.random.default_rng([selector.seed_ or 0, 1])
    rows = rng.permutation(len(y))[:MAX_ROWS]
    shuffled = clone(selector).set_params(
        n_features_to_select=selector.n_features_selected_,
        n_repeats=max(2, min(REPEATS, selector.n_repeats or REPEATS)),
        random_state=int(rng.integers(2**31)),
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # there is nothing to learn
        shuffled.fit(X[np.sort(rows)], np.asarray(y)[rows])
    return nogueira(shuffled.selections_).value


def _columns(
    train: Part, held_out: Part, mask: npt.NDArray[np.bool_], method: str, rng: np.random.Generator
) -> dict[str, Callable[[], Ints]]:
    """Return what gives the columns of each yardstick, by name; none of :data:`NOTHING`."""
    k, n_features = int(mask.sum()), len(mask)
    found: dict[str, Callable[[], Ints]] = {
        SELECTED: lambda: np.flatnonzero(mask),
        NOTHING: lambda: np.array([], dtype=np.int64),
        RANDOM: lambda: np.sort(rng.choice(n_features, k, replace=False)),
    }
    for rival, settings in RIVALS[train.n_classes > 0].items():
        if rival != method:
            found[rival] = _top(rival, settings, train, held_out, k, n_features, rng)
    if train.x.shape[0] * train.x.shape[1] <= MOST_VALUES:
        found[ALL] = lambda: np.arange(n_features)
    return found


def _top(
    rival: str,
    settings: dict[str, int],
    train: Part,
    held_out: Part,
    k: int,
    n_features: int,
    rng: np.random.Generator,
) -> Callable[[], Ints]:
    def columns() -> Ints:
        config = make_config(rival, settings)
        ranking = rank_table(rival, train, held_out, config, rng, lambda end: None, n_features=n_features)
        return rank_columns(next(iter(ranking.scores.values())), rng)[:k]

    return columns


def _worth(train: Part, held_out: Part, columns: Ints) -> _Worth:
    """Return what columns are worth; without any, what the most frequent class or the mean is."""
    if not train.n_classes:
        if len(columns):
            result = score_numbers(train, held_out, columns)
        else:
            result = judge_numbers(np.broadcast_to(train.y.mean(axis=0), held_out.y.shape), held_out.y)
        return _Worth(result.r2, result.r2, mae=result.mae)
    most_frequent = np.bincount(train.y).argmax()
    by_majority = float((held_out.y == most_frequent).mean())
    if not len(columns):
        return _Worth(by_majority, 0.0, balanced_accuracy=1 / len(np.unique(held_out.y)))
    scored = score_columns(train, held_out, columns)
    above = scored.accuracy - by_majority if scored.macro_auc is None else scored.macro_auc - 0.5
    return _Worth(scored.accuracy, above, balanced_accuracy=scored.balanced_accuracy)


def _stick(name: str, k: int, worths: list[_Worth]) -> Yardstick:
    scores = [worth.score for worth in worths]
    low, high = resampled_interval(scores, HELD_OUT)
    known = not math.isnan(low)
    return Yardstick(
        name,
        k,
        float(np.mean(scores)),
        low if known else None,
        min(high, 1.0) if known else None,
        _mean([worth.balanced_accuracy for worth in worths]),
        _mean([worth.mae for worth in worths]),
    )


def _mean(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


def _check(train: Part, held_out: Part) -> None:
    if train.n_classes and len(np.unique(train.y)) < 2:
        raise InputError(f"yardsticks need training rows of two classes, but {len(train.y)} of them are of one")
    if not train.n_classes and len(held_out.y) < 2:
        raise InputError("yardsticks judge numbers on two held-out rows or more, but a fifth of the rows is one row")
