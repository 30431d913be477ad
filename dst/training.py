"""Training a sparse network: minibatches, topology updates, early stopping on the validation loss."""

from __future__ import annotations

import dataclasses
import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import numpy.typing as npt
import torch

from dst.checkpoint import State
from dst.data.dataset import Part
from dst.engine import OPTIMIZERS, Engine, SparseEngine, StepConfig, TorchEngine
from dst.errors import DivergedError, InputError, unknown_name
from dst.kernels import linear
from dst.model import SparseMLP
from dst.schedules import SCHEDULES, share
from dst.sparsity import DISTRIBUTIONS
from dst.topology import METHODS

_SPARSE_CHUNK = 128
"""Validation rows of a sparse table that are made dense at a time."""


@dataclass(frozen=True)
class TrainingConfig:
    """How a network is built and trained; the defaults are the paper's.

    Attributes:
        method: a name in :data:`dst.topology.METHODS`.
        sparsity: share of connections that do not exist, in [0, 1); ignored by ``dense``.
        l2: coefficient of the L2 penalty, added to the gradient of every active weight and bias (coupled weight decay).
        lr: learning rate.
        optimizer: ``adam`` or ``sgd`` (with momentum).
        momentum: of ``sgd``.
        dropout: share of each hidden layer's activations that a step sets to zero.
        drop_fraction: share of a layer's connections that moves in the first topology update.
        distribution: how connections are shared out among layers, a name in :data:`dst.sparsity.DISTRIBUTIONS`.
        schedule: how the share that moves falls, a name in :data:`dst.schedules.SCHEDULES`.
        stop_fraction: share of all optimizer steps after which connections stay where they are.
        hidden: sizes of the hidden layers.
        epochs: the most epochs that are trained.
        patience: epochs without a new lowest validation loss after which training stops.
        batch_size: rows in a minibatch.
        update_interval: optimizer steps between topology updates, counted over epochs.
        final_drop_fraction: share that moves at the end of a schedule that falls.
    """

    method: str = "set"
    sparsity: float = 0.9
    l2: float = 1e-4
    lr: float = 1e-3
    optimizer: str = "adam"
    momentum: float = 0.9
    dropout: float = 0.0
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

    def __post_init__(self) -> None:
        for kind, name, valid in (
            ("method", self.method, METHODS.keys()),
            ("distribution", self.distribution, DISTRIBUTIONS.keys()),
            ("schedule", self.schedule, SCHEDULES.keys()),
            ("optimizer", self.optimizer, OPTIMIZERS),
        ):
            if name not in valid:
                raise InputError(unknown_name(kind, name, valid))
        for rule, holds, given in (
            ("0 <= sparsity < 1", 0 <= self.sparsity < 1, self.sparsity),
            ("0 <= l2 < inf", 0 <= self.l2 < math.inf, self.l2),
            ("0 < lr < inf", 0 < self.lr < math.inf, self.lr),
            ("0 <= momentum < 1", 0 <= self.momentum < 1, self.momentum),
            ("0 <= dropout < 1", 0 <= self.dropout < 1, self.dropout),
            ("0 < drop_fraction < 1", 0 < self.drop_fraction < 1, self.drop_fraction),
            ("0 <= final_drop_fraction < 1", 0 <= self.final_drop_fraction < 1, self.final_drop_fraction),
            ("0 <= stop_fraction <= 1", 0 <= self.stop_fraction <= 1, self.stop_fraction),
            ("every hidden size >= 1", all(width >= 1 for width in self.hidden), self.hidden),
            ("epochs >= 1", self.epochs >= 1, self.epochs),
            ("patience >= 1", self.patience >= 1, self.patience),
            ("batch_size >= 1", self.batch_size >= 1, self.batch_size),
            ("update_interval >= 1", self.update_interval >= 1, self.update_interval),
        ):
            if not holds:
                name = next(word for word in rule.split() if word.isidentifier() and word in vars(self))
                raise InputError(f"{rule} must hold, but got {name}={given}")


