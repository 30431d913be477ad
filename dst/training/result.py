"""A training seen from outside: an epoch that ends, a step that begins, the trained network."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dst.network.model import SparseMLP
from dst.training.epochs import Curves, EpochReport


@dataclass(frozen=True)
class EpochEnd(EpochReport):
    """An epoch of a :class:`Trainer`.

    Attributes:
        model: the network as it is now, with masked layers where the engine is ``dense``; not to be changed.
        strength: returns the neuron strength of its inputs, float64 ``(n_inputs,)``; in a trial's callback that of the
            table's columns (:mod:`dst.rankers.whole_columns`).
    """

    model: SparseMLP
    strength: Callable[[], npt.NDArray[np.float64]]


@dataclass(frozen=True)
class FitResult:
    """A trained network and how it came about.

    Attributes:
        model: the network at its best epoch, on the CPU; layers with a sparsity are sparse, whatever the engine was.
        best_epoch: the epoch (from 1) with the lowest validation loss.
        val_loss: the validation loss of that epoch.
        val_accuracy: the network's validation accuracy (or R squared) at that epoch.
        epochs: how many were trained.
        curves: one value an epoch.
        flops: theoretical training FLOPs (:func:`training_flops`).
        seconds: wall time by phase: ``train`` (minibatch steps), ``topology``, ``evaluate``.
        engine: what trained it: ``sparse`` or ``dense``.
        memory: bytes that the engine held at the end, by kind (:meth:`dst.training.engines.engine.Engine.memory`).
    """

    model: SparseMLP
    best_epoch: int
    val_loss: float
    val_accuracy: float
    epochs: int
    curves: Curves
    flops: float
    seconds: dict[str, float]
    engine: str
    memory: dict[str, int]


@dataclass(frozen=True)
class StepStart:
    """A training step that is about to be taken.

    Attributes:
        model: the network before the step.
        index: the step's place in its epoch, from 0.
        count: steps of an epoch.
        rows: returns the step's minibatch, float32 ``(n, n_features)``.
        targets: what the loss compares its outputs with, int64 class codes ``(n,)`` or float32 ``(n, n_outputs)``.
    """

    model: SparseMLP
    index: int
    count: int
    rows: Callable[[], npt.NDArray[np.float32]]
    targets: npt.NDArray[np.int64] | npt.NDArray[np.float32]


def training_flops(connections: int, rows: int, epochs: int) -> float:
    """Return the theoretical count of training FLOPs: ``6 * connections * rows * epochs``.

    A connection costs one multiplication and one addition forward and twice that backward (Evci et al. 2020, appendix
    H); the paper's table 5 counts so. Biases, activations, the optimizer and topology updates are left out.
    """
    return 6.0 * connections * rows * epochs
