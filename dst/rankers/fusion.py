"""Fusion: the mean rank that several rankers give a column.

Rankers err in different ways: what a network, a linear model and trees rank first together is less often a column that
one of them took up by chance. Only orders count, so that no member's scale does (Borda's count).
"""

from __future__ import annotations

import dataclasses
from functools import partial

import numpy as np

from dst.data.dataset import Part
from dst.data.preparation import at_first_encoding, column_numbers
from dst.files.checkpoint import State
from dst.rankers.base import FeatureScores, OnEpoch
from dst.rankers.fusion_config import FusionConfig
from dst.rankers.in_turn import InTurn, added_up, mean_of
from dst.rankers.registry import RANKERS, make_config
from dst.rankers.scores import mean_ranks
from dst.rankers.successive import rank_table
from dst.training.epochs import EpochReport


def rank_by_fusion(
    train: Part,
    validation: Part,
    config: FusionConfig,
    rng: np.random.Generator,
    on_epoch: OnEpoch,
    state: State | None = None,
) -> FeatureScores:
    """Rank by the mean over rankers of each column's rank; the metric is named ``mean_rank``.

    Each member ranks the table's columns as it does alone, above chance where columns have several encodings, with its
    own stream of draws: the i-th of ``rng``. Reports of those that train are reports of no first training: an epoch of
    a member cannot be compared with a ranking. A state goes on in the middle of a member; members without epochs that
    come before it are not run again.

    Returns:
        Costs are those of all members (:func:`dst.rankers.in_turn.added_up`). ``val_loss`` and ``val_accuracy`` are
        means over the members' models, None where a member has none (or, of the loss, is no classifier).
    """
    numbers = column_numbers(train)
    n_columns = int(numbers.max()) + 1
    if train.origin is not None:
        train, validation = (dataclasses.replace(part, origin=numbers) for part in (train, validation))

    def at_epoch(end: EpochReport) -> None:
        on_epoch(
            EpochReport(
                end.epoch,
                end.train_loss,
                end.val_loss,
                end.val_accuracy,
                end.improved,
                end.state,
                first_training=False,
            )
        )

    turns = InTurn(config, at_epoch, state)
    rankings = {}
    for member, stream in zip(config.members, rng.spawn(len(config.members)), strict=True):
        settings = make_config(member, config.settings[member])
        rank = partial(rank_table, member, train, validation, settings, stream, n_features=n_columns)
        rankings[member] = turns.run(rank)
    counting = [
        ranking.scores[config.importance if RANKERS[member].is_network else RANKERS[member].metrics[0]]
        for member, ranking in rankings.items()
    ]
    losses = [each.val_loss if RANKERS[member].classifies else None for member, each in rankings.items()]
    result = FeatureScores(
        scores={"mean_rank": at_first_encoding(mean_ranks(counting), numbers)},
        engine="none",
        seconds={},
        val_loss=mean_of(losses),
        val_accuracy=mean_of([each.val_accuracy for each in rankings.values()]),
        device=next((each.device for each in rankings.values() if each.device != "cpu"), "cpu"),
    )
    return added_up(list(rankings.values()), result)


def warm_up_members(config: FusionConfig, n_rows: int) -> None:
    """Do for each member what its first ranking in a process would wait for.

    Args:
        config: of the fusion.
        n_rows: training rows.
    """
    for member in config.members:
        RANKERS[member].warm_up(make_config(member, config.settings[member]), n_rows)
