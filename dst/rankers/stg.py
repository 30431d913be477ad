"""A dense network behind stochastic gates as a ranker (:mod:`dst.rankers.stochastic_gates`)."""

from __future__ import annotations

import dataclasses
import itertools
import math
import time
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from dst.data.dataset import Part, as_array
from dst.data.preparation import at_first_encoding, column_numbers
from dst.errors import DivergedError
from dst.files.checkpoint import State
from dst.rankers.base import FeatureScores, OnEpoch, run_to_the_end, same_settings
from dst.rankers.settings import StgConfig
from dst.rankers.stochastic_gates import StochasticGates
from dst.training.engines.choice import with_gradients
from dst.training.epochs import Curves, EpochReport
from dst.training.result import training_flops

_EVALUATED = 4096
"""Validation rows in one forward pass."""


class StgRanking:
    """A ranking by stochastic gates that goes epoch by epoch and can be saved between any two.

    Minimised is the mean cross-entropy of a minibatch plus ``lam`` times the expected number of open gates (the paper's
    equation 6; a gate of several inputs counts as the root of their number), one draw of the gates a step, by Adam.

    Args:
        train: rows to fit on.
        validation: rows that decide when to stop.
        config: the ranker's settings.
        rng: draws.

    Attributes:
        gates: one for each column of the table, whatever its encodings.
        epoch: how many epochs were trained.
    """

    @with_gradients
    def __init__(self, train: Part, validation: Part, config: StgConfig, rng: np.random.Generator) -> None:
        to_init, to_noise, self._to_shuffle = rng.spawn(3)
        self._noise = torch.Generator("cpu").manual_seed(int(to_noise.integers(2**63)))
        self._config, self._train, self._validation = config, train, validation
        self._column = torch.from_numpy(column_numbers(train))
        self.gates = StochasticGates(torch.bincount(self._column), config.sigma)
        widths = [train.x.shape[1], *config.hidden, train.n_classes]
        self._network = _network(widths, torch.Generator("cpu").manual_seed(int(to_init.integers(2**63))))
        self._parameters = dict(nn.ModuleDict({"gates": self.gates, "network": self._network}).named_parameters())
        self._optimizer = torch.optim.Adam(self._parameters.values(), lr=config.lr, fused=True)
        self._weights = sum(a * b for a, b in itertools.pairwise(widths))
        self.epoch = 0
        self._curves = Curves()
        self._seconds = {"train": 0.0, "evaluate": 0.0}

    @property
    def done(self) -> bool:
        """Whether the epochs are used up."""
        return self.epoch >= self._config.epochs

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
        if not (math.isfinite(train_loss) and math.isfinite(val_loss)):
            raise DivergedError(
                f"the loss must stay finite, but epoch {self.epoch} ended with train_loss={train_loss}, "
                f"val_loss={val_loss} (lr={self._config.lr}, lam={self._config.lam})"
            )
        improved = val_loss < min(self._curves.val_loss, default=math.inf)
        self._curves.train_loss.append(train_loss)
        self._curves.val_loss.append(val_loss)
        self._curves.val_accuracy.append(val_accuracy)
        self._seconds["train"] += trained - started
        self._seconds["evaluate"] += time.perf_counter() - trained
        return EpochReport(self.epoch, train_loss, val_loss, val_accuracy, improved, self.state_dict)

    def scores(self) -> FeatureScores:
        """Return the probability that each gate is open after the last epoch, as the authors' package takes them."""
        with torch.no_grad():
            open_probability = self.gates.open_probability().double().numpy()
        return FeatureScores(
            scores={"gate_probability": at_first_encoding(open_probability, self._column.numpy())},
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
        arrays: dict[str, npt.NDArray[np.generic]] = {"noise": self._noise.get_state().numpy().copy()}
        for name, parameter in self._parameters.items():
            arrays[f"parameter.{name}"] = parameter.detach().numpy().copy()
            for key, value in self._optimizer.state[parameter].items():
                arrays[f"adam.{key}.{name}"] = value.numpy().copy()
        progress = {
            "config": dataclasses.asdict(self._config),
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
        same_settings(self._config, state.progress["config"])
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
        self._noise.set_state(torch.from_numpy(state.arrays["noise"].copy()))
        progress = state.progress
        self.epoch = progress["epoch"]
        self._curves = Curves(**{name: list(values) for name, values in progress["curves"].items()})
        self._seconds = dict(progress["seconds"])
        self._to_shuffle.bit_generator.state = progress["shuffle"]

    def _train_on_all_rows(self) -> float:
        """Train one epoch and return its mean cross-entropy."""
        order = self._to_shuffle.permutation(len(self._train.y))
        total = 0.0
        for first in range(0, len(order), self._config.batch_size):
            rows = order[first : first + self._config.batch_size]
            x, y = _rows(self._train, rows)
            self._optimizer.zero_grad()
            loss = nn.functional.cross_entropy(self._network(x * self.gates.sample(self._noise)[self._column]), y)
            (loss + self._config.lam * self.gates.penalty()).backward()  # type: ignore[no-untyped-call]
            self._optimizer.step()
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


def rank_by_stg(
    train: Part,
    validation: Part,
    config: StgConfig,
    rng: np.random.Generator,
    on_epoch: OnEpoch,
    state: State | None = None,
) -> FeatureScores:
    """Rank by the probability that a column's gate is open; the metric is named ``gate_probability``.

    All epochs are trained, as by the authors' package: gates part slowly, long after the lowest validation loss of a
    network that overfits. A column with several encodings has one gate. ``nnz`` counts all weights.
    On a table that has such columns the score is how many ``sigma`` a gate stands above that of a copy without effect.
    """
    ranking = StgRanking(train, validation, config, rng)
    run_to_the_end(ranking, state, on_epoch)
    return ranking.scores()


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
