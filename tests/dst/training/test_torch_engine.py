from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from dst.importance.metrics import METRICS, Sample
from dst.network.layers import MaskedLinear, SparseLinear
from dst.network.model import SparseMLP
from dst.topology.methods import METHODS
from dst.training.config import OPTIMIZERS, TrainingConfig
from dst.training.engines.engine import StepConfig
from dst.training.engines.sparse import SparseEngine
from dst.training.engines.torch import TorchEngine
from dst.training.trainer import Trainer, fit
from tests.support.engine_batches import batch, shrink_by_hand
from tests.support.gpu import needs_gpu
from tests.support.small_training import SMALL, parts

SPARSE_METHODS = sorted(name for name, method in METHODS.items() if method.sparse)


def trained(engine: str, method: str, **settings):
    """Train eight epochs; return the curves, the topology after each epoch and the result."""
    train, validation = parts()
    config = TrainingConfig(method=method, engine=engine, **{"sparsity": 0.7, **SMALL, "epochs": 8, **settings})
    topologies = []

    def keep(end):
        if METHODS[method].sparse:
            topologies.append([sorted(layer.positions().tolist()) for layer in end.model.linears])

    importance = np.arange(30.0)
    result = fit(train, validation, config, np.random.default_rng(0), keep, lambda: importance)
    return result, topologies


@pytest.mark.parametrize("method", SPARSE_METHODS)
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"optimizer": "sgd", "lr": 0.05, "l2": 1e-3},
        {"optimizer": "sgd", "momentum": 0.0},
        {"dropout": 0.3},
        {"label_smoothing": 0.2, "group_penalty": 0.02},
    ],
    ids=["adam", "sgd", "plain", "dropout", "penalty"],
)
def test_both_engines_train_the_same_network(method, settings):
    """Over epochs with topology updates: the same connections, losses to float32 tolerance, importance likewise."""
    (sparse, moves), (dense, dense_moves) = (trained(engine, method, **settings) for engine in ("sparse", "dense"))
    assert (sparse.engine, dense.engine) == ("sparse", "dense")
    assert moves == dense_moves
    for ours, theirs in zip(
        dataclasses.asdict(sparse.curves).values(), dataclasses.asdict(dense.curves).values(), strict=True
    ):
        np.testing.assert_allclose(ours, theirs, rtol=2e-4)
    assert all(isinstance(layer, SparseLinear) for layer in dense.model.linears), "results do not differ in kind"
    part = parts()[0]
    sample = Sample(part.x[:7], part.y[:7], np.arange(part.x.shape[1]))
    for metric in METRICS.values():
        scores = [metric.take(one.model, sample, np.random.default_rng(0)) for one in (sparse, dense)]
        np.testing.assert_allclose(*scores, rtol=2e-3, atol=1e-5)


@pytest.mark.parametrize("method", SPARSE_METHODS)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_nothing_is_left_outside_the_mask(method, optimizer):
    """After every step and move: weights, gradients and moments are zero where there is no connection."""
    rng = np.random.default_rng(0)
    model = SparseMLP(30, 4, hidden=(20, 10), sparsity=0.6, rng=rng).masked()
    nnz = model.nnz
    engine = TorchEngine(model, StepConfig(lr=1e-2, l2=1e-2, optimizer=optimizer, batch_size=13))
    for _ in range(5):
        x, y = batch(rng, 30, 13, 4)
        engine.step(np.ascontiguousarray(x[:, :13]), y)
        engine.rewire(METHODS[method], 0.3, rng, x, rng.random(30))
        engine.step(np.ascontiguousarray(x[:, :13]), y)
        assert model.nnz == nnz
        for index, layer in enumerate(model.linears):
            assert not layer.weight[~layer.mask].any()
            assert not layer.weight.grad[~layer.mask].any()
            for name, array in engine.state().items():
                if name.startswith(f"{2 * index}.") and array.shape == layer.weight.shape:
                    assert not array[~layer.mask.numpy()].any(), name


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize(
    ("target", "settings"), [("codes", {}), ("codes", {"label_smoothing": 0.2, "group_penalty": 0.1}), ("floats", {})]
)
def test_steps_are_those_of_autograd(optimizer, target, settings):
    """The hand-written backward pass against torch's own, on a masked and on an ordinary dense network."""
    rng = np.random.default_rng(1)
    steps = StepConfig(lr=1e-2, l2=1e-3, optimizer=optimizer, **settings)
    for sparsity in (0.6, None):
        model = SparseMLP(12, 3, hidden=(20, 10), sparsity=sparsity, rng=rng).masked()
        oracle = model.masked()
        engine = TorchEngine(model, steps)
        make = torch.optim.Adam if optimizer == "adam" else torch.optim.SGD
        momentum = {} if optimizer == "adam" else {"momentum": steps.momentum}
        reference = make(oracle.parameters(), lr=steps.lr, weight_decay=steps.l2, **momentum)
        for _ in range(20):
            x = rng.normal(size=(12, 9)).astype(np.float32)
            y = rng.integers(0, 3, 9) if target == "codes" else rng.normal(size=(3, 9)).astype(np.float32)
            outputs = oracle.columns(torch.from_numpy(x))
            loss = (
                torch.nn.functional.cross_entropy(outputs.T, torch.from_numpy(y), label_smoothing=steps.label_smoothing)
                if target == "codes"
                else torch.nn.functional.mse_loss(outputs, torch.from_numpy(y))
            )
            reference.zero_grad()
            loss.backward()
            reference.step()
            shrink_by_hand(oracle.linears[0], steps.lr * steps.group_penalty)
            assert engine.step(x, y) == pytest.approx(loss.item(), rel=1e-4)
        for ours, theirs in zip(model.linears, oracle.linears, strict=True):
            torch.testing.assert_close(ours.weight, theirs.masked_weight(), rtol=1e-3, atol=1e-5)


