"""Which engine trains a network: the sparse one, or torch on masked dense matrices."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch

from dst.engine import Engine, SparseEngine, StepConfig
from dst.errors import InputError
from dst.layers import SparseLinear
from dst.model import SparseMLP
from dst.torch_engine import TorchEngine

ENGINES = ("auto", "sparse", "dense")
DEVICES = ("cpu", "cuda")

DENSE_FROM_DENSITY = 0.8
"""Density from which a dense step is the faster one, in networks of :data:`DENSE_FROM_WEIGHTS` or more.

With one thread, a step of the sparse engine took 0.97 to 1.2 times as long as :class:`~dst.torch_engine.TorchEngine`'s
at density 0.8 in networks D-1000-100-C (D from 500 to 4862, batches of 32 and 100), 0.6 of it at 0.5, and 1.2 to 1.6
times at density 1.
"""

DENSE_FROM_WEIGHTS = 250_000
"""Weights of the dense network below which its matrix products are too short to pay for their calls: with 175,000
weights the sparse engine is as fast at density 1, with 80,000 faster, with 2000 five times as fast."""


def choose_engine(engine: str, device: str, *, connections: int, weights: int) -> str:
    """Return ``sparse`` or ``dense``: which of them trains a network with masks or connection lists.

    ``auto`` is decided by numbers that are known beforehand, never by a measurement, so that a study chooses alike on
    every machine: ``dense`` on a GPU, and on a CPU where at least :data:`DENSE_FROM_DENSITY` of at least
    :data:`DENSE_FROM_WEIGHTS` weights exist.

    Args:
        engine: a name in :data:`ENGINES`.
        device: a name in :data:`DEVICES`.
        connections: of the network.
        weights: that the dense network of its shape has.
    """
    if engine != "auto":
        return engine
    if device != "cpu":
        return "dense"
    return "dense" if weights >= DENSE_FROM_WEIGHTS and connections >= DENSE_FROM_DENSITY * weights else "sparse"


def check_device(device: str) -> None:
    """Refuse a device that this machine does not have.

    Raises:
        InputError: ``cuda`` where torch finds no GPU.
    """
    if device == "cuda" and not torch.cuda.is_available():
        build = f"is built for CUDA {torch.version.cuda}" if torch.version.cuda else "is built without CUDA"
        raise InputError(
            "device cuda needs a GPU that torch can use, but torch.cuda.is_available() is false "
            f"(torch {torch.__version__} {build}): use device=cpu, or install torch for CUDA on a machine with a GPU"
        )


def make_engine(model: SparseMLP, steps: StepConfig, engine: str, device: str) -> tuple[SparseMLP, Engine]:
    """Return the network that is trained and what takes its steps.

    Args:
        model: the network as it starts; what comes back is this one or, for ``dense``, a masked copy.
        steps: how steps are taken.
        engine: ``sparse`` or ``dense``.
        device: where.
    """
    if engine == "sparse":
        return model, SparseEngine(model, steps)
    masked = model.masked() if any(isinstance(layer, SparseLinear) for layer in model.linears) else model
    return masked, TorchEngine(masked, steps, device)


@contextlib.contextmanager
def torch_threads(count: int) -> Iterator[None]:
    """Let torch compute with this many threads inside the context."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
