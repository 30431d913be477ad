"""What takes training steps, and the engine whose compiled kernels take them on sparse layers.

An engine is given a model and its optimizer settings, takes steps on feature-major minibatches and evaluates. The one
for dense and masked layers is :class:`dst.torch_engine.TorchEngine`; :mod:`dst.engines` chooses.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, cast

import numpy as np
import numpy.typing as npt
import torch

from dst.errors import InputError
from dst.kernels import linear
from dst.kernels.losses import cross_entropy, dropout, squared_error
from dst.kernels.optimizers import adam_hyper, sgd_hyper, update
from dst.kernels.steps import BLOCK, update_by_output
from dst.layers import SparseLinear
from dst.model import SparseMLP
from dst.topology import DROP_RULES, GROW_RULES, Method, Update, rewire

Floats = npt.NDArray[np.float32]
Targets = npt.NDArray[np.int64] | npt.NDArray[np.float32]

_EVALUATE_COLUMNS = 512


@dataclass(frozen=True)
class StepConfig:
    """How an optimizer step is taken.

    Attributes:
        lr: learning rate.
        l2: coupled weight decay on connections and biases.
        optimizer: ``adam`` or ``sgd``.
        momentum: of ``sgd``.
        dropout: share of each hidden layer's activations that a step sets to zero.
        seed: of dropout, 64 bits.
        threads: cores that kernels may use, at least 1.
    """

    lr: float
    l2: float = 0.0
    optimizer: str = "adam"
    momentum: float = 0.9
    dropout: float = 0.0
    seed: int = 0
    threads: int = 1

    def __post_init__(self) -> None:
        if self.threads < 1:
            raise InputError(f"threads >= 1 must hold, but got threads={self.threads}")


OPTIMIZERS = ("adam", "sgd")
"""Optimizers by name."""


class Engine(Protocol):
    """Takes training steps on a model, whose parameters it changes in place.

    Targets are int64 class codes ``(n,)`` for mean cross-entropy, or float32 ``(n_outputs, n)`` for mean squared error
    (regression, or the reconstruction of an autoencoder).
    """

    pad: bool
    """Whether minibatches are padded with zero columns to a multiple of the vector width."""

    def step(self, x: Floats, y: Targets) -> float:
        """Take an optimizer step on a minibatch; return its loss before the step.

        Args:
            x: float32 ``(n_features, batch)``, C order; zero columns beyond the n samples where ``pad``.
            y: targets of the n samples.
        """

    def evaluate(self, x: Floats, y: Targets) -> tuple[float, float]:
        """Return loss and accuracy on samples ``x`` ``(n_features, n)``, padded like a minibatch.

        The accuracy of float targets is their share of explained variance (R squared).
        """

    def rewire(
        self,
        method: Method,
        fraction: float,
        rng: np.random.Generator,
        x: Floats,
        input_importance: npt.NDArray[np.float64] | None = None,
    ) -> None:
        """Move connections of every layer (:func:`dst.topology.rewire`).

        Args:
            method: how; nothing happens where its connections never move.
            fraction: the share that moves.
            rng: draws.
            x: the minibatch of the last step.
            input_importance: how much each feature has mattered so far, float64 ``(n_features,)``, or None.
        """

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """Return the optimizer's arrays by name; they may be the live ones."""

    def load_state(self, state: Mapping[str, npt.NDArray[Any]]) -> None:
        """Take over the optimizer's arrays, and note that the model has been replaced."""

    def memory(self) -> dict[str, int]:
        """Return the bytes that are held, by kind.

        ``parameters`` (weights and biases), ``indices`` (what says where connections are: index arrays or masks),
        ``moments`` (of the optimizer), ``activations`` (of one minibatch, with their gradients; 0 before the first
        step) and ``gradients`` (of parameters).
        """


class _Arrays:
    """A sparse layer's tensors as arrays; they stay its memory, since everything changes in place."""

    def __init__(self, layer: SparseLinear) -> None:
        self.indptr: npt.NDArray[np.int64] = layer.indptr.numpy()
        self.indices: npt.NDArray[np.int32] = layer.indices.numpy()
        self.values: Floats = layer.values.detach().numpy()
        self.bias: Floats = layer.bias.detach().numpy()


