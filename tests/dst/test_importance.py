from __future__ import annotations

import numpy as np
import pytest
import torch

from dst.checkpoint import State
from dst.importance import METRICS, ImportanceHistory, neuron_attribution, neuron_strength
from dst.model import SparseMLP
from dst.training import EpochEnd


@pytest.mark.parametrize("sparsity", [None, 0.0, 0.8])
@pytest.mark.parametrize("n_rows", [1, 16, 21])
def test_attribution_matches_the_jacobian_of_the_oracle(sparsity, n_rows):
    rng = np.random.default_rng(0)
    model = SparseMLP(12, 4, hidden=(20, 10), sparsity=sparsity, rng=rng)
    rows = rng.normal(size=(n_rows, 12)).astype(np.float32)
    oracle = model.masked()
    jacobian = torch.func.vmap(torch.func.jacrev(lambda x: oracle(x[None])[0]))(torch.from_numpy(rows))
    expected = jacobian.abs().mean(dim=0).sum(dim=0).detach().numpy()
    np.testing.assert_allclose(neuron_attribution(model, rows), expected, rtol=1e-4, atol=1e-6)


def test_strength_is_the_column_sum_of_the_first_layer():
    model = SparseMLP(12, 4, hidden=(20, 10), sparsity=0.8, rng=np.random.default_rng(1))
    expected = model.linears[0].dense_weight().abs().sum(dim=0).numpy()
    np.testing.assert_allclose(neuron_strength(model, np.empty((0, 12), np.float32)), expected, rtol=1e-6)


def test_history_sums_up_to_the_best_epoch():
    rng = np.random.default_rng(2)
    models = [SparseMLP(6, 2, hidden=(8,), sparsity=0.5, rng=rng) for _ in range(4)]
    x = rng.normal(size=(30, 6)).astype(np.float32)
    history = ImportanceHistory(x, np.random.default_rng(0))
    for epoch, (model, improved) in enumerate(zip(models, [True, False, True, False], strict=True), start=1):
        history.add(EpochEnd(epoch, 0.0, 0.0, 0.0, improved, lambda: State({}, {}), model))
    assert set(history.scores()) == set(METRICS)
    for name, scores in history.scores().items():
        np.testing.assert_allclose(scores, sum(METRICS[name](model, x) for model in models[:3]), rtol=1e-5)
