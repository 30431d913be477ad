"""Moving the connections of a sparse layer: drop some, grow as many.

A method is a drop rule and a grow rule; the selection, the schedule and the bookkeeping are shared. The number of
connections of a layer never changes: as many grow as are dropped, and no more than there are free positions. Positions
that have just been dropped are not free, so a connection cannot come back at once with its old value. Grown weights
start at zero with zero optimizer moments.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from dst.errors import DivergedError
from dst.kernels import linear
from dst.kernels.connections import (
    collect_largest,
    free_positions,
    keep_candidates,
    keep_largest,
    move,
    sample_ranks,
)
from dst.layers import SparseLinear

Positions = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Update:
    """What the rules of a topology update see of a layer, before anything moves.

    Attributes:
        layer: the layer.
        rng: draws.
        gradient: the layer's input ``(n_in, batch)`` and output gradient ``(n_out, batch)`` on the last minibatch.
        input_importance: how much each input has mattered so far, float64 ``(n_in,)``, not negative; None where it is
            not known: behind the first layer, and before the first epoch ends.
    """

    layer: SparseLinear
    rng: np.random.Generator
    gradient: tuple[torch.Tensor, torch.Tensor]
    input_importance: npt.NDArray[np.float64] | None = None


DropRule = Callable[[Update], npt.NDArray[np.float32]]
"""Returns a score per connection, float32 ``(nnz,)``; the smallest are dropped."""

GrowRule = Callable[[Update, int], Positions]
"""``grow(update, count)``: that many ascending flat positions that the layer does not have."""

GRADIENT_BLOCK_BYTES = 4 * 2**20
"""Upper bound of the dense gradient that :func:`grow_by_gradient` holds at a time: what a cache holds."""


def drop_by_magnitude(update: Update) -> npt.NDArray[np.float32]:
    """Score by ``|w|`` (SET, RigL)."""
    scores: npt.NDArray[np.float32] = np.abs(update.layer.values.detach().numpy())
    return scores


MEST_LAMBDA = 1.0
"""Weight of the gradient in :func:`drop_by_magnitude_and_gradient`: at 1 the two terms are of one order here, gradients
of the mean loss being about as large as the weights that Adam at 1e-3 makes."""


def drop_by_magnitude_and_gradient(update: Update) -> npt.NDArray[np.float32]:
    """Score by ``|w| + lambda |g|`` with the loss gradient of the last minibatch (MEST; Yuan et al., NeurIPS 2021)."""
    layer = update.layer
    x, dy = (factor.numpy() for factor in update.gradient)
    gradient = np.empty(layer.nnz, np.float32)
    linear.weight_gradient(layer.indptr.numpy(), 1, layer.indices.numpy(), x, dy, 0, layer.out_features, gradient)
    scores: npt.NDArray[np.float32] = np.abs(layer.values.detach().numpy())
    scores += np.float32(MEST_LAMBDA) * np.abs(gradient)
    return scores


def grow_randomly(update: Update, count: int) -> Positions:
    """Draw uniformly from the free positions (SET; Mocanu et al. 2018)."""
    layer = update.layer
    ranks = sample_ranks(update.rng, layer.in_features * layer.out_features - layer.nnz, count)
    return free_positions(ranks, layer.indptr.numpy(), layer.indices.numpy(), layer.in_features)


def grow_by_gradient(update: Update, count: int) -> Positions:
    """Take the free positions with the largest absolute loss gradient on the last minibatch (RigL; Evci et al. 2020).

    The dense gradient ``dy transpose(x)`` is computed in blocks of output neurons of at most
    :data:`GRADIENT_BLOCK_BYTES` (at least one neuron), with a running selection of the largest. A sample of the
    gradient says beforehand what is too small to be among them; should it mislead, all is looked at again without it.
    """
    x, dy = update.gradient
    layer = update.layer
    indptr, indices = layer.indptr.numpy(), layer.indices.numpy()
    rows = min(max(1, GRADIENT_BLOCK_BYTES // (4 * layer.in_features)), layer.out_features)
    block = torch.empty((rows, layer.in_features))
    scores = np.empty(2 * count + 1024, np.float32)
    positions = np.empty(scores.size, np.int64)
    size = 0
    for limit in (_too_small(update, count), -1.0):
        size = 0
        for first in range(0, layer.out_features, rows):
            part = dy[first : first + rows]
            gradient = torch.mm(part, x.T, out=block[: len(part)]).numpy()
            size, limit = collect_largest(gradient, first, indptr, indices, count, scores, positions, size, limit)
        if size >= count:
            break
    return positions[: keep_candidates(scores, positions, size, count)]  # candidates stay in their order


_SAMPLE = 2048


def _too_small(update: Update, count: int) -> float:
    """Return a magnitude that, by a sample of the dense gradient, is below that of the largest free entries."""
    x, dy = update.gradient
    n_in, n_out = update.layer.in_features, update.layer.out_features
    if n_in * n_out < 100 * _SAMPLE:
        return -1.0
    inputs, outputs = update.rng.integers(n_in, size=_SAMPLE), update.rng.integers(n_out, size=_SAMPLE)
    sample = np.abs(np.einsum("ij,ij->i", x.numpy()[inputs], dy.numpy()[outputs]))
    wanted = count / (n_in * n_out - update.layer.nnz)
    share = wanted + 4 * math.sqrt(wanted * (1 - wanted) / _SAMPLE) + 4 / _SAMPLE
    return float(np.quantile(sample, 1 - share)) if share < 1 else -1.0


def grow_by_importance(update: Update, count: int) -> Positions:
    """Favour inputs by their running importance: the direction that the paper's conclusion names.

    The connections that grow are shared out among the inputs at random, with probabilities proportional to half the
    input's share of all importance and half a uniform share, so that no input is shut out; an input takes no more than
    it has free. Within an input, outputs are drawn uniformly. Where importance is not known this is
    :func:`grow_randomly`. Time and memory are linear in the connections and the inputs.
    """
    importance = update.input_importance
    if importance is None or not importance.sum() > 0:
        return grow_randomly(update, count)
    layer = update.layer
    n_in, n_out = layer.in_features, layer.out_features
    starts, outputs, _ = linear.by_input(layer.indptr.numpy(), layer.indices.numpy(), n_in)
    free = n_out - np.diff(starts)
    weight = 0.5 * importance / importance.sum() + 0.5 / n_in
    grown = np.zeros(n_in, np.int64)
    while (missing := count - int(grown.sum())) > 0:
        open_weight = weight * (grown < free)
        grown = np.minimum(grown + update.rng.multinomial(missing, open_weight / open_weight.sum()), free)
    first_rank = np.concatenate([[0], np.cumsum(free)[:-1]])
    ranks = [first_rank[i] + sample_ranks(update.rng, int(free[i]), int(grown[i])) for i in np.flatnonzero(grown)]
    positions = free_positions(np.concatenate(ranks), starts, outputs, n_out)
    return np.sort(positions % n_out * n_in + positions // n_out)


DROP_RULES: dict[str, DropRule] = {
    "magnitude": drop_by_magnitude,
    "magnitude_gradient": drop_by_magnitude_and_gradient,
}
GROW_RULES: dict[str, GrowRule] = {
    "random": grow_randomly,
    "gradient": grow_by_gradient,
    "importance": grow_by_importance,
}


@dataclass(frozen=True)
class Method:
    """How a network's connections are chosen and moved.

    Attributes:
        sparse: whether layers store connections only; a method that is not sparse is an ordinary dense network.
        drop: a name in :data:`DROP_RULES`.
        grow: a name in :data:`GROW_RULES`; None: connections never move.
    """

    sparse: bool
    drop: str = "magnitude"
    grow: str | None = None


METHODS: dict[str, Method] = {
    "dense": Method(sparse=False),
    "static": Method(sparse=True),
    "set": Method(sparse=True, grow="random"),
    "rigl": Method(sparse=True, grow="gradient"),
    "mest": Method(sparse=True, drop="magnitude_gradient", grow="random"),
    "set_attr": Method(sparse=True, grow="importance"),
}


def rewire(
    update: Update,
    moments: Sequence[npt.NDArray[np.float32]],
    *,
    drop: DropRule,
    grow: GrowRule,
    fraction: float,
) -> int:
    """Drop the ``ceil(fraction * nnz)`` connections of a layer with the smallest scores and grow as many.

    Values keep their optimizer moments as they move to their new places; those of grown connections are zero. All
    arrays are changed in place, since their sizes do not change.

    Args:
        update: the layer, and what the rules may read.
        moments: the optimizer's one or two arrays, float32 ``(nnz,)`` each.
        drop: scores what is there.
        grow: where connections grow.
        fraction: the share of connections that moves.

    Returns:
        How many connections moved: less than asked where fewer positions are free, 0 in a full layer.

    Raises:
        DivergedError: a weight or a score is not finite.
    """
    layer = update.layer
    free = layer.in_features * layer.out_features - layer.nnz
    count = min(math.ceil(fraction * layer.nnz), free)
    if count == 0:
        return 0
    scores = drop(update)
    if not np.isfinite(scores).all():
        raise DivergedError("weights and gradients must stay finite, but some are not: try a smaller learning rate")
    keep = keep_largest(scores, count)
    grown = grow(update, count)
    values = layer.values.detach().numpy()
    move(layer.indptr.numpy(), layer.indices.numpy(), keep, grown, layer.in_features, values, moments[0], moments[-1])
    return count
