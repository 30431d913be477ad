"""The order of columns by a value, and who comes first among equals."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

TIE = 1e-9
"""Values of a rule that differ by less than this share of the larger are equal.

The same columns give sums that differ in the last digits with the order of rows, the storage and the machine's
instructions; which of two copies is taken must not hang on them.
"""


def rank_columns(scores: npt.NDArray[np.float64], rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """Return column numbers by falling score, int64 ``(n_features,)``: the order of every ranking and feature list.

    Equal scores come in random order: a ranker that says nothing about many columns (an L1 model without coefficients,
    inputs without connections) must not gain from where a table's author put the informative ones.

    Args:
        scores: float64 ``(n_features,)``.
        rng: draws the order of equal scores.
    """
    shuffled = rng.permutation(len(scores))
    return shuffled[np.argsort(-scores[shuffled], kind="stable")]


def first_of_largest(values: npt.NDArray[np.float64]) -> int:
    """Return the position of the first value that equals the largest but for :data:`TIE`.

    Args:
        values: float64 ``(n,)``, the largest not negative.
    """
    return int(np.argmax(values >= values.max() * (1 - TIE)))
