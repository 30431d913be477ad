"""Elimination of whole inputs inside one training: how many leave when, which, and which come back for a while.

Atashgahi, Zhang, Kichler, Liu, Yin, Pechenizkiy, Veldhuis and Mocanu, "Supervised feature selection with neuron
evolution in sparse neural networks" (NeuroFS), TMLR 2023 (arXiv 2303.07200); counts are those of the authors' code.
The number of connections stays: those that leave with their inputs grow at the others.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from dst.files.checkpoint import State
from dst.topology.update import Update

_BLOCK = 1024
"""Inputs whose dense gradient is computed at a time."""


@dataclass(frozen=True)
class InputSchedule:
    """How many inputs leave after each epoch; epochs count from 0.

    Attributes:
        n_inputs: inputs of the network, D.
        wanted: how many are wanted in the end, K.
        spare: share of all inputs that stays besides, and of those that have left that is tried again (zeta_in).
        epochs: of the whole training, T.
        start: the first epoch after which inputs leave.
        end: share of the epochs after which all have left.
    """

    n_inputs: int
    wanted: int
    spare: float
    epochs: int
    start: int = 2
    end: float = 0.65

    @property
    def to_leave(self) -> int:
        """How many inputs leave in all, ``(1 - spare) D - K``."""
        return max(0, int((1 - self.spare) * self.n_inputs - self.wanted))

    def leaving(self, epoch: int, gone: int) -> int:
        """Return how many leave for good after an epoch: an even share of those that still have to.

        Args:
            epoch: from 0.
            gone: how many have left before.
        """
        if epoch < self.start or gone >= self.to_leave:
            return 0
        return math.ceil((self.to_leave - gone) / max(1, int(self.epochs * self.end) - epoch))

    def swapped(self, epoch: int, gone: int) -> int:
        """Return how many more leave after an epoch, for as many that come back: ``spare * gone * (1 - epoch / T)``."""
        return int(gone * self.spare * (1 - epoch / self.epochs)) if epoch >= self.start else 0


class InputElimination:
    """The inputs of a network that may have connections, which become fewer while it trains.

    At the first topology update of an epoch the weakest inputs leave, by the sum of their absolute weights, and of
    those that had left before some come back. Until all have left that have to, what came back in the update before
    stays. Never do fewer stay than have room for the first layer's connections.

    Args:
        schedule: how many leave when.
        by_gradient: whether those come back that have the largest single gradient of the loss on the last minibatch;
            else any do.

    Attributes:
        allowed: the inputs that may have connections, bool ``(n_inputs,)``.
        left_at: the epoch, from 1, after which each of the others left; 0 for those that are allowed.
        left_with: the strength that each had when it left, float64 ``(n_inputs,)``.
    """

    def __init__(self, schedule: InputSchedule, *, by_gradient: bool) -> None:
        n_inputs = schedule.n_inputs
        self._schedule, self._by_gradient = schedule, by_gradient
        self.allowed = np.ones(n_inputs, np.bool_)
        self.left_at = np.zeros(n_inputs, np.int64)
        self.left_with = np.zeros(n_inputs)
        self._protected = np.zeros(n_inputs, np.bool_)
        self._gone = 0
        self._last_epoch = -1

    def restrict(self, update: Update, epoch: int) -> Update:
        """Return the first layer's update with the inputs that are allowed after it.

        Args:
            update: of the first layer.
            epoch: the epoch that runs or ends, from 0.
        """
        if epoch > self._last_epoch:
            self._last_epoch = epoch
            self._eliminate(update, epoch)
        return update if self.allowed.all() else dataclasses.replace(update, allowed=self.allowed.copy())

    def scores(self, strength: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Return a score for each input: the strength of those that are left, and behind them the others.

        Those that left later are ahead of those that left earlier, and of those that left together the stronger ones;
        an input without a connection counts as one that leaves last. All of them lie between 0 and a millionth of the
        largest score, or below the smallest strength where that is less.

        Args:
            strength: of all inputs, float64 ``(n_inputs,)``.
        """
        left = ~self.allowed | (strength == 0)
        if left.all():
            return strength.copy()
        order = np.flatnonzero(left)
        left_at = np.where(self.allowed, self._schedule.epochs, self.left_at)[order]
        order = order[np.lexsort((self.left_with[order], left_at))]
        scores = strength.copy()
        step = min(float(strength[~left].min()), 1e-6 * float(strength.max()))
        scores[order] = step * np.arange(1, len(order) + 1) / (len(order) + 1)
        return scores

    def state_dict(self) -> State:
        """Return all that further updates depend on, besides what the constructor was given."""
        arrays = {name: array.copy() for name, array in self._arrays().items()}
        return State(arrays, {"gone": self._gone, "last_epoch": self._last_epoch})

    def load_state_dict(self, state: State) -> None:
        """Go on from a state."""
        for name, array in self._arrays().items():
            array[:] = state.arrays[name]
        self._gone, self._last_epoch = state.progress["gone"], state.progress["last_epoch"]

    def _eliminate(self, update: Update, epoch: int) -> None:
        schedule, layer = self._schedule, update.layer
        leaving, swapped = schedule.leaving(epoch, self._gone), schedule.swapped(epoch, self._gone)
        room = layer.in_features - math.ceil(layer.nnz / layer.out_features) - self._gone
        leaving = min(leaving, room)
        if leaving + swapped == 0:
            self._protected[:] = False
            return
        strength = layer.input_strength()
        weakest = np.flatnonzero(self.allowed)
        weakest = weakest[np.argsort(strength[weakest], kind="stable")][: leaving + swapped]
        if self._gone + leaving < schedule.to_leave:
            weakest = weakest[~self._protected[weakest]]
            leaving = min(leaving, len(weakest))
            swapped = len(weakest) - leaving
        back = self._coming_back(update, swapped)
        self.allowed[weakest], self.left_at[weakest], self.left_with[weakest] = False, epoch + 1, strength[weakest]
        self.allowed[back], self.left_at[back], self.left_with[back] = True, 0, 0.0
        self._protected[:] = False
        self._protected[back] = True
        self._gone += leaving

    def _coming_back(self, update: Update, count: int) -> npt.NDArray[np.int64]:
        """Return ``count`` of the inputs that have left before this update."""
        left = np.flatnonzero(~self.allowed)
        if count == 0:
            return left[:0]
        if not self._by_gradient:
            return update.rng.choice(left, count, replace=False)
        x, dy = update.gradient
        largest = [
            torch.mm(dy, x[torch.from_numpy(left[first : first + _BLOCK])].T).abs().amax(dim=0).numpy()
            for first in range(0, len(left), _BLOCK)
        ]
        return left[np.argsort(-np.concatenate(largest), kind="stable")[:count]]

    def _arrays(self) -> dict[str, npt.NDArray[np.generic]]:
        return {
            "allowed": self.allowed,
            "left_at": self.left_at,
            "left_with": self.left_with,
            "protected": self._protected,
        }
