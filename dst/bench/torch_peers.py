"""The training step in torch: dense, masked, and with CSR matrices; all with fused Adam."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Iterable

import torch
from torch import nn

from dst.bench.shapes import L2, LR, Workload
from dst.network.layers import SparseLinear


def _fused_adam(parameters: Iterable[torch.Tensor]) -> torch.optim.Adam:
    return torch.optim.Adam(parameters, lr=LR, weight_decay=L2, fused=True)


def _network(work: Workload) -> nn.Sequential:
    """Return an ordinary network of ``nn.Linear`` that computes what the sparse one computes."""
    modules: list[nn.Module] = []
    for layer in work.layers:
        dense = nn.Linear(layer.in_features, layer.out_features, device="meta")
        dense.weight = nn.Parameter(layer.dense_weight())
        dense.bias = nn.Parameter(layer.bias.detach().clone())
        modules += [dense, nn.ReLU()]
    return nn.Sequential(*modules[:-1])


class TorchDense:
    """A dense network, trained as torch's documentation does it; every weight is active from the first step on.

    Attributes:
        network: ``nn.Linear`` layers with ReLU between them.
    """

    def __init__(self, work: Workload) -> None:
        self.network = _network(work)
        self._optimizer = _fused_adam(self.network.parameters())
        self._x, self._y = torch.from_numpy(work.x), torch.from_numpy(work.y)

    def step(self) -> float:
        """See :meth:`dst.bench.peers.Peer.step`."""
        loss = nn.functional.cross_entropy(self.network(self._x), self._y)
        self._optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self._optimizer.step()
        return loss.item()


class TorchMasked:
    """Sparsity simulated, as is usual in the field: gradients and weights multiplied by float masks, in place.

    Attributes:
        network: ``nn.Linear`` layers with ReLU between them.
    """

    def __init__(self, work: Workload) -> None:
        self.network = _network(work)
        weights = [module.weight for module in self.network if isinstance(module, nn.Linear)]
        self._masked = list(zip(weights, map(_mask, work.layers), strict=True))
        self._optimizer = _fused_adam(self.network.parameters())
        self._x, self._y = torch.from_numpy(work.x), torch.from_numpy(work.y)

    def step(self) -> float:
        """See :meth:`dst.bench.peers.Peer.step`."""
        loss = nn.functional.cross_entropy(self.network(self._x), self._y)
        self._optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        with torch.no_grad():
            for weight, mask in self._masked:
                if weight.grad is not None:
                    weight.grad.mul_(mask)
            self._optimizer.step()
            for weight, mask in self._masked:
                weight.mul_(mask)
        return loss.item()


class TorchCSR:
    """Truly sparse with torch's own CSR products, as fast as they go.

    Forward is ``csr @ dense``; the weight gradient is ``torch.sparse.sampled_addmm`` on the connections, into the same
    memory every time; the input gradient is a product with a second CSR matrix, the transposed one, whose values are
    gathered anew in every step. torch's autograd would take the product with ``csr.t()``, which is 3 to 30 times
    slower, and allocate each gradient anew. Indices are int32, as MKL has them, and activations feature-major.

    Attributes:
        layers: values of connections and biases with their gradients, layer by layer.
    """

    def __init__(self, work: Workload) -> None:
        self.layers = [CSRLayer(layer, inner=index > 0) for index, layer in enumerate(work.layers)]
        self._optimizer = _fused_adam(
            itertools.chain.from_iterable((layer.values, layer.bias) for layer in self.layers)
        )
        self._x, self._y = torch.from_numpy(work.x).T.contiguous(), torch.from_numpy(work.y)
        self._samples = torch.arange(len(work.y))

    @torch.no_grad()
    def step(self) -> float:
        """See :meth:`dst.bench.peers.Peer.step`."""
        *hidden, last = self.layers
        inputs = [self._x]
        for layer in hidden:
            inputs.append(layer.forward(inputs[-1]).relu_())
        logits = last.forward(inputs[-1])
        loss = nn.functional.cross_entropy(logits.T, self._y)
        dy = logits.softmax(dim=0)
        dy[self._y, self._samples] -= 1
        dy /= len(self._y)
        for index in range(len(self.layers) - 1, -1, -1):
            layer = self.layers[index]
            layer.find_gradients(inputs[index], dy)
            if index > 0:
                dy = layer.input_gradient(dy).mul_(inputs[index] > 0)
        self._optimizer.step()
        return loss.item()


class CSRLayer:
    """A layer of :class:`TorchCSR`.

    Attributes:
        values: float32 ``(nnz,)`` with a gradient that is overwritten in every step.
        bias: float32 ``(n_out,)``, likewise.
    """

    def __init__(self, layer: SparseLinear, *, inner: bool) -> None:
        n_in, n_out = layer.in_features, layer.out_features
        indptr, indices, self.values = map(torch.from_numpy, layer.csr())
        self.bias = layer.bias.detach().clone()
        self.values.grad, self.bias.grad = torch.zeros_like(self.values), torch.zeros_like(self.bias)
        self._weight = _csr(indptr, indices, self.values, (n_out, n_in))
        self._gradient = _csr(indptr, indices, self.values.grad, (n_out, n_in))
        if inner:
            order = torch.argsort(indices, stable=True)
            outputs = torch.repeat_interleave(torch.arange(n_out), indptr.diff())[order]
            starts = nn.functional.pad(torch.bincount(indices, minlength=n_in).cumsum(0), (1, 0))
            self._order = order.int()
            self._by_input = torch.empty_like(self.values)
            self._transposed = _csr(starts, outputs, self._by_input, (n_in, n_out))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return ``W x + b``, ``(n_out, batch)``, for ``x`` of shape ``(n_in, batch)``."""
        return (self._weight @ x).add_(self.bias[:, None])

    def find_gradients(self, x: torch.Tensor, dy: torch.Tensor) -> None:
        """Set the gradients of values and bias from input ``(n_in, batch)`` and output gradient ``(n_out, batch)``."""
        torch.sparse.sampled_addmm(self._gradient, dy, x.T, beta=0.0, out=self._gradient)
        torch.sum(dy, dim=1, out=self.bias.grad)

    def input_gradient(self, dy: torch.Tensor) -> torch.Tensor:
        """Return ``transpose(W) dy``, ``(n_in, batch)``; inner layers only."""
        torch.index_select(self.values, 0, self._order, out=self._by_input)
        return self._transposed @ dy


def _mask(layer: SparseLinear) -> torch.Tensor:
    mask = torch.zeros(layer.out_features * layer.in_features)
    mask[torch.from_numpy(layer.positions())] = 1.0
    return mask.view(layer.out_features, layer.in_features)


def _csr(starts: torch.Tensor, indices: torch.Tensor, values: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """Return a CSR matrix that shares the memory of ``values``."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta state")
        return torch.sparse_csr_tensor(starts.int(), indices.int(), values, size=size, check_invariants=False)
