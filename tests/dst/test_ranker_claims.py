"""What a ranker's entry says that it gives, it gives: objectives are checked against it before a study begins."""

from __future__ import annotations

import numpy as np
import pytest

from dst.data.dataset import Part
from dst.rankers import RANKERS, make_config
from dst.rankers.whole_columns import COLUMN_RULES
from dst.topology import METHODS

QUICK = {"epochs": 2, "hidden": [6], "batch_size": 16}


@pytest.mark.parametrize("method", RANKERS)
def test_metrics_loss_and_flops_are_as_claimed(method: str) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 8)).astype(np.float32)
    y = (x[:, 1] > 0).astype(np.int64)
    train, validation = Part(x[:40], y[:40], 2), Part(x[40:], y[40:], 2)
    entry = RANKERS[method]
    found = entry.rank(train, validation, make_config(method, QUICK), rng, lambda end: None)
    assert set(found.scores) <= set(entry.metrics)
    assert method in METHODS or set(found.scores) == set(entry.metrics)
    assert set(entry.metrics) <= COLUMN_RULES.keys()
    assert entry.counts_flops == (found.flops is not None)
    if entry.classifies:
        assert found.val_loss is not None
