"""Greedy selection as a ranker: orthogonal matching pursuit on the labels, without scores of a model.

It is the selection rule ``greedy`` (:mod:`dst.selection.residuals`) with equal scores: what a network's scores have to
add to. Chen, Billings and Luo (1989) and Pati, Rezaiifar and Krishnaprasad (1993); for several outputs at once Tropp,
Gilbert and Strauss (Signal Processing 2006).
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

import numpy as np

from dst.data.dataset import Part
from dst.errors import check_rules
from dst.files.checkpoint import State
from dst.rankers.base import FeatureScores, OnEpoch
from dst.rankers.entering import EnteringConfig, scores_of_entering
from dst.selection.columns import CentredColumns, Floats, Ints, centred_labels
from dst.selection.residuals import RIDGE, LabelResiduals


@dataclass(frozen=True)
class GreedyConfig(EnteringConfig):
    """Settings of :func:`rank_by_greedy`.

    Attributes:
        ridge: the share of a column's variance that is added to what is left of it; near 0, the column enters that
            leaves the least of the labels, however little of the column is left; large, all columns are compared at
            their full length.
    """

    ridge: float = RIDGE

    def __post_init__(self) -> None:
        super().__post_init__()
        check_rules(("0 < ridge < inf", 0 < self.ridge < math.inf, f"ridge={self.ridge}"))


def rank_by_greedy(
    train: Part,
    validation: Part,
    config: GreedyConfig,
    rng: np.random.Generator,
    on_epoch: OnEpoch,
    state: State | None = None,
) -> FeatureScores:
    """Rank by the order in which columns enter, each the one that adds the most to what is known of the labels.

    The metric, named ``entry_order``, is 1 over the column's place (:func:`dst.rankers.entering.scores_of_entering`).
    Columns enter until ``depth`` of them have, or none adds anything: after as many as there are training rows at the
    latest. From a column with several encodings is taken what they add by chance more than one number does, so that a
    column of many categories does not enter for their number.
    """
    started = time.perf_counter()
    labels = centred_labels(train)

    def follow(columns: CentredColumns) -> LabelResiduals:
        return LabelResiduals(columns, labels, config.ridge)

    def worth(followed: LabelResiduals, columns: Ints) -> Floats:
        return followed.gain() - followed.gain_by_chance()

    scores = scores_of_entering(train, config.depth, rng, follow, worth)
    return FeatureScores({"entry_order": scores}, "none", {"train": time.perf_counter() - started})
