"""Gradients of a network's outputs, and of a function of them, with respect to its input, without autograd.

A block of samples goes forward once; then each output is propagated back by itself, so that time is proportional to
``n_outputs * nnz * n_samples`` and memory to ``nnz + n_neurons * n_samples``: no Jacobian is stored. The gradient of a
function of the outputs, such as a loss, takes as long as that of one output.
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
    """A network after a block of samples has gone forward; what is of one output needs a hidden layer."""

    def outputs(self) -> Floats:
        """Return the outputs, float32 ``(n_outputs, >= n_samples)``; columns behind the samples mean nothing."""

    def gradient(self, output: int) -> Floats:
        """Return ``d z_output / d x``, float32 ``(n_features, >= n_samples)``; columns behind the samples are zero."""

    def add_magnitudes(self, output: int, sums: Doubles) -> None:
        """Add ``sum_b |d z_output(x_b) / d x_i|`` to ``sums[i]``, float64 ``(n_features,)``."""

    def add_magnitudes_and_squares(self, output: int, magnitudes: Doubles, squares: Doubles) -> None:
        """Add as :meth:`add_magnitudes`, and ``sum_b (d z_output(x_b) / d x_i)^2`` to ``squares[i]``."""

    def add_magnitudes_of(self, gradient: Floats, sums: Doubles) -> None:
        """Add ``sum_b |d f(z(x_b)) / d x_i|`` of a function f of the outputs to ``sums[i]``, float64 ``(n_features,)``.

        Args:
            gradient: ``d f / d z``, of the shape of :meth:`outputs`, zero behind the samples.
            sums: changed.
        """


def blocks(n_rows: int) -> Iterator[slice]:
    """Cut rows into blocks that suit :func:`backward`: at most 128 rows each."""
    width = 16 * len(lanes(padded(n_rows)))
    for first in range(0, n_rows, width):
        yield slice(first, first + width)


def backward(model: SparseMLP, rows: Floats) -> Backward:
    """Let a block of :func:`blocks` go forward through a network."""
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
        self._before_last = x
        self._deltas = [linear.aligned(activation.shape) for activation in self._activations]
        live = [np.ones(n_features, np.bool_), *map(attribution.live_rows, self._activations)]
        self._lists = [
            attribution.live_by_input(*_arrays(layer), live[index], live[index + 1])
            for index, layer in enumerate(layers[:-1])
        ]
        self._last_layer = layers[-1]
        self._last = layers[-1].csr()
        self._n_features = n_features

    def outputs(self) -> Floats:
        """See :meth:`Backward.outputs`."""
        layer, x = self._last_layer, self._before_last
        z = linear.aligned((layer.out_features, x.shape[1]))
        linear.forward(*_arrays(layer), layer.bias.detach().numpy(), x, z, False, 0, layer.out_features, self._lanes)
        return z

    def gradient(self, output: int) -> Floats:
        """See :meth:`Backward.gradient`."""
        delta = self._at_first_layer(output)
        dx = linear.aligned((self._n_features, delta.shape[1]))
        attribution.back_to_input(*self._lists[0], delta, dx, self._lanes)
        return dx

    def add_magnitudes(self, output: int, sums: Doubles) -> None:
        """See :meth:`Backward.add_magnitudes`."""
        attribution.add_magnitudes(*self._lists[0], self._at_first_layer(output), sums, self._lanes)

    def add_magnitudes_and_squares(self, output: int, magnitudes: Doubles, squares: Doubles) -> None:
        """See :meth:`Backward.add_magnitudes_and_squares`."""
        delta = self._at_first_layer(output)
        attribution.add_magnitudes_and_squares(*self._lists[0], delta, magnitudes, squares, self._lanes)

    def add_magnitudes_of(self, gradient: Floats, sums: Doubles) -> None:
        """See :meth:`Backward.add_magnitudes_of`."""
        live = np.ones(len(self._before_last), np.bool_), np.ones(len(gradient), np.bool_)
        last = attribution.live_by_input(*_arrays(self._last_layer), *live)
        if not self._deltas:
            attribution.add_magnitudes(*last, gradient, sums, self._lanes)
            return
        attribution.back(*last, gradient, self._activations[-1], self._deltas[-1], self._lanes)
        attribution.add_magnitudes(*self._lists[0], self._back_to_first_layer(), sums, self._lanes)

    def _at_first_layer(self, output: int) -> Floats:
        """Return the gradient of an output with respect to the first layer's output, before its ReLU."""
        attribution.seed(*self._last, output, self._activations[-1], self._deltas[-1], self._lanes)
        return self._back_to_first_layer()

    def _back_to_first_layer(self) -> Floats:
        """Bring the gradient from the last hidden layer's output, before its ReLU, to the first one's; return it."""
        activations, deltas = self._activations, self._deltas
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
            self._before_last = x
            masked = [
                layer.dense_weight() if isinstance(layer, SparseLinear) else layer.masked_weight().detach()
                for layer in (*hidden, last)
            ]
        *self._weights, self._last = masked
        self._last_layer = last

    def outputs(self) -> Floats:
        """See :meth:`Backward.outputs`."""
        with torch.no_grad():
            outputs: torch.Tensor = self._last_layer(self._before_last)
        return outputs.cpu().numpy()

    def gradient(self, output: int) -> Floats:
        """See :meth:`Backward.gradient`."""
        return self._gradient(output).cpu().numpy()

    def add_magnitudes(self, output: int, sums: Doubles) -> None:
        """See :meth:`Backward.add_magnitudes`."""
        sums += self._gradient(output).abs().sum(dim=1, dtype=torch.float64).cpu().numpy()

    def add_magnitudes_and_squares(self, output: int, magnitudes: Doubles, squares: Doubles) -> None:
        """See :meth:`Backward.add_magnitudes_and_squares`."""
        gradient = self._gradient(output)
        magnitudes += gradient.abs().sum(dim=1, dtype=torch.float64).cpu().numpy()
        squares += gradient.square().sum(dim=1, dtype=torch.float64).cpu().numpy()

    def add_magnitudes_of(self, gradient: Floats, sums: Doubles) -> None:
        """See :meth:`Backward.add_magnitudes_of`."""
        back = self._back(self._last.T @ torch.from_numpy(gradient).to(self._last.device))
        sums += back.abs().sum(dim=1, dtype=torch.float64).cpu().numpy()

    def _gradient(self, output: int) -> torch.Tensor:
        return self._back(self._last[output][:, None])

    def _back(self, gradient: torch.Tensor) -> torch.Tensor:
        """Return the gradient with respect to the input, given that with respect to the last layer's input."""
        for weight, active in zip(reversed(self._weights), reversed(self._active), strict=True):
            gradient = weight.T @ (gradient * active)
        return gradient


def _arrays(layer: SparseLinear) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int32], Floats]:
    return layer.indptr.numpy(), layer.indices.numpy(), layer.values.detach().numpy()
