"""The lasso as a ranker: least squares with an L1 penalty, on numbers, or on the classes as numbers.

Atashgahi et al. (ECAI 2024) list a lasso in table 4, of which neither the paper's text at hand nor its published code
says more than scikit-learn's name and a spread of 0 over seeds. Regressing on class codes would make class 3 lie
between 2 and 4, so here each class has a target of its own, as in discriminant analysis by optimal scoring.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dst.data.dataset import Part
from dst.errors import InputError
from dst.files.checkpoint import State
from dst.rankers.base import FeatureScores, OnEpoch
from dst.rankers.classifier import judge_regression


@dataclass(frozen=True)
class LassoConfig:
    """Settings of :func:`rank_by_lasso`.

    Attributes:
        alpha: strength of the L1 penalty, as in scikit-learn; with standardised columns no coefficient is left at 1.
        max_iter: the most passes over the columns.
    """

    alpha: float = 0.02
    max_iter: int = 5000

    def __post_init__(self) -> None:
        if not self.alpha > 0:
            raise InputError(f"alpha > 0 must hold, but got alpha={self.alpha}")
        if self.max_iter < 1:
            raise InputError(f"max_iter >= 1 must hold, but got max_iter={self.max_iter}")


def rank_by_lasso(
    train: Part,
    validation: Part,
    config: LassoConfig,
    rng: np.random.Generator,
    on_epoch: OnEpoch,
    state: State | None = None,
) -> FeatureScores:
    """Rank by the sum over classes of absolute coefficients; the metric is named ``lasso_coefficient``.

    Every class that the training rows have is regressed on by itself, coded 1 against 0 and scaled to mean 0 and
    variance 1, so that ``alpha`` means the same for rare and for frequent classes. Two classes have one regression.
    Numbers are regressed on as they are, scaled already, and the sum is over outputs. Nothing is drawn.
    """
    from sklearn.linear_model import Lasso

    started = time.perf_counter()
    # Coordinate descent reads columns; float64 spares a copy for each class.
    x = (
        np.asfortranarray(train.x, np.float64)
        if isinstance(train.x, np.ndarray)
        else train.x.astype(np.float64).tocsc()
    )
    if not train.n_classes:
        model = Lasso(alpha=config.alpha, max_iter=config.max_iter, random_state=0)
        coefficients = np.atleast_2d(model.fit(x, train.y.astype(np.float64)).coef_)
        return _scores(coefficients, judge_regression(model, validation)[1], started)
    labels = np.unique(train.y)
    members = np.stack([train.y == label for label in labels], axis=1).astype(np.float64)
    means, deviations = members.mean(axis=0), members.std(axis=0)
    targets = (members - means) / deviations
    if len(labels) == 2:
        targets = targets[:, 1:]
    # It draws a seed though it visits columns in order; without one of its own it would be from the global generator.
    model = Lasso(alpha=config.alpha, max_iter=config.max_iter, random_state=0).fit(x, targets)
    coefficients = np.atleast_2d(model.coef_)
    predicted = model.predict(validation.x).reshape(len(validation.y), -1)
    if len(labels) == 2:
        predicted = np.concatenate([-predicted, predicted], axis=1)
    share = predicted * deviations + means
    return _scores(coefficients, float((labels[share.argmax(axis=1)] == validation.y).mean()), started)


def _scores(coefficients: npt.NDArray[np.float64], val_accuracy: float, started: float) -> FeatureScores:
    return FeatureScores(
        scores={"lasso_coefficient": np.abs(coefficients).sum(axis=0).astype(np.float64)},
        engine="scikit-learn",
        seconds={"train": time.perf_counter() - started},
        val_accuracy=val_accuracy,
        nnz=(int(np.count_nonzero(coefficients)),),
        dense_size=int(coefficients.size),
    )
