"""The number of columns that is enough, found on held-out rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from dst.data.dataset import Part
from dst.errors import InputError
from dst.scoring import capped, score_columns, score_numbers

LARGEST_K = 200
"""The largest K that is scored."""

MAX_ROWS = 2000
"""Rows that the scorer is fitted on, and rows that it is judged on, at most: its time grows with their square."""

_FIRST_K = (1, 2, 3, 5, 7)


def k_grid(n_features: int) -> tuple[int, ...]:
    """Return the K that are scored: 1, 2, 3, 5, 7, 10, 14, 20, 28, ..., each about the root of 2 times the one before.

    The last is 200, or all columns where there are fewer.

    Args:
        n_features: columns that may be selected, one at least.
    """
    last = min(LARGEST_K, n_features)
    doubling = (round(10 * 2 ** (step / 2)) for step in range(9))
    return (*(k for k in (*_FIRST_K, *doubling) if k < last), last)


def held_out_scores(
    train: Part, held_out: Part, selected: Mapping[int, npt.NDArray[np.int64]], rng: np.random.Generator
) -> dict[int, float]:
    """Return how well K columns predict the target of held-out rows, by K.

    Of classes the accuracy of the project's scorer, scikit-learn's ``SVC()``; of numbers the R squared of its
    counterpart (:func:`dst.scoring.score_numbers`). Of more than :data:`MAX_ROWS` rows so many are drawn, of classes
    each its share.

    Args:
        train: rows to fit on.
        held_out: rows to judge on.
        selected: columns of the table by K, one at least for each.
        rng: draws rows.

    Raises:
        InputError: the training rows are of one class only, or a single row of numbers is held out.
    """
    if train.n_classes == 0:
        if len(held_out.y) < 2:
            raise InputError("'auto' judges numbers on two held-out rows or more, but a fifth of the rows is one row")
        seen, judged = (some_rows(part, MAX_ROWS, rng) for part in (train, held_out))
        return {k: score_numbers(seen, judged, columns).r2 for k, columns in selected.items()}
    seen, judged = (some_rows(part, MAX_ROWS, rng) for part in (train, held_out))
    if len(np.unique(seen.y)) < 2:
        raise InputError(
            f"'auto' fits a classifier on each repeat's training rows, but {len(seen.y)} of them are of one class: "
            "give a number of columns, or more rows"
        )
    return {k: score_columns(seen, judged, columns).accuracy for k, columns in selected.items()}


def some_rows(part: Part, max_rows: int, rng: np.random.Generator) -> Part:
    """Return at most ``max_rows`` rows of a part, of classes each its share (:func:`dst.scoring.capped`).

    Args:
        part: rows.
        max_rows: how many.
        rng: draws which.
    """
    if part.n_classes:
        return capped(part, max_rows, rng)
    if len(part.y) <= max_rows:
        return part
    rows = np.sort(rng.choice(len(part.y), max_rows, replace=False))
    return replace(part, x=part.x[rows], y=part.y[rows])
