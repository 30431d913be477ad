"""Entries over several datasets: mean ranks, Friedman's test, and Nemenyi's critical difference.

Demsar, "Statistical Comparisons of Classifiers over Multiple Data Sets", JMLR 7 (2006), section 3.2.2.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd

ALPHA = 0.05
"""The level of the critical difference."""


@dataclass(frozen=True)
class FriedmanTest:
    """Whether entries differ at all, by their ranks on each dataset.

    Attributes:
        mean_ranks: float64 of each entry, 1 is best; equal scores share their mean rank.
        datasets: how many there are.
        chi_square: Friedman's statistic, without a correction for ties, as in the source; 0 where all ranks are equal.
        chi_square_p: by its chi-square distribution, which is too conservative.
        f: Iman and Davenport's statistic; infinite where all datasets rank alike.
        p: by its F distribution with ``k - 1`` and ``(k - 1) (N - 1)`` degrees of freedom, k entries, N datasets.
    """

    mean_ranks: tuple[float, ...]
    datasets: int
    chi_square: float
    chi_square_p: float
    f: float
    p: float


def friedman(scores: pd.DataFrame) -> FriedmanTest:
    """Test whether entries differ over datasets.

    Args:
        scores: a row per dataset, a column per entry, larger is better; two of each at least, none missing.

    Raises:
        ValueError: there are fewer, or a score is missing.
    """
    n, k = scores.shape
    if n < 2 or k < 2 or scores.isna().any(axis=None):
        raise ValueError(f"two datasets and two entries with all scores are needed, but got {n} and {k}")
    from scipy.stats import chi2, f, rankdata  # a second to load

    ranks = rankdata(-scores.round(12).to_numpy(), axis=1)
    means = ranks.mean(axis=0)
    statistic = float(max(0.0, 12 * n / (k * (k + 1)) * (np.sum(means**2) - k * (k + 1) ** 2 / 4)))
    rest = n * (k - 1) - statistic
    ratio = math.inf if rest < 1e-9 else (n - 1) * statistic / rest
    return FriedmanTest(
        mean_ranks=tuple(means.tolist()),
        datasets=n,
        chi_square=statistic,
        chi_square_p=float(chi2.sf(statistic, k - 1)),
        f=ratio,
        p=float(f.sf(ratio, k - 1, (k - 1) * (n - 1))),
    )


def critical_difference(entries: int, datasets: int, alpha: float = ALPHA) -> float:
    """Return by how much two mean ranks must differ to differ at all (Nemenyi): ``q sqrt(k (k + 1) / (6 N))``.

    Args:
        entries: k, two at least.
        datasets: N.
        alpha: the level at which all pairs together are compared.
    """
    from scipy.stats import studentized_range

    q = float(studentized_range.ppf(1 - alpha, entries, math.inf)) / math.sqrt(2)
    return q * math.sqrt(entries * (entries + 1) / (6 * datasets))
