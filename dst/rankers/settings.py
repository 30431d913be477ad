"""Settings of the rankers that train networks of their own, apart from these: they are checked without torch."""

from __future__ import annotations

import importlib.util
import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

from dst.errors import InputError, check_rules, unknown_name
from dst.training.config import DEVICES, TrainingConfig

WARM_UP_FEATURES = 64
"""Columns of the table that the settings of an autoencoder are checked, and its kernels warmed up, with."""


@dataclass(frozen=True)
class LassoNetConfig:
    """Settings of :func:`dst.rankers.lasso_net.rank_by_lassonet`.

    The defaults are the package's, but for the path's start and step.

    Attributes:
        M: hierarchy: how large a weight of the network may be over the skip connection of its input.
        units: units of the hidden layer.
        lambda_start: first penalty of the path. The package's own choice (``auto``) searches for longer than the path
            takes; columns of variance 1 leave from 10 to 1000 on.
        path_multiplier: factor from one penalty to the next, above 1.
        dense_iterations: the most passes over the rows before the path, without a penalty.
        path_iterations: the most passes at each penalty.
        device: ``cpu``, or ``cuda``: a GPU.
    """

    M: float = 10.0
    units: int = 100
    lambda_start: float = 5.0
    path_multiplier: float = 1.05
    dense_iterations: int = 1000
    path_iterations: int = 100
    device: str = "cpu"

    def __post_init__(self) -> None:
        if self.device not in DEVICES:
            raise InputError(unknown_name("device", self.device, DEVICES))
        check_rules(
            ("0 < M < inf", 0 < self.M < math.inf, f"M={self.M}"),
            ("units >= 1", self.units >= 1, f"units={self.units}"),
            ("0 < lambda_start < inf", 0 < self.lambda_start < math.inf, f"lambda_start={self.lambda_start}"),
            ("1 < path_multiplier", 1 < self.path_multiplier < math.inf, f"path_multiplier={self.path_multiplier}"),
            ("dense_iterations >= 1", self.dense_iterations >= 1, f"dense_iterations={self.dense_iterations}"),
            ("path_iterations >= 1", self.path_iterations >= 1, f"path_iterations={self.path_iterations}"),
        )
        if importlib.util.find_spec("lassonet") is None:
            raise InputError(
                "method lassonet needs the package lassonet, which is not installed: "
                "pip install 'dst-studies[lassonet]'"
            )


GROWTHS = {"gradient": "rigl", "random": "set"}
"""How connections and inputs come back in :mod:`dst.rankers.neurofs`, and the method that grows connections so."""


