"""The measured networks and minibatches: sizes of four of the paper's datasets, with drawn numbers."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dst.errors import InputError, unknown_name
from dst.network.layers import SparseLinear
from dst.network.model import SparseMLP

LR = 1e-3
"""Adam's learning rate in every measured step."""

L2 = 1e-4
"""The coupled weight decay in every measured step."""


@dataclass(frozen=True)
class Shape:
    """The sizes of a network and of its minibatches.

    Attributes:
        name: what it is called in calls and results.
        features: number of inputs.
        classes: number of outputs.
        batch: rows in a minibatch.
        hidden: sizes of the hidden layers.
    """

    name: str
    features: int
    classes: int
    batch: int
    hidden: tuple[int, ...] = (1000, 100)


SHAPES: dict[str, Shape] = {
    "COIL20": Shape("COIL20", 1024, 20, 100),
    "BASEHOCK": Shape("BASEHOCK", 4862, 2, 32),
    "SMK": Shape("SMK", 19993, 2, 32),
    "Isolet": Shape("Isolet", 617, 26, 100),
}

DEFAULT_SHAPES = ("COIL20", "BASEHOCK", "SMK")
"""Those whose training steps and updates are measured unless others are named."""

SPARSITIES = (0.5, 0.8, 0.9, 0.95, 0.98)


@dataclass(frozen=True)
class Workload:
    """A network before its first step and the one minibatch that it is trained on.

    Attributes:
        model: all layers sparse.
        x: float32 ``(batch, n_features)``, standard normal.
        y: int64 ``(batch,)``.
    """

    model: SparseMLP
    x: npt.NDArray[np.float32]
    y: npt.NDArray[np.int64]

    @property
    def layers(self) -> list[SparseLinear]:
        """The network's layers from input to output."""
        return [layer for layer in self.model.linears if isinstance(layer, SparseLinear)]


def draw(shape: Shape, sparsity: float, rng: np.random.Generator) -> Workload:
    """Draw a network of this sparsity, shared out by the Erdos-Renyi rule, and a minibatch."""
    model = SparseMLP(shape.features, shape.classes, hidden=shape.hidden, sparsity=sparsity, rng=rng)
    x = rng.standard_normal((shape.batch, shape.features), dtype=np.float32)
    return Workload(model, x, rng.integers(0, shape.classes, shape.batch))


def named_shape(name: str) -> Shape:
    """Return the shape of :data:`SHAPES` with this name.

    Raises:
        InputError: there is none.
    """
    if name not in SHAPES:
        raise InputError(unknown_name("shape", name, SHAPES))
    return SHAPES[name]


def cases(shapes: Iterable[Shape], sparsities: Iterable[float]) -> list[tuple[Shape, float]]:
    """Return every shape with every sparsity.

    Raises:
        InputError: a sparsity outside (0, 1).
    """
    sparsities = list(sparsities)
    for sparsity in sparsities:
        if not 0 < sparsity < 1:
            raise InputError(f"0 < sparsity < 1 must hold, but got sparsity={sparsity}")
    return list(itertools.product(shapes, sparsities))
