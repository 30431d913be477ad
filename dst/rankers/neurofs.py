"""NeuroFS: the strength of the inputs that are left of a sparse network whose inputs leave while it trains.

Atashgahi, Zhang, Kichler, Liu, Yin, Pechenizkiy, Veldhuis and Mocanu, "Supervised feature selection with neuron
evolution in sparse neural networks", TMLR 2023 (arXiv 2303.07200).
"""

from __future__ import annotations

import dataclasses

import numpy as np

from dst.data.dataset import Part
from dst.errors import InputError
from dst.files.checkpoint import State
from dst.rankers.base import FeatureScores, OnEpoch, run_to_the_end, same_settings
from dst.rankers.settings import WARM_UP_FEATURES, NeuroFsConfig
from dst.rankers.warm_up import warm_up
from dst.topology.inputs import InputElimination, InputSchedule
from dst.training.result import EpochEnd, training_flops
from dst.training.trainer import Trainer


class NeuroFsRanking:
    """A ranking by NeuroFS that goes epoch by epoch and can be saved between any two.

    After each epoch but the last the connections of all layers move; from the third epoch on inputs leave
    (:class:`dst.topology.inputs.InputElimination`), until ``(1 - zeta_inputs) D - K`` have left after 65% of the
    epochs.

    Args:
        train: rows to fit on.
        validation: rows whose loss is reported; they decide nothing.
        config: the ranker's settings.
        rng: draws.

    Attributes:
        inputs: which inputs are left.

    Raises:
        InputError: the settings do not say how many inputs are wanted.
    """

    def __init__(self, train: Part, validation: Part, config: NeuroFsConfig, rng: np.random.Generator) -> None:
        if config.inputs == 0:
            raise InputError(
                "inputs >= 1 must hold where no trial and no selector fills in its number of columns, but got inputs=0"
            )
        n_rows, n_inputs = train.x.shape
        self._config, self._n_rows = config, n_rows
        schedule = InputSchedule(n_inputs, config.inputs, config.zeta_inputs, config.epochs)
        self.inputs = InputElimination(schedule, by_gradient=config.growth == "gradient")
        widths = (n_inputs, *config.hidden, train.n_classes)
        training = config.training(widths, n_rows, n_inputs - schedule.to_leave)
        self._trainer = Trainer(train, validation, training, rng, inputs=self.inputs)

    @property
    def done(self) -> bool:
        """Whether the epochs are used up."""
        return self._trainer.epoch >= self._config.epochs

    def run_epoch(self) -> EpochEnd:
        """Train one epoch.

        Raises:
            DivergedError: a loss or a weight is not finite.
        """
        return dataclasses.replace(self._trainer.run_epoch(), state=self.state_dict)

    def scores(self) -> FeatureScores:
        """Return the strength of the inputs after the last epoch, behind them those that left, the last ones first.

        Training is over then.
        """
        scores = self.inputs.scores(self._trainer.model.linears[0].input_strength())
        result = self._trainer.result()
        return FeatureScores(
            scores={"neuron_strength": scores},
            engine=result.engine,
            seconds=result.seconds,
            val_loss=result.curves.val_loss[-1],
            val_accuracy=result.curves.val_accuracy[-1],
            epochs=result.epochs,
            best_epoch=result.epochs,
            nnz=tuple(result.model.nnz),
            dense_size=result.model.dense_size,
            flops=result.flops,
            flops_ratio=result.flops / training_flops(result.model.dense_size, self._n_rows, result.epochs),
            curves=result.curves,
            memory=result.memory,
        )

    def state_dict(self) -> State:
        """Return all that the rest of the ranking depends on, besides what the constructor was given."""
        settings = State({}, dataclasses.asdict(self._config))
        return State.of({"settings": settings, "training": self._trainer.state_dict()})

    def load_state_dict(self, state: State) -> None:
        """Go on from a state, to end bitwise equal (on the same machine, with the same number of threads).

        Raises:
            ValueError: the state is of a ranking with other settings or another table's shape.
        """
        same_settings(self._config, state.part("settings").progress)
        self._trainer.load_state_dict(state.part("training"))


def warm_up_neurofs(config: NeuroFsConfig, n_rows: int) -> None:
    """Do what only the first ranking in a process waits for."""
    warm_up(config.training((WARM_UP_FEATURES, *config.hidden, 2), n_rows, WARM_UP_FEATURES), n_rows)


def rank_by_neurofs(
    train: Part,
    validation: Part,
    config: NeuroFsConfig,
    rng: np.random.Generator,
    on_epoch: OnEpoch,
    state: State | None = None,
) -> FeatureScores:
    """Rank by neuron strength, the sum of an input's absolute weights, after the last epoch.

    Inputs leave for a number of columns: a training serves that K, and others less well. Inputs are encoded columns,
    shadows included, where the table has such.

    Otherwise than in the authors' code: the gradient is that of the loss, on the last minibatch of an epoch (theirs is
    of the sum of the softmax outputs, which is always 1: they rank rounding errors, so that what they publish rests on
    growth at random, which ``growth="random"`` is). Hidden units are ReLU (theirs tanh, on Isolet ReLU), trained
    by Adam (theirs: gradient descent, whose momentum starts anew in each epoch). Magnitudes drop whatever their sign,
    the share ``zeta_hidden`` in the first layer too (theirs: each sign by itself, ``zeta_inputs`` there once inputs
    leave). As many connections grow as drop, always (theirs: none grow after an epoch in which no input comes back).
    """
    ranking = NeuroFsRanking(train, validation, config, rng)
    run_to_the_end(ranking, state, on_epoch)
    return ranking.scores()
