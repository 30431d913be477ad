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
    """Give every column a uniform random score; the metric is named ``random``."""
    return FeatureScores(scores={"random": rng.random((train.x.shape[1],))}, engine="none", seconds={})
