"""The training step with scipy.sparse and NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array

from dst.bench.shapes import L2, LR, Workload
from dst.network.layers import SparseLinear

Floats = npt.NDArray[np.float32]

_B1, _B2, _EPS = 0.9, 0.999, 1e-8
_ADAM_BLOCK = 2**14
"""Values in an Adam block: its dozen NumPy operations then find their operands in the second-level cache."""
_GATHER_BELOW = 0.04
"""Density below which gathering rows for each connection was measured to beat a dense product, read at the pattern."""
_GATHER_BLOCK = 2**11
_PRODUCT_ROWS = 64


class ScipySparse:
    """Truly sparse with ``csr_array`` products on feature-major activations; NumPy does the rest, in place.

    SciPy has no product that is taken on a pattern only. The weight gradient is therefore gathered, block by block of
    connections, or, in denser layers, read from dense products of blocks of rows; memory stays bounded either way.

    Attributes:
        layers: weights and biases, layer by layer.
    """

    def __init__(self, work: Workload) -> None:
        self.layers = [ScipyLayer(layer) for layer in work.layers]
        self._x = np.ascontiguousarray(work.x.T)
        self._y = work.y
        self._step = 0

    def step(self) -> float:
        """See :meth:`dst.bench.peers.Peer.step`."""
        self._step += 1
        *hidden, last = self.layers
        inputs = [self._x]
        for layer in hidden:
            y = layer.forward(inputs[-1])
            inputs.append(np.maximum(y, 0, out=y))
        loss, dy = _cross_entropy(last.forward(inputs[-1]), self._y)
        for index in range(len(self.layers) - 1, -1, -1):
            layer, output_gradient = self.layers[index], dy
            if index > 0:
                dy = layer.weight.T @ output_gradient
                dy *= inputs[index] > 0
            layer.update(inputs[index], output_gradient, self._step)
        return loss


class ScipyLayer:
    """A layer of :class:`ScipySparse`.

    Attributes:
        weight: CSR ``(n_out, n_in)`` with int32 indices.
        bias: float32 ``(n_out,)``.
    """

    def __init__(self, layer: SparseLinear) -> None:
        n_in, n_out = layer.in_features, layer.out_features
        indptr, indices, values = layer.csr()
        self.weight: Any = csr_array((values, indices, indptr.astype(np.int32)), shape=(n_out, n_in))
        self.bias = layer.bias.detach().numpy().copy()
        self._gathers = layer.nnz < _GATHER_BELOW * n_in * n_out
        rows = np.repeat(np.arange(n_out), np.diff(indptr))
        self._where = rows if self._gathers else rows % _PRODUCT_ROWS * n_in + indices
        self._gradient = np.empty_like(values)
        self._moments = np.zeros((2, layer.nnz), np.float32)
        self._bias_moments = np.zeros((2, n_out), np.float32)

    def forward(self, x: Floats) -> Floats:
        """Return ``W x + b``, ``(n_out, batch)``, for ``x`` of shape ``(n_in, batch)``."""
        y: Floats = self.weight @ x
        y += self.bias[:, None]
        return y

    def update(self, x: Floats, dy: Floats, step: int) -> None:
        """Take Adam's step number ``step`` from input ``(n_in, batch)`` and output gradient ``(n_out, batch)``."""
        if self._gathers:
            self._gather_gradient(x, dy)
        else:
            self._read_gradient(x, dy)
        _adam(self.weight.data, self._moments, self._gradient, step)
        _adam(self.bias, self._bias_moments, dy.sum(axis=1), step)

    def _gather_gradient(self, x: Floats, dy: Floats) -> None:
        rows, columns = self._where, self.weight.indices
        for first in range(0, len(rows), _GATHER_BLOCK):
            block = slice(first, first + _GATHER_BLOCK)
            np.einsum("ij,ij->i", dy[rows[block]], x[columns[block]], out=self._gradient[block])

    def _read_gradient(self, x: Floats, dy: Floats) -> None:
        n_out, n_in = self.weight.shape
        product = np.empty((min(_PRODUCT_ROWS, n_out), n_in), np.float32)
        for first in range(0, n_out, _PRODUCT_ROWS):
            rows = dy[first : first + _PRODUCT_ROWS]
            np.matmul(rows, x.T, out=product[: len(rows)])
            block = slice(self.weight.indptr[first], self.weight.indptr[first + len(rows)])
            # mode="clip": with the default, NumPy would buffer what it writes to ``out``.
            np.take(product.reshape(-1), self._where[block], out=self._gradient[block], mode="clip")


def _cross_entropy(logits: Floats, labels: npt.NDArray[np.int64]) -> tuple[float, Floats]:
    """Return the mean cross-entropy of logits ``(n_classes, n)`` and its gradient, which takes their place."""
    samples = np.arange(len(labels))
    logits -= logits.max(axis=0)
    picked = logits[labels, samples]
    np.exp(logits, out=logits)
    totals = logits.sum(axis=0)
    loss = float(np.mean(np.log(totals) - picked))
    logits /= totals
    logits[labels, samples] -= 1
    logits /= len(labels)
    return loss, logits


def _adam(values: Floats, moments: Floats, gradient: Floats, step: int) -> None:
    """Take a step as :func:`dst.kernels.optimizers.adam` does; ``moments`` is ``(2, n)``, ``gradient`` is used up."""
    rate, correction = LR / (1 - _B1**step), (1 - _B2**step) ** -0.5
    scratch = np.empty(min(_ADAM_BLOCK, len(values)), np.float32)
    for first in range(0, len(values), _ADAM_BLOCK):
        block = slice(first, first + _ADAM_BLOCK)
        w, g, m, v = values[block], gradient[block], moments[0, block], moments[1, block]
        t = scratch[: len(w)]
        np.multiply(w, L2, out=t)
        g += t
        m *= _B1
        np.multiply(g, 1 - _B1, out=t)
        m += t
        v *= _B2
        np.multiply(g, g, out=t)
        t *= 1 - _B2
        v += t
        np.sqrt(v, out=t)
        t *= correction
        t += _EPS
        np.divide(m, t, out=t)
        t *= rate
        w -= t
