"""Choice of the engine that trains a network: the sparse one, or torch on masked dense matrices."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator
from typing import ParamSpec, TypeVar

import torch

from dst.errors import InputError
from dst.network.layers import SparseLinear
from dst.network.model import SparseMLP
from dst.training.engines.engine import Engine, StepConfig
from dst.training.engines.sparse import SparseEngine
from dst.training.engines.torch import TorchEngine

P = ParamSpec("P")
R = TypeVar("R")

DENSE_FROM_DENSITY = 0.9
"""Density from which a dense step is the faster one, given the next two.

With one thread, networks D-1000-100-C (D from 500 to 4862) and batches of 100 and 256, a step of
:class:`~dst.training.engines.torch.TorchEngine` took 0.74 to 0.93 times as long as the sparse engine's at density 0.9,
0.84 to 1.35 times at 0.8, 1.3 to 2.2 times at 0.5.
"""

DENSE_FROM_WEIGHTS = 250_000
"""Weights of the dense network below which its matrix products are too short to pay for their calls: with 175,000
weights and batches of 100 the sparse engine is as fast at density 1, with 2000 five times as fast."""

DENSE_FROM_BATCH = 64
"""Rows in a minibatch below which dense products wait for the weights: with 32 rows the sparse engine is as fast at
density 1 (1.0 to 1.2 times)."""


def choose_engine(engine: str, device: str, *, connections: int, weights: int, batch_size: int) -> str:
    """Return ``sparse`` or ``dense``: which of them trains a network with masks or connection lists.

    ``auto`` is decided by numbers that are known beforehand, never by a measurement, so that a study chooses alike on
    every machine: ``dense`` on a GPU, and on a CPU where at least :data:`DENSE_FROM_DENSITY` of at least
    :data:`DENSE_FROM_WEIGHTS` weights exist and minibatches have :data:`DENSE_FROM_BATCH` rows or more.

    Args:
        engine: a name in :data:`dst.training.config.ENGINES`.
        device: a name in :data:`dst.training.config.DEVICES`.
        connections: of the network.
        weights: that the dense network of its shape has.
        batch_size: rows in a minibatch.
    """
    if engine != "auto":
        return engine
    if device != "cpu":
        return "dense"
    large = weights >= DENSE_FROM_WEIGHTS and batch_size >= DENSE_FROM_BATCH
    return "dense" if large and connections >= DENSE_FROM_DENSITY * weights else "sparse"


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


def with_gradients(function: Callable[P, R]) -> Callable[P, R]:
    """Decorate what trains, so that it does inside a caller's ``torch.no_grad`` or ``torch.inference_mode`` too.

    Tensors that are made in inference mode can never be trained, so that what makes them is decorated as well.
    """

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        with torch.inference_mode(False), torch.enable_grad():
            return function(*args, **kwargs)

    return call


@contextlib.contextmanager
def torch_defaults() -> Iterator[None]:
    """Let torch make float32 tensors on the CPU inside the context, with gradients, for a package that names neither.

    The default type is the whole process's.
    """
    dtype = torch.get_default_dtype()
    on_cpu = torch.get_default_device().type == "cpu"  # the mode costs time in every call
    torch.set_default_dtype(torch.float32)
    try:
        with (
            torch.inference_mode(False),
            torch.enable_grad(),
            contextlib.nullcontext() if on_cpu else torch.device("cpu"),
        ):
            yield
    finally:
        torch.set_default_dtype(dtype)
