"""A random order: the floor under every other ranker."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dst.data.dataset import Part
from dst.data.preparation import column_numbers
from dst.files.checkpoint import State
from dst.importance.metrics import random_importance
from dst.rankers.base import FeatureScores, OnEpoch


@dataclass(frozen=True)
class RandomConfig:
    """There is nothing to set."""


def rank_randomly(
    train: Part,
    validation: Part,
    config: RandomConfig,
    rng: np.random.Generator,
    on_epoch: OnEpoch,
    state: State | None = None,
) -> FeatureScores:
    """Give every column of the table a uniform random score; the metric is named ``random``.

    A column with several encodings has one score: more encodings must not mean a better chance.
    """
    scores = random_importance(column_numbers(train), rng)
    return FeatureScores(scores={"random": scores}, engine="none", seconds={})
