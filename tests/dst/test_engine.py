from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dst.engine import SparseEngine, TorchEngine
from dst.kernels import linear
from dst.kernels.losses import cross_entropy
from dst.kernels.optimizers import adam, adam_hyper
from dst.kernels.simd import WIDTH
from dst.kernels.steps import BLOCK, update_by_output
from dst.layers import SparseLinear
from dst.model import SparseMLP
from dst.topology import METHODS


def batch(rng, n_features, n, n_classes):
    x = np.zeros((n_features, linear.padded(n)), np.float32)
    x[:, :n] = rng.normal(size=(n_features, n))
    return x, rng.integers(0, n_classes, n)


@pytest.mark.parametrize("sparsity", [0.0, 0.5, 0.9, 0.98])
@pytest.mark.parametrize("hidden", [(), (60,), (60, 20), (30, 30, 30)])
def test_fifty_steps_match_torch_on_the_masked_oracle(sparsity, hidden):
    """Static topology, Adam with L2, batches of changing width: the same losses and weights to float32 tolerance."""
    rng = np.random.default_rng(2)
    model = SparseMLP(40, 3, hidden=hidden, sparsity=sparsity, rng=rng)
    oracle = model.masked()
    engine, torch_engine = (kind(one, lr=1e-3, l2=1e-3) for kind, one in ((SparseEngine, model), (TorchEngine, oracle)))
    for step in range(50):
        n = 37 if step % 5 else 1 + step
        x, y = batch(rng, 40, n, 3)
        ours, theirs = engine.step(x, y), torch_engine.step(np.ascontiguousarray(x[:, :n]), y)
        assert ours == pytest.approx(theirs, rel=1e-5)
    for sparse, masked in zip(model.linears, oracle.linears, strict=True):
        torch.testing.assert_close(sparse.dense_weight(), masked.masked_weight().detach(), rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(sparse.bias, masked.bias, rtol=1e-4, atol=1e-5)
    x, y = batch(rng, 40, 1000, 3)
    ours, theirs = engine.evaluate(x, y), torch_engine.evaluate(np.ascontiguousarray(x[:, :1000]), y)
    assert ours == pytest.approx(theirs, rel=1e-5)


@pytest.mark.parametrize("method", sorted(name for name, method in METHODS.items() if method.grow is not None))
def test_training_goes_on_over_topology_updates_as_the_oracle_would(method):
    """After a move, the next step equals torch's on the masked copy with the moments carried over."""
    rng = np.random.default_rng(3)
    model = SparseMLP(30, 4, hidden=(40, 20), sparsity=0.8, rng=rng)
    engine = SparseEngine(model, lr=1e-2, l2=1e-3)
    nnz = model.nnz
    for _ in range(6):
        x, y = batch(rng, 30, 20, 4)
        engine.step(x, y)
        engine.rewire(METHODS[method], 0.3, rng, x, rng.random(30))
    assert model.nnz == nnz
    oracle = model.masked()
    before = [layer.dense_weight().clone() for layer in model.linears]
    x, y = batch(rng, 30, 20, 4)
    loss = torch.nn.functional.cross_entropy(oracle.columns(torch.from_numpy(x[:, :20].copy())).T, torch.from_numpy(y))
    loss.backward()
    old = [[moment.copy() for moment in pair] for pair in engine.moments]
    assert engine.step(x, y) == pytest.approx(loss.item(), rel=1e-5)
    rate, l2, b1, b2, eps, correction = adam_hyper(7, 1e-2, 1e-3)
    for layer, masked, weight, (m, v) in zip(model.linears, oracle.linears, before, old, strict=True):
        at = layer.positions()
        w = weight.view(-1).numpy()[at]
        g = masked.weight.grad.view(-1).numpy()[at] + l2 * w
        m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g**2
        expected = w - rate * m / (np.sqrt(v) * correction + eps)
        np.testing.assert_allclose(layer.values.detach().numpy(), expected, rtol=1e-3, atol=2e-5)


@settings(deadline=None)
@given(st.integers(1, 100), st.integers(0, 40), st.integers(1, 20))
def test_adam_matches_torch_on_any_run(count, start, steps):
    rng = np.random.default_rng(count)
    values = rng.normal(size=start + count + 20).astype(np.float32)
    untouched = values.copy()
    moments = np.zeros((2, len(values)), np.float32)
    parameter = torch.nn.Parameter(torch.from_numpy(values[start : start + count].copy()))
    optimizer = torch.optim.Adam([parameter], lr=1e-2, weight_decay=1e-3)
    for step in range(1, steps + 1):
        gradient = rng.normal(size=count).astype(np.float32)
        adam(values, moments[0], moments[1], gradient, start, count, adam_hyper(step, 1e-2, 1e-3))
        parameter.grad = torch.from_numpy(gradient)
        optimizer.step()
    np.testing.assert_allclose(values[start : start + count], parameter.detach().numpy(), rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(values[:start], untouched[:start])
    np.testing.assert_array_equal(values[start + count :], untouched[start + count :])


@pytest.mark.parametrize("n_tiles", [1, 3])
def test_blocks_of_neurons_add_up_to_the_whole_layer(n_tiles):
    """More connections than a block holds, tiled and not."""
    rng = np.random.default_rng(4)
    n_in = 1000 * n_tiles
    layer = SparseLinear(n_in, 70, 3 * BLOCK, rng)
    indptr, indices = layer.indptr.numpy(), layer.indices.numpy()
    x, dy = (rng.normal(size=(n, WIDTH)).astype(np.float32) for n in (n_in, 70))
    whole, blocks = layer.values.detach().numpy().copy(), layer.values.detach().numpy()
    moments = np.zeros((4, layer.nnz), np.float32)
    gradient = np.empty(layer.nnz, np.float32)
    hyper = adam_hyper(1, 1e-2, 1e-3)
    linear.weight_gradient(indptr, 1, indices, x, dy, 0, 70, gradient)
    adam(whole, moments[0], moments[1], gradient, 0, layer.nnz, hyper)
    scratch = np.empty(BLOCK + int(np.diff(indptr).max()), np.float32)
    segments = linear.tile_segments(indptr, indices, 1000, n_tiles)
    update_by_output(segments, n_tiles, indices, x, dy, blocks, moments[2], moments[3], scratch, hyper)
    np.testing.assert_array_equal(blocks, whole)
    np.testing.assert_array_equal(moments[:2], moments[2:])


@settings(deadline=None)
@given(st.integers(1, 12), st.integers(1, 40), st.floats(0.1, 100))
def test_cross_entropy_matches_torch(n_classes, n, spread):
    rng = np.random.default_rng(n)
    logits = np.full((n_classes, linear.padded(n)), 7.0, np.float32)
    logits[:, :n] = spread * rng.normal(size=(n_classes, n))
    labels = rng.integers(0, n_classes, n)
    gradient = np.full_like(logits, np.nan)
    loss, hits = cross_entropy(logits, labels, gradient)
    reference = torch.from_numpy(logits[:, :n].T.copy()).requires_grad_()
    expected = torch.nn.functional.cross_entropy(reference, torch.from_numpy(labels))
    expected.backward()
    assert loss == pytest.approx(expected.item(), rel=1e-4, abs=1e-6)
    np.testing.assert_allclose(gradient[:, :n], reference.grad.T.numpy(), rtol=1e-4, atol=1e-6)
    assert not gradient[:, n:].any()
    assert hits == int((reference.argmax(dim=1).numpy() == labels).sum())


def test_a_dense_layer_is_refused():
    with pytest.raises(TypeError, match="all sparse"):
        SparseEngine(SparseMLP(4, 2, hidden=(3,), sparsity=None, rng=np.random.default_rng(0)), lr=1e-3, l2=0.0)
