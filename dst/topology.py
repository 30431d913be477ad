"""Moving the connections of a sparse layer: drop some, grow as many.

A method is a grow rule (or none); dropping the smallest magnitudes, the schedule and the bookkeeping are shared. The
number of connections of a layer never changes: as many grow as are dropped, and no more than there are free positions.
Positions that have just been dropped are not free, so a connection cannot come back at once with its old value. Grown
weights start at zero with zero optimizer moments.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from dst.errors import DivergedError
from dst.kernels.connections import (
    free_positions,
    from_positions,
    keep_largest,
    merge_order,
    sample_ranks,
)
from dst.layers import SparseLinear

Positions = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Growth:
    """What a grow rule sees.

    Attributes:
        layer: the layer, before anything moves.
        occupied: ascending positions that are taken, those of dropped connections included.
        count: how many connections grow; as many positions are free.
        rng: draws.
        gradient: the layer's input ``(n_in, batch)`` and output gradient ``(n_out, batch)`` on the last minibatch.
    """

    layer: SparseLinear
    occupied: Positions
    count: int
    rng: np.random.Generator
    gradient: tuple[torch.Tensor, torch.Tensor]


GrowRule = Callable[[Growth], Positions]
"""Returns ``count`` ascending positions that are not occupied."""

GRADIENT_BLOCK_BYTES = 64 * 2**20
"""Upper bound of the dense gradient that :func:`grow_by_gradient` holds at a time."""


def grow_randomly(growth: Growth) -> Positions:
    """Draw uniformly from the free positions (SET; Mocanu et al. 2018)."""
    free = growth.layer.in_features * growth.layer.out_features - growth.occupied.size
    return free_positions(sample_ranks(growth.rng, free, growth.count), growth.occupied)


def grow_by_gradient(growth: Growth) -> Positions:
    """Take the free positions with the largest absolute loss gradient on the last batch (RigL; Evci et al. 2020).

    The dense gradient ``dy transpose(x)`` is computed in blocks of output neurons of at most
    :data:`GRADIENT_BLOCK_BYTES` (at least one neuron), with a running selection of the largest.
    """
    x, dy = growth.gradient
    occupied, count = growth.occupied, growth.count
    n_in = growth.layer.in_features
    rows = max(1, GRADIENT_BLOCK_BYTES // (4 * n_in))
    best = torch.empty(0)
    where = torch.empty(0, dtype=torch.int64)
    for first in range(0, growth.layer.out_features, rows):
        gradient = (dy[first : first + rows] @ x.T).abs_().view(-1)
        offset = first * n_in
        low, high = np.searchsorted(occupied, [offset, offset + gradient.numel()])
        gradient[torch.from_numpy(occupied[low:high] - offset)] = -1.0
        top = torch.topk(gradient, min(count, gradient.numel()), sorted=False)
        best = torch.cat([best, top.values])
        where = torch.cat([where, top.indices + offset])
        keep = torch.topk(best, min(count, best.numel()), sorted=False).indices
        best, where = best[keep], where[keep]
    return np.sort(where.numpy())


@dataclass(frozen=True)
class Method:
    """How a network's connections are chosen and moved.

    Attributes:
        sparse: whether layers store connections only; a method that is not sparse is an ordinary dense network.
        grow: where connections grow; None: they never move.
    """

    sparse: bool
    grow: GrowRule | None = None


METHODS: dict[str, Method] = {
    "dense": Method(sparse=False),
    "static": Method(sparse=True),
    "set": Method(sparse=True, grow=grow_randomly),
    "rigl": Method(sparse=True, grow=grow_by_gradient),
}


@dataclass(frozen=True)
class CosineSchedule:
    """The share of a layer's connections that moves in an update: a cosine from ``initial`` down to ``final``.

    ``final + (initial - final) (1 + cos(pi step / total)) / 2``, as in the paper's code.
    """

    initial: float
    final: float
    total: int

    def __call__(self, step: int) -> float:
        """Return the share at optimizer step ``step``."""
        progress = min(step / self.total, 1.0)
        return self.final + (self.initial - self.final) * (1 + math.cos(math.pi * progress)) / 2


def rewire(
    layer: SparseLinear,
    moments: Sequence[npt.NDArray[np.float32]],
    grow: GrowRule,
    fraction: float,
    rng: np.random.Generator,
    gradient: tuple[torch.Tensor, torch.Tensor],
) -> int:
    """Drop the ``ceil(fraction * nnz)`` smallest magnitudes of a layer and grow as many connections.

    Values keep their optimizer moments as they move to their new places; those of grown connections are zero. All
    arrays are changed in place, since their sizes do not change.

    Args:
        layer: the layer.
        moments: the optimizer's arrays, float32 ``(nnz,)`` each.
        grow: where connections grow.
        fraction: the share of connections that moves.
        rng: draws.
        gradient: see :class:`Growth`.

    Returns:
        How many connections moved: less than asked where fewer positions are free, 0 in a full layer.

    Raises:
        DivergedError: a weight is not finite.
    """
    free = layer.in_features * layer.out_features - layer.nnz
    count = min(math.ceil(fraction * layer.nnz), free)
    if count == 0:
        return 0
    values = layer.values.detach().numpy()
    magnitudes = np.abs(values)
    if not np.isfinite(magnitudes).all():
        raise DivergedError("weights must stay finite, but some are not: try a smaller learning rate")
    occupied = layer.positions()
    keep = keep_largest(magnitudes, count)
    grown = grow(Growth(layer, occupied, count, rng, gradient))
    positions, origin = merge_order(occupied[keep], grown)
    indptr, indices = from_positions(positions, layer.in_features, layer.out_features)
    survives = origin >= 0
    for array in (values, *moments):
        survivors = array[keep]
        array[survives] = survivors
        array[~survives] = 0
    layer.indptr.copy_(torch.from_numpy(indptr))
    layer.indices.copy_(torch.from_numpy(indices))
    return count
