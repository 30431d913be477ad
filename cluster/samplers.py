"""Who proposes parameters: Optuna samplers by name."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import Any

from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from pydantic import NonNegativeInt, PositiveInt

from cluster.options import build


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


SAMPLERS: dict[str, Callable[..., BaseSampler]] = {"grid": grid, "random": random, "tpe": tpe}


def make_sampler(name: str, options: Mapping[str, Any], seed: int) -> BaseSampler:
    """Build a sampler.

    Args:
        name: a key of :data:`SAMPLERS`.
        options: keyword arguments of its factory.
        seed: seeds all its random choices.

    Raises:
        cluster.options.OptionError: an unknown name or option, or a value that it does not take.
    """
    return build("sampler", SAMPLERS, name, options, seed=seed)
