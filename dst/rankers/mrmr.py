"""mRMR as a ranker: the most relevant columns that are the least redundant.

Ding and Peng, "Minimum redundancy feature selection from microarray gene expression data", J. Bioinform. Comput. Biol.
2005, and Peng, Long and Ding, IEEE TPAMI 2005. Of their schemes these are FCQ and FCD (the F statistic, the mean
absolute correlation) with ``relevance: f_score``. With ``mutual_info`` relevance is that of their MIQ and MID, but
redundancy is not: information between columns of numbers would have to be estimated for every pair.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from dst.data.dataset import Part
from dst.data.preparation import column_numbers
from dst.errors import InputError, unknown_name
from dst.files.checkpoint import State
from dst.rankers.base import FeatureScores, OnEpoch
from dst.rankers.entering import EnteringConfig, scores_of_entering
from dst.rankers.filters import FScoreConfig, MutualInfoConfig, rank_by_f_score, rank_by_mutual_info
from dst.selection.columns import CentredColumns, Floats, Ints
from dst.selection.correlations import Correlations, mrmr


def f_statistics(train: Part, rng: np.random.Generator) -> Floats:
    """Return the F statistic of each encoded column, ``(n_encoded,)``; of a column as a whole at its first encoding.

    It is finite, though huge, of a column that separates the classes exactly.
    """
    (share,) = rank_by_f_score(train, train, FScoreConfig(), rng, lambda end: None).scores.values()
    n_classes = len(np.unique(train.y))
    within = np.maximum(1 - share, np.finfo(np.float64).eps)
    return np.asarray(share / within * (len(train.y) - n_classes) / (n_classes - 1), dtype=np.float64)


def information(train: Part, rng: np.random.Generator) -> Floats:
    """Return the mutual information of each encoded column and the classes, of the ranker ``mutual_info``."""
    (scores,) = rank_by_mutual_info(train, train, MutualInfoConfig(), rng, lambda end: None).scores.values()
    return scores


def quotient(relevance: Floats, followed: Correlations) -> Floats:
    """Return relevance over redundancy; a redundancy that chance alone would give counts as that.

    That is the selection rule ``mrmr`` (:func:`dst.selection.correlations.mrmr`) with the relevance as score. Without
    the limit, a column would win that happens to correlate with nothing.
    """
    return relevance * mrmr(followed, 1.0)


def difference(relevance: Floats, followed: Correlations) -> Floats:
    """Return relevance less redundancy, plus 1, so that it is positive; 0 of a column without relevance."""
    redundancy = followed.total / max(followed.n_entered, 1)
    return np.where(relevance > 0, 1 + relevance - redundancy, 0.0)


RELEVANCES: dict[str, Callable[[Part, np.random.Generator], Floats]] = {
    "f_score": f_statistics,
    "mutual_info": information,
}
"""Name -> what a column tells of the classes by itself."""

SCHEMES: dict[str, Callable[[Floats, Correlations], Floats]] = {"quotient": quotient, "difference": difference}
"""Name -> how relevance and redundancy become one."""


@dataclass(frozen=True)
class MrmrConfig(EnteringConfig):
    """Settings of :func:`rank_by_mrmr`.

    Attributes:
        relevance: a name in :data:`RELEVANCES`.
        scheme: a name in :data:`SCHEMES`. F statistics are large beside correlations, so that their ``difference``
            leaves the order of the filter nearly as it is; the authors prefer the ``quotient``.
    """

    relevance: str = "f_score"
    scheme: str = "quotient"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.relevance not in RELEVANCES:
            raise InputError(unknown_name("relevance", self.relevance, RELEVANCES))
        if self.scheme not in SCHEMES:
            raise InputError(unknown_name("scheme", self.scheme, SCHEMES))


def rank_by_mrmr(
    train: Part,
    validation: Part,
    config: MrmrConfig,
    rng: np.random.Generator,
    on_epoch: OnEpoch,
    state: State | None = None,
) -> FeatureScores:
    """Rank by the order in which columns enter, each the one of the best relevance beside its redundancy.

    Redundancy is the mean over the columns that have entered of ``|r|``, of columns with several encodings the root of
    the RV coefficient (:mod:`dst.selection.correlations`); the first column is the most relevant. The metric, named
    ``mrmr_order``, is 1 over the column's place (:func:`dst.rankers.entering.scores_of_entering`); columns without
    relevance do not enter. Relevance is that of the filter of the same name, where a column of categories counts as a
    whole and above chance.
    """
    started = time.perf_counter()
    of_encoded = RELEVANCES[config.relevance](train, rng)
    relevance = np.bincount(column_numbers(train), of_encoded).astype(np.float64)
    value = SCHEMES[config.scheme]

    def follow(columns: CentredColumns) -> Correlations:
        return Correlations(columns, len(train.y))

    def worth(followed: Correlations, columns: Ints) -> Floats:
        return value(relevance[columns], followed)

    scores = scores_of_entering(train, config.depth, rng, follow, worth)
    return FeatureScores({"mrmr_order": scores}, "none", {"train": time.perf_counter() - started})
