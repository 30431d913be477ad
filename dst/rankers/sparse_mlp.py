"""The sparse MLP as a ranker: train once, score the inputs by every metric."""

from __future__ import annotations

import dataclasses
import time

import numpy as np

from dst.data.dataset import Part
from dst.files.checkpoint import State
from dst.importance.metrics import HELD_OUT_METRICS, Scores
from dst.network.model import SparseMLP
from dst.rankers.base import FeatureScores, OnEpoch, run_to_the_end
from dst.training.config import TrainingConfig
from dst.training.engines.choice import torch_threads
from dst.training.importance_history import ImportanceHistory
from dst.training.result import EpochEnd, StepStart, training_flops
from dst.training.trainer import Trainer


class NetworkRanking:
    """A ranking by a network that goes epoch by epoch and can be saved between any two.

    Args:
        train: rows to fit on.
        validation: rows that decide when to stop.
        config: the ranker's settings.
        rng: draws.
    """

    def __init__(self, train: Part, validation: Part, config: TrainingConfig, rng: np.random.Generator) -> None:
        to_train, to_sample, self._to_permute = rng.spawn(3)
        self._history = ImportanceHistory(train, to_sample, config)
        self._trainer = Trainer(
            train,
            validation,
            config,
            to_train,
            lambda: self._history.running("neuron_attribution"),
            self._before_step,
        )
        self._config = config
        self._validation = validation
        self._n_rows = len(train.y)
        self._seconds = 0.0

    @property
    def done(self) -> bool:
        """Whether training is over."""
        return self._trainer.done

    def run_epoch(self) -> EpochEnd:
        """Train one epoch and take the importance of the inputs.

        Raises:
            DivergedError: a loss or a weight is not finite.
        """
        end = self._trainer.run_epoch()
        started = time.perf_counter()
        with torch_threads(self._config.threads):
            self._history.add(end)
        self._seconds += time.perf_counter() - started
        return dataclasses.replace(end, state=self.state_dict)

    def scores(self) -> FeatureScores:
        """Return the metrics of the settings: summed over what counts of the training, or of the best epoch's network.

        Training is over then.
        """
        result = self._trainer.result()
        scores = {**self._history.scores(), **self._of_the_best(result.model)}
        dense_size = result.model.dense_size
        return FeatureScores(
            scores={name: scores[name] for name in self._config.importances},
            engine=result.engine,
            seconds={**result.seconds, "rank": self._seconds},
            val_loss=result.val_loss,
            val_accuracy=result.val_accuracy,
            epochs=result.epochs,
            best_epoch=result.best_epoch,
            best_epochs=(result.best_epoch,),
            nnz=tuple(result.model.nnz),
            dense_size=dense_size,
            flops=result.flops,
            flops_ratio=result.flops / training_flops(dense_size, self._n_rows, result.epochs),
            curves=result.curves,
            device=self._config.device,
            memory=result.memory,
        )

    def _of_the_best(self, model: SparseMLP) -> dict[str, Scores]:
        """Return the metrics that take validation rows."""
        started = time.perf_counter()
        names = [name for name in self._config.importances if name in HELD_OUT_METRICS]
        with torch_threads(self._config.threads):
            scores = {name: HELD_OUT_METRICS[name](model, self._validation, self._to_permute) for name in names}
        self._seconds += time.perf_counter() - started
        return scores

    def _before_step(self, start: StepStart) -> None:
        started = time.perf_counter()
        self._history.add_step(start)
        self._seconds += time.perf_counter() - started

    def state_dict(self) -> State:
        """Return all that the rest of the ranking depends on, besides what the constructor was given."""
        seconds = State({}, {"rank": self._seconds})
        parts = {"training": self._trainer.state_dict(), "importance": self._history.state_dict(), "seconds": seconds}
        return State.of(parts)

    def load_state_dict(self, state: State) -> None:
        """Go on from a state, to end bitwise equal (on the same machine, with the same number of threads).

        Raises:
            ValueError: the state is of a ranking with other settings or another table's shape.
        """
        self._trainer.load_state_dict(state.part("training"))
        self._history.load_state_dict(state.part("importance"))
        self._seconds = state.part("seconds").progress["rank"]


def rank_by_sparse_mlp(
    train: Part,
    validation: Part,
    config: TrainingConfig,
    rng: np.random.Generator,
    on_epoch: OnEpoch,
    state: State | None = None,
) -> FeatureScores:
    """Rank by the metrics of the settings, summed over what counts of the training."""
    ranking = NetworkRanking(train, validation, config, rng)
    run_to_the_end(ranking, state, on_epoch)
    return ranking.scores()
