"""QuickSelection: the strength of the inputs of a sparse denoising autoencoder, without labels.

Atashgahi, Sokar, van der Lee, Mocanu, Mocanu, Veldhuis and Pechenizkiy, "Quick and robust feature selection: the
strength of energy-efficient sparse training for autoencoders", Machine Learning 2022 (arXiv 2012.00560).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from dst.data.dataset import Part
from dst.errors import check_rules
from dst.files.checkpoint import State
from dst.rankers.base import FeatureScores, OnEpoch, run_to_the_end
from dst.rankers.warm_up import warm_up
from dst.training.trainer import Trainer, TrainingConfig, training_flops

_WARM_UP_FEATURES = 64


@dataclass(frozen=True)
class QuickSelectionConfig:
    """Settings of :func:`rank_by_quickselection`; the defaults are the authors', but for the optimizer.

    Their gradient descent (learning rate 0.01, momentum 0.9) diverges on wide tables where hidden units are ReLU: here
    it is Adam. Of their two numbers of epochs, 10 and 100, the smaller was as good or better on the tables at hand.

    Attributes:
        epsilon: connections of a layer over its neurons, ``epsilon (n_in + n_out)`` of them.
        zeta: share of the connections that moves after each epoch but the last.
        units: hidden units.
        input_noise: standard deviation of the noise on the inputs.
        dae_epochs: the most epochs that are trained.
        patience: epochs without a new lowest reconstruction error of validation rows after which training stops.
        dae_lr: learning rate of Adam.
        l2: coefficient of the L2 penalty.
        batch_size: rows in a minibatch.
        threads: cores that training may use.
    """

    epsilon: float = 13.0
    zeta: float = 0.2
    units: int = 1000
    input_noise: float = 0.2
    dae_epochs: int = 10
    patience: int = 50
    dae_lr: float = 1e-3
    l2: float = 1e-5
    batch_size: int = 100
    threads: int = 1

    def __post_init__(self) -> None:
        check_rules(
            ("0 < epsilon < inf", 0 < self.epsilon < math.inf, f"epsilon={self.epsilon}"),
            ("0 < zeta < 1", 0 < self.zeta < 1, f"zeta={self.zeta}"),
            ("units >= 1", self.units >= 1, f"units={self.units}"),
            ("dae_epochs >= 1", self.dae_epochs >= 1, f"dae_epochs={self.dae_epochs}"),
        )
        self.training(_WARM_UP_FEATURES, 1)  # checks the rest

    def training(self, n_features: int, n_rows: int) -> TrainingConfig:
        """Return the training of the autoencoder on a table of this size.

        Both layers have ``epsilon (n_features + units)`` of ``n_features * units`` connections, all where that is more;
        connections move after each epoch but the last.
        """
        density = min(1.0, self.epsilon * (n_features + self.units) / (n_features * self.units))
        return TrainingConfig(
            method="set",
            sparsity=1.0 - density,
            l2=self.l2,
            lr=self.dae_lr,
            drop_fraction=self.zeta,
            schedule="constant",
            stop_fraction=1.0 - 0.5 / self.dae_epochs,
            hidden=(self.units,),
            epochs=self.dae_epochs,
            patience=self.patience,
            batch_size=self.batch_size,
            update_interval=-(-n_rows // self.batch_size),
            loss="reconstruction",
            input_noise=self.input_noise,
            engine="sparse",
            threads=self.threads,
        )


def warm_up_quickselection(config: QuickSelectionConfig, n_rows: int) -> None:
    """Do what only the first ranking in a process waits for."""
    warm_up(config.training(_WARM_UP_FEATURES, n_rows), n_rows)


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
