from __future__ import annotations

import numpy as np
import pytest

from dst import SparseFeatureSelector
from dst.intervals import resampled_interval
from dst.selector.yardsticks import measure, stability_by_chance


@pytest.fixture(scope="module")
def table():
    """200 rows of 20 columns, of which two say the class, or a number."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((200, 20), dtype=np.float32)
    return x, x[:, 3] + x[:, 7]


def judged(x, y, method, repeats=5):
    selector = SparseFeatureSelector(2, method=method, n_repeats=repeats, random_state=0).fit(x, y)
    return measure(selector.parts(x, y), selector.selections_, method=method, seed=0)


def test_columns_of_classes_beside_yardsticks(table):
    x, numbers = table
    y = (numbers > 1).astype(int)
    sticks = judged(x, y, "l1_logistic", repeats=3)
    assert [stick.name for stick in sticks.sticks] == ["selected", "no column", "random", "extra_trees", "all"]
    nothing, all_columns = sticks.named("no column"), sticks.named("all")
    assert nothing.mean == pytest.approx((y == 0).mean(), abs=0.03)
    assert nothing.balanced_accuracy == 0.5
    assert sticks.selected.mean > all_columns.mean > nothing.mean
    assert sticks.selected.low <= sticks.selected.mean <= sticks.selected.high <= 1
    assert sticks.better_than_chance
    assert (sticks.selected.k, all_columns.k, nothing.k) == (2, 20, 0)
    assert judged(x, y, "l1_logistic", repeats=1).better_than_chance is None


def test_columns_of_numbers_beside_yardsticks(table):
    x, y = table
    sticks = judged(x, y, "lasso", repeats=3)
    assert [stick.name for stick in sticks.sticks] == ["selected", "no column", "random", "extra_trees", "all"]
    assert sticks.selected.mean > 0.8
    assert sticks.named("no column").mean <= 0
    assert sticks.selected.mae < 0.5 < sticks.named("no column").mae < 1  # of a normal number about 0.8
    assert sticks.better_than_chance


@pytest.mark.slow
def test_of_twenty_shuffled_targets_at_most_one_is_called_better_than_chance(table):
    x, y = table
    claims = [
        judged(x, np.random.default_rng(seed).permutation(y if seed % 2 else y > 0), "lasso").better_than_chance
        for seed in range(20)
    ]
    assert None not in claims
    assert sum(claims) <= 1


def test_stability_by_chance_is_that_of_a_shuffled_target(table):
    x, y = table
    selector = SparseFeatureSelector(2, method="lasso", n_repeats=5, random_state=0).fit(x, y)
    assert selector.selections_[:, [3, 7]].all()
    assert stability_by_chance(selector, x, y) < 0.9
    assert stability_by_chance(SparseFeatureSelector(2, method="lasso", n_repeats=1).fit(x, y), x, y) is None


def test_the_interval_over_draws_of_one_table_is_wider_than_over_tables():
    low, high = resampled_interval([0.0, 1.0], 0.2)
    assert high - low == pytest.approx(2 * 12.7062 * np.sqrt(0.5) * np.sqrt(1 / 2 + 1 / 4), rel=1e-4)
    assert np.isnan(resampled_interval([1.0], 0.2)[0])
