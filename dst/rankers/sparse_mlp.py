"""The sparse MLP as a ranker: train once, score the inputs by every metric."""

from __future__ import annotations

import time

import numpy as np

from dst.data.dataset import Part
from dst.importance import ImportanceHistory
from dst.rankers.base import FeatureScores, OnEpoch
from dst.topology import METHODS
from dst.training import EpochEnd, TrainingConfig, fit, training_flops


def rank_by_sparse_mlp(
    train: Part, validation: Part, config: TrainingConfig, rng: np.random.Generator, on_epoch: OnEpoch
) -> FeatureScores:
    """Rank by neuron strength and neuron attribution, summed over the epochs up to the best one."""
    to_train, to_sample = rng.spawn(2)
    history = ImportanceHistory(train.x, to_sample)
    rank_seconds = 0.0

    def observe(end: EpochEnd) -> None:
        nonlocal rank_seconds
        started = time.perf_counter()
        history.add(end)
        rank_seconds += time.perf_counter() - started
        on_epoch(end)

    result = fit(train, validation, config, to_train, observe, lambda: history.running("neuron_attribution"))
    nnz = result.model.nnz
    dense_size = result.model.dense_size
    return FeatureScores(
        scores=history.scores(),
        engine="sparse" if METHODS[config.method].sparse else "dense",
        seconds={**result.seconds, "rank": rank_seconds},
        val_loss=result.val_loss,
        val_accuracy=result.val_accuracy,
        epochs=result.epochs,
        best_epoch=result.best_epoch,
        nnz=tuple(nnz),
        dense_size=dense_size,
        flops=result.flops,
        flops_ratio=result.flops / training_flops(dense_size, len(train.y), result.epochs),
        curves=result.curves,
    )
