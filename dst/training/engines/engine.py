"""The contract of an engine: given a model and its optimizer settings, it takes steps on minibatches and evaluates.

Minibatches are feature-major. Sparse layers have :class:`dst.training.engines.sparse.SparseEngine`, dense and masked
ones :class:`dst.training.engines.torch.TorchEngine`; :mod:`dst.training.engines.choice` chooses.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from dst.errors import InputError
from dst.kernels.losses import Targets
from dst.topology.methods import Method
from dst.topology.update import Update

Floats = npt.NDArray[np.float32]
Restrict = Callable[[Update], Update]


def anywhere(update: Update) -> Update:
    """Return an update as it is: connections may grow at any input."""
    return update


@dataclass(frozen=True)
class StepConfig:
    """Settings of an optimizer step.

    Attributes:
        lr: learning rate.
        l2: coupled weight decay on connections and biases.
        optimizer: ``adam`` or ``sgd``.
        momentum: of ``sgd``.
        dropout: share of each hidden layer's activations that a step sets to zero.
        seed: of dropout, 64 bits.
        batch_size: samples in a minibatch.
        threads: how many share the work of a step, at least 1.
        label_smoothing: of the cross-entropy (:func:`dst.kernels.losses.cross_entropy`).
        group_penalty: after a step the connections of each input of the first layer shrink together, by
            :func:`dst.kernels.groups.shrink_inputs` with ``lr * group_penalty``; 0: they do not.
    """

    lr: float
    l2: float = 0.0
    optimizer: str = "adam"
    momentum: float = 0.9
    dropout: float = 0.0
    seed: int = 0
    batch_size: int = 100
    threads: int = 1
    label_smoothing: float = 0.0
    group_penalty: float = 0.0

    def __post_init__(self) -> None:
        for name, value in (("batch_size", self.batch_size), ("threads", self.threads)):
            if value < 1:
                raise InputError(f"{name} >= 1 must hold, but got {name}={value}")


class Engine(Protocol):
    """Takes training steps on a model, whose parameters it changes in place.

    Targets are int64 class codes ``(n,)`` for mean cross-entropy, or float32 ``(n_outputs, n)`` for mean squared error
    (regression, or the reconstruction of an autoencoder).
    """

    width: int
    """Minibatches are padded with zero columns to a multiple of this."""

    def step(self, x: Floats, y: Targets) -> float:
        """Take an optimizer step on a minibatch; return its loss before the step, smoothed labels included.

        Args:
            x: float32 ``(n_features, columns)``, C order: the n samples, and zeros up to a multiple of ``width``.
            y: targets of the n samples.
        """

    def evaluate(self, x: Floats, y: Targets) -> tuple[float, float]:
        """Return loss and accuracy on samples ``x`` ``(n_features, columns)``, padded likewise.

        Labels are not smoothed here. The accuracy of float targets is their share of explained variance (R squared).
        """

    def rewire(
        self,
        method: Method,
        fraction: float,
        rng: np.random.Generator,
        x: Floats,
        input_importance: npt.NDArray[np.float64] | None = None,
        restrict: Restrict = anywhere,
    ) -> int:
        """Move connections of every layer (:func:`dst.topology.rewire.rewire`), and return how many moved.

        Args:
            method: how; nothing happens where its connections never move.
            fraction: the share that moves.
            rng: draws.
            x: the minibatch of the last step.
            input_importance: how much each feature has mattered so far, float64 ``(n_features,)``, or None.
            restrict: returns the first layer's update with the inputs that are allowed.
        """

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """Return the optimizer's arrays by name; they may be the live ones."""

    def load_state(self, state: Mapping[str, npt.NDArray[Any]]) -> None:
        """Take over the optimizer's arrays, and note that the model has been replaced."""

    def memory(self) -> dict[str, int]:
        """Return the bytes that are held, by kind.

        ``parameters`` (weights and biases), ``indices`` (what says where connections are: index arrays or masks),
        ``moments`` (of the optimizer), ``activations`` (of one minibatch, with their gradients; 0 before the first
        step) and ``gradients`` (of parameters).
        """


def accuracy(loss: float, hits: float, y: Targets) -> float:
    """Return the share of hits of class codes, or for float targets their share of explained variance (R squared).

    Args:
        loss: mean squared error; not used for class codes.
        hits: share of class codes that were hit; not used for float targets.
        y: targets, as engines take them.
    """
    if y.dtype == np.float32:
        spread = float(np.mean((y - y.mean(axis=1, keepdims=True)) ** 2))
        return 1 - loss / spread if spread > 0 else 0.0
    return hits