class SparseEngine:
    """Steps on a model of :class:`~dst.layers.SparseLinear` layers, without autograd.

    A step is, layer by layer, a sparse product with its ReLU, and backwards both gradients and Adam on the connections.
    The first layer, which is the largest and whose input needs no gradient, goes by output neuron: gradients of a block
    of neurons are made and at once spent on the optimizer step. The others go by input neuron
    (:func:`dst.kernels.linear.both_gradients`), for which they keep an int32 pair per connection.

    Besides the model it holds two float32 moments per parameter and the activations of one minibatch.

    Args:
        model: all layers sparse; its parameters are changed in place.
        config: how steps are taken.

    Attributes:
        moments: for each layer the optimizer's arrays of the connections, float32 ``(nnz,)`` each: two of Adam, one of
            SGD.
    """

    pad = True

    def __init__(self, model: SparseMLP, config: StepConfig) -> None:
        self._layers = [layer for layer in model.linears if isinstance(layer, SparseLinear)]
        if len(self._layers) < len(model.linears):
            raise TypeError("a SparseEngine needs a model whose layers are all sparse")
        self._arrays = [_Arrays(layer) for layer in self._layers]
        self._config = config
        self._is_adam = config.optimizer == "adam"
        self._step = 0
        self.moments = [self._zeros(layer.nnz) for layer in self._layers]
        self._bias_moments = [self._zeros(layer.out_features) for layer in self._layers]
        self._gradient = np.empty(0, np.float32)
        self._sums = np.empty(4, np.float32)
        self._width = 0
        self._segments: list[tuple[npt.NDArray[np.int64], int]] = []
        self._by_input = [_by_input(layer) for layer in self._layers[1:]]
        self._make_room()
        self._activations: list[Floats] = []
        self._deltas: list[Floats] = []

    def step(self, x: Floats, y: Targets) -> float:
        """See :meth:`Engine.step`."""
        self._step += 1
        config = self._config
        if self._is_adam:
            hyper = adam_hyper(self._step, config.lr, config.l2)
        else:
            hyper = sgd_hyper(config.lr, config.l2, config.momentum)
        self._prepare(x.shape[1])
        inputs = [x, *self._activations[:-1]]
        self._forward(x, self._activations, drop=config.dropout > 0)
        loss, _ = _loss(self._activations[-1], y, self._deltas[-1])
        for index in range(len(self._layers) - 1, 0, -1):
            values = self._arrays[index].values
            dy, dx = self._deltas[index], self._deltas[index - 1]
            linear.both_gradients(
                *self._by_input[index - 1],
                values,
                inputs[index],
                dy,
                dx,
                self._gradient,
                self._sums,
                1 / (1 - config.dropout),
            )
            update(self._is_adam, values, *_pair(self.moments[index]), self._gradient, 0, values.size, hyper)
            self._step_biases(index, hyper)
        first = self._arrays[0]
        update_by_output(
            self._is_adam,
            *self._segments[0],
            first.indices,
            x,
            self._deltas[0],
            first.values,
            *_pair(self.moments[0]),
            self._gradient,
            hyper,
        )
        self._step_biases(0, hyper)
        return loss

    def evaluate(self, x: Floats, y: Targets) -> tuple[float, float]:
        """See :meth:`Engine.evaluate`."""
        if not self._segments:
            self._prepare(x.shape[1])
        n = y.shape[-1]
        loss, hits = 0.0, 0.0
        for first in range(0, n, _EVALUATE_COLUMNS):
            part = np.ascontiguousarray(x[:, first : first + _EVALUATE_COLUMNS])
            targets = cast("Targets", np.ascontiguousarray(y[..., first : first + _EVALUATE_COLUMNS]))
            outputs = [linear.aligned((layer.out_features, part.shape[1])) for layer in self._layers]
            self._forward(part, outputs, drop=False)
            part_loss, part_hits = _loss(outputs[-1], targets, np.empty_like(outputs[-1]))
            loss += part_loss * targets.shape[-1]
            hits += part_hits
        return loss / n, accuracy(loss / n, hits / n, y)

    def rewire(
        self,
        method: Method,
        fraction: float,
        rng: np.random.Generator,
        x: Floats,
        input_importance: npt.NDArray[np.float64] | None = None,
    ) -> None:
        """See :meth:`Engine.rewire`."""
        if method.grow is None:
            return
        for index, layer in enumerate(self._layers):
            source = x if index == 0 else self._activations[index - 1]
            gradient = (torch.from_numpy(source), torch.from_numpy(self._deltas[index]))
            update = Update(layer, rng, gradient, input_importance if index == 0 else None)
            drop, grow = DROP_RULES[method.drop], GROW_RULES[method.grow]
            if rewire(update, self.moments[index], drop=drop, grow=grow, fraction=fraction):
                self._segments[index] = _segments(layer, self._width)
                if index > 0:
                    self._by_input[index - 1] = _by_input(layer)
        self._make_room()

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """See :meth:`Engine.state`."""
        arrays = {
            f"{layer}.{kind}.{order}": array
            for kind, moments in (("values", self.moments), ("bias", self._bias_moments))
            for layer, arrays in enumerate(moments)
            for order, array in enumerate(arrays, start=1)
        }
        return {"step": np.array(self._step), **arrays}

    def load_state(self, state: Mapping[str, npt.NDArray[Any]]) -> None:
        """See :meth:`Engine.load_state`."""
        self._step = int(state["step"])
        for name, array in self.state().items():
            if name != "step":
                array[:] = state[name]
        self._by_input = [_by_input(layer) for layer in self._layers[1:]]
        self._segments = []
        self._make_room()

    def memory(self) -> dict[str, int]:
        """See :meth:`Engine.memory`; arrays that serve twice count once."""
        layers = self._arrays
        segments = [made for (made, n_tiles) in self._segments if n_tiles > 1]
        return {
            "parameters": _nbytes([array for layer in layers for array in (layer.values, layer.bias)]),
            "indices": _nbytes([array for layer in layers for array in (layer.indptr, layer.indices)])
            + _nbytes([*segments, *(array for arrays in self._by_input for array in arrays)]),
            "moments": _nbytes([array for arrays in (*self.moments, *self._bias_moments) for array in arrays]),
            "activations": _nbytes([*self._activations, *self._deltas]),
            "gradients": _nbytes([self._gradient, self._sums]),
        }

    def _forward(self, x: Floats, outputs: list[Floats], *, drop: bool) -> None:
        last = len(self._layers) - 1
        for index, layer in enumerate(self._arrays):
            linear.forward(
                *self._segments[index],
                layer.indices,
                layer.values,
                layer.bias,
                x,
                outputs[index],
                index < last,
            )
            x = outputs[index]
            if drop and index < last:
                draw = np.uint64(self._step * len(self._layers) + index)
                dropout(x, self._config.dropout, np.uint64(self._config.seed), draw)

    def _step_biases(self, index: int, hyper: Floats) -> None:
        bias = self._arrays[index].bias
        linear.row_sums(self._deltas[index], self._gradient)
        update(self._is_adam, bias, *_pair(self._bias_moments[index]), self._gradient, 0, bias.size, hyper)

    def _zeros(self, n: int) -> tuple[Floats, ...]:
        return tuple(np.zeros(n, np.float32) for _ in range(2 if self._is_adam else 1))

    def _make_room(self) -> None:
        """Grow the gradient's scratch to what the layers need."""
        longest_row = int(np.diff(self._layers[0].indptr.numpy()).max())
        inner = [layer.nnz for layer in self._layers[1:]]
        needed = max(BLOCK + longest_row, *inner, *(layer.out_features for layer in self._layers))
        if self._gradient.size < needed:
            self._gradient = np.empty(needed, np.float32)

    def _prepare(self, width: int) -> None:
        """Choose tiles for the first width that is seen, and make room for activations of this one."""
        if not self._segments:
            self._width = width
            self._segments = [_segments(layer, width) for layer in self._layers]
        if not self._activations or self._activations[0].shape[1] != width:
            self._activations = [linear.aligned((layer.out_features, width)) for layer in self._layers]
            self._deltas = [linear.aligned((layer.out_features, width)) for layer in self._layers]


