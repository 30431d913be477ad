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
    exist,
    free_places,
    keep_candidates,
    keep_largest,
    move,
    sample_ranks,
)
from dst.kernels.rows import lanes
from dst.network.layers import SparseLinear


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


@dataclass(frozen=True)
class Growth:
    """Where connections grow.

    Attributes:
        places: ascending free places of the layer (:mod:`dst.kernels.connections`), int64 ``(count,)``.
        are_ranks: whether the places are given by their ranks among the free ones.
    """

    places: npt.NDArray[np.int64]
    are_ranks: bool = False


GrowRule = Callable[[Update, int], Growth]
"""``grow(update, count)``: that many places that the layer does not have."""

GRADIENT_BLOCK_BYTES = 2**20
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
    indptr, indices = layer.indptr.numpy(), layer.indices.numpy()
    linear.weight_gradient(indptr, indices, x, dy, 0, len(indptr) - 1, gradient, lanes(x.shape[1]))
    scores: npt.NDArray[np.float32] = np.abs(layer.values.detach().numpy())
    scores += np.float32(MEST_LAMBDA) * np.abs(gradient)
    return scores


def grow_randomly(update: Update, count: int) -> Growth:
    """Draw uniformly from the free positions (SET; Mocanu et al. 2018)."""
    layer = update.layer
    free = layer.in_features * layer.out_features - layer.nnz
    return Growth(sample_ranks(update.rng, free, count), are_ranks=True)


def grow_by_gradient(update: Update, count: int) -> Growth:
    """Take the free positions with the largest absolute loss gradient on the last minibatch (RigL; Evci et al. 2020).

    The dense gradient ``dy transpose(x)`` is computed panel by panel in blocks of output neurons of at most
    :data:`GRADIENT_BLOCK_BYTES` (at least one neuron), with a running selection of the largest. A sample of the
    gradient says beforehand what is too small to be among them; should it mislead, all is looked at again without it.
    """
    x, dy = update.gradient
    layer = update.layer
    indptr, indices = layer.indptr.numpy(), layer.indices.numpy()
    n_in, n_out, tile = layer.in_features, layer.out_features, layer.tile
    rows = min(max(1, GRADIENT_BLOCK_BYTES // (4 * tile)), n_out)
    block = dy.new_empty(rows * tile)
    scores = np.empty(count + count // 2 + 1024, np.float32)
    found = np.empty(scores.size, np.int64)
    size = 0
    for limit in (_too_small(update, count), -1.0):
        size = 0
        for panel, low in enumerate(range(0, n_in, tile)):
            inputs = x[low : low + tile]
            for first in range(0, n_out, rows):
                part = dy[first : first + rows]
                gradient = block[: len(part) * len(inputs)].view(len(part), len(inputs))
                torch.mm(part, inputs.T, out=gradient)
                size, limit = collect_largest(
                    gradient.numpy(),
                    panel * n_out + first,
                    low,
                    low * n_out + first * len(inputs),
                    indptr,
                    indices,
                    count,
                    scores,
                    found,
                    size,
                    limit,
                )
        if size >= count:
            break
    if size < count:  # what is not a number is above nothing
        raise FloatingPointError("gradients must be finite")
    return Growth(found[: keep_candidates(scores, found, size, count)])  # candidates stay in their order


_SAMPLE = 2048


def _too_small(update: Update, count: int) -> float:
    """Return a magnitude that, by a sample of the free places, is below that of the largest gradients there."""
    x, dy = update.gradient
    layer = update.layer
    n_in, n_out = layer.in_features, layer.out_features
    if n_in * n_out < 100 * _SAMPLE:
        return -1.0
    inputs, outputs = update.rng.integers(n_in, size=_SAMPLE), update.rng.integers(n_out, size=_SAMPLE)
    free = ~exist(inputs, outputs, layer.indptr.numpy(), layer.indices.numpy(), layer.tile, n_out)
    sample = np.abs(np.einsum("ij,ij->i", x.numpy()[inputs[free]], dy.numpy()[outputs[free]]))
    wanted = count / (n_in * n_out - layer.nnz)
    share = wanted + 4 * math.sqrt(wanted * (1 - wanted) / max(1, sample.size)) + 4 / max(1, sample.size)
    return float(np.quantile(sample, 1 - share)) if share < 1 else -1.0


def grow_by_importance(update: Update, count: int) -> Growth:
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
    indptr, indices = layer.indptr.numpy(), layer.indices.numpy()
    starts, outputs, _ = linear.by_input(indptr, indices, n_in, n_out)
    free = n_out - np.diff(starts)
    weight = 0.5 * importance / importance.sum() + 0.5 / n_in
    grown = np.zeros(n_in, np.int64)
    while (missing := count - int(grown.sum())) > 0:
        open_weight = weight * (grown < free)
        grown = np.minimum(grown + update.rng.multinomial(missing, open_weight / open_weight.sum()), free)
    first_rank = np.concatenate([[0], np.cumsum(free)[:-1]])
    ranks = [first_rank[i] + sample_ranks(update.rng, int(free[i]), int(grown[i])) for i in np.flatnonzero(grown)]
    inputs, to = np.divmod(free_places(np.concatenate(ranks), starts, outputs, n_out, n_out, n_in), n_out)
    low = inputs // layer.tile * layer.tile
    return Growth(np.sort(low * n_out + to * np.minimum(layer.tile, n_in - low) + inputs - low))


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
    try:
        keep = keep_largest(drop(update), count)
        grown = grow(update, count)
    except FloatingPointError as error:
        raise DivergedError(
            "weights and gradients must stay finite, but some are not: try a smaller learning rate"
        ) from error
    layout = layer.tile, layer.in_features, layer.out_features
    values = layer.values.detach().numpy()
    arrays = layer.indptr.numpy(), layer.indices.numpy(), keep, grown.places, grown.are_ranks
    move(*arrays, *layout, values, moments[0], moments[-1])
    return count
