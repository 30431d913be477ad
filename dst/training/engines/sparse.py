"""The engine whose compiled kernels take training steps on sparse layers."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import torch

from dst.kernels import linear
from dst.kernels.groups import shrink_inputs
from dst.kernels.losses import Targets, dropout, loss_and_gradient
from dst.kernels.optimizers import adam_hyper, sgd_hyper, update
from dst.kernels.rows import lanes, padded
from dst.kernels.steps import BLOCK, update_by_output
from dst.kernels.team import Team
from dst.network.layers import SparseLinear
from dst.network.model import SparseMLP
from dst.topology.drop import DROP_RULES
from dst.topology.grow import GROW_RULES
from dst.topology.methods import Method
from dst.topology.rewire import rewire
from dst.topology.update import Update
from dst.training.engines.engine import Floats, Restrict, StepConfig, accuracy, anywhere

_EVALUATE_COLUMNS = 512

_WORTH_SHARING = 2**20
"""Multiplications in a product from which on threads share it out: calling them takes as long as a good part of it."""


class _Arrays:
    """A sparse layer's tensors as arrays; they stay its memory, since everything changes in place."""

    def __init__(self, layer: SparseLinear) -> None:
        self.indptr: npt.NDArray[np.int64] = layer.indptr.numpy()
        self.indices: npt.NDArray[np.int32] = layer.indices.numpy()
        self.values: Floats = layer.values.detach().numpy()
        self.bias: Floats = layer.bias.detach().numpy()


class _ByInput:
    """A layer's connections in the order of their inputs, and how these are shared out."""

    def __init__(self, layer: SparseLinear, shares: Callable[[npt.NDArray[np.int64]], npt.NDArray[np.int64]]) -> None:
        indptr, indices = layer.indptr.numpy(), layer.indices.numpy()
        self.starts, self.outputs, self.slots = linear.by_input(indptr, indices, layer.in_features, layer.out_features)
        self.bounds = shares(np.diff(self.starts))