@dataclass(frozen=True)
class EpochEnd:
    """What an ``on_epoch`` callback sees.

    Attributes:
        epoch: 1 for the first.
        train_loss: mean cross-entropy over the epoch's minibatches, before each step.
        val_loss: mean cross-entropy on the validation rows.
        val_accuracy: the network's accuracy on the validation rows.
        improved: whether this is the lowest validation loss so far.
        model: the network as it is now; not to be changed.
    """

    epoch: int
    train_loss: float
    val_loss: float
    val_accuracy: float
    improved: bool
    model: SparseMLP


@dataclass
class Curves:
    """One value an epoch."""

    train_loss: list[float] = field(default_factory=list)
    val_loss: list[float] = field(default_factory=list)
    val_accuracy: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class FitResult:
    """A trained network and how it came about.

    Attributes:
        model: the network at its best epoch.
        best_epoch: the epoch (from 1) with the lowest validation loss.
        val_loss: the validation loss of that epoch.
        val_accuracy: the network's validation accuracy at that epoch.
        epochs: how many were trained.
        curves: one value an epoch.
        flops: theoretical training FLOPs (:func:`training_flops`).
        seconds: wall time by phase: ``train`` (minibatch steps), ``topology``, ``evaluate``.
    """

    model: SparseMLP
    best_epoch: int
    val_loss: float
    val_accuracy: float
    epochs: int
    curves: Curves
    flops: float
    seconds: dict[str, float]


def training_flops(connections: int, rows: int, epochs: int) -> float:
    """Return the theoretical count of training FLOPs: ``6 * connections * rows * epochs``.

    A connection costs one multiplication and one addition forward and twice that backward (Evci et al. 2020, appendix
    H); the paper's table 5 counts so. Biases, activations, the optimizer and topology updates are left out.
    """
    return 6.0 * connections * rows * epochs


