"""The engine for dense and masked dense layers: torch's matrix products, on a CPU or a GPU.

It trains the same methods as the sparse engine, draws the same random numbers and so moves the same connections: what
differs is the rounding of sums. A weight outside the mask is zero and stays so, because its gradient is set to zero
before the optimizer sees it and its moments never leave zero.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from dst.kernels import linear
from dst.kernels.losses import Targets, dropout
from dst.kernels.rows import padded
from dst.network.layers import MaskedLinear, SparseLinear
from dst.network.model import SparseMLP
from dst.topology.drop import DROP_RULES
from dst.topology.grow import GROW_RULES
from dst.topology.methods import Method
from dst.topology.rewire import rewire
from dst.topology.update import Update
from dst.training.engines.engine import Floats, Restrict, StepConfig, accuracy, anywhere

_PER_PARAMETER = ("exp_avg", "exp_avg_sq", "momentum_buffer")
"""torch's names of the optimizer's arrays that have the shape of their parameter."""


class TorchEngine:
    """Steps on a model of :class:`~dst.network.layers.MaskedLinear` layers by dense products and torch's optimizers.

    Gradients are written by hand into arrays that stay, since autograd would allocate each anew in every step, which
    costs wide layers a third of their time; deltas are kept for the rules that move connections by gradient.

    Args:
        model: its parameters are changed in place.
        config: how steps are taken; ``threads`` is up to the caller (``torch.set_num_threads``).
        device: where torch computes, e.g. ``cpu`` or ``cuda``; the model moves there. Topology updates are decided on
            the CPU.
    """

    width = 1

    def __init__(self, model: SparseMLP, config: StepConfig, device: str = "cpu") -> None:
        model.to(device)
        self._layers = [layer for layer in model.linears if isinstance(layer, MaskedLinear)]
        if len(self._layers) < len(model.linears):
            raise TypeError("a TorchEngine needs a model whose layers are all dense or masked")
        self._device = device
        self._config = config
        self._columns = padded(config.batch_size)  # of the sparse engine, for the same draws
        self._step = 0
        self._inputs: list[torch.Tensor] = []
        self._deltas: list[torch.Tensor] = []
        self._masks = [_multiplier(layer) for layer in self._layers]
        parameters = [parameter for layer in self._layers for parameter in (layer.weight, layer.bias)]
        for parameter in parameters:
            parameter.grad = torch.zeros_like(parameter)
        self._optimizer: torch.optim.Optimizer
        if config.optimizer == "adam":
            self._optimizer = torch.optim.Adam(parameters, lr=config.lr, weight_decay=config.l2, fused=True)
        else:
            self._optimizer = torch.optim.SGD(
                parameters, lr=config.lr, momentum=config.momentum, weight_decay=config.l2
            )

    @torch.no_grad()
    def step(self, x: Floats, y: Targets) -> float:
        """See :meth:`dst.training.engines.engine.Engine.step`."""
        self._step += 1
        last = len(self._layers) - 1
        inputs, deltas = [torch.from_numpy(x).to(self._device)], []
        for index, layer in enumerate(self._layers):
            outputs = torch.addmm(layer.bias[:, None], layer.weight, inputs[-1])
            if index < last:
                outputs.relu_()
                if self._config.dropout > 0:
                    outputs *= self._kept(index, outputs.shape)
                inputs.append(outputs)
        loss, delta = _loss(outputs, torch.from_numpy(y).to(self._device), self._config.label_smoothing)
        for index in range(last, -1, -1):
            layer, mask = self._layers[index], self._masks[index]
            deltas.append(delta)
            torch.mm(delta, inputs[index].T, out=layer.weight.grad)
            torch.sum(delta, dim=1, out=layer.bias.grad)
            if mask is not None and layer.weight.grad is not None:
                layer.weight.grad *= mask
            if index > 0:
                delta = (layer.weight.T @ delta).mul_(inputs[index] > 0).div_(1 - self._config.dropout)
        self._optimizer.step()
        if self._config.group_penalty > 0:
            _shrink_inputs(self._layers[0], self._masks[0], self._config.lr * self._config.group_penalty)
        self._inputs, self._deltas = inputs, deltas[::-1]
        return loss.item()

    @torch.no_grad()
    def evaluate(self, x: Floats, y: Targets) -> tuple[float, float]:
        """See :meth:`dst.training.engines.engine.Engine.evaluate`."""
        value = torch.from_numpy(x).to(self._device)
        for index, layer in enumerate(self._layers):
            value = torch.addmm(layer.bias[:, None], layer.weight, value)
            if index < len(self._layers) - 1:
                value.relu_()
        loss = _loss(value, torch.from_numpy(y).to(self._device))[0].item()
        hits = 0.0 if y.dtype == np.float32 else float((value.argmax(dim=0).cpu().numpy() == y).mean())
        return loss, accuracy(loss, hits, y)

    def rewire(
        self,
        method: Method,
        fraction: float,
        rng: np.random.Generator,
        x: Floats,
        input_importance: npt.NDArray[np.float64] | None = None,
        restrict: Restrict = anywhere,
    ) -> int:
        """See :meth:`dst.training.engines.engine.Engine.rewire`; connections move in layers with a mask."""
        if method.grow is None:
            return 0
        moved = 0
        drop, grow = DROP_RULES[method.drop], GROW_RULES[method.grow]
        for index, (layer, mask) in enumerate(zip(self._layers, self._masks, strict=True)):
            if mask is None or layer.mask is None:
                continue  # a full layer has nowhere to grow
            connections = SparseLinear.of(layer)
            # Draws are among places, which the sparse engine numbers in these panels.
            shape = layer.in_features, layer.out_features
            connections.arrange(linear.tile_inputs(*shape, connections.nnz, self._columns))
            gradient = (self._padded(self._inputs[index]), self._padded(self._deltas[index]))
            update = Update(connections, rng, gradient)
            if index == 0:
                update = restrict(dataclasses.replace(update, input_importance=input_importance))
            nobody = [np.zeros(connections.nnz, np.float32)]  # here moments stay at their places
            if count := rewire(update, nobody, drop=drop, grow=grow, fraction=fraction):
                moved += count
                layer.mask.zero_().view(-1)[torch.from_numpy(connections.positions()).to(self._device)] = True
                mask.copy_(layer.mask)
                # What was dropped becomes zero; what has grown is zero, as all outside the mask was.
                for tensor in (layer.weight.data, *self._moments_of(layer.weight)):
                    tensor *= mask
        return moved

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """See :meth:`dst.training.engines.engine.Engine.state`."""
        arrays = {
            f"{parameter}.{name}": np.asarray(tensor.cpu().numpy())
            for parameter, state in self._optimizer.state_dict()["state"].items()
            for name, tensor in state.items()
            if tensor is not None
        }
        return {"step": np.array(self._step), **arrays}

    def load_state(self, state: Mapping[str, npt.NDArray[Any]]) -> None:
        """See :meth:`dst.training.engines.engine.Engine.load_state`."""
        self._step = int(state["step"])
        by_parameter: dict[int, dict[str, torch.Tensor]] = {}
        for key, array in state.items():
            if key == "step":
                continue
            parameter, name = key.split(".")
            by_parameter.setdefault(int(parameter), {})[name] = torch.from_numpy(array.copy())
        self._optimizer.load_state_dict({**self._optimizer.state_dict(), "state": by_parameter})
        self._masks = [_multiplier(layer) for layer in self._layers]

    def memory(self) -> dict[str, int]:
        """See :meth:`dst.training.engines.engine.Engine.memory`."""
        parameters = [parameter for layer in self._layers for parameter in (layer.weight, layer.bias)]
        masks = [mask for mask in (*(layer.mask for layer in self._layers), *self._masks) if mask is not None]
        return {
            "parameters": _nbytes(parameters),
            "indices": _nbytes(masks),
            "moments": _nbytes([tensor for parameter in parameters for tensor in self._moments_of(parameter)]),
            "activations": _nbytes([*self._inputs[1:], *self._deltas]),
            "gradients": _nbytes([parameter.grad for parameter in parameters if parameter.grad is not None]),
        }

    def _moments_of(self, parameter: torch.Tensor) -> list[torch.Tensor]:
        state = self._optimizer.state.get(parameter, {})
        return [state[name] for name in _PER_PARAMETER if state.get(name) is not None]

    def _padded(self, tensor: torch.Tensor) -> torch.Tensor:
        """Return a copy on the CPU, with zero columns up to the width that kernels take."""
        return torch.nn.functional.pad(tensor.cpu(), (0, self._columns - tensor.shape[1])).contiguous()

    def _kept(self, index: int, shape: torch.Size) -> torch.Tensor:
        """Return what dropout multiplies a hidden layer's activations with: the draws of the sparse engine."""
        kept = np.ones((shape[0], self._columns), np.float32)
        draw = np.uint64(self._step * len(self._layers) + index)
        dropout(kept, self._config.dropout, np.uint64(self._config.seed), draw)
        return torch.from_numpy(kept[:, : shape[1]]).to(self._device)


