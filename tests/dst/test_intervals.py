"""Intervals are Student's and Welch's."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from scipy import stats

from dst.intervals import resampled_interval, t_interval, welch_interval

values = st.lists(st.floats(0, 1), min_size=2, max_size=8)


def test_a_t_interval_by_hand():
    """Mean 4, standard deviation 2, three values: 4.3027 * 2 / sqrt(3) on either side."""
    assert t_interval([2, 4, 6]) == pytest.approx((4 - 4.9683, 4 + 4.9683), abs=1e-4)
    assert t_interval([0.5, 0.5]) == (0.5, 0.5)
    assert all(math.isnan(end) for end in t_interval([1.0]))


def test_an_interval_over_splits_is_wider_by_the_rows_that_they_share():
    """Nadeau and Bengio's by hand, a fifth of the rows held out: 4.3027 * 2 * sqrt(1/3 + 1/4) on either side."""
    assert resampled_interval([2, 4, 6], 0.2) == pytest.approx((4 - 6.5724, 4 + 6.5724), abs=1e-4)
    assert all(math.isnan(end) for end in resampled_interval([1.0], 0.2))


@given(values, values)
@example([0.0, 0.0], [0.0, 1e-160])
def test_welch_intervals_are_scipys(ours, theirs):
    low, high = welch_interval(ours, theirs)
    difference = np.mean(ours) - np.mean(theirs)
    if np.var(ours) + np.var(theirs) < 1e-12:
        assert low == pytest.approx(difference, abs=1e-4)
        assert high == pytest.approx(difference, abs=1e-4)
        return
    expected = stats.ttest_ind(ours, theirs, equal_var=False).confidence_interval(0.95)
    assert (low, high) == pytest.approx((expected.low, expected.high))
    back = welch_interval(theirs, ours)
    assert back == pytest.approx((-high, -low))
