"""The state of a layer that the rules of a topology update see."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from dst.network.layers import SparseLinear


@dataclass(frozen=True)
class Update:
    """A layer as the rules of a topology update see it, before anything moves.

    Attributes:
        layer: the layer.
        rng: draws.
        gradient: the layer's input ``(n_in, batch)`` and output gradient ``(n_out, batch)`` on the last minibatch.
        input_importance: how much each input has mattered so far, float64 ``(n_in,)``, not negative; None where it is
            not known: behind the first layer, and before the first epoch ends.
        allowed: the inputs that have connections after the update, bool ``(n_in,)``; None: any.
    """

    layer: SparseLinear
    rng: np.random.Generator
    gradient: tuple[torch.Tensor, torch.Tensor]
    input_importance: npt.NDArray[np.float64] | None = None
    allowed: npt.NDArray[np.bool_] | None = None

    @property
    def free(self) -> int:
        """How many places without a connection there are at which one may grow."""
        layer = self.layer
        if self.allowed is None:
            return layer.in_features * layer.out_features - layer.nnz
        taken = int(self.allowed[layer.indices.numpy()].sum())
        return int(self.allowed.sum()) * layer.out_features - taken
