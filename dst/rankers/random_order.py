"""A random order: the floor under every other ranker."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dst.checkpoint import State
from dst.data.dataset import Part
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

    A column with several encodings has its score at the first of them: these are summed up, and more encodings must not
    mean a better chance.
    """
    origin = np.arange(train.x.shape[1]) if train.origin is None else train.origin
    columns, first = np.unique(origin, return_index=True)
    scores = np.zeros(len(origin))
    scores[first] = rng.random((len(columns),))
    return FeatureScores(scores={"random": scores}, engine="none", seconds={})