def _segments(layer: SparseLinear, width: int) -> tuple[npt.NDArray[np.int64], int]:
    """Return a layer's segments for minibatches of about this width, and the number of tiles."""
    tile = linear.tile_inputs(layer.in_features, layer.out_features, layer.nnz, width)
    n_tiles = -(-layer.in_features // tile)
    if n_tiles == 1:
        return layer.indptr.numpy(), 1
    return linear.tile_segments(layer.indptr.numpy(), layer.indices.numpy(), tile, n_tiles), n_tiles


def _by_input(layer: SparseLinear) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    return linear.by_input(layer.indptr.numpy(), layer.indices.numpy(), layer.in_features)


def _pair(moments: tuple[Floats, ...]) -> tuple[Floats, Floats]:
    """Return the two arrays that compiled steps take; an optimizer with one leaves the second alone."""
    return moments[0], moments[-1]


def _loss(outputs: Floats, y: Targets, gradient: Floats) -> tuple[float, float]:
    """Write the gradient of the loss; return it, and how many class codes were hit (0 for float targets)."""
    if y.dtype == np.float32:
        targets = cast("Floats", y)
        return float(squared_error(outputs, targets, y.shape[1], gradient)), 0.0
    loss, hits = cross_entropy(outputs, cast("npt.NDArray[np.int64]", y), gradient)
    return float(loss), float(hits)


def _nbytes(arrays: Iterable[npt.NDArray[Any]]) -> int:
    return sum(array.nbytes for array in arrays)


def accuracy(loss: float, hits: float, y: Targets) -> float:
    """Return the share of hits of class codes, or for float targets their share of explained variance (R squared).

    Args:
        loss: mean squared error; not used for class codes.
        hits: share of class codes that were hit; not used for float targets.
        y: targets, as engines take them.
    """
    if y.dtype == np.float32:
        spread = float(np.mean((y - y.mean(axis=1, keepdims=True)) ** 2))
        return 1 - loss / spread if spread > 0 else 0.0
    return hits
