from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from studies.choice.shrinkage import shrunken_means

TABLES = arrays(np.float64, st.tuples(*[st.integers(1, 4)] * 3), elements=st.floats(0, 1, width=32))


def test_without_noise_means_stay():
    means = np.array([[0.9, 0.7], [0.6, 0.8]])
    assert shrunken_means(np.repeat(means[:, :, None], 3, axis=2)) == pytest.approx(means)


def test_a_hand_computed_table():
    """Two configurations, two rankings, two seeds.

    Means .8 .6 / .6 .4: the effects are .1 and .1 and nothing of both. Seeds differ by .2 within each training, alike
    for both rankings: a training's error is 2 * (2 * .1**2) / 2 = .02, of its mean .01. Configurations' mean square is
    2 * .1**2 / 1 = .02, F is 2 and half of the effect stays; rankings have no error of their own.
    """
    values = np.array([[[0.7, 0.9], [0.5, 0.7]], [[0.5, 0.7], [0.3, 0.5]]])
    assert shrunken_means(values) == pytest.approx(np.array([[0.75, 0.55], [0.65, 0.45]]))


def test_what_is_within_its_noise_counts_for_nothing():
    """Means .6 .6 / .6 .6 plus or minus .05 of both, while seeds differ by .4 from one another: F is below 1."""
    luck = np.array([0.2, -0.2])
    values = np.array([[0.65 + luck, 0.55 - luck], [0.55 - luck, 0.65 + luck]])
    assert shrunken_means(values) == pytest.approx(np.full((2, 2), 0.6))


@given(TABLES)
def test_the_mean_of_all_stays_and_no_effect_grows(values):
    found, means = shrunken_means(values), values.mean(axis=2)
    assert found.mean() == pytest.approx(means.mean(), abs=1e-9)
    assert np.sum((found - found.mean()) ** 2) <= np.sum((means - means.mean()) ** 2) + 1e-9


@given(TABLES, st.randoms(use_true_random=False))
def test_the_order_of_configurations_and_rankings_means_nothing(values, random):
    rows, columns = list(range(values.shape[0])), list(range(values.shape[1]))
    random.shuffle(rows)
    random.shuffle(columns)
    expected = shrunken_means(values)[rows][:, columns]
    assert shrunken_means(values[rows][:, columns]) == pytest.approx(expected, abs=1e-9)


def test_choosing_by_shrunken_means_is_better_where_rankings_matter_and_the_rest_is_luck():
    """Five configurations, nine rankings, five seeds: what is chosen is worth more on average, over 500 tables."""
    rng = np.random.default_rng(0)
    gains = []
    for _ in range(500):
        worth = 0.8 + rng.normal(0, 0.02, (5, 1)) + rng.normal(0, 0.02, (1, 9))
        values = worth[:, :, None] + rng.normal(0, 0.03, (5, 1, 5)) + rng.normal(0, 0.04, (5, 9, 5))
        by_mean, by_shrunken = np.argmax(values.mean(axis=2)), np.argmax(shrunken_means(values))
        gains.append(worth.flat[by_shrunken] - worth.flat[by_mean])
    assert np.mean(gains) > 0
    assert np.mean(gains) > 2 * np.std(gains) / np.sqrt(len(gains))
