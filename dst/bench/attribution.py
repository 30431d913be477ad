"""One exact attribution of a network's inputs, beside torch's Jacobian of the masked network."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from dst.bench.clock import median_ms, thread_limit
from dst.bench.peers import Ours
from dst.bench.shapes import Shape, cases, draw
from dst.data.dataset import Part
from dst.importance.metrics import Scores, neuron_attribution
from dst.network.layers import MaskedLinear
from dst.network.model import SparseMLP
from dst.topology.methods import METHODS
from dst.training.config import TrainingConfig
from dst.training.importance_history import ImportanceHistory
from dst.training.result import StepStart

ROWS = 100
"""Rows of an exact call."""

TRAINING_ROWS = {"COIL20": 921, "Isolet": 998, "BASEHOCK": 1275, "SMK": 119}
"""Rows that the paper's split trains on: 64% of the dataset's."""


@dataclass(frozen=True)
class AttributionRow:
    """Median milliseconds.

    Attributes:
        shape: name of the shape.
        sparsity: of the whole network.
        ours_ms: :func:`dst.importance.metrics.neuron_attribution` on :data:`ROWS` rows.
        jacrev_ms: the same by ``torch.func.vmap(jacrev)`` of the masked network's logits alone, without hidden outputs.
        ratio: the second over the first.
        share_of_training: what an epoch's importances take by default, over the epoch's steps and SET updates at the
            mean drop fraction; evaluation is left out. None where a shape is no dataset's.
    """

    shape: str
    sparsity: float
    ours_ms: float
    jacrev_ms: float
    ratio: float
    share_of_training: float | None


def attribution_rows(
    shapes: Iterable[Shape], sparsities: Iterable[float], *, threads: int = 1, seconds: float = 5.0, seed: int = 0
) -> Iterator[AttributionRow]:
    """Measure attribution; yield a row for each shape and sparsity as soon as it is there.

    Args:
        shapes: what to measure.
        sparsities: in (0, 1).
        threads: for torch and BLAS; ours takes one.
        seconds: about how long the measurement of one row lasts, beside setting it up.
        seed: draws networks and rows.

    Raises:
        InputError: a sparsity outside (0, 1).
        RuntimeError: the two disagree.
    """
    for shape, sparsity in cases(shapes, sparsities):
        with thread_limit(threads):
            row = _measured(shape, sparsity, seconds, np.random.default_rng(seed))
        yield row


def _masked_network(model: SparseMLP) -> Callable[[torch.Tensor], torch.Tensor]:
    """Return the logits of one row as a function; masks are applied beforehand, which is the faster way."""
    *hidden, last = [
        (layer.masked_weight().detach(), layer.bias.detach())
        for layer in model.masked().linears
        if isinstance(layer, MaskedLinear)
    ]

    def logits(x: torch.Tensor) -> torch.Tensor:
        for weight, bias in hidden:
            x = torch.relu(nn.functional.linear(x, weight, bias))
        return nn.functional.linear(x, *last)

    return logits


def _measured(shape: Shape, sparsity: float, seconds: float, rng: np.random.Generator) -> AttributionRow:
    work = draw(shape, sparsity, rng)
    rows = rng.standard_normal((ROWS, shape.features), dtype=np.float32)
    per_row = torch.func.vmap(torch.func.jacrev(_masked_network(work.model)))
    tensor = torch.from_numpy(rows)
    peer = Ours(work)

    def theirs() -> torch.Tensor:
        return per_row(tensor).abs().mean(dim=0).sum(dim=0)  # type: ignore[no-any-return]

    def ours() -> Scores:
        return neuron_attribution(work.model, rows)

    config = TrainingConfig()

    table = rng.standard_normal((TRAINING_ROWS.get(shape.name, ROWS), shape.features), dtype=np.float32)
    steps = -(-len(table) // shape.batch)
    labels = np.zeros(len(table), np.int64)
    history = ImportanceHistory(Part(table, labels, shape.classes), rng, config)
    middle = StepStart(work.model, steps // 2, steps, lambda: rows, labels[: len(rows)])

    def sample() -> None:
        history.add_step(middle)

    def update() -> None:  # the mean share over a cosine
        peer.engine.rewire(METHODS["set"], (config.drop_fraction + config.final_drop_fraction) / 2, rng, peer.x)

    if not np.allclose(ours(), theirs().numpy(), rtol=1e-3, atol=1e-6):
        raise RuntimeError(f"both must find the same attribution, but at {shape.name}, sparsity {sparsity} do not")
    exact = median_ms({"ours": (ours, ours), "theirs": (theirs, theirs)}, seconds / 2, may_sit_out=("theirs",))
    for warm_up in (peer.step, update, sample, peer.step):
        warm_up()
    turns = {"step": (peer.step, peer.step), "update": (peer.step, update), "sample": (peer.step, sample)}
    ms = median_ms(turns, seconds / 2)
    share = None
    if shape.name in TRAINING_ROWS:
        share = ms["sample"] / (steps * (ms["step"] + ms["update"] / config.update_interval))
    ours_ms, theirs_ms = exact["ours"], exact["theirs"]
    return AttributionRow(shape.name, sparsity, ours_ms, theirs_ms, theirs_ms / ours_ms, share)
