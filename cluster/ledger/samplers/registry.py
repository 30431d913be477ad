"""Samplers by name: factories of Optuna's samplers and of our own, which propose parameters."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import Annotated, Any

from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler, GPSampler, RandomSampler, TPESampler
from pydantic import Field, NonNegativeInt, PositiveInt

from cluster.ledger.options import build
from cluster.ledger.samplers.evolution import BatchEvolution

Probability = Annotated[float, Field(ge=0, le=1)]


def tpe(seed: int, *, n_startup_trials: NonNegativeInt = 10, n_ei_candidates: PositiveInt = 24) -> TPESampler:
    """Tree-structured Parzen estimator, with what a batched, conditional search needs.

    ``multivariate``: parameters are chosen together. ``group``: also where conditions split them into groups.
    ``constant_liar``: the proposals of one batch keep away from one another.

    Args:
        seed: seeds all its random choices.
        n_startup_trials: trials proposed at random until this many have ended.
        n_ei_candidates: candidates compared for each proposal.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)  # group, since Optuna 2.8
        return TPESampler(
            seed=seed,
            n_startup_trials=n_startup_trials,
            n_ei_candidates=n_ei_candidates,
            multivariate=True,
            group=True,
            constant_liar=True,
        )


def random(seed: int) -> RandomSampler:
    """Independent draws.

    Args:
        seed: seeds all its random choices.
    """
    return RandomSampler(seed=seed)


def grid(seed: int) -> RandomSampler:
    """Each point of a grid once, in order: the ledger is given the points (``points``), and nothing is left to draw.

    Args:
        seed: of no consequence.
    """
    return RandomSampler(seed=seed)


def nsga2(
    seed: int,
    *,
    population_size: Annotated[int, Field(ge=2)] = 10,
    crossover_prob: Probability = 0.9,
    swapping_prob: Probability = 0.5,
    mutation_prob: Probability | None = None,
) -> BatchEvolution:
    """The genetic algorithm NSGA-II, over conditional spaces too: see :class:`BatchEvolution`.

    Args:
        seed: seeds all its random choices.
        population_size: parents; trials are drawn at random until as many have finished.
        crossover_prob: probability that a child has two parents.
        swapping_prob: probability that a parameter comes from the second of them.
        mutation_prob: probability that a parameter is drawn anew; None: one in the number of the child's parameters.
    """
    return BatchEvolution(
        seed,
        population_size=population_size,
        crossover_prob=crossover_prob,
        swapping_prob=swapping_prob,
        mutation_prob=mutation_prob,
    )


def gp(seed: int, *, n_startup_trials: PositiveInt = 10, deterministic_objective: bool = False) -> GPSampler:
    """Gaussian processes, one an objective, with (log) expected improvement; made with SciPy and torch.

    It models the parameters that every finished trial has. All others, those under a condition, are drawn at random:
    for a space whose methods share little, ``tpe`` learns more. The trials of a batch that were proposed before are
    integrated over (Optuna's qLogEI), so proposals of one batch keep away from one another. A proposal takes the driver
    0.1 CPU seconds with one objective, 0.3 with two (of 30 to 100 trials); ``tpe`` and ``nsga2`` take less than 0.06.

    Args:
        seed: seeds all its random choices.
        n_startup_trials: trials proposed at random until this many have finished.
        deterministic_objective: take equal configurations for equal in value.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)  # deterministic_objective, since Optuna 3.6
        return GPSampler(
            seed=seed,
            n_startup_trials=n_startup_trials,
            deterministic_objective=deterministic_objective,
            warn_independent_sampling=False,
        )


SAMPLERS: dict[str, Callable[..., BaseSampler]] = {
    "gp": gp,
    "grid": grid,
    "nsga2": nsga2,
    "random": random,
    "tpe": tpe,
}
"""Factories by name; all take several objectives."""


def make_sampler(name: str, options: Mapping[str, Any], seed: int) -> BaseSampler:
    """Build a sampler.

    Args:
        name: a key of :data:`SAMPLERS`.
        options: keyword arguments of its factory.
        seed: seeds all its random choices.

    Raises:
        cluster.ledger.options.OptionError: an unknown name or option, or a value that it does not take.
    """
    return build("sampler", SAMPLERS, name, options, seed=seed)
