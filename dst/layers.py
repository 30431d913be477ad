"""Linear layers on feature-major activations: truly sparse, and masked dense.

Both map ``x`` float32 ``(n_in, batch)`` to ``(n_out, batch)``. :class:`SparseLinear` holds the values of its
connections and their int32 indices and never a dense matrix. :class:`MaskedLinear` multiplies a dense matrix with a
mask: the oracle in tests, what a GPU or a low sparsity trains with, and without a mask the ordinary dense layer.
"""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from dst.kernels import linear
from dst.kernels.connections import flat_positions, from_positions, sample_ranks
from dst.kernels.simd import WIDTH


class _SparseProduct(torch.autograd.Function):
    """``W x + b`` with the kernels of :mod:`dst.kernels.linear`."""

    @staticmethod
    def forward(
        ctx: Any, x: torch.Tensor, values: torch.Tensor, bias: torch.Tensor, layer: SparseLinear
    ) -> torch.Tensor:
        y = torch.empty((layer.out_features, x.shape[1]))
        linear.forward(
            layer.indptr.numpy(),
            1,
            layer.indices.numpy(),
            values.detach().numpy(),
            bias.detach().numpy(),
            x.detach().numpy(),
            y.numpy(),
            False,
        )
        ctx.save_for_backward(x)
        ctx.layer = layer
        return y

    @staticmethod
    def backward(ctx: Any, dy: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        (x,) = ctx.saved_tensors
        layer: SparseLinear = ctx.layer
        dy = dy.contiguous()
        dvalues = torch.empty_like(layer.values)
        dbias = torch.empty_like(layer.bias)
        linear.weight_gradient(
            layer.indptr.numpy(),
            1,
            layer.indices.numpy(),
            x.detach().numpy(),
            dy.numpy(),
            0,
            layer.out_features,
            dvalues.numpy(),
        )
        linear.row_sums(dy.numpy(), dbias.numpy())
        dx = layer.input_gradient(dy) if ctx.needs_input_grad[0] else None
        return dx, dvalues, dbias, None


def _uniform(rng: np.random.Generator, bound: float, count: int) -> torch.Tensor:
    return torch.from_numpy(rng.uniform(-bound, bound, count).astype(np.float32))


class SparseLinear(nn.Module):
    """A linear layer that stores its connections only.

    The first topology is uniform over all sets of ``nnz`` positions. Weights and biases start as in
    ``torch.nn.Linear`` (uniform within ``1 / sqrt(n_in)``), not rescaled for sparsity, as in the paper.

    Attributes:
        values: parameter, float32 ``(nnz,)``, ordered by output neuron, then by input.
        indices: buffer, int32 ``(nnz,)``: the input of each connection.
        indptr: buffer, int64 ``(n_out + 1,)``: where each output neuron's connections begin.
        bias: parameter, float32 ``(n_out,)``; biases stay dense.
    """

    indptr: torch.Tensor
    indices: torch.Tensor

    def __init__(self, in_features: int, out_features: int, nnz: int, rng: np.random.Generator) -> None:
        super().__init__()
        size = in_features * out_features
        if not 1 <= nnz <= size:
            raise ValueError(f"1 <= nnz <= n_in * n_out must hold, but got nnz={nnz}, n_in * n_out={size}")
        self.in_features = in_features
        self.out_features = out_features
        indptr, indices = from_positions(sample_ranks(rng, size, nnz), in_features, out_features)
        self.register_buffer("indptr", torch.from_numpy(indptr))
        self.register_buffer("indices", torch.from_numpy(indices))
        bound = in_features**-0.5
        self.values = nn.Parameter(_uniform(rng, bound, nnz))
        self.bias = nn.Parameter(_uniform(rng, bound, out_features))

    @classmethod
    def of(cls, masked: MaskedLinear) -> SparseLinear:
        """Return the sparse layer that computes what ``masked`` computes, on the CPU; :meth:`MaskedLinear.like` back.

        Raises:
            ValueError: the layer has no mask.
        """
        layer = cls.__new__(cls)
        nn.Module.__init__(layer)
        layer.in_features, layer.out_features = masked.in_features, masked.out_features
        positions = masked.positions()
        indptr, indices = from_positions(positions, layer.in_features, layer.out_features)
        layer.register_buffer("indptr", torch.from_numpy(indptr))
        layer.register_buffer("indices", torch.from_numpy(indices))
        layer.values = nn.Parameter(masked.weight.detach().view(-1).cpu()[torch.from_numpy(positions)])
        layer.bias = nn.Parameter(masked.bias.detach().cpu().clone())
        return layer

    @property
    def nnz(self) -> int:
        """Number of connections."""
        return int(self.values.numel())

    def positions(self) -> npt.NDArray[np.int64]:
        """Return the flat position ``output * n_in + input`` of every connection, ascending."""
        return flat_positions(self.indptr.numpy(), self.indices.numpy(), self.in_features)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map ``(n_in, batch)`` to ``(n_out, batch)``; any batch size (multiples of 16 avoid a copy)."""
        batch = x.shape[1]
        if batch % WIDTH:
            x = nn.functional.pad(x, (0, linear.padded(batch) - batch))
        y = cast("torch.Tensor", _SparseProduct.apply(x.contiguous(), self.values, self.bias, self))  # type: ignore[no-untyped-call]
        return y[:, :batch]

    def input_gradient(self, dy: torch.Tensor) -> torch.Tensor:
        """Return ``transpose(W) dy``, ``(n_in, batch)``; ``dy`` is ``(n_out, batch)``, batch a multiple of 16."""
        dx = torch.empty((self.in_features, dy.shape[1]))
        linear.input_gradient(
            self.indptr.numpy(), self.indices.numpy(), self.values.detach().numpy(), dy.numpy(), dx.numpy()
        )
        return dx

    def input_strength(self) -> npt.NDArray[np.float64]:
        """Return the sum of absolute weights that leave each input, float64 ``(n_in,)``."""
        return linear.input_strength(self.indices.numpy(), self.values.detach().numpy(), self.in_features)

    def dense_weight(self) -> torch.Tensor:
        """Return W as a dense ``(n_out, n_in)`` tensor (for tests and small networks)."""
        weight = torch.zeros(self.out_features * self.in_features)
        weight[torch.from_numpy(self.positions())] = self.values.detach()
        return weight.view(self.out_features, self.in_features)


class MaskedLinear(nn.Module):
    """A dense linear layer whose weight is multiplied with a mask (none: an ordinary dense layer).

    Attributes:
        weight: parameter, float32 ``(n_out, n_in)``.
        bias: parameter, float32 ``(n_out,)``.
        mask: buffer, bool ``(n_out, n_in)``, or None.
    """

    mask: torch.Tensor | None

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor, mask: torch.Tensor | None = None) -> None:
        super().__init__()
        self.out_features, self.in_features = weight.shape
        self.weight = nn.Parameter(weight if mask is None else weight * mask)
        self.bias = nn.Parameter(bias)
        self.register_buffer("mask", mask)

    @classmethod
    def initialised(cls, in_features: int, out_features: int, rng: np.random.Generator) -> MaskedLinear:
        """Return a dense layer that starts as ``torch.nn.Linear`` does."""
        bound = in_features**-0.5
        weight = _uniform(rng, bound, in_features * out_features).view(out_features, in_features)
        return cls(weight, _uniform(rng, bound, out_features))

    @classmethod
    def like(cls, layer: SparseLinear) -> MaskedLinear:
        """Return the masked layer that computes what ``layer`` computes."""
        mask = torch.zeros(layer.out_features * layer.in_features, dtype=torch.bool)
        mask[torch.from_numpy(layer.positions())] = True
        weight = layer.dense_weight()
        return cls(weight, layer.bias.detach().clone(), mask.view_as(weight))

    @property
    def nnz(self) -> int:
        """Number of connections."""
        return int(self.weight.numel() if self.mask is None else self.mask.sum())

    def positions(self) -> npt.NDArray[np.int64]:
        """Return the flat position ``output * n_in + input`` of every connection, ascending.

        Raises:
            ValueError: the layer has no mask: all its weights are connections.
        """
        if self.mask is None:
            raise ValueError("a layer without a mask does not list its connections: it has them all")
        return np.flatnonzero(self.mask.cpu().numpy())

    def masked_weight(self) -> torch.Tensor:
        """Return the weight that the layer computes with."""
        return self.weight if self.mask is None else self.weight * self.mask

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map ``(n_in, batch)`` to ``(n_out, batch)``."""
        return torch.addmm(self.bias[:, None], self.masked_weight(), x)

    def input_gradient(self, dy: torch.Tensor) -> torch.Tensor:
        """Return ``transpose(W) dy``, ``(n_in, batch)``, for ``dy`` of shape ``(n_out, batch)``."""
        return self.masked_weight().detach().T @ dy

    def input_strength(self) -> npt.NDArray[np.float64]:
        """Return the sum of absolute weights that leave each input, float64 ``(n_in,)``."""
        return self.masked_weight().detach().abs().sum(dim=0, dtype=torch.float64).cpu().numpy()