class SparseEngine:
    """Steps on a model of :class:`~dst.network.layers.SparseLinear` layers, without autograd.

    A step is, layer by layer, a sparse product with its ReLU, and backwards both gradients and Adam on the connections.
    The first layer, which is the largest and whose input needs no gradient, goes by output neuron: gradients of a block
    of connections are made and at once spent on the optimizer step. The others go by input neuron
    (:func:`dst.kernels.linear.both_gradients`), for which they keep an int32 pair per connection.

    Besides the model it holds two float32 moments per parameter and the activations of one minibatch. Several threads
    share out the neurons of large layers by their connections; the results are the same.

    Args:
        model: all layers sparse; its parameters are changed in place, and its connections brought into panels that suit
            the minibatch.
        config: how steps are taken.

    Attributes:
        moments: for each layer the optimizer's arrays of the connections, float32 ``(nnz,)`` each: two of Adam, one of
            SGD.
    """

    def __init__(self, model: SparseMLP, config: StepConfig) -> None:
        self._layers = [layer for layer in model.linears if isinstance(layer, SparseLinear)]
        if len(self._layers) < len(model.linears):
            raise TypeError("a SparseEngine needs a model whose layers are all sparse")
        self._config = config
        self.width = padded(config.batch_size)
        self._lanes = lanes(self.width)
        for layer in self._layers:
            layer.arrange(linear.tile_inputs(layer.in_features, layer.out_features, layer.nnz, self.width))
        self._arrays = [_Arrays(layer) for layer in self._layers]
        self._is_adam = config.optimizer == "adam"
        self._step = 0
        self.moments = [self._zeros(layer.nnz) for layer in self._layers]
        self._bias_moments = [self._zeros(layer.out_features) for layer in self._layers]
        self._activations = [linear.aligned((layer.out_features, self.width)) for layer in self._layers]
        self._deltas = [linear.aligned((layer.out_features, self.width)) for layer in self._layers]
        self._gradient = np.empty(max((layer.nnz for layer in self._layers[1:]), default=0), np.float32)
        self._bias_gradient = np.empty(max(layer.out_features for layer in self._layers), np.float32)
        self._team = Team(config.threads)
        self._scratch = [np.empty(4, np.float32)] * config.threads
        self._by_output = [np.empty(0, np.int64)] * len(self._layers)
        self._by_input: dict[int, _ByInput] = {}
        for index in range(len(self._layers)):
            self._follow(index)

    def step(self, x: Floats, y: Targets) -> float:
        """See :meth:`Engine.step`.

        Raises:
            ValueError: the minibatch is not padded to :attr:`width` columns.
        """
        if x.shape[1] != self.width:
            raise ValueError(f"a minibatch must have {self.width} columns, but has {x.shape[1]}")
        self._step += 1
        config = self._config
        if self._is_adam:
            hyper = adam_hyper(self._step, config.lr, config.l2)
        else:
            hyper = sgd_hyper(config.lr, config.l2, config.momentum)
        inputs = [x, *self._activations[:-1]]
        self._forward(x, self._activations, drop=config.dropout > 0)
        loss, _ = loss_and_gradient(self._activations[-1], y, self._deltas[-1], config.label_smoothing)
        for index in range(len(self._layers) - 1, 0, -1):
            self._step_inner(index, inputs[index], hyper)
            self._step_biases(index, hyper)
        self._step_first(x, hyper)
        self._step_biases(0, hyper)
        if config.group_penalty > 0:
            first = self._arrays[0]
            threshold = float(config.lr * config.group_penalty)
            shrink_inputs(first.indices, first.values, threshold, self._layers[0].in_features)
        return loss

    def evaluate(self, x: Floats, y: Targets) -> tuple[float, float]:
        """See :meth:`Engine.evaluate`."""
        n = y.shape[-1]
        loss, hits = 0.0, 0.0
        columns = max(1, _EVALUATE_COLUMNS // self.width) * self.width
        for first in range(0, n, columns):
            part = np.ascontiguousarray(x[:, first : first + columns])
            targets = cast("Targets", np.ascontiguousarray(y[..., first : first + columns]))
            outputs = [linear.aligned((layer.out_features, part.shape[1])) for layer in self._layers]
            self._forward(part, outputs, drop=False)
            part_loss, part_hits = loss_and_gradient(outputs[-1], targets, np.empty_like(outputs[-1]))
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
        restrict: Restrict = anywhere,
    ) -> int:
        """See :meth:`Engine.rewire`."""
        if method.grow is None:
            return 0
        moved = 0
        for index, layer in enumerate(self._layers):
            source = x if index == 0 else self._activations[index - 1]
            gradient = (torch.from_numpy(source), torch.from_numpy(self._deltas[index]))
            seen = Update(layer, rng, gradient)
            if index == 0:
                seen = restrict(dataclasses.replace(seen, input_importance=input_importance))
            drop, grow = DROP_RULES[method.drop], GROW_RULES[method.grow]
            if count := rewire(seen, self.moments[index], drop=drop, grow=grow, fraction=fraction):
                self._follow(index)
                moved += count
        return moved

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
        self._arrays = [_Arrays(layer) for layer in self._layers]
        for index in range(len(self._layers)):
            self._follow(index)

    def memory(self) -> dict[str, int]:
        """See :meth:`Engine.memory`; arrays that serve twice count once."""
        layers = self._arrays
        lists = [
            array
            for order in self._by_input.values()
            for array in (order.starts, order.outputs, order.slots, order.bounds)
        ]
        scratch = {id(array): array for array in (*self._scratch, self._gradient, self._bias_gradient)}
        return {
            "parameters": _nbytes(array for layer in layers for array in (layer.values, layer.bias)),
            "indices": _nbytes([*(array for layer in layers for array in (layer.indptr, layer.indices)), *lists])
            + _nbytes(self._by_output),
            "moments": _nbytes(array for arrays in (*self.moments, *self._bias_moments) for array in arrays),
            "activations": _nbytes([*self._activations, *self._deltas]),
            "gradients": _nbytes(scratch.values()),
        }

    def _forward(self, x: Floats, outputs: list[Floats], *, drop: bool) -> None:
        last = len(self._layers) - 1
        for index, layer in enumerate(self._arrays):
            y = outputs[index]
            self._team.run(partial(self._forward_part, layer, x, y, index < last), self._by_output[index])
            x = y
            if drop and index < last:
                draw = np.uint64(self._step * len(self._layers) + index)
                dropout(x, self._config.dropout, np.uint64(self._config.seed), draw)

    def _forward_part(self, layer: _Arrays, x: Floats, y: Floats, relu: bool, part: int, start: int, end: int) -> None:
        arrays = layer.indptr, layer.indices, layer.values, layer.bias
        linear.forward(*arrays, x, y, relu, start, end, self._lanes)

    def _step_inner(self, index: int, x: Floats, hyper: Floats) -> None:
        values, moments = self._arrays[index].values, _pair(self.moments[index])
        lists, dy, dx = self._by_input[index], self._deltas[index], self._deltas[index - 1]
        scale = 1 / (1 - self._config.dropout)
        arrays = lists.starts, lists.outputs, lists.slots, values, x, dy, dx, self._gradient

        def gradients(part: int, start: int, end: int) -> None:
            linear.both_gradients(*arrays, self._scratch[part], scale, start, end, self._lanes)

        self._team.run(gradients, lists.bounds)
        update(self._is_adam, values, *moments, self._gradient, 0, values.size, hyper)

    def _step_first(self, x: Floats, hyper: Floats) -> None:
        first = self._arrays[0]
        arrays = first.indptr, first.indices, x, self._deltas[0], first.values, *_pair(self.moments[0])

        def gradient_and_step(part: int, start: int, end: int) -> None:
            update_by_output(self._is_adam, *arrays, self._scratch[part], hyper, start, end, self._lanes)

        self._team.run(gradient_and_step, self._by_output[0])

    def _step_biases(self, index: int, hyper: Floats) -> None:
        bias = self._arrays[index].bias
        linear.row_sums(self._deltas[index], self._bias_gradient)
        update(self._is_adam, bias, *_pair(self._bias_moments[index]), self._bias_gradient, 0, bias.size, hyper)

    def _zeros(self, n: int) -> tuple[Floats, ...]:
        return tuple(np.zeros(n, np.float32) for _ in range(2 if self._is_adam else 1))

    def _follow(self, index: int) -> None:
        """Renew what depends on where a layer's connections are."""
        layer, indptr = self._layers[index], self._arrays[index].indptr
        self._by_output[index] = self._shares(np.diff(indptr).reshape(-1, layer.out_features).sum(axis=0))
        if index > 0:
            self._by_input[index] = _ByInput(layer, self._shares)
            return
        needed = BLOCK + int(np.diff(indptr).max())
        if self._scratch[0].size < needed:
            self._scratch = [np.empty(needed, np.float32) for _ in self._scratch]

    def _shares(self, counts: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Return how a layer's neurons with these connections are shared out among the threads."""
        if self._team.size == 1 or counts.sum() * self.width < _WORTH_SHARING:
            return np.array([0, len(counts)])
        return self._team.shares(counts)


def _pair(moments: tuple[Floats, ...]) -> tuple[Floats, Floats]:
    """Return the two arrays that compiled steps take; an optimizer with one leaves the second alone."""
    return moments[0], moments[-1]


def _nbytes(arrays: Iterable[npt.NDArray[Any]]) -> int:
    return sum(array.nbytes for array in arrays)
