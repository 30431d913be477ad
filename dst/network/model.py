"""The sparse multilayer perceptron."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Iterable, Sequence

import numpy as np
import torch
from torch import nn

from dst.network.layers import MaskedLinear, SparseLinear
from dst.network.sparsity import connections

Layer = SparseLinear | MaskedLinear


class SparseMLP(nn.Module):
    """A ReLU network whose layers hold only their connections; its output is logits.

    Args:
        in_features: number of input features.
        n_classes: number of outputs.
        hidden: sizes of the hidden layers.
        sparsity: share of connections that do not exist, in [0, 1); None makes every layer an ordinary dense one.
        distribution: how connections are shared out among the layers, a name in
            :data:`dst.network.sparsity.DISTRIBUTIONS`.
        rng: draws topology and first weights.

    Raises:
        ValueError: sparsity outside [0, 1).
    """

    def __init__(
        self,
        in_features: int,
        n_classes: int,
        *,
        hidden: Sequence[int] = (1000, 100),
        sparsity: float | None,
        distribution: str = "er",
        rng: np.random.Generator,
    ) -> None:
        super().__init__()
        if sparsity is not None and not 0 <= sparsity < 1:
            raise ValueError(f"0 <= sparsity < 1 must hold, but got sparsity={sparsity}")
        widths = [in_features, *hidden, n_classes]
        shapes = list(itertools.pairwise(widths))
        layers: list[Layer]
        if sparsity is None:
            layers = [MaskedLinear.initialised(n_in, n_out, rng) for n_in, n_out in shapes]
        else:
            counts = connections(shapes, sparsity, distribution)
            layers = [SparseLinear(n_in, n_out, nnz, rng) for (n_in, n_out), nnz in zip(shapes, counts, strict=True)]
        self.layers = nn.ModuleList(layers)

    @property
    def linears(self) -> list[Layer]:
        """The layers from input to output."""
        return [layer for layer in self.layers if isinstance(layer, SparseLinear | MaskedLinear)]

    @property
    def nnz(self) -> list[int]:
        """Connections by layer; biases are not counted."""
        return [layer.nnz for layer in self.linears]

    @property
    def dense_size(self) -> int:
        """Connections that the dense network of this shape has."""
        return sum(layer.in_features * layer.out_features for layer in self.linears)

    @property
    def device(self) -> torch.device:
        """Where the parameters are."""
        return next(self.parameters()).device

    def masked(self) -> SparseMLP:
        """Return a copy with masked dense layers that computes the same function: the oracle."""
        return _of_layers(
            MaskedLinear.like(layer)
            if isinstance(layer, SparseLinear)
            else MaskedLinear(layer.weight.detach().clone(), layer.bias.detach().clone(), layer.mask)
            for layer in self.linears
        )

    def sparse(self) -> SparseMLP:
        """Return a copy on the CPU that holds connections only where layers have masks, and computes the same."""
        return _of_layers(
            SparseLinear.of(layer)
            if isinstance(layer, MaskedLinear) and layer.mask is not None
            else copy.deepcopy(layer).cpu()
            for layer in self.linears
        )

    def columns(self, x: torch.Tensor) -> torch.Tensor:
        """Map feature-major ``(n_features, batch)`` to logits ``(n_classes, batch)``."""
        *hidden, last = self.linears
        for layer in hidden:
            x = torch.relu(layer(x))
        return last(x)  # type: ignore[no-any-return]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map rows ``(batch, n_features)`` to logits ``(batch, n_classes)``."""
        return self.columns(x.T).T


def _of_layers(layers: Iterable[Layer]) -> SparseMLP:
    model = SparseMLP.__new__(SparseMLP)
    nn.Module.__init__(model)
    model.layers = nn.ModuleList(layers)
    return model