@dataclass(frozen=True)
class NeuroFsConfig:
    """Settings of :func:`dst.rankers.neurofs.rank_by_neurofs`; the defaults are the authors', but for the optimizer.

    Their gradient descent (learning rate 0.01, momentum 0.9) leaves a network that starts as ours do at chance after
    100 epochs of COIL20: here it is Adam.

    Attributes:
        inputs: how many inputs are wanted in the end, K; 0 (default): as many as a trial or a selector takes columns,
            which fill it in.
        zeta_inputs: share of all inputs that stays besides, and of those that have left that is tried again.
        zeta_hidden: share of each layer's connections that moves after each epoch but the last.
        growth: how connections grow and inputs come back: where the loss ``gradient`` is largest, or at ``random``.
        epsilon: connections of a layer over its neurons, ``epsilon (n_in + n_out)`` of them.
        hidden: sizes of the hidden layers.
        epochs: how many are trained, all of them.
        lr: learning rate.
        l2: coefficient of the L2 penalty.
        optimizer: ``adam`` or ``sgd`` (the authors').
        momentum: of ``sgd``.
        batch_size: rows in a minibatch.
        engine: what computes the layers, a name in :data:`dst.training.config.ENGINES`.
        threads: cores that training may use.
    """

    inputs: int = 0
    zeta_inputs: float = 0.2
    zeta_hidden: float = 0.3
    growth: str = "gradient"
    epsilon: float = 30.0
    hidden: tuple[int, ...] = (1000, 1000, 1000)
    epochs: int = 100
    lr: float = 1e-3
    l2: float = 1e-5
    optimizer: str = "adam"
    momentum: float = 0.9
    batch_size: int = 100
    engine: str = "auto"
    threads: int = 1

    def __post_init__(self) -> None:
        if self.growth not in GROWTHS:
            raise InputError(unknown_name("growth", self.growth, GROWTHS))
        check_rules(
            ("inputs >= 0", self.inputs >= 0, f"inputs={self.inputs}"),
            ("0 <= zeta_inputs < 1", 0 <= self.zeta_inputs < 1, f"zeta_inputs={self.zeta_inputs}"),
            ("0 < zeta_hidden < 1", 0 < self.zeta_hidden < 1, f"zeta_hidden={self.zeta_hidden}"),
            ("0 < epsilon < inf", 0 < self.epsilon < math.inf, f"epsilon={self.epsilon}"),
            (
                "one hidden layer or more, each of size >= 1,",
                len(self.hidden) > 0 and all(width >= 1 for width in self.hidden),
                f"hidden={self.hidden}",
            ),
            ("epochs >= 1", self.epochs >= 1, f"epochs={self.epochs}"),
            ("batch_size >= 1", self.batch_size >= 1, f"batch_size={self.batch_size}"),
        )
        self.training((WARM_UP_FEATURES, *self.hidden, 2), 1, WARM_UP_FEATURES)  # checks the rest

    def training(self, widths: Sequence[int], n_rows: int, staying: int) -> TrainingConfig:
        """Return the training of a network on a table.

        Layers have ``epsilon (n_in + n_out)`` of their ``n_in * n_out`` connections, all where that is more. Epsilon is
        lowered where inputs leave and the first layer's would fill more than half of the places at those that stay.

        Args:
            widths: units of the layers, inputs and outputs included.
            n_rows: rows of the table.
            staying: how many inputs stay.
        """
        room = staying * widths[1] * (0.5 if staying < widths[0] else 1.0)
        epsilon = min(self.epsilon, room / (widths[0] + widths[1]))
        shapes = list(itertools.pairwise(widths))
        connections = sum(min(n_in * n_out, epsilon * (n_in + n_out)) for n_in, n_out in shapes)
        return TrainingConfig(
            method=GROWTHS[self.growth],
            sparsity=1.0 - connections / sum(n_in * n_out for n_in, n_out in shapes),
            l2=self.l2,
            lr=self.lr,
            optimizer=self.optimizer,
            momentum=self.momentum,
            drop_fraction=self.zeta_hidden,
            schedule="constant",
            stop_fraction=1.0 - 0.5 / self.epochs,
            hidden=self.hidden,
            epochs=self.epochs,
            patience=self.epochs,
            batch_size=self.batch_size,
            update_interval=-(-n_rows // self.batch_size),
            engine=self.engine,
            threads=self.threads,
        )


@dataclass(frozen=True)
class QuickSelectionConfig:
    """Settings of :func:`dst.rankers.quickselection.rank_by_quickselection`.

    The defaults are the authors', but for the optimizer. Their gradient descent (learning rate 0.01, momentum 0.9)
    diverges on wide tables where hidden units are ReLU: here it is Adam. Of their two numbers of epochs, 10 and 100,
    the smaller was as good or better on the tables at hand.

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
        self.training(WARM_UP_FEATURES, 1)  # checks the rest

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


@dataclass(frozen=True)
class WastConfig:
    """Settings of :func:`dst.rankers.wast.rank_by_wast`; the defaults are the authors'.

    What they tune is ``lamda``: 0.9, on images 0.4, on their widest tables 0.01 and 0.001. Minibatches and epochs have
    names of their own because a trial fills ``batch_size`` in with its dataset's and a study ``epochs`` with its own.

    Attributes:
        lamda: weight of the reconstruction's error in a column's importance, in [0, 1]; the rest is of its strength.
        zeta: share of the connections that moves after each step (the authors' alpha).
        density: share of the connections that exist, in both layers.
        units: hidden units.
        input_noise: standard deviation of the noise on the inputs.
        dae_epochs: how many epochs are trained, all of them.
        dae_lr: learning rate of gradient descent.
        momentum: Nesterov's.
        dae_batch_size: rows in a minibatch.
        threads: cores that training may use.
    """

    lamda: float = 0.9
    zeta: float = 0.3
    density: float = 0.2
    units: int = 200
    input_noise: float = 0.2
    dae_epochs: int = 10
    dae_lr: float = 0.1
    momentum: float = 0.9
    dae_batch_size: int = 128
    threads: int = 1

    def __post_init__(self) -> None:
        check_rules(
            ("0 <= lamda <= 1", 0 <= self.lamda <= 1, f"lamda={self.lamda}"),
            ("0 < zeta < 1", 0 < self.zeta < 1, f"zeta={self.zeta}"),
            ("0 < density <= 1", 0 < self.density <= 1, f"density={self.density}"),
            ("units >= 1", self.units >= 1, f"units={self.units}"),
            ("0 <= input_noise < inf", 0 <= self.input_noise < math.inf, f"input_noise={self.input_noise}"),
            ("dae_epochs >= 1", self.dae_epochs >= 1, f"dae_epochs={self.dae_epochs}"),
            ("0 < dae_lr < inf", 0 < self.dae_lr < math.inf, f"dae_lr={self.dae_lr}"),
            ("0 <= momentum < 1", 0 <= self.momentum < 1, f"momentum={self.momentum}"),
            ("dae_batch_size >= 1", self.dae_batch_size >= 1, f"dae_batch_size={self.dae_batch_size}"),
            ("threads >= 1", self.threads >= 1, f"threads={self.threads}"),
        )
