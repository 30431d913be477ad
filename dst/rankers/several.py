"""A ranking by several networks, trained alike with draws of their own, whose scores are combined.

What one network sees in a column depends on where its first connections lay: over several trainings that averages out.
It also makes columns that repeat one another agree, so that the top K of a mean repeats more than that of one network:
a gain where each column adds something, a loss of accuracy at small K where columns repeat.
"""

from __future__ import annotations

import dataclasses
from functools import partial

import numpy as np

from dst.data.dataset import Part
from dst.files.checkpoint import State
from dst.rankers.base import FeatureScores, OnEpoch
from dst.rankers.in_turn import InTurn, in_all, mean_of
from dst.rankers.networks_config import NetworksConfig
from dst.rankers.scores import COMBINATIONS
from dst.rankers.whole_columns import rank_whole_columns


def rank_by_networks(
    method: str,
    train: Part,
    validation: Part,
    config: NetworksConfig,
    rng: np.random.Generator,
    on_epoch: OnEpoch,
    state: State | None = None,
    *,
    n_features: int,
) -> FeatureScores:
    """Train ``config.networks`` networks and return their combined scores, float64 ``(n_features,)`` by metric.

    With one network this is :func:`dst.rankers.whole_columns.rank_whole_columns`, whose arguments it takes: same draws,
    same states. With several, network i has the i-th stream of ``rng``, however many there are.

    Returns:
        Costs are those of all networks (:func:`dst.rankers.in_turn.in_all`), ``val_loss`` and ``val_accuracy`` means
        over them; ``best_epoch`` is that of the network with the lowest loss, counted over all; ``nnz``, ``dense_size``
        and ``engine`` are the first's.
    """
    rank = partial(rank_whole_columns, method, train, validation, config.training, n_features=n_features)
    if config.networks == 1:
        return rank(rng, on_epoch, state)
    turns = InTurn(config, on_epoch, state)
    rankings = [turns.run(partial(rank, stream)) for stream in rng.spawn(config.networks)]
    combine = COMBINATIONS[config.combine]
    first = rankings[0]
    result = dataclasses.replace(
        first,
        scores={metric: combine([ranking.scores[metric] for ranking in rankings]) for metric in first.scores},
        val_loss=mean_of([ranking.val_loss for ranking in rankings]),
        val_accuracy=mean_of([ranking.val_accuracy for ranking in rankings]),
        best_epoch=_best_epoch(rankings),
    )
    return in_all(rankings, result)


def _best_epoch(rankings: list[FeatureScores]) -> int:
    best = int(np.argmin([ranking.curves.val_loss[ranking.best_epoch - 1] for ranking in rankings]))
    return sum(ranking.epochs for ranking in rankings[:best]) + rankings[best].best_epoch
