"""Filters: each column scored by itself, without a model of all."""

from __future__ import annotations

import time
import warnings
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dst.data.dataset import Matrix, Part, as_array
from dst.errors import InputError
from dst.files.checkpoint import State
from dst.rankers.base import FeatureScores, OnEpoch

_COLUMNS = 256
"""Columns of a sparse table that are made dense at a time."""


@dataclass(frozen=True)
class FScoreConfig:
    """There is nothing to set."""


def rank_by_f_score(
    train: Part,
    validation: Part,
    config: FScoreConfig,
    rng: np.random.Generator,
    on_epoch: OnEpoch,
    state: State | None = None,
) -> FeatureScores:
    """Rank by the F statistic of an analysis of variance: between classes over within them.

    The score, named ``f_score``, is the share of a column's variance that lies between the classes, which is ``F / (F +
    (n - c) / (c - 1))`` for n rows and c classes: the same order, but in [0, 1] where F is infinite because a column
    separates the classes exactly. A constant column has 0. Nothing is drawn. A column of categories, or of numbers with
    an indicator, is tested as a whole and has the share that a number would need to be as unlikely by chance
    (:func:`dst.rankers.column_tests.share_of_variance`).
    """
    from sklearn.feature_selection import f_classif

    from dst.rankers.column_tests import encoded_blocks, share_of_variance

    started = time.perf_counter()
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.filterwarnings("ignore", "(?s)Features .* are constant", UserWarning)  # over several lines
        f, _ = f_classif(train.x.astype(np.float64), train.y)
    labels = len(np.unique(train.y))
    f = np.maximum(np.nan_to_num(f, nan=0.0, posinf=np.inf), 0.0)  # rounding: below 0 by a hair
    between = np.ones_like(f)
    finite = np.isfinite(f)
    between[finite] = f[finite] / (f[finite] + (len(train.y) - labels) / (labels - 1))
    between[_constant(train.x)] = 0.0  # whose F is rounding over rounding
    for encoded, numbers, ones in encoded_blocks(train):
        between[encoded] = 0.0
        between[encoded[0]] = share_of_variance(numbers, ones, train.y)
    return FeatureScores({"f_score": between}, "scikit-learn", {"train": time.perf_counter() - started})


@dataclass(frozen=True)
class MutualInfoConfig:
    """Settings of :func:`rank_by_mutual_info`.

    Attributes:
        n_neighbors: of the estimate for columns of numbers; more of them: less variance, more bias.
    """

    n_neighbors: int = 3

    def __post_init__(self) -> None:
        if self.n_neighbors < 1:
            raise InputError(f"n_neighbors >= 1 must hold, but got n_neighbors={self.n_neighbors}")


def rank_by_mutual_info(
    train: Part,
    validation: Part,
    config: MutualInfoConfig,
    rng: np.random.Generator,
    on_epoch: OnEpoch,
    state: State | None = None,
) -> FeatureScores:
    """Rank by mutual information with the classes, in nats; the metric is named ``mutual_info``.

    Columns of at most two values are counted exactly; others are estimated from nearest neighbours
    (:mod:`dst.rankers.mutual_information`), for which ``rng`` draws the noise that parts equal values. A column of
    categories is counted as a whole, less what no effect would give (:func:`dst.rankers.column_tests.information`).
    """
    from dst.rankers.column_tests import encoded_blocks, information
    from dst.rankers.mutual_information import mutual_information

    started = time.perf_counter()
    scores = np.zeros(train.x.shape[1])
    n_numbers = len(scores) if train.n_numbers is None else train.n_numbers
    for first in range(0, n_numbers, _COLUMNS):
        block = as_array(train.x[:, first : min(first + _COLUMNS, n_numbers)]).astype(np.float64)
        for number, column in enumerate(block.T, start=first):
            scores[number] = mutual_information(column, train.y, config.n_neighbors, rng)
    for encoded, numbers, ones in encoded_blocks(train):
        scores[encoded[0]] = information(numbers, ones, train.y, config.n_neighbors, rng)
    return FeatureScores({"mutual_info": scores}, "none", {"train": time.perf_counter() - started})


def _constant(x: Matrix) -> npt.NDArray[np.bool_]:
    low, high = (x.min(axis=0), x.max(axis=0)) if isinstance(x, np.ndarray) else _extremes(x)
    return np.asarray(low == high)


def _extremes(x: Matrix) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    low, high = x.min(axis=0), x.max(axis=0)
    return low.toarray().ravel(), high.toarray().ravel()
