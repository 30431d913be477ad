"""WAST: importance of the columns, gathered while a sparse denoising autoencoder attends to the important ones.

Sokar, Atashgahi, Pechenizkiy and Mocanu, "Where to pay attention in sparse training for feature selection?", NeurIPS
2022 (arXiv 2211.14627); details are those of the authors' code.
"""

from __future__ import annotations

import dataclasses
import math
import time

import numpy as np
import numpy.typing as npt
import torch
from scipy.special import expit

from dst.data.dataset import Matrix, Part, as_array
from dst.files.checkpoint import State
from dst.rankers.base import FeatureScores, OnEpoch, run_to_the_end, same_settings
from dst.rankers.settings import WastConfig
from dst.rankers.wast_layer import AttentiveLayer, descend
from dst.training.engines.choice import torch_threads
from dst.training.engines.engine import Floats
from dst.training.epochs import Curves, EpochReport, check_losses
from dst.training.result import training_flops

_EVALUATED = 1024
"""Validation rows in one forward pass."""


class WastRanking:
    """A ranking by WAST that goes epoch by epoch and can be saved between any two.

    An autoencoder ``D - units - D`` with sigmoid hidden units reconstructs rows from what noise has left of them. After
    each step a column's importance grows by ``lamda |x - x_hat| + (1 - lamda) sum |w|`` (the error is the mean over the
    minibatch), that of an output likewise with the weights that enter it; then connections of both layers move
    (:class:`dst.rankers.wast_layer.AttentiveLayer`). Rows are shifted and scaled by the mean and the deviation of all
    training values together: a table whose columns have been standardised stays as it is.

    Args:
        train: rows to fit on.
        validation: rows whose reconstruction is reported; they decide nothing.
        config: the ranker's settings.
        rng: draws.

    Attributes:
        encoder: the layer from the columns to the hidden units.
        decoder: the layer from the hidden units to the columns.
        epoch: how many epochs were trained.
    """

    def __init__(self, train: Part, validation: Part, config: WastConfig, rng: np.random.Generator) -> None:
        to_init, self._to_shuffle, self._to_noise = rng.spawn(3)
        n_columns, units = train.x.shape[1], config.units
        self._config, self._train, self._validation = config, train, validation
        self._center, self._spread = _center_and_spread(train.x)
        bounds = n_columns**-0.5, units**-0.5
        self.encoder = AttentiveLayer(n_columns, units, config.density, bounds[0], to_init)
        self.decoder = AttentiveLayer(n_columns, units, config.density, bounds[1], to_init)
        self._biases: list[Floats] = [
            to_init.uniform(-bound, bound, size).astype(np.float32)
            for bound, size in zip(bounds, (units, n_columns), strict=True)
        ]
        self._bias_velocities = [np.zeros_like(bias) for bias in self._biases]
        self.epoch = 0
        self._curves = Curves()
        self._seconds = {"train": 0.0, "topology": 0.0, "evaluate": 0.0}

    @property
    def done(self) -> bool:
        """Whether the epochs are used up."""
        return self.epoch >= self._config.dae_epochs

    def run_epoch(self) -> EpochReport:
        """Train one epoch and reconstruct the validation rows.

        Raises:
            DivergedError: the error is not finite.
        """
        with torch_threads(self._config.threads):
            train_loss = self._train_on_all_rows()
            started = time.perf_counter()
            self.epoch += 1
            val_loss, explained = self._evaluate()
        check_losses(self.epoch, train_loss, val_loss, dae_lr=self._config.dae_lr)
        improved = self._curves.add(train_loss, val_loss, explained)
        self._seconds["evaluate"] += time.perf_counter() - started
        return EpochReport(self.epoch, train_loss, val_loss, explained, improved, self.state_dict)

    def scores(self) -> FeatureScores:
        """Return the importance of the columns after the last epoch."""
        layers = self.encoder, self.decoder
        nnz = tuple(int(layer.mask.sum()) for layer in layers)
        size = sum(layer.mask.size for layer in layers)
        return FeatureScores(
            scores={"neuron_importance": self.encoder.importance.copy()},
            engine="dense",
            seconds=self._seconds,
            val_loss=self._curves.val_loss[-1],
            epochs=self.epoch,
            best_epoch=self.epoch,
            nnz=nnz,
            dense_size=size,
            flops=training_flops(sum(nnz), self._train.x.shape[0], self.epoch),
            flops_ratio=sum(nnz) / size,
            curves=self._curves,
        )

    def state_dict(self) -> State:
        """Return all that the rest of the ranking depends on, besides what the constructor was given."""
        progress = {
            "config": dataclasses.asdict(self._config),
            "epoch": self.epoch,
            "curves": dataclasses.asdict(self._curves),
            "seconds": dict(self._seconds),
            "rng": {name: stream.bit_generator.state for name, stream in self._streams().items()},
        }
        return State({name: array.copy() for name, array in self._arrays().items()}, progress)

    def load_state_dict(self, state: State) -> None:
        """Go on from a state, to end bitwise equal (on the same machine, with the same number of threads).

        Raises:
            ValueError: the state is of a ranking with other settings or another table's shape.
        """
        progress = state.progress
        same_settings(self._config, progress["config"])
        for name, array in self._arrays().items():
            saved = state.arrays[name]
            if saved.shape != array.shape:
                raise ValueError(f"the state is of another shape: {name} is {saved.shape}, not {array.shape}")
            array[...] = saved
        self.epoch = progress["epoch"]
        self._curves = Curves(**{name: list(values) for name, values in progress["curves"].items()})
        self._seconds = dict(progress["seconds"])
        for name, stream in self._streams().items():
            stream.bit_generator.state = progress["rng"][name]

    def _train_on_all_rows(self) -> float:
        """Train one epoch and return its mean loss."""
        config = self._config
        order = self._to_shuffle.permutation(self._train.x.shape[0])
        total = 0.0
        for first in range(0, len(order), config.dae_batch_size):
            started = time.perf_counter()
            x = self._rows(self._train, order[first : first + config.dae_batch_size])
            loss, sensitivity = self._step(x)
            total += loss * len(x)
            stepped = time.perf_counter()
            for layer in (self.encoder, self.decoder):
                layer.attend(sensitivity, config.lamda)
            for layer in (self.encoder, self.decoder):
                layer.move(config.zeta)
            self._seconds["train"] += stepped - started
            self._seconds["topology"] += time.perf_counter() - stepped
        return total / len(order)

    def _step(self, x: Floats) -> tuple[float, Floats]:
        """Take a step on rows ``(n, n_columns)``; return its loss before it, and each column's mean absolute error."""
        config = self._config
        noisy = x + np.float32(config.input_noise) * self._to_noise.standard_normal(x.shape, dtype=np.float32)
        hidden, difference = self._forward(noisy)
        difference -= x
        d_outputs = difference * np.float32(2.0 / difference.size)
        d_hidden = _product(d_outputs, self.decoder.weight)
        d_hidden *= hidden * (1 - hidden)
        gradients = _product(noisy.T, d_hidden), _product(d_outputs.T, hidden)
        for layer, gradient in zip((self.encoder, self.decoder), gradients, strict=True):
            layer.descend(gradient, config.dae_lr, config.momentum)
        for bias, velocity, delta in zip(self._biases, self._bias_velocities, (d_hidden, d_outputs), strict=True):
            descend(bias, velocity, delta.sum(axis=0), config.dae_lr, config.momentum)
        return float(np.square(difference, dtype=np.float64).mean()), np.abs(difference).mean(axis=0)

    def _forward(self, x: Floats) -> tuple[Floats, Floats]:
        """Return the hidden units ``(n, units)`` of rows, and what they are reconstructed to, ``(n, n_columns)``."""
        hidden: Floats = expit(_product(x, self.encoder.weight) + self._biases[0])
        return hidden, _product(hidden, self.decoder.weight.T) + self._biases[1]

    def _evaluate(self) -> tuple[float, float]:
        """Return the mean squared error of the validation rows, without noise, and the share of variance explained."""
        n_rows, n_columns = self._validation.x.shape
        error, squares, sums = 0.0, 0.0, np.zeros(n_columns)
        for first in range(0, n_rows, _EVALUATED):
            x = self._rows(self._validation, np.arange(first, min(first + _EVALUATED, n_rows)))
            error += float(np.square(self._forward(x)[1] - x, dtype=np.float64).sum())
            squares += float(np.square(x, dtype=np.float64).sum())
            sums += x.sum(axis=0, dtype=np.float64)
        spread = squares - float(np.square(sums).sum()) / n_rows
        return error / (n_rows * n_columns), 1 - error / spread if spread > 0 else 0.0

    def _rows(self, part: Part, rows: npt.NDArray[np.int64]) -> Floats:
        return (as_array(part.x[rows]) - self._center) / self._spread

    def _arrays(self) -> dict[str, npt.NDArray[np.generic]]:
        """Return the live arrays of both layers and biases by name."""
        arrays: dict[str, npt.NDArray[np.generic]] = {}
        for name, layer in (("encoder", self.encoder), ("decoder", self.decoder)):
            kinds = {
                "weight": layer.weight,
                "velocity": layer.velocity,
                "mask": layer.mask,
                "importance": layer.importance,
            }
            arrays |= {f"{name}.{kind}": array for kind, array in kinds.items()}
        for index, (bias, velocity) in enumerate(zip(self._biases, self._bias_velocities, strict=True)):
            arrays |= {f"bias.{index}": bias, f"bias_velocity.{index}": velocity}
        return arrays

    def _streams(self) -> dict[str, np.random.Generator]:
        return {"shuffle": self._to_shuffle, "noise": self._to_noise}


