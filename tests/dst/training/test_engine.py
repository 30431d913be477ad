from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dst.kernels import linear
from dst.kernels.losses import cross_entropy, dropout, squared_error
from dst.kernels.optimizers import adam, adam_hyper, sgd, sgd_hyper
from dst.kernels.rows import lanes, padded
from dst.kernels.simd import WIDTH
from dst.kernels.steps import BLOCK, update_by_output
from dst.kernels.team import Team
from dst.network.layers import SparseLinear
from dst.network.model import SparseMLP
from dst.topology.methods import METHODS
from dst.training.config import OPTIMIZERS
from dst.training.engines.engine import StepConfig
from dst.training.engines.sparse import SparseEngine
from dst.training.engines.torch import TorchEngine
from tests.support.engine_batches import batch


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("sparsity", [0.0, 0.5, 0.9, 0.98])
@pytest.mark.parametrize("hidden", [(), (60,), (60, 20), (30, 30, 30)])
def test_fifty_steps_match_torch_on_the_masked_oracle(optimizer, sparsity, hidden):
    """Static topology, L2, batches that are not all full: the same losses and weights to float32 tolerance."""
    steps = StepConfig(lr=1e-3 if optimizer == "adam" else 1e-2, l2=1e-3, optimizer=optimizer, batch_size=45)
    rng = np.random.default_rng(2)
    model = SparseMLP(40, 3, hidden=hidden, sparsity=sparsity, rng=rng)
    oracle = model.masked()
    engine, torch_engine = (kind(one, steps) for kind, one in ((SparseEngine, model), (TorchEngine, oracle)))
    for step in range(50):
        n = 37 if step % 5 else min(1 + step, 45)
        x, y = batch(rng, 40, n, 3, engine.width)
        ours, theirs = engine.step(x, y), torch_engine.step(np.ascontiguousarray(x[:, :n]), y)
        assert ours == pytest.approx(theirs, rel=1e-5)
    for sparse, masked in zip(model.linears, oracle.linears, strict=True):
        torch.testing.assert_close(sparse.dense_weight(), masked.masked_weight().detach(), rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(sparse.bias, masked.bias, rtol=1e-4, atol=1e-5)
    x, y = batch(rng, 40, 1000, 3, engine.width)
    ours, theirs = engine.evaluate(x, y), torch_engine.evaluate(np.ascontiguousarray(x[:, :1000]), y)
    assert ours == pytest.approx(theirs, rel=1e-5)


@pytest.mark.parametrize("method", sorted(name for name, method in METHODS.items() if method.grow is not None))
def test_training_goes_on_over_topology_updates_as_the_oracle_would(method):
    """After a move, the next step equals torch's on the masked copy with the moments carried over."""
    rng = np.random.default_rng(3)
    model = SparseMLP(30, 4, hidden=(40, 20), sparsity=0.8, rng=rng)
    engine = SparseEngine(model, StepConfig(lr=1e-2, l2=1e-3, batch_size=20))
    nnz = model.nnz
    for _ in range(6):
        x, y = batch(rng, 30, 20, 4, engine.width)
        engine.step(x, y)
        engine.rewire(METHODS[method], 0.3, rng, x, rng.random(30))
    assert model.nnz == nnz
    oracle = model.masked()
    before = [layer.dense_weight().clone() for layer in model.linears]
    x, y = batch(rng, 30, 20, 4, engine.width)
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
    layer.arrange(1000)
    indptr, indices = layer.indptr.numpy(), layer.indices.numpy()
    x, dy = (rng.normal(size=(n, WIDTH)).astype(np.float32) for n in (n_in, 70))
    whole, blocks = layer.values.detach().numpy().copy(), layer.values.detach().numpy()
    moments = np.zeros((4, layer.nnz), np.float32)
    gradient = np.empty(layer.nnz, np.float32)
    hyper = adam_hyper(1, 1e-2, 1e-3)
    linear.weight_gradient(indptr, indices, x, dy, 0, 70 * n_tiles, gradient, lanes(WIDTH))
    adam(whole, moments[0], moments[1], gradient, 0, layer.nnz, hyper)
    scratch = np.empty(BLOCK + int(np.diff(indptr).max()), np.float32)
    for start, end in ((0, 41), (41, 70)):
        arrays = indptr, indices, x, dy, blocks, moments[2], moments[3], scratch, hyper
        update_by_output(True, *arrays, start, end, lanes(WIDTH))
    np.testing.assert_array_equal(blocks, whole)
    np.testing.assert_array_equal(moments[:2], moments[2:])


@given(st.integers(1, 12), st.integers(1, 40), st.floats(0.1, 100), st.just(0.0) | st.floats(0, 0.99))
def test_cross_entropy_matches_torch(n_classes, n, spread, label_smoothing):
    rng = np.random.default_rng(n)
    logits = np.full((n_classes, padded(n)), 7.0, np.float32)
    logits[:, :n] = spread * rng.normal(size=(n_classes, n))
    labels = rng.integers(0, n_classes, n)
    gradient = np.full_like(logits, np.nan)
    loss, hits = cross_entropy(logits, labels, gradient, label_smoothing)
    reference = torch.from_numpy(logits[:, :n].T.copy()).requires_grad_()
    criterion = torch.nn.CrossEntropyLoss(label_smoothing=label_smoothing)
    expected = criterion(reference, torch.from_numpy(labels))
    expected.backward()
    assert loss == pytest.approx(expected.item(), rel=1e-4, abs=1e-6)
    np.testing.assert_allclose(gradient[:, :n], reference.grad.T.numpy(), rtol=1e-4, atol=1e-6)
    assert not gradient[:, n:].any()
    assert hits == int((reference.argmax(dim=1).numpy() == labels).sum())


@pytest.mark.parametrize("threads", [2, 5])
def test_any_number_of_threads_gives_the_same_result(threads, monkeypatch):
    monkeypatch.setattr("dst.training.engines.sparse._WORTH_SHARING", 0)
    trained = []
    for count in (1, threads):
        rng = np.random.default_rng(7)
        model = SparseMLP(50, 3, hidden=(40, 3, 20), sparsity=0.7, rng=rng)
        engine = SparseEngine(model, StepConfig(lr=1e-2, batch_size=20, threads=count))
        losses = []
        for _ in range(5):
            x, y = batch(rng, 50, 20, 3, engine.width)
            losses.append(engine.step(x, y))
            engine.rewire(METHODS["set"], 0.3, rng, x)
        trained.append((losses, engine.evaluate(x, y), [layer.values.tolist() for layer in model.linears]))
    assert trained[0] == trained[1]


def test_what_a_thread_raises_is_raised():
    def work(part, start, end):
        if part == 1:
            raise ArithmeticError(f"{start} to {end}")

    with pytest.raises(ArithmeticError, match="2 to 5"):
        Team(3).run(work, np.array([0, 2, 5, 6]))


@given(st.lists(st.integers(0, 9), min_size=1, max_size=30).filter(any), st.integers(1, 6))
def test_shares_are_near_equal(counts, size):
    bounds = Team(size).shares(np.array(counts))
    assert len(bounds) == size + 1
    assert bounds[0] == 0
    assert bounds[-1] == len(counts)
    for start, end in itertools.pairwise(bounds.tolist()):
        assert start <= end
        assert sum(counts[start:end]) <= sum(counts) / size + max(counts)


def test_a_minibatch_of_another_width_is_refused():
    model = SparseMLP(4, 2, hidden=(3,), sparsity=0.5, rng=np.random.default_rng(0))
    engine = SparseEngine(model, StepConfig(lr=1e-3, batch_size=20))
    with pytest.raises(ValueError, match="a minibatch must have 32 columns, but has 16"):
        engine.step(*batch(np.random.default_rng(0), 4, 10, 2))


def test_a_dense_layer_is_refused():
    with pytest.raises(TypeError, match="all sparse"):
        SparseEngine(SparseMLP(4, 2, hidden=(3,), sparsity=None, rng=np.random.default_rng(0)), StepConfig(lr=1e-3))


def test_reconstruction_matches_torch():
    """An autoencoder: targets are the inputs, the loss is the mean squared error."""
    rng = np.random.default_rng(5)
    model = SparseMLP(20, 20, hidden=(30,), sparsity=0.6, rng=rng)
    oracle = model.masked()
    steps = StepConfig(lr=1e-2, l2=1e-4, batch_size=25)
    engine, torch_engine = SparseEngine(model, steps), TorchEngine(oracle, steps)
    losses = []
    for _ in range(30):
        x, _ = batch(rng, 20, 25, 2, engine.width)
        targets = np.ascontiguousarray(x[:, :25])
        losses.append(engine.step(x, targets))
        assert losses[-1] == pytest.approx(torch_engine.step(targets, targets), rel=1e-4)
    assert losses[-1] < losses[0]
    assert engine.evaluate(x, targets) == pytest.approx(torch_engine.evaluate(targets, targets), rel=1e-4)
    explained = 1 - losses[-1] / float(targets.var(axis=1).mean())
    assert engine.evaluate(x, targets)[1] == pytest.approx(explained, abs=0.1)


@given(st.integers(1, 100), st.integers(0, 40), st.integers(1, 20))
def test_sgd_matches_torch_on_any_run(count, start, steps):
    rng = np.random.default_rng(count)
    values = rng.normal(size=start + count + 20).astype(np.float32)
    untouched = values.copy()
    velocity = np.zeros_like(values)
    parameter = torch.nn.Parameter(torch.from_numpy(values[start : start + count].copy()))
    optimizer = torch.optim.SGD([parameter], lr=1e-2, momentum=0.9, weight_decay=1e-3)
    for _ in range(steps):
        gradient = rng.normal(size=count).astype(np.float32)
        sgd(values, velocity, gradient, start, count, sgd_hyper(1e-2, 1e-3, 0.9))
        parameter.grad = torch.from_numpy(gradient)
        optimizer.step()
    np.testing.assert_allclose(values[start : start + count], parameter.detach().numpy(), rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(values[:start], untouched[:start])
    np.testing.assert_array_equal(values[start + count :], untouched[start + count :])


@given(st.integers(1, 5), st.integers(1, 20))
def test_squared_error_by_hand(n_outputs, n):
    rng = np.random.default_rng(n)
    outputs, targets = (rng.normal(size=(n_outputs, padded(n))).astype(np.float32) for _ in range(2))
    gradient = np.full_like(outputs, np.nan)
    difference = (outputs - targets)[:, :n]
    assert squared_error(outputs, targets, n, gradient) == pytest.approx(
        np.mean(difference.astype(float) ** 2), rel=1e-4
    )
    np.testing.assert_allclose(gradient[:, :n], 2 * difference / difference.size, rtol=1e-5)
    assert not gradient[:, n:].any()


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
def test_dropout_keeps_the_expected_share_and_sum(rate):
    ones = np.ones((200, 160), np.float32)
    dropped = [ones.copy() for _ in range(3)]
    for array, draw in zip(dropped, (7, 7, 8), strict=True):
        dropout(array, rate, np.uint64(3), np.uint64(draw))
    np.testing.assert_array_equal(dropped[0], dropped[1])
    assert (dropped[0] != dropped[2]).mean() == pytest.approx(2 * rate * (1 - rate), abs=0.02)
    assert set(np.unique(dropped[0])) == {np.float32(0), np.float32(1 / (1 - rate))}
    assert (dropped[0] == 0).mean() == pytest.approx(rate, abs=0.02)
    assert np.abs((dropped[0] == 0).mean(axis=0) - rate).max() < 0.2, "no sample is favoured"


def test_a_step_with_dropout_is_torchs_on_the_thinned_network():
    """Plain gradient descent at lr 1: what a weight moves is its gradient, here by autograd with the same masks."""
    rng = np.random.default_rng(6)
    x, y = batch(rng, 8, 12, 3)
    model = SparseMLP(8, 3, hidden=(10, 6), sparsity=0.3, rng=rng)
    oracle = model.masked()
    steps = StepConfig(lr=1.0, optimizer="sgd", momentum=0.0, dropout=0.4, seed=11, batch_size=12)
    before = [layer.dense_weight() for layer in model.linears]
    loss = SparseEngine(model, steps).step(x, y)

    value = torch.from_numpy(x)
    for index, layer in enumerate(oracle.linears[:-1]):
        kept = np.ones((layer.out_features, x.shape[1]), np.float32)
        dropout(kept, 0.4, np.uint64(11), np.uint64(3 + index))  # three layers, first step
        value = torch.relu(layer(value)) * torch.from_numpy(kept)
    expected = torch.nn.functional.cross_entropy(oracle.linears[-1](value)[:, :12].T, torch.from_numpy(y))
    expected.backward()
    assert loss == pytest.approx(expected.item(), rel=1e-5)
    for weight, layer, reference in zip(before, model.linears, oracle.linears, strict=True):
        torch.testing.assert_close(weight - layer.dense_weight(), reference.weight.grad, rtol=1e-4, atol=1e-6)
