"""A dense network behind stochastic gates as a ranker (:mod:`dst.rankers.stochastic_gates`)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

from dst.data.dataset import Part
from dst.files.checkpoint import State
from dst.rankers.base import FeatureScores, OnEpoch, run_to_the_end
from dst.rankers.gated_network import GatedRanking
from dst.rankers.gated_settings import StgConfig
from dst.rankers.stochastic_gates import StochasticGates


class StgRanking(GatedRanking[StochasticGates, StgConfig]):
    """A ranking by stochastic gates.

    To the cross-entropy is added ``lam`` times the expected number of open gates (the paper's equation 6; a gate of
    several inputs counts as the root of their number); the gates are drawn once a step.
    """

    def make_gates(self, sizes: torch.Tensor) -> StochasticGates:
        """Return gates that are half open."""
        return StochasticGates(sizes, self.config.sigma)

    def objective(self, loss: torch.Tensor) -> torch.Tensor:
        """Return the cross-entropy with the penalty on open gates."""
        return loss + self.config.lam * self.gates.penalty()

    def column_scores(self) -> dict[str, npt.NDArray[np.float64]]:
        """Return the probability that each gate is open, as the authors' package takes it."""
        return {"gate_probability": self.gates.open_probability().double().numpy()}


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
