"""A dense network whose inputs pass gates that are learnt with it: a ranking that goes epoch by epoch."""

from __future__ import annotations

import abc
import dataclasses
import itertools
import math
import time
from collections.abc import Sequence
from typing import Generic, Protocol, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from dst.data.dataset import Part, as_array
from dst.data.preparation import at_first_encoding, column_numbers
from dst.files.checkpoint import State
from dst.rankers.base import FeatureScores, same_settings
from dst.training.engines.choice import with_gradients
from dst.training.epochs import Curves, EpochReport, check_losses
from dst.training.result import training_flops

_EVALUATED = 4096
"""Validation rows in one forward pass."""


class Gates(nn.Module, abc.ABC):
    """One gate a column of the table, in [0, 1]: what its inputs are multiplied with."""

    @abc.abstractmethod
    def sample(self, generator: torch.Generator) -> torch.Tensor:
        """Return the gates of a training step, float32 ``(n_gates,)``; ``generator`` draws their noise, if any."""

    @abc.abstractmethod
    def expected(self) -> torch.Tensor:
        """Return the gates without noise, float32 ``(n_gates,)``."""


class GatedConfig(Protocol):
    """Settings of a gated network."""

    @property
    def lr(self) -> float:
        """Learning rate of Adam."""

    @property
    def hidden(self) -> tuple[int, ...]:
        """Sizes of the hidden layers."""

    @property
    def epochs(self) -> int:
        """How many are trained."""

    @property
    def batch_size(self) -> int:
        """Rows in a minibatch."""


_Gates = TypeVar("_Gates", bound=Gates)
_Config = TypeVar("_Config", bound=GatedConfig)


