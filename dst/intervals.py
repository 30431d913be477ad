"""Intervals of means and of differences of means: Student's t, 95% unless another level is named.

``scipy.special.stdtrit`` is what ``scipy.stats.t.ppf`` calls; ``scipy.stats`` takes a second to load.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from scipy.special import stdtrit

LEVEL = 0.95
"""Confidence of intervals."""

_UPPER = (1 + LEVEL) / 2


def t_interval(values: Sequence[float]) -> tuple[float, float]:
    """Return the 95% interval of a mean, Student's t; NaN for fewer than two values."""
    if len(values) < 2:
        return math.nan, math.nan
    mean, std = float(np.mean(values)), float(np.std(values, ddof=1))
    half = float(stdtrit(len(values) - 1, _UPPER)) * std / math.sqrt(len(values))
    return mean - half, mean + half


def resampled_interval(values: Sequence[float], held_out: float, *, level: float = LEVEL) -> tuple[float, float]:
    """Return the interval of a mean over draws of held-out rows of one table; NaN for fewer than two values.

    The draws share most of their training rows, so that their scores vary less than those of fresh tables would.
    Source: Nadeau and Bengio (Machine Learning 52, 2003), who take ``1/n + held_out / (1 - held_out)`` for ``1/n``.

    Args:
        values: one a draw.
        held_out: share of the rows that a draw holds out, in (0, 1).
        level: confidence, in (0, 1).
    """
    if len(values) < 2:
        return math.nan, math.nan
    mean, std = float(np.mean(values)), float(np.std(values, ddof=1))
    factor = math.sqrt(1 / len(values) + held_out / (1 - held_out))
    half = float(stdtrit(len(values) - 1, (1 + level) / 2)) * std * factor
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