class _Batches:
    """A table from which minibatches are gathered: kept feature-major, or as it is where it is sparse."""

    def __init__(self, part: Part, *, pad: bool) -> None:
        self._n_features = part.x.shape[1]
        self._gather: Callable[[npt.NDArray[np.int64], npt.NDArray[np.float32]], None]
        if isinstance(part.x, np.ndarray):
            self._gather = partial(linear.gather, np.ascontiguousarray(part.x.T))
        else:
            parts = (part.x.indptr.astype(np.int64), part.x.indices.astype(np.int32), part.x.data)
            self._gather = partial(linear.gather_sparse, *parts)
        self._labels = part.y
        self._pad = pad

    def rows(self, rows: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
        """Return ``x`` ``(n_features, batch)``, padded with zero columns for sparse layers, and labels."""
        width = linear.padded(len(rows)) if self._pad else len(rows)
        x = linear.aligned((self._n_features, width))
        self._gather(rows, x)
        return x, self._labels[rows]


class _HeldOut:
    """The validation rows: gathered once, or a chunk at a time where the table is sparse and dense rows would not fit.

    Args:
        part: the rows.
        pad: see :class:`_Batches`.
    """

    def __init__(self, part: Part, *, pad: bool) -> None:
        self._batches = _Batches(part, pad=pad)
        self._n_rows = len(part.y)
        dense = isinstance(part.x, np.ndarray)
        self._whole = self._batches.rows(np.arange(self._n_rows)) if dense else None

    def evaluate(self, engine: Engine) -> tuple[float, float]:
        """Return the loss and the accuracy on all rows."""
        if self._whole is not None:
            return engine.evaluate(*self._whole)
        sums = np.zeros(2)
        for first in range(0, self._n_rows, _SPARSE_CHUNK):
            rows = np.arange(first, min(first + _SPARSE_CHUNK, self._n_rows))
            sums += np.array(engine.evaluate(*self._batches.rows(rows))) * len(rows)
        loss, accuracy = sums / self._n_rows
        return float(loss), float(accuracy)


class Trainer:
    """A training that goes epoch by epoch and can be saved between any two.

    Cross-entropy on logits over the classes, L2 as coupled weight decay. Every ``update_interval`` optimizer steps, the
    connections of each layer move (:func:`dst.topology.rewire`) where the method says so.

    Args:
        train: rows to train on.
        validation: rows that decide when to stop.
        config: the network and its training.
        rng: draws the network, the order of rows and grown connections, each from a stream of its own.
        input_importance: how much each feature has mattered so far, float64 ``(n_features,)``, for methods that grow by
            importance; None while it is not known.

    Attributes:
        model: the network as it is now.
        epoch: how many epochs were trained.
    """

    def __init__(
        self,
        train: Part,
        validation: Part,
        config: TrainingConfig,
        rng: np.random.Generator,
        input_importance: Callable[[], npt.NDArray[np.float64] | None] = lambda: None,
    ) -> None:
        self._config = config
        self._method = METHODS[config.method]
        to_init, self._to_shuffle, self._to_grow = rng.spawn(3)
        self.model = SparseMLP(
            train.x.shape[1],
            train.n_classes,
            hidden=config.hidden,
            sparsity=config.sparsity if self._method.sparse else None,
            distribution=config.distribution,
            rng=to_init,
        )
        steps = StepConfig(
            config.lr,
            config.l2,
            config.optimizer,
            config.momentum,
            config.dropout,
            seed=int(to_init.integers(2**63)),
        )
        self._engine = (SparseEngine if self._method.sparse else TorchEngine)(self.model, steps)
        self._batches = _Batches(train, pad=self._engine.pad)
        self._held_out = _HeldOut(validation, pad=self._engine.pad)
        self._n_rows = len(train.y)
        self._total_steps = config.epochs * -(-self._n_rows // config.batch_size)
        self._input_importance = input_importance
        self.epoch = 0
        self._step = 0
        self._curves = Curves()
        self._seconds = {"train": 0.0, "topology": 0.0, "evaluate": 0.0}
        self._best_epoch, self._best_loss = 0, math.inf
        self._best_state = self._copy_of_model()

    @property
    def done(self) -> bool:
        """Whether the epochs are used up or patience has ended."""
        config = self._config
        return self.epoch >= config.epochs or self.epoch - self._best_epoch >= config.patience

    def run_epoch(self) -> EpochEnd:
        """Train one epoch and evaluate on the validation rows.

        Raises:
            DivergedError: a loss or a weight is not finite.
        """
        config = self._config
        order = self._to_shuffle.permutation(self._n_rows)
        loss_sum = 0.0
        for first in range(0, self._n_rows, config.batch_size):
            started = time.perf_counter()
            self._step += 1
            x, y = self._batches.rows(order[first : first + config.batch_size])
            loss_sum += self._engine.step(x, y) * len(y)
            stepped = time.perf_counter()
            self._seconds["train"] += stepped - started
            if self._step % config.update_interval == 0 and self._step <= config.stop_fraction * self._total_steps:
                self._move_connections(x)
                self._seconds["topology"] += time.perf_counter() - stepped
        started = time.perf_counter()
        self.epoch += 1
        val_loss, val_accuracy = self._held_out.evaluate(self._engine)
        train_loss = loss_sum / self._n_rows
        if not (math.isfinite(train_loss) and math.isfinite(val_loss)):
            raise DivergedError(
                f"the loss must stay finite, but epoch {self.epoch} ended with train_loss={train_loss}, "
                f"val_loss={val_loss} (lr={config.lr}, l2={config.l2})"
            )
        self._curves.train_loss.append(train_loss)
        self._curves.val_loss.append(val_loss)
        self._curves.val_accuracy.append(val_accuracy)
        improved = val_loss < self._best_loss
        if improved:
            self._best_epoch, self._best_loss = self.epoch, val_loss
            self._best_state = self._copy_of_model()
        self._seconds["evaluate"] += time.perf_counter() - started
        return EpochEnd(self.epoch, train_loss, val_loss, val_accuracy, improved, self.model)

    def result(self) -> FitResult:
        """Return what was trained, with the network as it was at its best epoch; training is over then."""
        self.model.load_state_dict(self._best_state)
        return FitResult(
            model=self.model,
            best_epoch=self._best_epoch,
            val_loss=self._best_loss,
            val_accuracy=self._curves.val_accuracy[self._best_epoch - 1],
            epochs=self.epoch,
            curves=self._curves,
            flops=training_flops(sum(self.model.nnz), self._n_rows, self.epoch),
            seconds=self._seconds,
        )

    def state_dict(self) -> State:
        """Return all that the rest of the training depends on, besides what the constructor was given.

        A training that is constructed alike and given this state ends bitwise equal to one that was never interrupted
        (on the same machine, with the same number of threads).
        """
        arrays = {f"optimizer.{name}": array.copy() for name, array in self._engine.state().items()}
        for prefix, tensors in (("model", self._copy_of_model()), ("best", self._best_state)):
            arrays |= {f"{prefix}.{name}": tensor.numpy() for name, tensor in tensors.items()}
        progress = {
            "config": dataclasses.asdict(self._config),
            "epoch": self.epoch,
            "step": self._step,
            "best_epoch": self._best_epoch,
            "best_loss": self._best_loss,
            "curves": dataclasses.asdict(self._curves),
            "seconds": dict(self._seconds),
            "rng": {"shuffle": self._to_shuffle.bit_generator.state, "grow": self._to_grow.bit_generator.state},
        }
        return State(arrays, progress)

    def load_state_dict(self, state: State) -> None:
        """Go on from a state.

        Raises:
            ValueError: the state is of a training with other settings or another table's shape.
        """
        progress = state.progress
        # Through JSON, so that a state that was saved (tuples become lists) compares equal.
        mine, theirs = (json.loads(json.dumps(one)) for one in (dataclasses.asdict(self._config), progress["config"]))
        if mine != theirs:
            changed = sorted(key for key in mine.keys() | theirs.keys() if mine.get(key) != theirs.get(key))
            raise ValueError(f"the state is of a training with other settings: {', '.join(changed)} differ")

        def tensors(prefix: str) -> dict[str, torch.Tensor]:
            return {
                name.removeprefix(prefix): torch.from_numpy(array.copy())
                for name, array in state.arrays.items()
                if name.startswith(prefix)
            }

        try:
            self.model.load_state_dict(tensors("model."))
        except RuntimeError as error:
            raise ValueError(f"the state is of a network of another shape: {error}") from error
        self._best_state = tensors("best.")
        optimizer = {name: array for name, array in state.arrays.items() if name.startswith("optimizer.")}
        self._engine.load_state({name.removeprefix("optimizer."): array for name, array in optimizer.items()})
        self.epoch, self._step = progress["epoch"], progress["step"]
        self._best_epoch, self._best_loss = progress["best_epoch"], progress["best_loss"]
        self._curves = Curves(**{name: list(values) for name, values in progress["curves"].items()})
        self._seconds = dict(progress["seconds"])
        self._to_shuffle.bit_generator.state = progress["rng"]["shuffle"]
        self._to_grow.bit_generator.state = progress["rng"]["grow"]

    def _move_connections(self, x: npt.NDArray[np.float32]) -> None:
        config = self._config
        fraction = share(
            SCHEDULES[config.schedule],
            self._step,
            self._total_steps,
            initial=config.drop_fraction,
            final=min(config.final_drop_fraction, config.drop_fraction),
        )
        self._engine.rewire(self._method, fraction, self._to_grow, x, self._input_importance())

    def _copy_of_model(self) -> dict[str, torch.Tensor]:
        return {name: tensor.detach().clone() for name, tensor in self.model.state_dict().items()}


def fit(
    train: Part,
    validation: Part,
    config: TrainingConfig,
    rng: np.random.Generator,
    on_epoch: Callable[[EpochEnd], None] = lambda _: None,
    input_importance: Callable[[], npt.NDArray[np.float64] | None] = lambda: None,
) -> FitResult:
    """Train a network and return it as it was at its lowest validation loss.

    Args:
        train: see :class:`Trainer`, also for the next three and the last.
        validation: -
        config: -
        rng: -
        on_epoch: called at the end of every epoch; what it raises ends the training.
        input_importance: -

    Raises:
        DivergedError: a loss or a weight is not finite.
    """
    trainer = Trainer(train, validation, config, rng, input_importance)
    while not trainer.done:
        on_epoch(trainer.run_epoch())
    return trainer.result()
