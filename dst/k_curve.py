"""Scores over K, the number of selected columns, and the smallest K that is as good as the best within its noise.

Each K is scored several times: by the seeds of a study's configuration, or by the repeats of a selector, each of which
has trained and judged on rows that it drew for itself. The interval is Student's t over these; as repeats share rows,
it says how much training and the draw of rows change the mean, and nothing of tables that were not drawn.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from dst.intervals import t_interval


@dataclass(frozen=True)
class KPoint:
    """The score of one K.

    Attributes:
        k: number of columns.
        mean: over repeats.
        low: lower end of the mean's 95% interval; None where there is a single repeat.
        high: upper end, cut at 1, which no accuracy and no R squared exceeds; None likewise.
    """

    k: int
    mean: float
    low: float | None
    high: float | None


def k_curve(scores: Mapping[int, Sequence[float]]) -> tuple[KPoint, ...]:
    """Return the mean score of each K with its interval, smallest K first.

    Args:
        scores: by K one value a repeat, larger is better.

    Raises:
        ValueError: there is no K or no repeat, or not every K has as many.
    """
    _check(scores)
    points = []
    for k in sorted(scores):
        low, high = t_interval(scores[k])
        known = not math.isnan(low)
        points.append(KPoint(k, float(np.mean(scores[k])), low if known else None, min(high, 1.0) if known else None))
    return tuple(points)


def best_point(curve: Sequence[KPoint]) -> KPoint:
    """Return the point of the highest mean; of equals the one of the smallest K.

    Args:
        curve: one point at least, smallest K first.
    """
    return max(curve, key=lambda point: point.mean)


def smallest_k(scores: Mapping[int, Sequence[float]]) -> int:
    """Return the smallest K whose mean lies within one standard error of the best K's mean.

    Of equally good K the smallest is the best. The standard error is that of the best K's mean over repeats, the
    sample's standard deviation over the root of their number. Source: the 1 SE rule of Breiman, Friedman, Olshen and
    Stone (Classification and Regression Trees, 1984, section 3.4.3); Hastie, Tibshirani and Friedman (The Elements of
    Statistical Learning, 2009, section 7.10).

    Args:
        scores: by K one value a repeat, larger is better.

    Raises:
        ValueError: there is no K, not every K has as many repeats, or there are fewer than two: nothing says then how
            much the means vary.
    """
    repeats = _check(scores)
    if repeats < 2:
        raise ValueError("a standard error needs two repeats or more, but got one")
    means = {k: float(np.mean(scores[k])) for k in sorted(scores)}
    best = max(means, key=lambda k: means[k])
    error = float(np.std(scores[best], ddof=1)) / math.sqrt(repeats)
    return next(k for k, mean in means.items() if mean >= means[best] - error)


def _check(scores: Mapping[int, Sequence[float]]) -> int:
    """Return the number of repeats."""
    repeats = {len(values) for values in scores.values()}
    if len(repeats) != 1 or 0 in repeats:
        raise ValueError(f"every K needs one score a repeat, but got {sorted(repeats)} scores for {sorted(scores)}")
    return repeats.pop()
