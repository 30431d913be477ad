"""A network as the field simulates sparsity: dense weights in torch, multiplied by masks that SET or RigL move."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import torch
from torch import nn
from torch.func import functional_call, jacrev, vmap

from dst.bench.stock.settings import MaskedSettings
from dst.network.sparsity import connections
from dst.topology.schedules import SCHEDULES, share

_MOMENTS = ("exp_avg", "exp_avg_sq")


class Masked:
    """The mask of a weight, and the places where it is 1.

    Attributes:
        mask: float32, the weight's shape: a float multiplies many times faster than a bool.
        active: places in the flat weight where there is a connection, int64 ``(nnz,)``, in any order.
    """

    def __init__(self, weight: torch.Tensor, nnz: int, to_draw: torch.Generator) -> None:
        self.weight = weight
        self.mask = torch.zeros_like(weight)
        self.active = torch.randperm(weight.numel(), generator=to_draw)[:nnz]
        self.mask.view(-1)[self.active] = 1.0
        weight.mul_(self.mask)

    def move(self, fraction: float, grow: str, optimizer: torch.optim.Optimizer, to_draw: torch.Generator) -> None:
        """Drop the smallest weights and grow as many connections, at random or where the gradient is largest.

        The weight's gradient must be that of all places: it is masked afterwards.
        """
        flat, mask = self.weight.view(-1), self.mask.view(-1)
        count = min(math.ceil(fraction * len(self.active)), flat.numel() - len(self.active))
        if count == 0:
            return
        order = flat[self.active].abs().argsort()
        dropped, kept = self.active[order[:count]], self.active[order[count:]]
        if grow == "gradient" and self.weight.grad is not None:
            gradients = self.weight.grad.abs().view(-1)
            gradients[self.active] = -1.0  # below those of units that are not active
            grown = gradients.topk(count).indices
        else:
            grown = self._free(count, to_draw)
        mask[dropped] = 0.0
        mask[grown] = 1.0
        self.active = torch.cat([kept, grown])
        moments = optimizer.state[self.weight]  # empty before the first step
        for tensor in (self.weight, *(moments[name] for name in _MOMENTS if name in moments)):
            tensor.view(-1)[dropped] = 0.0

    def _free(self, count: int, to_draw: torch.Generator) -> torch.Tensor:
        """Draw places without a connection, each as likely as any other."""
        mask = self.mask.view(-1)
        size = mask.numel()
        if 2 * (len(self.active) + count) > size:
            free = (mask == 0).nonzero().view(-1)
            return free[torch.randperm(len(free), generator=to_draw)[:count]]
        drawn = torch.empty(0, dtype=torch.int64)
        while len(drawn) < count:
            more = torch.randint(size, (2 * count,), generator=to_draw)
            drawn = torch.unique(torch.cat([drawn, more[mask[more] == 0]]))
        return drawn[torch.randperm(len(drawn), generator=to_draw)[:count]]


class MaskedNetwork:
    """Linear layers with ReLU between them, trained by fused Adam.

    Args:
        n_in: features.
        n_out: classes.
        config: the network and how it is trained.
        to_draw: draws weights, masks and grown connections.
        objective: what is minimised, of logits ``(n, n_classes)`` and class codes ``(n,)``.
    """

    def __init__(
        self,
        n_in: int,
        n_out: int,
        config: MaskedSettings,
        to_draw: torch.Generator,
        objective: Callable[[torch.Tensor, torch.Tensor], torch.Tensor] = nn.functional.cross_entropy,
    ) -> None:
        self._config = config
        self._objective = objective
        self._to_draw = to_draw
        shapes = list(itertools.pairwise((n_in, *config.hidden, n_out)))
        linears = [nn.Linear(*shape, device="meta", dtype=torch.float32).to_empty(device="cpu") for shape in shapes]
        for linear in linears:  # as nn.Linear does it, from our generator
            bound = linear.in_features**-0.5
            for parameter in linear.parameters():
                nn.init.uniform_(parameter, -bound, bound, generator=to_draw)
        self.network = nn.Sequential(*[module for linear in linears for module in (linear, nn.ReLU())][:-1])
        counts = connections(shapes, config.sparsity, config.distribution) if config.sparse else [None] * len(shapes)
        with torch.no_grad():
            self.masked = [
                Masked(linear.weight, count, to_draw)
                for linear, count in zip(linears, counts, strict=True)
                if count is not None and count < linear.weight.numel()
            ]
        self._first = linears[0].weight
        self._optimizer = torch.optim.Adam(self.network.parameters(), lr=config.lr, weight_decay=config.l2, fused=True)
        self._parameters = dict(self.network.named_parameters())
        self._jacobians = vmap(jacrev(self._logits, argnums=1), in_dims=(None, 0))

    def step(self, x: torch.Tensor, y: torch.Tensor, number: int, total: int) -> None:
        """Take an optimizer step; connections move after every few.

        Args:
            x: minibatch, float32 ``(n, n_features)``.
            y: class codes, int64 ``(n,)``.
            number: of the step, from 1.
            total: steps of the whole training.
        """
        config = self._config
        loss = self._objective(self.network(x), y)
        self._optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        with torch.no_grad():
            if config.grow and number % config.update_interval == 0 and number <= config.stop_fraction * total:
                final = min(config.final_drop_fraction, config.drop_fraction)
                schedule = SCHEDULES[config.schedule]
                fraction = share(schedule, number, total, initial=config.drop_fraction, final=final)
                for layer in self.masked:
                    layer.move(fraction, config.grow, self._optimizer, self._to_draw)
            for layer in self.masked:
                if layer.weight.grad is not None:
                    layer.weight.grad.mul_(layer.mask)
            self._optimizer.step()
            for layer in self.masked:
                layer.weight.mul_(layer.mask)

    @torch.no_grad()
    def loss(self, x: torch.Tensor, y: torch.Tensor) -> float:
        """Return the objective on rows, float32 ``(n, n_features)``."""
        return float(self._objective(self.network(x), y))

    @torch.no_grad()
    def strength(self) -> torch.Tensor:
        """Return the sum of absolute weights that leave each input, ``(n_features,)``."""
        sums: torch.Tensor = self._first.abs().sum(dim=0)
        return sums

    def attribution(self, x: torch.Tensor) -> torch.Tensor:
        """Return the absolute gradients of the logits, summed over them, mean over rows, ``(n_features,)``."""
        gradients: torch.Tensor = self._jacobians({n: p.detach() for n, p in self._parameters.items()}, x)
        return gradients.abs().sum(dim=1).mean(dim=0)

    def _logits(self, parameters: dict[str, torch.Tensor], row: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = functional_call(self.network, parameters, (row,))
        return logits
