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
from dst.kernels.connections import from_places, into_panels, places
from dst.kernels.rows import lanes, padded
from dst.kernels.select import sample_ranks


class _SparseProduct(torch.autograd.Function):
    """``W x + b`` with the kernels of :mod:`dst.kernels.linear`."""

    @staticmethod
    def forward(
        ctx: Any, x: torch.Tensor, values: torch.Tensor, bias: torch.Tensor, layer: SparseLinear
    ) -> torch.Tensor:
        y = x.new_empty((layer.out_features, x.shape[1]))
        linear.forward(
            layer.indptr.numpy(),
            layer.indices.numpy(),
            values.detach().numpy(),
            bias.detach().numpy(),
            x.detach().numpy(),
            y.numpy(),
            False,
            0,
            layer.out_features,
            lanes(x.shape[1]),
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
            layer.indices.numpy(),
            x.detach().numpy(),
            dy.numpy(),
            0,
            len(layer.indptr) - 1,
            dvalues.numpy(),
            lanes(x.shape[1]),
        )
        linear.row_sums(dy.numpy(), dbias.numpy())
        dx = layer.input_gradient(dy) if ctx.needs_input_grad[0] else None
        return dx, dvalues, dbias, None


def _uniform(rng: np.random.Generator, bound: float, count: int) -> torch.Tensor:
    return torch.from_numpy(rng.uniform(-bound, bound, count).astype(np.float32))


