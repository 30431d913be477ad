"""Rankers by name: a function each that scores the columns of a table."""

from __future__ import annotations

from dst.rankers.base import FeatureScores, OnEpoch, Ranker, check_k
from dst.rankers.registry import RANKERS, RankerEntry, make_config, method_groups, parameters, used_settings, with_k

__all__ = [
    "RANKERS",
    "FeatureScores",
    "OnEpoch",
    "Ranker",
    "RankerEntry",
    "check_k",
    "make_config",
    "method_groups",
    "parameters",
    "used_settings",
    "with_k",
]
