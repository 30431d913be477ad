"""A side of WAST's autoencoder: the sparse connections of the columns, how important these are, and how they move."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from dst.training.engines.engine import Floats

Mask = npt.NDArray[np.bool_]


class AttentiveLayer:
    """The connections between the columns and the hidden units, on one side of the autoencoder.

    Gradient and momentum are those of the dense layer, whatever the mask: a connection that grows has the momentum that
    its place has collected, as in the authors' code.

    Args:
        n_columns: columns of the table.
        units: hidden units.
        density: share of the connections that exist.
        bound: of the first weights, which are uniform.
        rng: draws the mask and the first weights.

    Attributes:
        weight: float32 ``(n_columns, units)``; 0 where there is no connection, right after each step.
        velocity: of gradient descent with momentum, same shape.
        mask: where connections are, bool, same shape.
        importance: of the columns, float64 ``(n_columns,)``: the sum over all steps so far.
    """

    def __init__(self, n_columns: int, units: int, density: float, bound: float, rng: np.random.Generator) -> None:
        shape = n_columns, units
        count = max(1, round(density * n_columns * units))
        self.mask: Mask = np.zeros(n_columns * units, np.bool_)
        self.mask[rng.choice(n_columns * units, count, replace=False, shuffle=False)] = True
        self.mask = self.mask.reshape(shape)
        self.weight: Floats = rng.uniform(-bound, bound, shape).astype(np.float32)
        self.weight *= self.mask
        self.velocity: Floats = np.zeros(shape, np.float32)
        self.importance = np.zeros(n_columns)

    def descend(self, gradient: Floats, lr: float, momentum: float) -> None:
        """Take a step of gradient descent with Nesterov's momentum, then set to zero what is no connection."""
        descend(self.weight, self.velocity, gradient, lr, momentum)
        self.weight *= self.mask

    def attend(self, sensitivity: Floats, lamda: float) -> None:
        """Add a step's importance: ``lamda * sensitivity + (1 - lamda) * sum |w|`` of each column.

        Args:
            sensitivity: mean absolute error of each column's reconstruction, float32 ``(n_columns,)``.
            lamda: in [0, 1].
        """
        strength = np.abs(self.weight).sum(axis=1)
        self.importance += lamda * sensitivity + (1 - lamda) * strength

    def move(self, share: float) -> int:
        """Drop connections (:func:`keep_attended`) and grow as many (:func:`grow_attended`); return their number.

        A place that has just been dropped may grow again. A weight that drops is set to zero by the next
        :meth:`descend`, not before, as in the authors' code.
        """
        count = int(self.mask.sum())
        self.mask = keep_attended(self.weight, self.mask, self.importance, share)
        moved = count - int(self.mask.sum())
        grow_attended(self.mask, self.importance, moved)
        return moved


def descend(values: Floats, velocity: Floats, gradient: Floats, lr: float, momentum: float) -> None:
    """Take a step in place: ``v = momentum v + g;  w -= lr (g + momentum v)``; ``torch.optim.SGD`` does the same."""
    velocity *= np.float32(momentum)
    velocity += gradient
    values -= np.float32(lr) * (gradient + np.float32(momentum) * velocity)


def keep_attended(weight: Floats, mask: Mask, importance: npt.NDArray[np.float64], share: float) -> Mask:
    """Return the mask of the connections that stay.

    Of n positive weights the ``ceil(share * n)`` with the smallest ``|w| I`` of their column drop, of the negative ones
    likewise; what equals the largest that drops goes too, and so do zeros.

    Args:
        weight: float32 ``(n_columns, units)``.
        mask: where connections are, bool, same shape.
        importance: I, float64 ``(n_columns,)``, not negative.
        share: in (0, 1).
    """
    places = np.flatnonzero(mask)
    products = weight.reshape(-1)[places] * importance[places // mask.shape[1]]
    kept = np.zeros(mask.size, np.bool_)
    for magnitudes in (products, -products):
        side = np.flatnonzero(magnitudes > 0)
        if side.size:
            drop = math.ceil(share * side.size)
            limit = np.partition(magnitudes[side], drop - 1)[drop - 1]
            kept[places[side[magnitudes[side] > limit]]] = True
    return kept.reshape(mask.shape)


def grow_attended(mask: Mask, importance: npt.NDArray[np.float64], count: int) -> None:
    """Add ``count`` connections, in place, where the product of both neurons' importance is largest.

    Hidden units are all as important, so that the most important columns are filled up one after the other; of places
    that are equal the first is taken.

    Args:
        mask: bool ``(n_columns, units)``, with ``count`` free places at least.
        importance: float64 ``(n_columns,)``.
        count: how many.
    """
    order = np.argsort(-importance, kind="stable")
    room = np.cumsum(mask.shape[1] - mask.sum(axis=1)[order])
    filled = int(np.searchsorted(room, count, side="right"))
    mask[order[:filled]] = True
    left = count - (int(room[filled - 1]) if filled else 0)
    if left:
        column = order[filled]
        mask[column, np.flatnonzero(~mask[column])[:left]] = True