def rank_by_wast(
    train: Part,
    validation: Part,
    config: WastConfig,
    rng: np.random.Generator,
    on_epoch: OnEpoch,
    state: State | None = None,
) -> FeatureScores:
    """Rank by the importance that the columns have gathered after all epochs; labels are not read.

    The metric is named ``neuron_importance``. The sparse engine computes neither sigmoid units nor the momentum of
    places without a connection, which the authors' training has: matrices are dense and masked, ``nnz`` and FLOPs
    count connections. Each takes 4 bytes for each column and hidden unit, seven such matrices in a step.
    """
    ranking = WastRanking(train, validation, config, rng)
    run_to_the_end(ranking, state, on_epoch)
    return ranking.scores()


def _product(a: Floats, b: Floats) -> Floats:
    """Return ``a b`` by torch, whose threads are those that the settings allow."""
    product: Floats = torch.mm(torch.from_numpy(a), torch.from_numpy(b)).numpy()
    return product


def _center_and_spread(x: Matrix) -> tuple[np.float32, np.float32]:
    """Return mean and standard deviation of all values of a table; 1 in place of a deviation of 0."""
    values = x if isinstance(x, np.ndarray) else x.data
    size = x.shape[0] * x.shape[1]
    mean = float(values.sum(dtype=np.float64)) / size
    variance = float(np.square(values, dtype=np.float64).sum()) / size - mean**2
    return np.float32(mean), np.float32(math.sqrt(variance) if variance > 0 else 1.0)
