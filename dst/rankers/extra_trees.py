"""Extremely randomised trees as a ranker (Geurts, Ernst and Wehenkel, Machine Learning 2006)."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

from dst.data.dataset import Part
from dst.errors import check_rules
from dst.files.checkpoint import State
from dst.rankers.base import FeatureScores, OnEpoch
from dst.rankers.classifier import judge, judge_regression


@dataclass(frozen=True)
class ExtraTreesConfig:
    """Settings of :func:`rank_by_extra_trees`.

    Attributes:
        trees: how many.
        max_features: share of the columns that a split chooses among, in (0, 1]; the authors' K.
        min_samples_leaf: the fewest rows in a leaf; the authors' n_min, from the leaf's side.
    """

    trees: int = 500
    max_features: float = 0.1
    min_samples_leaf: int = 1

    def __post_init__(self) -> None:
        check_rules(
            ("trees >= 1", self.trees >= 1, f"trees={self.trees}"),
            ("0 < max_features <= 1", 0 < self.max_features <= 1, f"max_features={self.max_features}"),
            ("min_samples_leaf >= 1", self.min_samples_leaf >= 1, f"min_samples_leaf={self.min_samples_leaf}"),
        )


def rank_by_extra_trees(
    train: Part,
    validation: Part,
    config: ExtraTreesConfig,
    rng: np.random.Generator,
    on_epoch: OnEpoch,
    state: State | None = None,
) -> FeatureScores:
    """Rank by the mean decrease of Gini impurity, of numbers of variance, over all trees.

    The metric is named ``impurity_decrease``. Of numbers the loss is the mean squared error, the accuracy R squared.
    """
    from sklearn.ensemble import ExtraTreesClassifier, ExtraTreesRegressor

    started = time.perf_counter()
    trees = ExtraTreesClassifier if train.n_classes else ExtraTreesRegressor
    model = trees(
        n_estimators=config.trees,
        max_features=float(config.max_features),  # the whole number 1 would be one column
        min_samples_leaf=config.min_samples_leaf,
        random_state=int(rng.integers(2**31 - 1)),
        n_jobs=1,
    ).fit(train.x, train.y)
    val_loss, val_accuracy = (judge if train.n_classes else judge_regression)(model, validation)
    return FeatureScores(
        scores={"impurity_decrease": model.feature_importances_.astype(np.float64)},
        engine="scikit-learn",
        seconds={"train": time.perf_counter() - started},
        val_loss=val_loss,
        val_accuracy=val_accuracy,
    )