def test_the_memory_of_both_engines_by_hand():
    """One hidden layer, half of its connections, Adam, a minibatch of 16: every array is accounted for."""
    model = SparseMLP(32, 4, hidden=(8,), sparsity=0.5, distribution="uniform", rng=np.random.default_rng(0))
    nnz = [128, 16]
    assert model.nnz == nnz
    rng = np.random.default_rng(1)
    x, y = batch(rng, 32, 16, 4)
    dense = TorchEngine(model.masked(), StepConfig(lr=1e-3, batch_size=16))
    sparse = SparseEngine(model, StepConfig(lr=1e-3, batch_size=16))
    for engine in (sparse, dense):
        engine.step(x, y)
    held = sparse.memory()
    assert held["parameters"] == 4 * (sum(nnz) + 8 + 4)
    assert held["moments"] == 2 * held["parameters"]
    assert held["indices"] >= 4 * sum(nnz) + 8 * (9 + 5)
    assert held["activations"] >= 2 * 4 * 16 * (8 + 4)
    assert held["gradients"] > 0
    weights, biases = 32 * 8 + 8 * 4, 8 + 4
    assert dense.memory() == {
        "parameters": 4 * (weights + biases),
        "indices": weights + 4 * weights,  # a mask of bytes and one of floats
        "moments": 2 * 4 * (weights + biases),
        "activations": 4 * 16 * (8 + 8 + 4),  # one hidden activation, two deltas
        "gradients": 4 * (weights + biases),
    }


def test_a_sparse_layer_is_refused():
    with pytest.raises(TypeError, match="all dense or masked"):
        TorchEngine(SparseMLP(4, 2, hidden=(3,), sparsity=0.5, rng=np.random.default_rng(0)), StepConfig(lr=1e-3))


@pytest.mark.parametrize("sparsity", [0.0, 0.4, 0.9])
def test_masks_and_connections_turn_into_each_other(sparsity):
    model = SparseMLP(9, 3, hidden=(7, 5), sparsity=sparsity, rng=np.random.default_rng(0))
    back = model.masked().sparse()
    assert {name: tensor.tolist() for name, tensor in model.state_dict().items()} == {
        name: tensor.tolist() for name, tensor in back.state_dict().items()
    }


def test_a_dense_layer_has_no_list_of_connections():
    layer = MaskedLinear.initialised(3, 2, np.random.default_rng(0))
    with pytest.raises(ValueError, match="has them all"):
        layer.positions()
    model = SparseMLP(3, 2, hidden=(4,), sparsity=None, rng=np.random.default_rng(0))
    assert all(isinstance(layer, MaskedLinear) for layer in model.sparse().linears)


@needs_gpu
@pytest.mark.parametrize("method", sorted(METHODS))
def test_a_gpu_trains_the_same_network(method):
    """Same losses within tolerance, results on the CPU, and a state that goes on."""
    (cpu, _), (gpu, _) = (
        trained("auto", method, device=device, dropout=0.2, **({"sparsity": 0.5} if method != "dense" else {}))
        for device in ("cpu", "cuda")
    )
    assert gpu.engine == "dense"
    assert gpu.model.device.type == "cpu"
    np.testing.assert_allclose(gpu.curves.train_loss[:3], cpu.curves.train_loss[:3], rtol=1e-3)
    train, validation = parts()
    config = TrainingConfig(method=method, device="cuda", **SMALL)
    trainers = [Trainer(train, validation, config, np.random.default_rng(0)) for _ in range(2)]
    end = trainers[0].run_epoch()
    sample = Sample(train.x[:5], train.y[:5], np.arange(train.x.shape[1]))
    for metric in METRICS.values():
        assert np.isfinite(metric.take(end.model, sample, np.random.default_rng(0))).all()
    trainers[1].load_state_dict(trainers[0].state_dict())
    losses = [one.run_epoch().train_loss for one in trainers]
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)
