"""L1 logistic regression as a ranker: the one-second baseline that a sparse network has to beat."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

from dst.data.dataset import Part
from dst.errors import InputError
from dst.files.checkpoint import State
from dst.rankers.base import FeatureScores, OnEpoch
from dst.rankers.classifier import judge


@dataclass(frozen=True)
class L1LogisticConfig:
    """Settings of :func:`rank_by_l1_logistic`.

    Attributes:
        C: inverse strength of the L1 penalty, as in scikit-learn.
    """

    C: float = 1.0

    def __post_init__(self) -> None:
        if not self.C > 0:
            raise InputError(f"C > 0 must hold, but got C={self.C}")


def rank_by_l1_logistic(
    train: Part,
    validation: Part,
    config: L1LogisticConfig,
    rng: np.random.Generator,
    on_epoch: OnEpoch,
    state: State | None = None,
) -> FeatureScores:
    """Rank by the sum over classes of absolute coefficients, one-vs-rest, solved by liblinear.

    The metric is named ``l1_coefficient``. Columns with a zero coefficient in every class have score 0, so that they
    come last, in random order (:func:`dst.scoring.rank_columns`).
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.multiclass import OneVsRestClassifier

    started = time.perf_counter()
    model = OneVsRestClassifier(
        LogisticRegression(l1_ratio=1.0, C=config.C, solver="liblinear", random_state=int(rng.integers(2**31 - 1)))
    )
    model.fit(train.x, train.y)
    coefficients = np.vstack([estimator.coef_ for estimator in model.estimators_])
    val_loss, val_accuracy = judge(model, validation)
    return FeatureScores(
        scores={"l1_coefficient": np.abs(coefficients).sum(axis=0).astype(np.float64)},
        engine="scikit-learn",
        seconds={"train": time.perf_counter() - started},
        val_loss=val_loss,
        val_accuracy=val_accuracy,
        nnz=(int(np.count_nonzero(coefficients)),),
        dense_size=int(coefficients.size),
    )
