"""NSGA-II where trials come in whole batches from fresh samplers, and where parameters depend on one another.

Optuna's own class counts generations in attributes that it leaves on trials and study, and it crosses only parameters
that every finished trial has. Here parents follow from the values of the finished trials alone, and a child inherits
whatever its parents have: with methods that share no parameter nothing else would evolve.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import NSGAIISampler
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState


class BatchEvolution(NSGAIISampler):
    """NSGA-II (Deb et al. 2002) whose parents are the best of all trials that have finished.

    Before as many as the population have finished, trials are drawn at random. From then on the parents are the first
    ``population_size`` of them by non-dominated sorting and crowding distance: what survives from generation to
    generation is the same, whether they are counted or not. For a child two parents are drawn, each the better of two
    that are drawn at random; a child takes each parameter from one of them, and loses some: these are drawn anew.

    Args:
        seed: seeds all its random choices.
        population_size: how many parents there are; at least 2.
        crossover_prob: probability that a child has two parents, not one.
        swapping_prob: probability that a parameter comes from the second parent.
        mutation_prob: probability that a parameter is drawn anew; None: one in the number of the child's parameters.

    Raises:
        ValueError: the population is too small, or a probability is none.
    """

    def __init__(
        self,
        seed: int,
        *,
        population_size: int,
        crossover_prob: float,
        swapping_prob: float,
        mutation_prob: float | None,
    ) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)  # child_generation_strategy, since Optuna 3.3
            super().__init__(seed=seed, population_size=population_size, child_generation_strategy=self._child)
        self._draw = np.random.default_rng(seed)
        self._probabilities = (crossover_prob, swapping_prob, mutation_prob)

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Return all parameters that a finished trial has, conditional ones included."""
        return {
            name: distribution
            for trial in self.get_population(study, 0)
            for name, distribution in trial.distributions.items()
        }

    def get_trial_generation(self, study: Study, trial: FrozenTrial) -> int:
        """Return 0 while too few trials have finished to be parents, else 1."""
        assert self.population_size is not None  # noqa: S101 - for the type checker: the constructor sets it
        return int(len(self.get_population(study, 0)) >= self.population_size)

    def get_population(self, study: Study, generation: int) -> list[FrozenTrial]:
        """Return the trials among which parents are selected: all that have finished."""
        return study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))

    def _child(
        self, study: Study, search_space: Mapping[str, BaseDistribution], parents: list[FrozenTrial]
    ) -> dict[str, Any]:
        crossover, swapping, mutation = self._probabilities
        first = self._parent(study, parents)
        second = self._parent(study, parents) if self._draw.random() < crossover else first
        child = {}
        for name in sorted(search_space):
            giver, other = (second, first) if self._draw.random() < swapping else (first, second)
            if name in giver.params:
                child[name] = giver.params[name]
            elif name in other.params:
                child[name] = other.params[name]
        lost = 1 / max(len(child), 1) if mutation is None else mutation
        return {name: value for name, value in child.items() if self._draw.random() >= lost}

    def _parent(self, study: Study, parents: list[FrozenTrial]) -> FrozenTrial:
        first, second = (parents[int(place)] for place in self._draw.integers(len(parents), size=2))
        return first if _dominates(first, second, study.directions) else second


def _dominates(first: FrozenTrial, second: FrozenTrial, directions: list[StudyDirection]) -> bool:
    """Say whether the first trial is better than the second in some value, and worse in none."""
    signs = [1 if direction is StudyDirection.MINIMIZE else -1 for direction in directions]
    a, b = ([sign * value for sign, value in zip(signs, trial.values, strict=True)] for trial in (first, second))
    return a != b and all(low <= high for low, high in zip(a, b, strict=True))
