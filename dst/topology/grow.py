"""Grow rules: free places for as many connections as dropped."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from dst.kernels import linear
from dst.kernels.connections import exist, free_places
from dst.kernels.select import collect_largest, keep_candidates, sample_ranks
from dst.network.layers import SparseLinear
from dst.topology.update import Update


@dataclass(frozen=True)
class Growth:
    """The places at which connections grow.

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


def grow_randomly(update: Update, count: int) -> Growth:
    """Draw uniformly from the free positions (SET; Mocanu et al. 2018)."""
    ranks = sample_ranks(update.rng, update.free, count)
    if update.allowed is None:
        return Growth(ranks, are_ranks=True)
    places = _PlacesByInput(update.layer)
    inputs = np.flatnonzero(update.allowed)
    until = np.cumsum(places.free[inputs])
    nth = np.searchsorted(until, ranks, side="right")
    within = ranks - (until - places.free[inputs])[nth]
    return places.growth(places.first_rank[inputs[nth]] + within)


def grow_by_gradient(update: Update, count: int) -> Growth:
    """Take the free positions with the largest absolute loss gradient on the last minibatch (RigL; Evci et al. 2020).

    The dense gradient ``dy transpose(x)`` is computed panel by panel in blocks of output neurons of at most
    :data:`GRADIENT_BLOCK_BYTES` (at least one neuron), with a running selection of the largest. A sample of the
    gradient says beforehand what is too small to be among them; should it mislead, all is looked at again without it.
    """
    x, dy = update.gradient
    if update.allowed is not None:  # a gradient that is not a number is no candidate
        x = x.clone()
        x[torch.from_numpy(~update.allowed)] = math.nan
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
    if update.allowed is not None:
        free &= update.allowed[inputs]
    sample = np.abs(np.einsum("ij,ij->i", x.numpy()[inputs[free]], dy.numpy()[outputs[free]]))
    wanted = count / update.free
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
    places = _PlacesByInput(update.layer)
    free, n_in = places.free, update.layer.in_features
    weight = 0.5 * importance / importance.sum() + 0.5 / n_in
    if update.allowed is not None:
        weight = weight * update.allowed
    grown = np.zeros(n_in, np.int64)
    while (missing := count - int(grown.sum())) > 0:
        open_weight = weight * (grown < free)
        grown = np.minimum(grown + update.rng.multinomial(missing, open_weight / open_weight.sum()), free)
    ranks = [
        places.first_rank[i] + sample_ranks(update.rng, int(free[i]), int(grown[i])) for i in np.flatnonzero(grown)
    ]
    return places.growth(np.concatenate(ranks))


class _PlacesByInput:
    """The free places of a layer in the order of their inputs.

    Attributes:
        free: how many each input has, int64 ``(n_in,)``.
        first_rank: how many the inputs before it have, int64 ``(n_in,)``.
    """

    def __init__(self, layer: SparseLinear) -> None:
        self._layer = layer
        shape = layer.in_features, layer.out_features
        self._starts, self._outputs, _ = linear.by_input(layer.indptr.numpy(), layer.indices.numpy(), *shape)
        self.free = layer.out_features - np.diff(self._starts)
        self.first_rank = np.concatenate([[0], np.cumsum(self.free)[:-1]])

    def growth(self, ranks: npt.NDArray[np.int64]) -> Growth:
        """Return growth at free places that are given by their ranks in this order, ascending."""
        layer = self._layer
        n_in, n_out, tile = layer.in_features, layer.out_features, layer.tile
        inputs, to = np.divmod(free_places(ranks, self._starts, self._outputs, n_out, n_out, n_in), n_out)
        low = inputs // tile * tile
        return Growth(np.sort(low * n_out + to * np.minimum(tile, n_in - low) + inputs - low))


GROW_RULES: dict[str, GrowRule] = {
    "random": grow_randomly,
    "gradient": grow_by_gradient,
    "importance": grow_by_importance,
}
