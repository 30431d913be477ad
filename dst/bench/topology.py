"""One topology update of a whole network, beside a training step of it and of the dense network."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from dst.bench.clock import median_ms, thread_limit
from dst.bench.peers import Ours
from dst.bench.shapes import Shape, cases, draw
from dst.bench.torch_peers import TorchDense
from dst.errors import InputError
from dst.topology.methods import METHODS

UPDATED_METHODS = ("set", "rigl")

DROP_FRACTION = 0.3
"""Share of the connections that every update moves: as many as a training's first update does by default."""


@dataclass(frozen=True)
class TopologyRow:
    """Median milliseconds.

    Attributes:
        shape: name of the shape.
        sparsity: of the whole network.
        method: a name in :data:`dst.topology.methods.METHODS`.
        step_ms: a training step of the sparse engine.
        update_ms: an update of all layers, at :data:`DROP_FRACTION`.
        dense_step_ms: a training step of the dense network in torch with fused Adam.
    """

    shape: str
    sparsity: float
    method: str
    step_ms: float
    update_ms: float
    dense_step_ms: float


def topology_rows(
    shapes: Iterable[Shape],
    sparsities: Iterable[float],
    *,
    methods: Iterable[str] = UPDATED_METHODS,
    threads: int = 1,
    seconds: float = 5.0,
    seed: int = 0,
) -> Iterator[TopologyRow]:
    """Measure topology updates; yield a row for each shape, sparsity and method as soon as it is there.

    Every update moves the topology that the last one left, after a training step that gives the grown connections a
    weight. The next step is taken on what the update made, so nothing that an update must rebuild is left out.

    Args:
        shapes: what to measure.
        sparsities: in (0, 1).
        methods: names in :data:`dst.topology.methods.METHODS` of methods that grow connections.
        threads: for training steps, torch and BLAS; an update but for its dense gradients takes one.
        seconds: about how long the measurement of one row lasts, beside setting it up.
        seed: draws networks, minibatches and grown connections.

    Raises:
        InputError: a sparsity outside (0, 1), or a method that moves nothing.
    """
    for (shape, sparsity), method in itertools.product(cases(shapes, sparsities), methods):
        with thread_limit(threads):
            row = _measured(shape, sparsity, method, threads, seconds, np.random.default_rng(seed))
        yield row


def _measured(
    shape: Shape, sparsity: float, method: str, threads: int, seconds: float, rng: np.random.Generator
) -> TopologyRow:
    work = draw(shape, sparsity, rng)
    dense, ours = TorchDense(work), Ours(work, threads)
    moves = METHODS[method]
    if moves.grow is None:
        raise InputError(f"the method must move connections, but got method={method!r}")

    def update() -> None:
        ours.engine.rewire(moves, DROP_FRACTION, rng, ours.x)

    for warm_up in (dense.step, ours.step, update, ours.step):
        warm_up()
    turns = {"step": (ours.step, ours.step), "update": (ours.step, update), "dense": (dense.step, dense.step)}
    ms = median_ms(turns, seconds)
    return TopologyRow(shape.name, sparsity, method, ms["step"], ms["update"], ms["dense"])
