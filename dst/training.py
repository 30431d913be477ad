"""Training a sparse network: minibatches, topology updates, early stopping on the validation loss."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from dst.data.dataset import Part
from dst.engine import SparseEngine, TorchEngine
from dst.errors import DivergedError, InputError, unknown_name
from dst.kernels import linear
from dst.model import SparseMLP
from dst.schedules import SCHEDULES, share
from dst.sparsity import DISTRIBUTIONS
from dst.topology import METHODS


@dataclass(frozen=True)
class TrainingConfig:
    """How a network is built and trained; the defaults are the paper's.

    Attributes:
        method: a name in :data:`dst.topology.METHODS`.
        sparsity: share of connections that do not exist, in [0, 1); ignored by ``dense``.
        l2: coefficient of the L2 penalty, added to the gradient of every active weight and bias (coupled weight decay).
        lr: Adam's learning rate.
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
        ):
            if name not in valid:
                raise InputError(unknown_name(kind, name, valid))
        for rule, holds, given in (
            ("0 <= sparsity < 1", 0 <= self.sparsity < 1, self.sparsity),
            ("l2 >= 0", self.l2 >= 0, self.l2),
            ("lr > 0", self.lr > 0, self.lr),
            ("0 < drop_fraction < 1", 0 < self.drop_fraction < 1, self.drop_fraction),
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
    """A table kept feature-major, from which minibatches are gathered."""

    def __init__(self, part: Part, *, pad: bool) -> None:
        self._table = np.ascontiguousarray(part.x.T)
        self._labels = part.y
        self._pad = pad

    def rows(self, rows: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
        """Return ``x`` ``(n_features, batch)``, padded with zero columns for sparse layers, and labels."""
        width = linear.padded(len(rows)) if self._pad else len(rows)
        x = linear.aligned((self._table.shape[0], width))
        linear.gather(self._table, rows, x)
        return x, self._labels[rows]


def fit(
    train: Part,
    validation: Part,
    config: TrainingConfig,
    rng: np.random.Generator,
    on_epoch: Callable[[EpochEnd], None] = lambda _: None,
    input_importance: Callable[[], npt.NDArray[np.float64] | None] = lambda: None,
) -> FitResult:
    """Train a network and return it as it was at its lowest validation loss.

    Cross-entropy on logits over the classes, Adam, L2 as coupled weight decay. Every ``update_interval`` optimizer
    steps, the connections of each layer move (:func:`dst.topology.rewire`) where the method says so.

    Args:
        train: rows to train on.
        validation: rows that decide when to stop.
        config: the network and its training.
        rng: draws the network, the order of rows and grown connections, each from a stream of its own.
        on_epoch: called at the end of every epoch; what it raises ends the training.
        input_importance: how much each feature has mattered so far, float64 ``(n_features,)``, for methods that grow by
            importance; None while it is not known.

    Raises:
        DivergedError: a loss or a weight is not finite.
    """
    method = METHODS[config.method]
    to_init, to_shuffle, to_grow = rng.spawn(3)
    model = SparseMLP(
        train.x.shape[1],
        train.n_classes,
        hidden=config.hidden,
        sparsity=config.sparsity if method.sparse else None,
        distribution=config.distribution,
        rng=to_init,
    )
    engine = (SparseEngine if method.sparse else TorchEngine)(model, lr=config.lr, l2=config.l2)
    batches = _Batches(train, pad=engine.pad)
    held_out = _Batches(validation, pad=engine.pad).rows(np.arange(len(validation.y)))
    n_rows = len(train.y)
    steps_per_epoch = -(-n_rows // config.batch_size)
    total_steps = config.epochs * steps_per_epoch
    last_move = config.stop_fraction * total_steps

    curves = Curves()
    seconds = {"train": 0.0, "topology": 0.0, "evaluate": 0.0}
    best_epoch, best_loss, best_state = 0, np.inf, model.state_dict()
    step = 0
    for epoch in range(1, config.epochs + 1):
        order = to_shuffle.permutation(n_rows)
        loss_sum = 0.0
        for first in range(0, n_rows, config.batch_size):
            started = time.perf_counter()
            step += 1
            x, y = batches.rows(order[first : first + config.batch_size])
            loss_sum += engine.step(x, y) * len(y)
            stepped = time.perf_counter()
            seconds["train"] += stepped - started
            if isinstance(engine, SparseEngine) and step % config.update_interval == 0 and step <= last_move:
                moving = share(
                    SCHEDULES[config.schedule],
                    step,
                    total_steps,
                    initial=config.drop_fraction,
                    final=min(config.final_drop_fraction, config.drop_fraction),
                )
                engine.rewire(method, moving, to_grow, x, input_importance())
                seconds["topology"] += time.perf_counter() - stepped

        started = time.perf_counter()
        val_loss, val_accuracy = engine.evaluate(*held_out)
        train_loss = loss_sum / n_rows
        if not (np.isfinite(train_loss) and np.isfinite(val_loss)):
            raise DivergedError(
                f"the loss must stay finite, but epoch {epoch} ended with train_loss={train_loss}, "
                f"val_loss={val_loss} (lr={config.lr}, l2={config.l2})"
            )
        curves.train_loss.append(train_loss)
        curves.val_loss.append(val_loss)
        curves.val_accuracy.append(val_accuracy)
        improved = val_loss < best_loss
        if improved:
            best_epoch, best_loss = epoch, val_loss
            best_state = copy.deepcopy(model.state_dict())
        seconds["evaluate"] += time.perf_counter() - started
        on_epoch(EpochEnd(epoch, train_loss, val_loss, val_accuracy, improved, model))
        if epoch - best_epoch >= config.patience:
            break

    epochs = len(curves.val_loss)
    model.load_state_dict(best_state)
    return FitResult(
        model=model,
        best_epoch=best_epoch,
        val_loss=best_loss,
        val_accuracy=curves.val_accuracy[best_epoch - 1],
        epochs=epochs,
        curves=curves,
        flops=training_flops(sum(model.nnz), n_rows, epochs),
        seconds=seconds,
    )
