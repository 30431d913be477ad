"""Gradients of a network's outputs with respect to its input, output by output, without autograd.

A block of samples goes forward once; then each output is propagated back by itself, so that time is proportional to
``n_outputs * nnz * n_samples`` and memory to ``nnz + n_neurons * n_samples``: no Jacobian is stored.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch

from dst.kernels import attribution, linear
from dst.kernels.rows import lanes, padded
from dst.network.layers import SparseLinear
from dst.network.model import SparseMLP

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]


class Backward(Protocol):
    """A network after a block of samples has gone forward."""

    def gradient(self, output: int) -> Floats:
        """Return ``d z_output / d x``, float32 ``(n_features, >= n_samples)``; columns behind the samples are zero."""

    def add_magnitudes(self, output: int, sums: Doubles) -> None:
        """Add ``sum_b |d z_output(x_b) / d x_i|`` to ``sums[i]``, float64 ``(n_features,)``."""


def blocks(rows: Floats) -> Iterator[Floats]:
    """Cut rows ``(n_rows, n_features)`` into blocks that suit :func:`backward`: at most 128 rows each."""
    width = 16 * len(lanes(padded(len(rows))))
    for first in range(0, len(rows), width):
        yield rows[first : first + width]


def backward(model: SparseMLP, rows: Floats) -> Backward:
    """Let a block of :func:`blocks` go forward through a network of at least one hidden layer."""
    layers = [layer for layer in model.linears if isinstance(layer, SparseLinear)]
    return SparseBackward(layers, rows) if len(layers) == len(model.linears) else DenseBackward(model, rows)


class SparseBackward:
    """:class:`Backward` of sparse layers. Neurons that no sample of the block activates are left out, exactly."""

    def __init__(self, layers: list[SparseLinear], rows: Floats) -> None:
        n_rows, n_features = rows.shape
        columns = padded(n_rows)
        self._lanes = lanes(columns)
        x = linear.aligned((n_features, columns))
        attribution.transposed(np.array(rows, np.float32, order="C"), x)
        self._activations = []
        for layer in layers[:-1]:
            y = linear.aligned((layer.out_features, columns))
            bias = layer.bias.detach().numpy()
            linear.forward(*_arrays(layer), bias, x, y, True, 0, layer.out_features, self._lanes)
            self._activations.append(y)
            x = y
        x[:, n_rows:] = 0  # so that nothing comes back through the padding
        self._deltas = [linear.aligned(activation.shape) for activation in self._activations]
        live = [np.ones(n_features, np.bool_), *map(attribution.live_rows, self._activations)]
        self._lists = [
            attribution.live_by_input(*_arrays(layer), live[index], live[index + 1])
            for index, layer in enumerate(layers[:-1])
        ]
        self._last = layers[-1].csr()
        self._n_features = n_features

    def gradient(self, output: int) -> Floats:
        """See :meth:`Backward.gradient`."""
        delta = self._at_first_layer(output)
        dx = linear.aligned((self._n_features, delta.shape[1]))
        attribution.back_to_input(*self._lists[0], delta, dx, self._lanes)
        return dx

    def add_magnitudes(self, output: int, sums: Doubles) -> None:
        """See :meth:`Backward.add_magnitudes`."""
        attribution.add_magnitudes(*self._lists[0], self._at_first_layer(output), sums, self._lanes)

    def _at_first_layer(self, output: int) -> Floats:
        """Return the gradient with respect to the first layer's output, before its ReLU."""
        activations, deltas = self._activations, self._deltas
        attribution.seed(*self._last, output, activations[-1], deltas[-1], self._lanes)
        for index in range(len(activations) - 1, 0, -1):
            x, dx = activations[index - 1], deltas[index - 1]
            attribution.back(*self._lists[index], deltas[index], x, dx, self._lanes)
        return deltas[0]


class DenseBackward:
    """:class:`Backward` of dense and masked layers, on any device."""

    def __init__(self, model: SparseMLP, rows: Floats) -> None:
        *hidden, last = model.linears
        with torch.no_grad():
            x = torch.from_numpy(np.ascontiguousarray(rows.T)).to(model.device)
            self._active = []
            for layer in hidden:
                x = torch.relu(layer(x))
                self._active.append(x > 0)
            masked = [
                layer.dense_weight() if isinstance(layer, SparseLinear) else layer.masked_weight().detach()
                for layer in (*hidden, last)
            ]
        *self._weights, self._last = masked

    def gradient(self, output: int) -> Floats:
        """See :meth:`Backward.gradient`."""
        return self._gradient(output).cpu().numpy()

    def add_magnitudes(self, output: int, sums: Doubles) -> None:
        """See :meth:`Backward.add_magnitudes`."""
        sums += self._gradient(output).abs().sum(dim=1, dtype=torch.float64).cpu().numpy()

    def _gradient(self, output: int) -> torch.Tensor:
        gradient = self._last[output][:, None]
        for weight, active in zip(reversed(self._weights), reversed(self._active), strict=True):
            gradient = weight.T @ (gradient * active)
        return gradient


def _arrays(layer: SparseLinear) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int32], Floats]:
    return layer.indptr.numpy(), layer.indices.numpy(), layer.values.detach().numpy()
