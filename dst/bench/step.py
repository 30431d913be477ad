"""One whole training step, static topology: the sparse engine and its peers."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from dst.bench.clock import median_ms, thread_limit
from dst.bench.peers import PEERS, Ours
from dst.bench.shapes import Shape, cases, draw

_AGREEMENT = 1e-3
"""Relative difference of losses above which a peer does not train the same network."""


@dataclass(frozen=True)
class StepRow:
    """Median milliseconds of a training step.

    Attributes:
        shape: name of the shape.
        batch: rows in the minibatch.
        sparsity: of the whole network.
        method: what the topology does: ``static``.
        ours_ms: the sparse engine.
        torch_dense_ms: the dense network.
        torch_masked_ms: weights and gradients multiplied by masks.
        torch_csr_ms: torch's CSR products.
        scipy_ms: scipy.sparse and NumPy.
        ratio_vs_torch_dense: how many times faster than the dense network the sparse engine is.
    """

    shape: str
    batch: int
    sparsity: float
    method: str
    ours_ms: float
    torch_dense_ms: float
    torch_masked_ms: float
    torch_csr_ms: float
    scipy_ms: float
    ratio_vs_torch_dense: float


def step_rows(
    shapes: Iterable[Shape], sparsities: Iterable[float], *, threads: int = 1, seconds: float = 10.0, seed: int = 0
) -> Iterator[StepRow]:
    """Measure training steps; yield a row for each shape and sparsity as soon as it is there.

    Args:
        shapes: what to measure.
        sparsities: in (0, 1).
        threads: for the sparse engine, torch and BLAS; scipy.sparse takes one.
        seconds: about how long the measurement of one row lasts, beside setting it up.
        seed: draws networks and minibatches.

    Raises:
        InputError: a sparsity outside (0, 1).
        RuntimeError: a peer does not compute the same losses.
    """
    for shape, sparsity in cases(shapes, sparsities):
        with thread_limit(threads):
            row = _measured(shape, sparsity, threads, seconds, np.random.default_rng(seed))
        yield row


def _measured(shape: Shape, sparsity: float, threads: int, seconds: float, rng: np.random.Generator) -> StepRow:
    work = draw(shape, sparsity, rng)
    steps = {"ours": Ours(work, threads).step, **{name: make(work).step for name, make in PEERS.items()}}
    # The first steps compile and allocate. The loss of the second shows what the first did to the weights; that of the
    # dense network differs then, since all its weights have moved.
    losses = {name: [step(), step()] for name, step in steps.items()}
    for name, (first, second) in losses.items():
        expected = losses["ours"]
        if not math.isclose(first, expected[0], rel_tol=_AGREEMENT) or (
            name != "torch_dense" and not math.isclose(second, expected[1], rel_tol=_AGREEMENT)
        ):
            raise RuntimeError(
                f"peers must compute the same losses, but the first two of {name} are {first}, {second} and ours "
                f"{expected[0]}, {expected[1]} ({shape.name} at {sparsity})"
            )
    turns = {name: (step, step) for name, step in steps.items()}
    ms = median_ms(turns, seconds, may_sit_out=("torch_masked", "torch_csr", "scipy"))
    return StepRow(
        shape=shape.name,
        batch=shape.batch,
        sparsity=sparsity,
        method="static",
        ours_ms=ms["ours"],
        torch_dense_ms=ms["torch_dense"],
        torch_masked_ms=ms["torch_masked"],
        torch_csr_ms=ms["torch_csr"],
        scipy_ms=ms["scipy"],
        ratio_vs_torch_dense=ms["torch_dense"] / ms["ours"],
    )
