"""Means over seeds whose differences are shrunk by as much of them as chance explains.

Among fifty rankings of five configurations the highest mean is as much luck as merit. What a configuration adds, what a
ranking adds, and what is particular to the two of them are effects of a two-way table, each estimated and each known
with an error that its seeds tell. An effect keeps the share of its variance that is not error, ``1 - 1 / F`` of the
analysis of variance: none where F is 1 or less (the positive-part estimate of random effects, Efron and Morris 1973).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


def shrunken_means(values: Floats) -> Floats:
    """Return means over seeds with shrunken differences.

    Args:
        values: float64 ``(configurations, rankings, seeds)``; a configuration's rankings with one seed are of the same
            training, so that they share its luck.

    Returns:
        float64 ``(configurations, rankings)``; the mean of all is that of ``values``. With a single seed nothing says
        what chance does, and means are returned as they are; likewise effects of a single configuration or ranking.
    """
    configurations, rankings, seeds = values.shape
    means: Floats = values.mean(axis=2)
    if seeds < 2:
        return means
    grand = means.mean()
    of_configuration = means.mean(axis=1, keepdims=True) - grand
    of_ranking = means.mean(axis=0, keepdims=True) - grand
    of_both = means - grand - of_configuration - of_ranking

    trainings = values.mean(axis=1, keepdims=True)  # the luck that rankings of one training share
    own = values - trainings
    own -= own.mean(axis=2, keepdims=True)
    error_of_trainings = _mean_square(trainings - trainings.mean(axis=2, keepdims=True), configurations * (seeds - 1))
    error_of_own = _mean_square(own, configurations * (rankings - 1) * (seeds - 1))

    variance_of_both = _mean_square(of_both, (configurations - 1) * (rankings - 1))
    kept_of_configuration = _kept(_mean_square(of_configuration, configurations - 1), error_of_trainings / seeds)
    error_of_ranking = max(variance_of_both, error_of_own / seeds) / configurations
    kept_of_ranking = _kept(_mean_square(of_ranking, rankings - 1), error_of_ranking)
    kept_of_both = _kept(variance_of_both, error_of_own / seeds)
    shrunken = grand + kept_of_configuration * of_configuration + kept_of_ranking * of_ranking + kept_of_both * of_both
    return np.asarray(np.round(shrunken, 12))  # effects that are left out leave equal means equal, to be told by ties


def _mean_square(effects: Floats, freedom: int) -> float:
    return float(np.sum(effects**2)) / freedom if freedom else 0.0


def _kept(variance: float, error: float) -> float:
    """Return the share of an effect's variance that is not error."""
    return max(0.0, 1.0 - error / variance) if variance > 0 else 1.0
