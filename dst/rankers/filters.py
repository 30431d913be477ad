"""Filters: each column scored by itself, without a model of all."""

from __future__ import annotations

import time
import warnings
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dst.checkpoint import State
from dst.data.dataset import Matrix, Part
from dst.errors import InputError
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
    separates the classes exactly. A constant column has 0. Nothing is drawn.
    """
    from sklearn.feature_selection import f_classif

    started = time.perf_counter()
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.filterwarnings("ignore", "Features .* are constant", UserWarning)
        f, _ = f_classif(train.x.astype(np.float64), train.y)
    labels = len(np.unique(train.y))
    f = np.maximum(np.nan_to_num(f, nan=0.0, posinf=np.inf), 0.0)  # rounding: below 0 by a hair
    between = np.ones_like(f)
    finite = np.isfinite(f)
    between[finite] = f[finite] / (f[finite] + (len(train.y) - labels) / (labels - 1))
    between[_constant(train.x)] = 0.0  # whose F is rounding over rounding
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

    Columns of at most two values, such as encodings, are counted exactly; others are estimated from nearest neighbours
    (B. C. Ross, "Mutual information between discrete and continuous data sets", PLoS ONE 2014), for which ``rng`` draws
    the noise that parts equal values.
    """
    from sklearn.feature_selection import mutual_info_classif

    started = time.perf_counter()
    seed = int(rng.integers(2**31 - 1))
    n_features = train.x.shape[1]
    scores = np.zeros(n_features)
    for first in range(0, n_features, _COLUMNS):
        x = _dense(train.x[:, first : first + _COLUMNS])
        discrete = np.array([len(np.unique(column)) <= 2 for column in x.T])
        for chosen in (discrete, ~discrete):
            if chosen.any():
                scores[first : first + x.shape[1]][chosen] = mutual_info_classif(
                    _codes(x[:, chosen]) if chosen is discrete else x[:, chosen],
                    train.y,
                    discrete_features=chosen is discrete,
                    n_neighbors=config.n_neighbors,
                    random_state=seed,
                )
    return FeatureScores({"mutual_info": scores}, "scikit-learn", {"train": time.perf_counter() - started})


def _dense(x: Matrix) -> npt.NDArray[np.float32]:
    return x if isinstance(x, np.ndarray) else x.toarray()


def _codes(x: npt.NDArray[np.float32]) -> npt.NDArray[np.int64]:
    """Return columns of two values as 0 and 1: scaled ones are no whole numbers, which a count needs."""
    return np.asarray(x > x.min(axis=0), np.int64)


def _constant(x: Matrix) -> npt.NDArray[np.bool_]:
    low, high = (x.min(axis=0), x.max(axis=0)) if isinstance(x, np.ndarray) else _extremes(x)
    return np.asarray(low == high)


def _extremes(x: Matrix) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    low, high = x.min(axis=0), x.max(axis=0)
    return low.toarray().ravel(), high.toarray().ravel()
