"""Moving the connections of a sparse layer: drop some, grow as many.

A method is a drop rule and a grow rule; the selection, the schedule and the bookkeeping are shared. The number of
connections of a layer never changes: as many grow as are dropped, and no more than there are free positions. Positions
that have just been dropped are not free, so a connection cannot come back at once with its old value. Grown weights
start at zero with zero optimizer moments.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from dst.errors import DivergedError
from dst.kernels.connections import move
from dst.kernels.select import keep_largest
from dst.topology.drop import DropRule
from dst.topology.grow import GrowRule
from dst.topology.update import Update


def rewire(
    update: Update,
    moments: Sequence[npt.NDArray[np.float32]],
    *,
    drop: DropRule,
    grow: GrowRule,
    fraction: float,
) -> int:
    """Drop the ``ceil(fraction * nnz)`` connections of a layer with the smallest scores and grow as many.

    Where the update allows some inputs only, all connections of the others drop, and the fraction is of the rest.

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
        ValueError: the inputs that are allowed have no room for all connections.
    """
    layer = update.layer
    leaving = 0 if update.allowed is None else int((~update.allowed[layer.indices.numpy()]).sum())
    if leaving > update.free:
        raise ValueError(f"{leaving} connections must move to other inputs, but these have room for {update.free}")
    count = leaving + min(math.ceil(fraction * (layer.nnz - leaving)), update.free - leaving)
    if count == 0:
        return 0
    try:
        keep = _kept(update, drop, count - leaving)
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


def _kept(update: Update, drop: DropRule, count: int) -> npt.NDArray[np.bool_]:
    """Return which connections stay: of those at inputs that are allowed all but ``count``."""
    scores = drop(update)
    if update.allowed is None:
        return keep_largest(scores, count)
    keep: npt.NDArray[np.bool_] = update.allowed[update.layer.indices.numpy()]
    keep[np.flatnonzero(keep)] = keep_largest(scores[keep], count)
    return keep
