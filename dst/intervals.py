"""Intervals of means and of differences of means: Student's t, 95%.

``scipy.special.stdtrit`` is what ``scipy.stats.t.ppf`` calls; ``scipy.stats`` takes a second to load.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from scipy.special import stdtrit

LEVEL = 0.95
"""Confidence of every interval."""

_UPPER = (1 + LEVEL) / 2


def t_interval(values: Sequence[float]) -> tuple[float, float]:
    """Return the 95% interval of a mean, Student's t; NaN for fewer than two values."""
    if len(values) < 2:
        return math.nan, math.nan
    mean, std = float(np.mean(values)), float(np.std(values, ddof=1))
    half = float(stdtrit(len(values) - 1, _UPPER)) * std / math.sqrt(len(values))
    return mean - half, mean + half


def corrected_interval(values: Sequence[float], test_share: float) -> tuple[float, float]:
    """Return the 95% interval of a mean over random splits of the same rows, or of a paired difference over them.

    Splits share most of their training rows, so that their results vary together, and an interval that takes them for
    independent is too narrow. Nadeau and Bengio, "Inference for the Generalization Error", Machine Learning 52 (2003),
    equation 9: the variance of the mean is ``(1/n + test_share) s^2``.

    Args:
        values: one a split.
        test_share: test rows over the rows that are not tested, 0.25 of a split of 80 / 20.

    Returns:
        Its ends; NaN for fewer than two values.
    """
    if len(values) < 2:
        return math.nan, math.nan
    n, mean, std = len(values), float(np.mean(values)), float(np.std(values, ddof=1))
    half = float(stdtrit(n - 1, _UPPER)) * std * math.sqrt(1 / n + test_share)
    return mean - half, mean + half


def welch_interval(ours: Sequence[float], theirs: Sequence[float]) -> tuple[float, float]:
    """Return the 95% interval of the difference of two means (ours less theirs), Welch's; NaN below two values each.

    Equal values on both sides leave no spread: the interval is the difference itself.
    """
    if min(len(ours), len(theirs)) < 2:
        return math.nan, math.nan
    difference = float(np.mean(ours) - np.mean(theirs))
    parts = [float(np.var(sample, ddof=1)) / len(sample) for sample in (ours, theirs)]
    total = sum(parts)
    if total == 0:
        return difference, difference
    # Welch-Satterthwaite by shares of the total, whose squares do not underflow where variances are tiny.
    freedom = 1 / sum(
        (part / total) ** 2 / (len(sample) - 1) for part, sample in zip(parts, (ours, theirs), strict=True)
    )
    half = float(stdtrit(freedom, _UPPER)) * math.sqrt(total)
    return difference - half, difference + half
