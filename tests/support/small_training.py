"""Two small parts of a table, settings with which a network learns them in less than a second, and what came of it."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from dst.data.dataset import Part
from dst.rankers import FeatureScores


def parts(seed: int = 0, n: int = 150, n_features: int = 30) -> tuple[Part, Part]:
    """Two classes that the first two columns decide."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, n_features)).astype(np.float32)
    y = (x[:, 0] + x[:, 1] > 0).astype(np.int64)
    return Part(x[:100], y[:100], 2), Part(x[100:], y[100:], 2)


SMALL = {"hidden": (40, 20), "epochs": 12, "patience": 12, "batch_size": 16, "update_interval": 3}


def comparable(scores: FeatureScores) -> dict[str, Any]:
    """Everything but what was measured of the machine."""
    plain = dataclasses.asdict(dataclasses.replace(scores, seconds={}, memory={}))
    return {**plain, "scores": {name: one.tolist() for name, one in scores.scores.items()}}