class SparseLinear(nn.Module):
    """A linear layer that stores its connections only, in panels of inputs (:mod:`dst.kernels.linear`).

    The first topology is uniform over all sets of ``nnz`` positions. Weights and biases start as in
    ``torch.nn.Linear`` (uniform within ``1 / sqrt(n_in)``), not rescaled for sparsity, as in the paper.

    Attributes:
        values: parameter, float32 ``(nnz,)``, ordered by panel, then by output neuron, then by input.
        indices: buffer, int32 ``(nnz,)``: the input of each connection.
        indptr: buffer, int64 ``(n_panels * n_out + 1,)``: where the connections from a panel to an output neuron begin.
        bias: parameter, float32 ``(n_out,)``; biases stay dense.
        panel_inputs: buffer, int64 ``()``: inputs of a panel; all of them at first, which is CSR.
    """

    indptr: torch.Tensor
    indices: torch.Tensor
    panel_inputs: torch.Tensor

    def __init__(self, in_features: int, out_features: int, nnz: int, rng: np.random.Generator) -> None:
        super().__init__()
        size = in_features * out_features
        if not 1 <= nnz <= size:
            raise ValueError(f"1 <= nnz <= n_in * n_out must hold, but got nnz={nnz}, n_in * n_out={size}")
        self.in_features = in_features
        self.out_features = out_features
        indptr, indices = from_places(sample_ranks(rng, size, nnz), in_features, in_features, out_features)
        self.register_buffer("indptr", torch.from_numpy(indptr))
        self.register_buffer("indices", torch.from_numpy(indices))
        self.register_buffer("panel_inputs", torch.tensor(in_features, device="cpu"))
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
        indptr, indices = from_places(positions, layer.in_features, layer.in_features, layer.out_features)
        layer.register_buffer("indptr", torch.from_numpy(indptr))
        layer.register_buffer("indices", torch.from_numpy(indices))
        layer.register_buffer("panel_inputs", torch.tensor(layer.in_features, device="cpu"))
        layer.values = nn.Parameter(masked.weight.detach().view(-1).cpu()[torch.from_numpy(positions)])
        layer.bias = nn.Parameter(masked.bias.detach().cpu().clone())
        return layer

    @property
    def nnz(self) -> int:
        """Number of connections."""
        return int(self.values.numel())

    @property
    def tile(self) -> int:
        """Inputs of a panel."""
        return int(self.panel_inputs)

    def arrange(self, tile: int) -> None:
        """Store the connections in panels of ``tile`` inputs; the function that the layer computes is the same."""
        if tile == self.tile:
            return
        values = self.values.detach().numpy()
        shape = self.in_features, self.out_features
        indptr, indices, moved = into_panels(self.indptr.numpy(), self.indices.numpy(), values, tile, *shape)
        self.indptr, self.indices = torch.from_numpy(indptr), torch.from_numpy(indices)
        self.values.data = torch.from_numpy(moved)
        self.panel_inputs = torch.tensor(tile, device="cpu")

    def csr(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int32], npt.NDArray[np.float32]]:
        """Return ``indptr``, ``indices`` and ``values`` of the weight as a CSR matrix, by output neuron; copies."""
        arrays = self.indptr.numpy(), self.indices.numpy(), self.values.detach().numpy()
        return into_panels(*arrays, self.in_features, self.in_features, self.out_features)

    def places(self) -> npt.NDArray[np.int64]:
        """Return the place of every connection in the order of storage (:mod:`dst.kernels.connections`), ascending."""
        return places(self.indptr.numpy(), self.indices.numpy(), self.tile, self.in_features, self.out_features)

    def positions(self) -> npt.NDArray[np.int64]:
        """Return ``output * n_in + input`` of every connection, in the order of storage."""
        rows = np.arange(len(self.indptr) - 1) % self.out_features
        inputs: npt.NDArray[np.int32] = self.indices.numpy()
        return np.repeat(rows * self.in_features, np.diff(self.indptr.numpy())) + inputs

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map ``(n_in, batch)`` to ``(n_out, batch)``; any batch size."""
        batch = x.shape[1]
        if batch != padded(batch):
            x = nn.functional.pad(x, (0, padded(batch) - batch))
        y = cast("torch.Tensor", _SparseProduct.apply(x.contiguous(), self.values, self.bias, self))  # type: ignore[no-untyped-call]
        return y[:, :batch]

    def input_gradient(self, dy: torch.Tensor) -> torch.Tensor:
        """Return ``transpose(W) dy``, ``(n_in, batch)``; ``dy`` is ``(n_out, batch)``, batch a multiple of 16."""
        dx = dy.new_empty((self.in_features, dy.shape[1]))
        linear.input_gradient(
            self.indptr.numpy(),
            self.indices.numpy(),
            self.values.detach().numpy(),
            dy.numpy(),
            dx.numpy(),
            lanes(dy.shape[1]),
        )
        return dx

    def input_strength(self) -> npt.NDArray[np.float64]:
        """Return the sum of absolute weights that leave each input, float64 ``(n_in,)``."""
        return linear.input_strength(self.indices.numpy(), self.values.detach().numpy(), self.in_features)

    def input_squares(self) -> npt.NDArray[np.float64]:
        """Return the sum of squared weights that leave each input, float64 ``(n_in,)``."""
        squares = np.square(self.values.detach().numpy())
        return linear.input_strength(self.indices.numpy(), squares, self.in_features)

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *arguments: Any) -> None:
        """Make room for a state in other panels, which has an ``indptr`` of another length."""
        indptr = state_dict.get(f"{prefix}indptr")
        if indptr is not None and (len(indptr) - 1) % self.out_features == 0:
            self.indptr = torch.empty_like(indptr)
        super()._load_from_state_dict(state_dict, prefix, *arguments)

    def dense_weight(self) -> torch.Tensor:
        """Return W as a dense ``(n_out, n_in)`` tensor (for tests and small networks)."""
        weight = self.values.new_zeros(self.out_features * self.in_features)
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
        mask = torch.zeros(layer.out_features * layer.in_features, dtype=torch.bool, device=layer.values.device)
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

    def input_squares(self) -> npt.NDArray[np.float64]:
        """Return the sum of squared weights that leave each input, float64 ``(n_in,)``."""
        return self.masked_weight().detach().square().sum(dim=0, dtype=torch.float64).cpu().numpy()
