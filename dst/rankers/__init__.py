"""Rankers by name: a function each that scores the columns of a table."""

from __future__ import annotations

from dst.rankers.base import FeatureScores, OnEpoch, Ranker
from dst.rankers.registry import RANKERS, RankerEntry, make_config, parameters, used_settings

__all__ = [
    "RANKERS",
    "FeatureScores",
    "OnEpoch",
    "Ranker",
    "RankerEntry",
    "make_config",
    "parameters",
    "used_settings",
]
