"""Training data of a selector: targets as a loss takes them, and rows held out to decide when to stop."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from dst.data.dataset import Matrix, Part, TableMatrix
from dst.data.entry import like_numbers
from dst.data.readers.table import TASKS
from dst.errors import InputError, unknown_name

HELD_OUT = 0.2
"""Share of the rows that decide when to stop, as in the paper's protocol."""


@dataclass(frozen=True)
class Target:
    """A target as a loss takes it.

    Attributes:
        y: int64 class codes ``(n_rows,)``; or float32 ``(n_rows,)`` or ``(n_rows, n_outputs)``, each output with mean 0
            and variance 1.
        classes: what each code stands for; None: numbers.
    """

    y: npt.NDArray[Any]
    classes: npt.NDArray[Any] | None

    @property
    def loss(self) -> str:
        """The loss that takes it, a name in :data:`dst.training.config.LOSSES`."""
        return "squared_error" if self.classes is None else "cross_entropy"


def make_target(y: Any, task: str) -> Target:
    """Return what ``y`` means.

    Args:
        y: ``(n_rows,)``, or ``(n_rows, n_outputs)`` numbers.
        task: a name in :data:`dst.data.readers.table.TASKS`; ``auto``: what ``type_of_target`` says.

    Raises:
        InputError: the task is unknown, or not said of whole numbers that may be either, there are fewer than two
            classes, or several outputs that are no numbers.
    """
    from sklearn.utils.multiclass import type_of_target
    from sklearn.utils.validation import column_or_1d

    if task not in TASKS:
        raise InputError(unknown_name("task", task, TASKS))
    y = np.asarray(y)
    if y.ndim == 2 and y.shape[1] == 1:
        y = column_or_1d(y, warn=True)
    kind = str(type_of_target(y, input_name="y", raise_unknown=True))
    if task == "regression" or (task == "auto" and kind.startswith("continuous")):
        numbers = y.astype(np.float64)
        spread = numbers.std(axis=0)
        scaled = (numbers - numbers.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
        return Target(scaled.astype(np.float32), None)
    if kind not in ("binary", "multiclass"):
        raise InputError(
            f"a classification target must be one class a row, but got a {kind} target; or task='regression'"
        )
    classes, codes = np.unique(y, return_inverse=True)
    if task == "auto" and classes.dtype.kind in "iuf" and like_numbers(len(classes), len(y)):
        raise InputError(
            f"the target has {len(classes)} different whole numbers in {len(y)} rows: say task='regression', if they "
            "are numbers, or task='classification'"
        )
    if len(classes) < 2:
        raise InputError(f"the target must have two classes or more, but all {len(y)} rows are {classes[0]!r}")
    return Target(codes.astype(np.int64), classes)


RESAMPLING = {"held_out": 1, "halves": 2}
"""What a repeat draws, and how many rankings it makes: by all rows but those held out; or by each of two halves."""

Prepare = Callable[[TableMatrix, TableMatrix], tuple[Matrix, Matrix, npt.NDArray[np.int64] | None, int | None]]
""":func:`dst.data.preparation.encode` with its settings: fitted to the first rows, done to both."""


def rankings_per_repeat(resampling: str) -> int:
    """Return how many rankings a repeat makes.

    Raises:
        InputError: no such resampling.
    """
    if resampling not in RESAMPLING:
        raise InputError(unknown_name("resampling", resampling, RESAMPLING))
    return RESAMPLING[resampling]


def make_parts(
    x: TableMatrix,
    target: Target,
    rng: np.random.Generator,
    prepare: Prepare,
    *,
    repeats: int,
    resampling: str = "held_out",
) -> Iterator[tuple[Part, Part]]:
    """Draw held-out rows, and yield the prepared training rows and these, for each ranking.

    The draw walks through the rows by class or by value, in a random order among equals, and takes every fifth:
    each class, or each stretch of values, has its share, whatever its size.

    Args:
        x: float32 or float64 ``(n_rows, n_features)``, two rows or more.
        target: what the loss compares the network's outputs with, for the same rows.
        rng: draws.
        prepare: scales and encodes rows.
        repeats: how many draws.
        resampling: a name in :data:`RESAMPLING`. With ``halves`` there are two rankings a draw, from each half alone.

    Raises:
        InputError: halves have fewer than two rows.
    """
    n_classes = 0 if target.classes is None else len(target.classes)
    for _ in range(repeats):
        for drawn in _halves(target, rng) if resampling == "halves" else [np.arange(len(target.y))]:
            values = target.y[drawn]
            held_out = _held_out(values if values.ndim == 1 else values[:, 0], rng)
            rows = drawn[~held_out], drawn[held_out]
            train_x, held_x, origin, n_numbers = prepare(x[rows[0]], x[rows[1]])
            yield (
                Part(train_x, target.y[rows[0]], n_classes, origin, n_numbers),
                Part(held_x, target.y[rows[1]], n_classes, origin, n_numbers),
            )


def all_rows(x: TableMatrix, target: Target, prepare: Prepare) -> Part:
    """Return all rows as one prepared part.

    Args:
        x: float32 or float64 ``(n_rows, n_features)``.
        target: of the same rows.
        prepare: scales and encodes rows.
    """
    every_x, _, origin, n_numbers = prepare(x, x[:1])
    return Part(every_x, target.y, 0 if target.classes is None else len(target.classes), origin, n_numbers)


def _held_out(values: npt.NDArray[Any], rng: np.random.Generator) -> npt.NDArray[np.bool_]:
    """Return which rows are held out: one at least, and not all."""
    n_rows = len(values)
    order = np.lexsort((rng.random((n_rows,)), values))
    ticks = np.floor(np.arange(n_rows + 1) * HELD_OUT + rng.random())
    taken = np.zeros(n_rows, dtype=bool)
    taken[order] = np.diff(ticks) > 0
    if not taken.any():
        taken[rng.integers(n_rows)] = True
    return taken


def _halves(target: Target, rng: np.random.Generator) -> list[npt.NDArray[np.int64]]:
    """Draw two halves of the rows that have none in common: complementary pairs (Shah and Samworth 2013).

    Both have as many rows of each class; the odd row of a class, or of numbers, is left out. So the halves are alike,
    and given the counts by class neither says anything about the other.
    """
    codes = np.zeros(len(target.y), dtype=np.int64) if target.classes is None else target.y
    pairs = []
    for code in np.unique(codes):
        drawn = rng.permutation(np.flatnonzero(codes == code))
        size = len(drawn) // 2
        pairs.append((drawn[:size], drawn[size : 2 * size]))
    halves = [np.sort(np.concatenate(half)) for half in zip(*pairs, strict=True)]
    if len(halves[0]) < 2:
        raise InputError(f"halves must have two rows or more, but {len(target.y)} rows give {len(halves[0])}")
    return halves
