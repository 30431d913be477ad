"""A ranking of the columns of a table, whatever their encodings: each is scored as a whole, above chance.

On a table without encodings a ranker's scores are the columns'. On others they are pooled by column, and what a copy of
the column without effect gets is taken off, as :mod:`dst.data.shadows` derives.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri

from dst.data.dataset import Part
from dst.data.shadows import Columns, columns_of, with_shadows
from dst.files.checkpoint import State
from dst.rankers.base import FeatureScores, OnEpoch
from dst.rankers.registry import RANKERS
from dst.training.epochs import EpochReport
from dst.training.result import EpochEnd

Scores = npt.NDArray[np.float64]


@dataclass(frozen=True)
class ColumnRule:
    """The way from a metric's scores of encoded columns to scores of columns.

    Attributes:
        pooling: a name in :data:`dst.data.shadows.POOLINGS`.
        above_chance: whether the score of the column's shadow is taken off. Not where the expectation under no effect
            is 0 already: a test statistic that counts degrees of freedom, a loss of accuracy on held-out rows. Nor of
            an order or of ranks, whose differences mean nothing: what decides them is above chance.
        scale: what is done to the scores of columns and shadows before, float64 to float64, rising.
    """

    pooling: str = "sum"
    above_chance: bool = True
    scale: Callable[[Scores], Scores] = lambda scores: scores


def probits(probabilities: Scores) -> Scores:
    """Return ``Phi^-1(p)``: of gates mu over sigma, where open ones differ that all have a probability of nearly 1."""
    return np.asarray(ndtri(np.clip(probabilities, 2.0**-24, 1 - 2.0**-24)), dtype=np.float64)


COLUMN_RULES: dict[str, ColumnRule] = {
    "attention_order": ColumnRule(),
    "entry_order": ColumnRule(above_chance=False),
    "f_score": ColumnRule(above_chance=False),
    "gate_probability": ColumnRule(scale=probits),
    "gradient_x_input": ColumnRule(),
    "impurity_decrease": ColumnRule("root_sum"),
    "integrated_gradients": ColumnRule(),
    "l1_coefficient": ColumnRule("root_mean_square"),
    "lasso_coefficient": ColumnRule("root_mean_square"),
    "loss_gradient": ColumnRule("root_mean_square"),
    "mean_rank": ColumnRule(above_chance=False),
    "mrmr_order": ColumnRule(above_chance=False),
    "mutual_info": ColumnRule(above_chance=False),
    "neuron_attribution": ColumnRule("root_mean_square"),
    "neuron_importance": ColumnRule("root_mean_square", above_chance=False),
    "neuron_strength": ColumnRule("root_mean_square"),
    "path_lambda": ColumnRule(),
    "permutation": ColumnRule(above_chance=False),
    "random": ColumnRule(above_chance=False),
    "row_norm": ColumnRule("root_mean_square"),
    "squared_gradient": ColumnRule("mean"),
}
"""Metric -> its rule. A ranker that reads no labels has no shadows: there is no effect to take away."""


def rank_whole_columns(
    method: str,
    train: Part,
    validation: Part,
    config: Any,
    rng: np.random.Generator,
    on_epoch: OnEpoch,
    state: State | None = None,
    *,
    n_features: int,
) -> FeatureScores:
    """Run a ranker and return scores of the table's columns, float64 ``(n_features,)`` by metric.

    What the ranker says of its model (sizes, FLOPs, losses) is of the model with shadows, where there are some.

    Args:
        method: a name in :data:`dst.rankers.RANKERS`.
        train: rows to fit on.
        validation: rows that decide when to stop.
        config: the ranker's settings.
        rng: draws; on a table without encodings the ranker alone draws from it.
        on_epoch: called at the end of every epoch; ``strength`` of an :class:`dst.training.result.EpochEnd` is by
            column too.
        state: where to go on from; None: from the beginning.
        n_features: columns of the table.
    """
    ranker = RANKERS[method]
    if train.origin is None:
        return ranker.rank(train, validation, config, rng, on_epoch, state)
    if ranker.reads_labels and any(COLUMN_RULES[metric].above_chance for metric in ranker.metrics):
        train, validation, columns = with_shadows(train, validation, n_features, rng.spawn(1)[0])
    else:
        columns = columns_of(train, n_features)

    def at_epoch(end: EpochReport) -> None:
        if isinstance(end, EpochEnd):
            of_inputs = end.strength
            end = dataclasses.replace(end, strength=lambda: whole_scores("neuron_strength", of_inputs(), columns))
        on_epoch(end)

    ranking = ranker.rank(train, validation, config, rng, at_epoch, state)
    scores = {metric: whole_scores(metric, encoded, columns) for metric, encoded in ranking.scores.items()}
    return dataclasses.replace(ranking, scores=scores)


def whole_scores(metric: str, encoded: Scores, columns: Columns) -> Scores:
    """Return one score for each column of the table, float64 ``(n_features,)``.

    Args:
        metric: a name in :data:`COLUMN_RULES`.
        encoded: scores of the encoded columns, float64 ``(n_encoded,)``.
        columns: which encoded column belongs to which column or shadow.
    """
    rule = COLUMN_RULES[metric]
    pooled = columns.pooled(encoded, rule.pooling)
    return columns.above_chance(rule.scale(pooled)) if rule.above_chance else pooled[: columns.n_features]
