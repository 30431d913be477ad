"""A random order: the floor under every other ranker."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dst.checkpoint import State
from dst.data.dataset import Part
from dst.rankers.base import FeatureScores, OnEpoch, at_first_encoding, column_numbers


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
    columns = column_numbers(train)
    scores = at_first_encoding(rng.random((columns.max() + 1,)), columns)
    return FeatureScores(scores={"random": scores}, engine="none", seconds={})
