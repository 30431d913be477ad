"""Scores of several trainings made one."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

Scores = npt.NDArray[np.float64]


def mean_scores(scores: Sequence[Scores]) -> Scores:
    """Return the mean of several trainings' scores, float64 ``(n_features,)``.

    Scores of different trainings live on different scales, so each is divided by the sum of its magnitudes first; most
    metrics are never negative, so that they sum to 1 then.

    Args:
        scores: each float64 ``(n_features,)``.
    """
    return np.asarray(np.mean(_shares(scores), axis=0), dtype=np.float64)


def median_scores(scores: Sequence[Scores]) -> Scores:
    """Return the median of several trainings' scores, each divided by the sum of its magnitudes.

    One training that saw much in a column does not lift it, as it does in :func:`mean_scores`.

    Args:
        scores: each float64 ``(n_features,)``.
    """
    return np.asarray(np.median(_shares(scores), axis=0), dtype=np.float64)


def mean_ranks(scores: Sequence[Scores]) -> Scores:
    """Return the mean over several trainings or metrics of each column's rank, float64 ``(n_features,)`` in (0, 1].

    The best column of all has 1, the worst of all 1 over the number of columns; equal scores share the mean of their
    ranks. Only the order that each has of the columns counts, not by how much they differ.

    Args:
        scores: each float64 ``(n_features,)``.
    """
    from scipy.stats import rankdata

    ranks = rankdata(np.asarray(scores), axis=1)
    return np.asarray(ranks.mean(axis=0) / ranks.shape[1], dtype=np.float64)


def mean_ranks_above_nothing(scores: Sequence[Scores]) -> Scores:
    """Return :func:`mean_ranks`, in which a training counts 0 for the columns to which it gives 0 or less.

    So what no training sees anything in keeps a score of 0, by which selection rules know it.

    Args:
        scores: each float64 ``(n_features,)``.
    """
    ranks = [np.where(values > 0, mean_ranks([values]), 0.0) for values in scores]
    return np.asarray(np.mean(ranks, axis=0), dtype=np.float64)


COMBINATIONS: dict[str, Callable[[Sequence[Scores]], Scores]] = {
    "mean": mean_scores,
    "rank": mean_ranks_above_nothing,
    "median": median_scores,
}
"""Name -> how the scores of several networks become one score for each column."""


def _shares(scores: Sequence[Scores]) -> list[Scores]:
    totals = [float(np.abs(values).sum()) for values in scores]
    return [values / total if total > 0 else values for values, total in zip(scores, totals, strict=True)]
