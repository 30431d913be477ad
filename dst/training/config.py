"""The settings of a training."""

from __future__ import annotations

import math
from dataclasses import dataclass

from dst.errors import InputError, unknown_name
from dst.files.plain import make_plain
from dst.importance.metrics import HELD_OUT_METRICS, METRICS
from dst.network.sparsity import DISTRIBUTIONS
from dst.topology.methods import METHODS
from dst.topology.schedules import SCHEDULES

LOSSES = ("cross_entropy", "squared_error", "reconstruction")
"""Losses by name: cross-entropy on class codes; mean squared error on float targets, or on the inputs themselves."""

OPTIMIZERS = ("adam", "sgd")
"""Optimizers by name."""

ENGINES = ("auto", "sparse", "dense")
"""What computes layers with a sparsity: :mod:`dst.training.engines.choice` decides where it is ``auto``."""

DEVICES = ("cpu", "cuda")
"""Where a network can be trained."""

HISTORIES = ("best", "all", "best_epoch", "last")
"""What of a training counts for the importance of inputs."""

SAMPLINGS = ("per_epoch", "per_step")
"""When the importance of inputs is taken."""


@dataclass(frozen=True)
class TrainingConfig:
    """Settings of a network and its training; the defaults are the paper's.

    Attributes:
        method: a name in :data:`dst.topology.methods.METHODS`.
        sparsity: share of connections that do not exist, in [0, 1); ignored by ``dense``.
        l2: coefficient of the L2 penalty, added to the gradient of every active weight and bias (coupled weight decay).
        lr: learning rate.
        optimizer: ``adam`` or ``sgd`` (with momentum).
        momentum: of ``sgd``.
        dropout: share of each hidden layer's activations that a step sets to zero.
        label_smoothing: share of a training row's target that is spread evenly over all classes (Szegedy et al. 2016),
            with the loss ``cross_entropy`` only. Validation rows keep their labels: trainings that differ in it stop,
            and are compared, by the same loss.
        group_penalty: strength of a group lasso on the first layer (Yuan and Lin 2006): after each step the weights w
            of an input's n connections are multiplied by ``max(0, 1 - lr * group_penalty * sqrt(n) / ||w||)``. Losses
            are reported without it.
        drop_fraction: share of a layer's connections that moves in the first topology update.
        distribution: how connections are shared out among layers, a name in :data:`dst.network.sparsity.DISTRIBUTIONS`.
        schedule: how the share that moves falls, a name in :data:`dst.topology.schedules.SCHEDULES`.
        stop_fraction: share of all optimizer steps after which connections stay where they are.
        hidden: sizes of the hidden layers.
        epochs: the most epochs that are trained.
        patience: epochs without a new lowest validation loss after which training stops.
        batch_size: rows in a minibatch.
        update_interval: optimizer steps between topology updates, counted over epochs.
        final_drop_fraction: share that moves at the end of a schedule that falls.
        loss: ``cross_entropy`` on class codes, ``squared_error`` on float targets, or ``reconstruction`` of the input
            (squared error, as many outputs as features).
        input_noise: standard deviation of the normal noise that a step adds to its inputs (a denoising autoencoder,
            with ``reconstruction``); validation rows have none.
        engine: what computes layers with a sparsity: ``sparse``, ``dense`` (masked matrices) or ``auto``, which
            :func:`dst.training.engines.choice.choose_engine` decides. The method ``dense`` has no sparsity and is
            always ``dense``.
        device: ``cpu``, or ``cuda``: a GPU, where the engine is ``dense``.
        threads: cores that training may use.
        importances: the metrics that inputs are ranked by, names in
            :data:`dst.importance.metrics.METRICS` and :data:`dst.importance.metrics.HELD_OUT_METRICS`.
        history: what counts of them: the sum up to the ``best`` epoch or over ``all``, or the value at the
            ``best_epoch`` or at the ``last`` epoch alone (with ``per_step``: at the last step of that epoch).
        sampling: when they are taken: ``per_epoch`` (once, in its middle where they are summed up and at its end where
            one epoch counts, on rows drawn anew) or ``per_step`` (before each step on its minibatch, as in the paper).
            ``loss_gradient`` is a sum in which what was taken before loses a tenth each time: it remembers about ten
            epochs or, as its authors have it, ten steps.
        importance_rows: training rows that gradients are taken on ``per_epoch``.
    """

    method: str = "set"
    sparsity: float = 0.9
    l2: float = 1e-4
    lr: float = 1e-3
    optimizer: str = "adam"
    momentum: float = 0.9
    dropout: float = 0.0
    label_smoothing: float = 0.0
    group_penalty: float = 0.0
    drop_fraction: float = 0.3
    distribution: str = "er"
    schedule: str = "cosine"
    stop_fraction: float = 1.0
    hidden: tuple[int, ...] = (1000, 100)
    epochs: int = 200
    patience: int = 50
    batch_size: int = 100
    update_interval: int = 10
    final_drop_fraction: float = 0.005
    loss: str = "cross_entropy"
    input_noise: float = 0.0
    engine: str = "auto"
    device: str = "cpu"
    threads: int = 1
    importances: tuple[str, ...] = ("neuron_strength", "neuron_attribution")
    history: str = "best"
    sampling: str = "per_epoch"
    importance_rows: int = 16

    def __post_init__(self) -> None:
        make_plain(self)
        for kind, name, valid in (
            ("method", self.method, METHODS.keys()),
            ("distribution", self.distribution, DISTRIBUTIONS.keys()),
            ("schedule", self.schedule, SCHEDULES.keys()),
            ("optimizer", self.optimizer, OPTIMIZERS),
            ("loss", self.loss, LOSSES),
            ("engine", self.engine, ENGINES),
            ("device", self.device, DEVICES),
            ("history", self.history, HISTORIES),
            ("sampling", self.sampling, SAMPLINGS),
            *(("importance", name, METRICS.keys() | HELD_OUT_METRICS.keys()) for name in self.importances),
        ):
            if name not in valid:
                raise InputError(unknown_name(kind, name, valid))
        for rule, holds, given in (
            ("0 <= sparsity < 1", 0 <= self.sparsity < 1, self.sparsity),
            ("0 <= l2 < inf", 0 <= self.l2 < math.inf, self.l2),
            ("0 < lr < inf", 0 < self.lr < math.inf, self.lr),
            ("0 <= momentum < 1", 0 <= self.momentum < 1, self.momentum),
            ("0 <= dropout < 1", 0 <= self.dropout < 1, self.dropout),
            ("0 <= label_smoothing < 1", 0 <= self.label_smoothing < 1, self.label_smoothing),
            ("0 <= group_penalty < inf", 0 <= self.group_penalty < math.inf, self.group_penalty),
            ("0 < drop_fraction < 1", 0 < self.drop_fraction < 1, self.drop_fraction),
            ("0 <= final_drop_fraction < 1", 0 <= self.final_drop_fraction < 1, self.final_drop_fraction),
            ("0 <= stop_fraction <= 1", 0 <= self.stop_fraction <= 1, self.stop_fraction),
            ("every hidden size >= 1", all(width >= 1 for width in self.hidden), self.hidden),
            ("epochs >= 1", self.epochs >= 1, self.epochs),
            ("patience >= 1", self.patience >= 1, self.patience),
            ("batch_size >= 1", self.batch_size >= 1, self.batch_size),
            ("update_interval >= 1", self.update_interval >= 1, self.update_interval),
            ("0 <= input_noise < inf", 0 <= self.input_noise < math.inf, self.input_noise),
            ("threads >= 1", self.threads >= 1, self.threads),
            ("importance_rows >= 1", self.importance_rows >= 1, self.importance_rows),
            ("importances not empty", len(self.importances) > 0, self.importances),
        ):
            if not holds:
                name = next(word for word in rule.split() if word.isidentifier() and word in vars(self))
                raise InputError(f"{rule} must hold, but got {name}={given}")
        if self.loss != "cross_entropy" and any(name in HELD_OUT_METRICS for name in self.importances):
            raise InputError(
                f"importances {', '.join(HELD_OUT_METRICS)} need class labels (loss cross_entropy), but got {self.loss}"
            )
        if self.loss != "cross_entropy" and self.label_smoothing > 0:
            raise InputError(
                "label_smoothing needs class labels (loss cross_entropy), "
                f"but got label_smoothing={self.label_smoothing} with loss {self.loss}"
            )
        if METHODS[self.method].follows_attribution and "neuron_attribution" not in self.importances:
            raise InputError(
                f"method {self.method} grows by neuron_attribution, so importances must include it, "
                f"but got importances={self.importances}"
            )
        if self.engine == "sparse" and self.device != "cpu":
            raise InputError(
                f"engine sparse runs on device cpu only, but got device={self.device}: take engine auto or dense there"
            )
