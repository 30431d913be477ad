"""What takes training steps: compiled kernels on sparse layers, or torch on dense ones.

Both are given a model and its optimizer settings, take steps on feature-major minibatches and evaluate.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from dst.kernels import linear
from dst.kernels.losses import cross_entropy
from dst.kernels.optimizers import adam, adam_hyper
from dst.kernels.steps import BLOCK, update_by_output
from dst.layers import SparseLinear
from dst.model import SparseMLP
from dst.topology import DROP_RULES, GROW_RULES, Method, Update, rewire

Floats = npt.NDArray[np.float32]
Labels = npt.NDArray[np.int64]

_EVALUATE_COLUMNS = 512


class Engine(Protocol):
    """Takes training steps on a model, whose parameters it changes in place."""

    pad: bool
    """Whether minibatches are padded with zero columns to a multiple of the vector width."""

    def step(self, x: Floats, y: Labels) -> float:
        """Take an optimizer step on a minibatch; return its mean cross-entropy before the step.

        Args:
            x: float32 ``(n_features, batch)``, C order; zero columns beyond ``len(y)`` where ``pad``.
            y: int64 ``(n,)``.
        """

    def evaluate(self, x: Floats, y: Labels) -> tuple[float, float]:
        """Return mean cross-entropy and accuracy on rows ``x`` ``(n_features, n)``, padded like a minibatch."""

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


class SparseEngine:
    """Steps on a model of :class:`~dst.layers.SparseLinear` layers, without autograd.

    A step is, layer by layer, a sparse product with its ReLU, and backwards both gradients and Adam on the connections.
    The first layer, which is the largest and whose input needs no gradient, goes by output neuron: gradients of a block
    of neurons are made and at once spent on the optimizer step. The others go by input neuron
    (:func:`dst.kernels.linear.both_gradients`), for which they keep an int32 pair per connection.

    Besides the model it holds two float32 moments per parameter and the activations of one minibatch.

    Args:
        model: all layers sparse; its parameters are changed in place.
        lr: Adam's learning rate.
        l2: coupled weight decay on connections and biases.

    Attributes:
        moments: for each layer Adam's first and second moments of the connections, float32 ``(nnz,)`` each.
    """

    pad = True

    def __init__(self, model: SparseMLP, *, lr: float, l2: float) -> None:
        self._layers = [layer for layer in model.linears if isinstance(layer, SparseLinear)]
        if len(self._layers) < len(model.linears):
            raise TypeError("a SparseEngine needs a model whose layers are all sparse")
        self._lr = lr
        self._l2 = l2
        self._step = 0
        self.moments = [_zeros(layer.nnz) for layer in self._layers]
        self._bias_moments = [_zeros(layer.out_features) for layer in self._layers]
        self._gradient = np.empty(0, np.float32)
        self._sums = np.empty(4, np.float32)
        self._width = 0
        self._segments: list[tuple[npt.NDArray[np.int64], int]] = []
        self._by_input = [_by_input(layer) for layer in self._layers[1:]]
        self._make_room()
        self._activations: list[Floats] = []
        self._deltas: list[Floats] = []

    def step(self, x: Floats, y: Labels) -> float:
        """See :meth:`Engine.step`."""
        self._step += 1
        hyper = adam_hyper(self._step, self._lr, self._l2)
        self._prepare(x.shape[1])
        inputs = [x, *self._activations[:-1]]
        self._forward(x, self._activations)
        loss, _ = cross_entropy(self._activations[-1], y, self._deltas[-1])
        for index in range(len(self._layers) - 1, 0, -1):
            layer = self._layers[index]
            values = layer.values.detach().numpy()
            starts, outputs, slots = self._by_input[index - 1]
            dy = self._deltas[index]
            linear.both_gradients(
                starts, outputs, slots, values, inputs[index], dy, self._deltas[index - 1], self._gradient, self._sums
            )
            adam(values, *self.moments[index], self._gradient, 0, layer.nnz, hyper)
            self._step_biases(index, hyper)
        first = self._layers[0]
        update_by_output(
            *self._segments[0],
            first.indices.numpy(),
            x,
            self._deltas[0],
            first.values.detach().numpy(),
            *self.moments[0],
            self._gradient,
            hyper,
        )
        self._step_biases(0, hyper)
        return float(loss)

    def evaluate(self, x: Floats, y: Labels) -> tuple[float, float]:
        """See :meth:`Engine.evaluate`."""
        loss, hits = 0.0, 0
        if not self._segments:
            self._prepare(x.shape[1])
        for first in range(0, len(y), _EVALUATE_COLUMNS):
            part = np.ascontiguousarray(x[:, first : first + _EVALUATE_COLUMNS])
            labels = y[first : first + _EVALUATE_COLUMNS]
            outputs = [linear.aligned((layer.out_features, part.shape[1])) for layer in self._layers]
            self._forward(part, outputs)
            part_loss, part_hits = cross_entropy(outputs[-1], labels, np.empty_like(outputs[-1]))
            loss += part_loss * len(labels)
            hits += part_hits
        return loss / len(y), hits / len(y)

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
        moments = enumerate(zip(self.moments, self._bias_moments, strict=True))
        arrays = {
            f"{layer}.{kind}.{order}": array
            for layer, pairs in moments
            for kind, pair in zip(("values", "bias"), pairs, strict=True)
            for order, array in enumerate(pair, start=1)
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

    def _forward(self, x: Floats, outputs: list[Floats]) -> None:
        last = len(self._layers) - 1
        for index, layer in enumerate(self._layers):
            linear.forward(
                *self._segments[index],
                layer.indices.numpy(),
                layer.values.detach().numpy(),
                layer.bias.detach().numpy(),
                x,
                outputs[index],
                index < last,
            )
            x = outputs[index]

    def _step_biases(self, index: int, hyper: Floats) -> None:
        layer = self._layers[index]
        linear.row_sums(self._deltas[index], self._gradient[: layer.out_features])
        adam(layer.bias.detach().numpy(), *self._bias_moments[index], self._gradient, 0, layer.out_features, hyper)

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


class TorchEngine:
    """Steps by torch's autograd and its fused Adam, for dense (or masked dense) layers.

    Args:
        model: its parameters are changed in place.
        lr: Adam's learning rate.
        l2: coupled weight decay on all parameters.
    """

    pad = False

    def __init__(self, model: SparseMLP, *, lr: float, l2: float) -> None:
        self._model = model
        self._optimizer = torch.optim.Adam(model.parameters(), lr=lr, weight_decay=l2, fused=True)

    def step(self, x: Floats, y: Labels) -> float:
        """See :meth:`Engine.step`."""
        loss = nn.functional.cross_entropy(self._model.columns(torch.from_numpy(x)).T, torch.from_numpy(y))
        self._optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self._optimizer.step()
        return loss.item()

    def evaluate(self, x: Floats, y: Labels) -> tuple[float, float]:
        """See :meth:`Engine.evaluate`."""
        labels = torch.from_numpy(y)
        with torch.no_grad():
            logits = self._model.columns(torch.from_numpy(x)).T
            loss = nn.functional.cross_entropy(logits, labels).item()
            accuracy = (logits.argmax(dim=1) == labels).float().mean().item()
        return loss, accuracy

    def rewire(
        self,
        method: Method,
        fraction: float,
        rng: np.random.Generator,
        x: Floats,
        input_importance: npt.NDArray[np.float64] | None = None,
    ) -> None:
        """See :meth:`Engine.rewire`; dense connections never move."""
        if method.grow is not None:
            raise TypeError("connections move in sparse layers only")

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """See :meth:`Engine.state`."""
        return {
            f"{parameter}.{name}": np.asarray(tensor.numpy())
            for parameter, state in self._optimizer.state_dict()["state"].items()
            for name, tensor in state.items()
        }

    def load_state(self, state: Mapping[str, npt.NDArray[Any]]) -> None:
        """See :meth:`Engine.load_state`."""
        by_parameter: dict[int, dict[str, torch.Tensor]] = {}
        for key, array in state.items():
            parameter, name = key.split(".")
            by_parameter.setdefault(int(parameter), {})[name] = torch.from_numpy(array.copy())
        self._optimizer.load_state_dict({**self._optimizer.state_dict(), "state": by_parameter})


def _segments(layer: SparseLinear, width: int) -> tuple[npt.NDArray[np.int64], int]:
    """Return a layer's segments for minibatches of about this width, and the number of tiles."""
    tile = linear.tile_inputs(layer.in_features, layer.out_features, layer.nnz, width)
    n_tiles = -(-layer.in_features // tile)
    if n_tiles == 1:
        return layer.indptr.numpy(), 1
    return linear.tile_segments(layer.indptr.numpy(), layer.indices.numpy(), tile, n_tiles), n_tiles


def _by_input(layer: SparseLinear) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    return linear.by_input(layer.indptr.numpy(), layer.indices.numpy(), layer.in_features)


def _zeros(n: int) -> tuple[Floats, Floats]:
    return np.zeros(n, np.float32), np.zeros(n, np.float32)