def _loss(
    outputs: torch.Tensor, targets: torch.Tensor, label_smoothing: float = 0.0
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the mean loss of ``(n_outputs, n)`` and its gradient: cross-entropy for codes, else squared error.

    Label smoothing is that of :func:`dst.kernels.losses.cross_entropy`.
    """
    if targets.dtype == torch.float32:
        difference = outputs - targets
        return (difference**2).mean(), difference.mul_(2 / difference.numel())
    samples = torch.arange(len(targets), device=targets.device)
    logarithms = outputs.log_softmax(dim=0)
    gradient = logarithms.exp()
    gradient[targets, samples] -= 1 - label_smoothing
    loss = -logarithms[targets, samples].mean()
    if label_smoothing > 0:
        gradient -= label_smoothing / len(outputs)
        loss = (1 - label_smoothing) * loss - label_smoothing * logarithms.mean()
    return loss, gradient.div_(len(targets))


def _shrink_inputs(layer: MaskedLinear, mask: torch.Tensor | None, threshold: float) -> None:
    """Shrink the connections of each input together: :func:`dst.kernels.groups.shrink_inputs` on a dense weight."""
    counts = layer.out_features if mask is None else mask.sum(dim=0, dtype=torch.float64)
    squares = layer.weight.square().sum(dim=0, dtype=torch.float64)
    factors = 1 - threshold * (counts / squares.clamp(min=torch.finfo(torch.float64).tiny)).sqrt()
    layer.weight.mul_(factors.clamp(min=0).float())


def _multiplier(layer: MaskedLinear) -> torch.Tensor | None:
    """Return the mask as float32, which multiplies twenty times faster than bool; None for a full layer."""
    return None if layer.mask is None or bool(layer.mask.all()) else layer.mask.float()


def _nbytes(tensors: Iterable[torch.Tensor]) -> int:
    return sum(tensor.nbytes for tensor in tensors)
