from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning

from dst import SparseFeatureSelector
from dst.rankers import make_config
from dst.selector.smaller_steps import best_at_once

WIDE = {"hidden": (50, 20), "n_repeats": 1, "random_state": 0}


@pytest.fixture(scope="module")
def wide():
    """80 rows of 600 columns, of which the first five say the class: an epoch is two steps."""
    rng = np.random.default_rng(0)
    y = np.arange(80) % 2
    x = rng.standard_normal((80, 600), dtype=np.float32)
    x[:, :5] += 2 * y[:, None]
    return x, y


def test_a_network_that_is_best_at_once_is_trained_again_with_smaller_steps(wide):
    x, y = wide
    tried = []
    large = SparseFeatureSelector(5, lr=0.3, **WIDE).fit(x, y, on_epoch=lambda n, end: tried.append(end.epoch == 1))
    (trained,) = large.training_
    assert sum(tried) > 1  # epochs begin at 1 again
    assert trained.lr == pytest.approx(0.3 * 0.1 ** (sum(tried) - 1))
    assert not trained.at_once
    again = SparseFeatureSelector(5, lr=trained.lr, **WIDE).fit(x, y)  # the same draws
    np.testing.assert_array_equal(again.scores_, large.scores_)
    with pytest.warns(ConvergenceWarning, match="1 of 1 rankings are by networks"):
        once = SparseFeatureSelector(5, lr=0.3, smaller_steps=False, **WIDE).fit(x, y)
    assert once.training_[0].lr == 0.3
    assert len(set(large.order_[:5]) & set(range(5))) > len(set(once.order_[:5]) & set(range(5)))


def test_what_is_best_at_once():
    config = make_config("set", {"batch_size": 10, "epochs": 50})  # connections move every ten steps
    for n_rows, best, at_once in (
        (1000, (1,), True),  # the first epoch, whatever its length
        (1000, (2,), False),
        (40, (4,), True),  # sixteen steps
        (40, (5,), False),
        (40, (30, 4), True),  # one of two networks
    ):
        assert best_at_once(config, best, n_rows) is at_once
    assert not best_at_once(dataclasses.replace(config, epochs=1), (1,), 1000)  # nothing longer was asked for
