"""The group penalty: the kernel by hand, both engines, and what is left of inputs that tell nothing."""

from __future__ import annotations

import copy

import numpy as np
import pytest

from dst.kernels.groups import shrink_inputs
from dst.network.model import SparseMLP
from dst.training.config import TrainingConfig
from dst.training.engines.engine import StepConfig
from dst.training.engines.sparse import SparseEngine
from dst.training.engines.torch import TorchEngine
from dst.training.trainer import fit
from tests.support.engine_batches import batch, shrink_by_hand
from tests.support.small_training import SMALL, parts


def test_inputs_shrink_by_hand():
    """Input 0: two weights of norm 5; 1: a weight below the threshold; 2: all zero; 3: no connection; 4: one weight."""
    indices = np.array([0, 1, 2, 0, 2, 4], np.int32)
    values = np.array([3.0, 0.5, 0.0, 4.0, 0.0, -8.0], np.float32)
    shrink_inputs(indices, values, 2**0.5, 5)
    factor = 1 - 2**0.5 * 2**0.5 / 5
    np.testing.assert_allclose(values, [3 * factor, 0, 0, 4 * factor, 0, -8 + 2**0.5], rtol=1e-6)


def test_weights_that_diverge_are_not_hidden():
    values = np.array([np.nan, 1.0, np.inf], np.float32)
    shrink_inputs(np.array([0, 0, 1], np.int32), values, 0.1, 2)
    assert np.isnan(values[0])
    assert not np.isfinite(values[2])


@pytest.mark.parametrize("sparsity", [0.0, 0.6, 0.98])
@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_a_step_of_either_engine_is_the_plain_one_and_then_the_oracles_shrinkage(optimizer, sparsity):
    """Full layers, sparse ones, and inputs without a connection."""
    rng = np.random.default_rng(0)
    steps = {"lr": 1e-2, "l2": 1e-3, "optimizer": optimizer, "batch_size": 20}
    model = SparseMLP(40, 3, hidden=(30, 10), sparsity=sparsity, rng=rng)
    plain, masked = copy.deepcopy(model), model.masked()
    engine = SparseEngine(model, StepConfig(**steps, group_penalty=2.0))
    x, y = batch(rng, 40, 20, 3, engine.width)
    SparseEngine(plain, StepConfig(**steps)).step(x, y)
    engine.step(x, y)
    TorchEngine(masked, StepConfig(**steps, group_penalty=2.0)).step(np.ascontiguousarray(x[:, :20]), y)
    expected, *others = plain.masked().linears
    before = expected.weight.detach().clone()
    shrink_by_hand(expected, 1e-2 * 2.0)
    assert 0 < expected.weight.norm() < before.norm()
    for shrunk in (model.linears[0].dense_weight(), masked.linears[0].weight.detach()):
        np.testing.assert_allclose(shrunk, expected.weight.detach(), rtol=1e-3, atol=1e-6)
    for ours, unchanged in zip(model.linears[1:], others, strict=True):
        np.testing.assert_array_equal(ours.dense_weight(), unchanged.weight.detach())


@pytest.mark.parametrize("engine", ["sparse", "dense"])
@pytest.mark.parametrize("method", ["set", "dense"])
def test_inputs_that_tell_nothing_end_without_weight(method, engine):
    train, validation = parts()
    settings = {**SMALL, "epochs": 8, "lr": 5e-3, "sparsity": 0.5, "engine": engine}
    strengths = []
    for penalty in (0.0, 1.0):
        config = TrainingConfig(method=method, group_penalty=penalty, **settings)
        strengths.append(fit(train, validation, config, np.random.default_rng(0)).model.linears[0].input_strength())
    assert (strengths[0] > 0).all()
    assert (strengths[1] == 0).mean() > 0.5
    assert set(np.argsort(-strengths[1])[:2]) == {0, 1}
