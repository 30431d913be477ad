"""QuickSelection: the strength of the inputs of a sparse denoising autoencoder, without labels.

Atashgahi, Sokar, van der Lee, Mocanu, Mocanu, Veldhuis and Pechenizkiy, "Quick and robust feature selection: the
strength of energy-efficient sparse training for autoencoders", Machine Learning 2022 (arXiv 2012.00560).
"""

from __future__ import annotations

import numpy as np

from dst.data.dataset import Part
from dst.files.checkpoint import State
from dst.rankers.base import FeatureScores, OnEpoch, run_to_the_end
from dst.rankers.settings import WARM_UP_FEATURES, QuickSelectionConfig
from dst.rankers.warm_up import warm_up
from dst.training.result import training_flops
from dst.training.trainer import Trainer


def warm_up_quickselection(config: QuickSelectionConfig, n_rows: int) -> None:
    """Do what only the first ranking in a process waits for."""
    warm_up(config.training(WARM_UP_FEATURES, n_rows), n_rows)


def rank_by_quickselection(
    train: Part,
    validation: Part,
    config: QuickSelectionConfig,
    rng: np.random.Generator,
    on_epoch: OnEpoch,
    state: State | None = None,
) -> FeatureScores:
    """Rank by neuron strength, the sum of an input's absolute weights, at the best epoch; labels are not read.

    The metric is named ``neuron_strength``. Here hidden units are ReLU and new connections start at 0 (the authors:
    sigmoid, normal draws), and reconstruction of the validation rows, which have no noise, picks the epoch (the
    authors: the last one).
    """
    n_rows, n_features = train.x.shape
    trainer = Trainer(train, validation, config.training(n_features, n_rows), rng)
    run_to_the_end(trainer, state, on_epoch)
    result = trainer.result()
    return FeatureScores(
        scores={"neuron_strength": result.model.linears[0].input_strength()},
        engine=result.engine,
        seconds=result.seconds,
        val_loss=result.val_loss,
        epochs=result.epochs,
        best_epoch=result.best_epoch,
        nnz=tuple(result.model.nnz),
        dense_size=result.model.dense_size,
        flops=result.flops,
        flops_ratio=result.flops / training_flops(result.model.dense_size, n_rows, result.epochs),
        curves=result.curves,
        memory=result.memory,
    )
