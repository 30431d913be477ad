"""The smallest K within one standard error of the best, by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from dst.k_curve import best_point, k_curve, smallest_k

# Each K has two repeats, mean m - d and m + d, so that the standard deviation is d sqrt(2) and the standard error d.
CURVES = [
    # The best is 0.90 with a standard error of 0.02: 0.88 is within it, 0.87 is not.
    ({5: (0.87, 0.0), 10: (0.885, 0.3), 20: (0.90, 0.02), 40: (0.89, 0.0)}, 10),
    # The spread of the others plays no part.
    ({5: (0.87, 0.9), 10: (0.88, 0.9), 20: (0.90, 0.01)}, 20),
    # The best at the largest K, and no spread at all.
    ({1: (0.5, 0.0), 2: (0.6, 0.0), 3: (0.7, 0.0)}, 3),
    # Equally good: the smaller K is the best, and its standard error counts.
    ({1: (0.75, 0.0), 2: (0.8125, 0.03125), 4: (0.8125, 0.25)}, 2),
    # A curve that falls.
    ({1: (0.9, 0.1), 2: (0.5, 0.1)}, 1),
    ({7: (0.9, 0.1)}, 7),
    # Keys in any order.
    ({20: (0.9, 0.02), 5: (0.885, 0.0)}, 5),
]


@pytest.mark.parametrize(("curve", "smallest"), CURVES)
def test_the_rule_by_hand(curve, smallest):
    assert smallest_k({k: [mean - half, mean + half] for k, (mean, half) in curve.items()}) == smallest


scores = st.dictionaries(st.integers(1, 200), st.lists(st.floats(0, 1), min_size=4, max_size=4), min_size=1)


@given(scores)
def test_it_is_the_best_or_smaller_and_no_worse_than_one_standard_error(by_k):
    best = best_point(k_curve(by_k))
    smallest = smallest_k(by_k)
    error = stats.sem(by_k[best.k])
    assert smallest <= best.k
    assert np.mean(by_k[smallest]) >= best.mean - error
    assert all(np.mean(by_k[k]) < best.mean - error for k in by_k if k < smallest)


def test_intervals_are_students_and_end_at_one():
    by_k = {10: [0.8, 0.9, 0.85], 2: [0.5, 0.7, 0.55], 20: [0.9, 1.0, 1.0]}
    curve = k_curve(by_k)
    assert [point.k for point in curve] == [2, 10, 20]
    for point in curve:
        values = by_k[point.k]
        low, high = stats.t.interval(0.95, 2, loc=np.mean(values), scale=stats.sem(values))
        assert (point.mean, point.low) == pytest.approx((np.mean(values), low))
        assert point.high == pytest.approx(min(high, 1))
    assert curve[-1].high == 1


def test_a_single_repeat_has_no_interval_and_no_rule():
    (point,) = k_curve({3: [0.5]})
    assert (point.mean, point.low, point.high) == (0.5, None, None)
    with pytest.raises(ValueError, match="two repeats or more"):
        smallest_k({3: [0.5], 4: [0.6]})


@pytest.mark.parametrize("by_k", [{}, {1: []}, {1: [0.1, 0.2], 2: [0.1]}])
def test_what_is_no_curve_is_refused(by_k):
    for function in (k_curve, smallest_k):
        with pytest.raises(ValueError, match="every K needs one score a repeat"):
            function(by_k)


def test_scores_below_zero_are_scores_too():
    """R squared has no lower end."""
    (point,) = k_curve({1: [-2.0, -4.0]})
    assert point.mean == -3
    assert math.isfinite(point.low)