class GatedRanking(abc.ABC, Generic[_Gates, _Config]):
    """A ranking by a gated network that goes epoch by epoch and can be saved between any two.

    Minimised by Adam is the mean cross-entropy of a minibatch, and what :meth:`objective` adds to it.

    Args:
        train: rows to fit on.
        validation: rows that decide when to stop.
        config: the ranker's settings, a dataclass.
        rng: draws.

    Attributes:
        config: the settings.
        gates: one for each column of the table, whatever its encodings.
        noise: draws what the gates need.
        epoch: how many epochs were trained.
    """

    @with_gradients
    def __init__(self, train: Part, validation: Part, config: _Config, rng: np.random.Generator) -> None:
        to_init, to_noise, self._to_shuffle = rng.spawn(3)
        self.noise = torch.Generator("cpu").manual_seed(int(to_noise.integers(2**63)))
        self.config, self._train, self._validation = config, train, validation
        self._column = torch.from_numpy(column_numbers(train))
        self.gates = self.make_gates(torch.bincount(self._column))
        widths = [train.x.shape[1], *config.hidden, train.n_classes]
        self._network = _network(widths, torch.Generator("cpu").manual_seed(int(to_init.integers(2**63))))
        self._parameters = dict(nn.ModuleDict({"gates": self.gates, "network": self._network}).named_parameters())
        self._optimizer = torch.optim.Adam(self._parameters.values(), lr=config.lr, fused=True)
        self._weights = sum(a * b for a, b in itertools.pairwise(widths))
        self.epoch = 0
        self._curves = Curves()
        self._seconds = {"train": 0.0, "evaluate": 0.0}

    @abc.abstractmethod
    def make_gates(self, sizes: torch.Tensor) -> _Gates:
        """Return the gates as they are at the start.

        Args:
            sizes: by gate how many inputs it opens, int64 ``(n_gates,)``.
        """

    @abc.abstractmethod
    def column_scores(self) -> dict[str, npt.NDArray[np.float64]]:
        """Return the scores of the table's columns by metric, float64 ``(n_gates,)``."""

    def objective(self, loss: torch.Tensor) -> torch.Tensor:
        """Return what is minimised, from the mean cross-entropy of a minibatch."""
        return loss

    def after_step(self, step: int) -> None:
        """Do what follows an optimizer step, 1 the first of the training."""

    @property
    def steps(self) -> int:
        """Optimizer steps of the whole training."""
        return -(-len(self._train.y) // self.config.batch_size) * self.config.epochs

    @property
    def done(self) -> bool:
        """Whether the epochs are used up."""
        return self.epoch >= self.config.epochs

    @with_gradients
    def run_epoch(self) -> EpochReport:
        """Train one epoch and evaluate on the validation rows.

        Raises:
            DivergedError: the loss is not finite.
        """
        started = time.perf_counter()
        train_loss = self._train_on_all_rows()
        trained = time.perf_counter()
        self.epoch += 1
        val_loss, val_accuracy = self._evaluate()
        check_losses(self.epoch, train_loss, val_loss, lr=self.config.lr)
        improved = self._curves.add(train_loss, val_loss, val_accuracy)
        self._seconds["train"] += trained - started
        self._seconds["evaluate"] += time.perf_counter() - trained
        return EpochReport(self.epoch, train_loss, val_loss, val_accuracy, improved, self.state_dict)

    def scores(self) -> FeatureScores:
        """Return the scores after the last epoch."""
        with torch.no_grad():
            scores = self.column_scores()
        return FeatureScores(
            scores={metric: at_first_encoding(each, self._column.numpy()) for metric, each in scores.items()},
            engine="dense",
            seconds=self._seconds,
            val_loss=self._curves.val_loss[-1],
            val_accuracy=self._curves.val_accuracy[-1],
            epochs=self.epoch,
            best_epoch=self.epoch,
            nnz=(self._weights,),
            dense_size=self._weights,
            flops=training_flops(self._weights, len(self._train.y), self.epoch),
            flops_ratio=1.0,
            curves=self._curves,
        )

    def state_dict(self) -> State:
        """Return all that the rest of the ranking depends on, besides what the constructor was given."""
        arrays: dict[str, npt.NDArray[np.generic]] = {"noise": self.noise.get_state().numpy().copy()}
        for name, parameter in self._parameters.items():
            arrays[f"parameter.{name}"] = parameter.detach().numpy().copy()
            for key, value in self._optimizer.state[parameter].items():
                arrays[f"adam.{key}.{name}"] = value.numpy().copy()
        progress = {
            "config": dataclasses.asdict(self.config),  # type: ignore[call-overload]
            "epoch": self.epoch,
            "curves": dataclasses.asdict(self._curves),
            "seconds": dict(self._seconds),
            "shuffle": self._to_shuffle.bit_generator.state,
        }
        return State(arrays, progress)

    @with_gradients
    def load_state_dict(self, state: State) -> None:
        """Go on from a state, to end bitwise equal (on the same machine, with the same number of threads).

        Raises:
            ValueError: the state is of a ranking with other settings or another table's shape.
        """
        same_settings(self.config, state.progress["config"])
        for name, parameter in self._parameters.items():
            saved = state.arrays[f"parameter.{name}"]
            if saved.shape != tuple(parameter.shape):
                raise ValueError(
                    f"the state is of another shape: {name} is {saved.shape}, not {tuple(parameter.shape)}"
                )
            with torch.no_grad():
                parameter.copy_(torch.from_numpy(saved))
            self._optimizer.state[parameter] = {
                key: torch.from_numpy(np.array(state.arrays[f"adam.{key}.{name}"]))
                for key in ("step", "exp_avg", "exp_avg_sq")
                if f"adam.{key}.{name}" in state.arrays
            }
        self.noise.set_state(torch.from_numpy(state.arrays["noise"].copy()))
        progress = state.progress
        self.epoch = progress["epoch"]
        self._curves = Curves(**{name: list(values) for name, values in progress["curves"].items()})
        self._seconds = dict(progress["seconds"])
        self._to_shuffle.bit_generator.state = progress["shuffle"]

    def _train_on_all_rows(self) -> float:
        """Train one epoch and return its mean cross-entropy."""
        order = self._to_shuffle.permutation(len(self._train.y))
        total, step = 0.0, self.epoch * self.steps // self.config.epochs
        for first in range(0, len(order), self.config.batch_size):
            rows = order[first : first + self.config.batch_size]
            x, y = _rows(self._train, rows)
            self._optimizer.zero_grad()
            loss = nn.functional.cross_entropy(self._network(x * self.gates.sample(self.noise)[self._column]), y)
            self.objective(loss).backward()  # type: ignore[no-untyped-call]
            self._optimizer.step()
            step += 1
            self.after_step(step)
            total += loss.item() * len(rows)
        return total / len(order)

    def _evaluate(self) -> tuple[float, float]:
        """Return cross-entropy and accuracy on the validation rows, with gates that have no noise."""
        loss, hits = 0.0, 0
        rows = np.arange(len(self._validation.y))
        with torch.no_grad():
            gates = self.gates.expected()[self._column]
            for first in range(0, len(rows), _EVALUATED):
                x, y = _rows(self._validation, rows[first : first + _EVALUATED])
                logits = self._network(x * gates)
                loss += nn.functional.cross_entropy(logits, y, reduction="sum").item()
                hits += int((logits.argmax(dim=1) == y).sum())
        return loss / len(rows), hits / len(rows)


def _network(widths: Sequence[int], generator: torch.Generator) -> nn.Sequential:
    """Return a ReLU network with PyTorch's default initialisation, drawn from a generator of its own."""
    layers: list[nn.Module] = []
    for n_in, n_out in itertools.pairwise(widths):
        empty = nn.Linear(n_in, n_out, device="meta", dtype=torch.float32)  # the global generator is left alone
        linear = empty.to_empty(device="cpu")
        bound = 1 / math.sqrt(n_in)
        with torch.no_grad():
            linear.weight.uniform_(-bound, bound, generator=generator)
            linear.bias.uniform_(-bound, bound, generator=generator)
        layers += [linear, nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def _rows(part: Part, rows: npt.NDArray[np.int64]) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.from_numpy(as_array(part.x[rows])), torch.from_numpy(part.y[rows])
