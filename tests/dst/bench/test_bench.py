"""The peers train the network that they are said to train, and rows hold what the contract names."""

from __future__ import annotations

import time
from dataclasses import asdict, fields

import numpy as np
import pytest
import torch
from threadpoolctl import threadpool_info
from torch import nn

from dst.bench import clock, scipy_peer
from dst.bench.attribution import attribution_rows
from dst.bench.clock import FEWEST_ROUNDS, median_ms, thread_limit
from dst.bench.machine import Machine, machine
from dst.bench.peers import PEERS, Ours
from dst.bench.shapes import L2, LR, SHAPES, Shape, cases, draw, named_shape
from dst.bench.step import step_rows
from dst.bench.topology import topology_rows
from dst.errors import InputError

TINY = Shape("TINY", features=700, classes=3, batch=13, hidden=(150, 20))
"""More connections than a block of any peer holds, a last block that is not full, a batch that must be padded."""


class Oracle:
    """Autograd on masked layers with torch's plain Adam."""

    def __init__(self, work):
        self.layers = work.model.masked().linears
        self._x, self._y = torch.from_numpy(work.x.T.copy()), torch.from_numpy(work.y)
        parameters = [parameter for layer in self.layers for parameter in layer.parameters()]
        self._optimizer = torch.optim.Adam(parameters, lr=LR, weight_decay=L2, foreach=False)

    def step(self):
        x = self._x
        for layer in self.layers[:-1]:
            x = torch.relu(layer(x))
        loss = nn.functional.cross_entropy(self.layers[-1](x).T, self._y)
        self._optimizer.zero_grad()
        loss.backward()
        self._optimizer.step()
        return loss.item()

    def layer(self, index):
        return self.layers[index].masked_weight().detach().numpy(), self.layers[index].bias.detach().numpy()


def dense_layer(peer, work, index):
    """Return weight ``(n_out, n_in)`` and bias of a peer's layer, wherever it keeps them."""
    if isinstance(peer, Ours):
        layer = work.layers[index]
        return layer.dense_weight().numpy(), layer.bias.detach().numpy()
    if hasattr(peer, "network"):
        layer = peer.network[2 * index]
        return layer.weight.detach().numpy(), layer.bias.detach().numpy()
    layer, shape = peer.layers[index], work.layers[index]
    values = layer.values.numpy() if hasattr(layer, "values") else layer.weight.data
    weight = np.zeros(shape.out_features * shape.in_features, np.float32)
    weight[shape.positions()] = values
    return weight.reshape(shape.out_features, shape.in_features), np.asarray(layer.bias)


def assert_same(parameters, expected):
    """To float32 tolerance, save the few whose gradient and decay cancel: Adam divides what rounding leaves of them by
    itself, which can move them by up to its learning rate."""
    difference = np.abs(parameters - expected)
    assert difference.max() < LR / 10
    assert np.mean(difference > 1e-6) < 1e-3


@pytest.mark.parametrize("sparsity", [0.5, 0.9, 0.98])
@pytest.mark.parametrize("name", ["ours", *PEERS])
def test_steps_of_every_peer_are_those_of_the_masked_oracle(name, sparsity):
    """The dense network equals it where there are connections, for one step; the others everywhere, for five."""
    work = draw(TINY, sparsity, np.random.default_rng(0))
    oracle = Oracle(work)
    masks = [layer.dense_weight().numpy() != 0 for layer in work.layers]
    peer = {"ours": Ours, **PEERS}[name](work)
    for _ in range(1 if name == "torch_dense" else 5):
        assert peer.step() == pytest.approx(oracle.step(), rel=1e-5)
    for index, mask in enumerate(masks):
        (weight, bias), (expected_weight, expected_bias) = dense_layer(peer, work, index), oracle.layer(index)
        if name == "torch_dense":
            weight = weight * mask
        assert_same(weight, expected_weight)
        assert_same(bias, expected_bias)


def test_masked_gradients_are_zero_where_there_is_no_connection():
    work = draw(TINY, 0.9, np.random.default_rng(0))
    peer = PEERS["torch_masked"](work)
    peer.step()
    for layer, module in zip(work.layers, peer.network[::2], strict=True):
        assert not module.weight.grad[layer.dense_weight() == 0].any()


def test_making_a_peer_leaves_the_workload_as_it_was():
    work = draw(TINY, 0.9, np.random.default_rng(0))
    before = {name: tensor.clone() for name, tensor in work.model.state_dict().items()}
    for make in PEERS.values():
        make(work).step()
    for name, tensor in work.model.state_dict().items():
        assert torch.equal(tensor, before[name])


def test_step_rows_have_the_keys_of_the_contract():
    rows = [asdict(row) for row in step_rows([TINY], [0.5, 0.9], seconds=0.01)]
    assert [(row["shape"], row["batch"], row["sparsity"], row["method"]) for row in rows] == [
        ("TINY", 13, 0.5, "static"),
        ("TINY", 13, 0.9, "static"),
    ]
    for row in rows:
        assert list(row) == [
            "shape",
            "batch",
            "sparsity",
            "method",
            "ours_ms",
            "torch_dense_ms",
            "torch_masked_ms",
            "torch_csr_ms",
            "scipy_ms",
            "ratio_vs_torch_dense",
        ]
        assert all(row[key] > 0 for key in row if key.endswith("_ms"))
        assert row["ratio_vs_torch_dense"] == row["torch_dense_ms"] / row["ours_ms"]


def test_topology_rows_have_the_keys_of_the_contract():
    rows = [asdict(row) for row in topology_rows([TINY], [0.9], seconds=0.01)]
    assert [(row["shape"], row["sparsity"], row["method"]) for row in rows] == [
        ("TINY", 0.9, "set"),
        ("TINY", 0.9, "rigl"),
    ]
    for row in rows:
        assert list(row) == ["shape", "sparsity", "method", "step_ms", "update_ms", "dense_step_ms"]
        assert all(row[key] > 0 for key in row if key.endswith("_ms"))


def test_attribution_rows_have_the_keys_of_the_contract():
    (row,) = (asdict(row) for row in attribution_rows([TINY], [0.9], seconds=0.01))
    assert list(row) == ["shape", "sparsity", "ours_ms", "jacrev_ms", "ratio", "share_of_training"]
    assert row["ratio"] == row["jacrev_ms"] / row["ours_ms"] > 0
    assert row["share_of_training"] is None


def test_a_peer_that_trains_something_else_gets_no_row(monkeypatch):
    monkeypatch.setattr(scipy_peer, "LR", 2 * LR)
    with pytest.raises(RuntimeError, match="same losses, but the first two of scipy"):
        list(step_rows([TINY], [0.9], seconds=0.0))


@pytest.mark.parametrize("rows", [step_rows, topology_rows])
@pytest.mark.parametrize("sparsity", [0.0, 1.0, -0.5])
def test_a_sparsity_that_leaves_nothing_to_compare_is_refused_before_any_row(rows, sparsity):
    with pytest.raises(InputError, match=f"0 < sparsity < 1 must hold, but got sparsity={sparsity}"):
        next(rows([TINY], [0.9, sparsity]))


def test_methods_that_move_nothing_have_no_updates():
    with pytest.raises(InputError, match="method='static'"):
        next(topology_rows([TINY], [0.9], methods=["static"]))


def test_shapes_are_the_papers():
    sizes = {name: (shape.features, *shape.hidden, shape.classes, shape.batch) for name, shape in SHAPES.items()}
    assert sizes == {
        "COIL20": (1024, 1000, 100, 20, 100),
        "BASEHOCK": (4862, 1000, 100, 2, 32),
        "SMK": (19993, 1000, 100, 2, 32),
        "Isolet": (617, 1000, 100, 26, 100),
    }
    assert cases([TINY, TINY], [0.5, 0.9]) == [(TINY, 0.5), (TINY, 0.9)] * 2
    with pytest.raises(InputError, match="did you mean 'COIL20'"):
        named_shape("coil2")


def test_turns_alternate_and_only_the_second_call_is_timed():
    calls = []
    turns = {
        name: (
            lambda name=name: calls.append((name, "first")) or time.sleep(0.05),
            lambda n=name: calls.append((n, "timed")),
        )
        for name in ("a", "b")
    }
    ms = median_ms(turns, seconds=0.0)
    assert calls == [("a", "first"), ("a", "timed"), ("b", "first"), ("b", "timed")] * FEWEST_ROUNDS
    assert all(0 < value < 50 for value in ms.values())


def test_a_turn_of_quick_calls_goes_on_and_its_first_call_does_not_count():
    calls = []

    def timed():
        calls.append(len(calls))
        time.sleep(0.1 if len(calls) == 1 else 0.001)

    def quick():
        time.sleep(0.001)

    ms = median_ms({"cold": (lambda: None, timed), "quick": (lambda: None, quick)}, seconds=0.0)
    assert len(calls) > 5 * FEWEST_ROUNDS
    assert ms["cold"] < 50


def test_who_has_used_its_share_sits_out_where_it_may(monkeypatch):
    counts = {"slow": 0, "fast": 0, "baseline": 0}

    def turn(name, seconds):
        def timed():
            counts[name] += 1
            time.sleep(seconds)

        return (lambda: None, timed)

    monkeypatch.setattr(clock, "TURN_SECONDS", 0.0)
    turns = {"slow": turn("slow", 0.03), "fast": turn("fast", 0.0), "baseline": turn("baseline", 0.005)}
    median_ms(turns, seconds=1.0, may_sit_out=("slow", "fast"))
    assert FEWEST_ROUNDS < counts["slow"] < counts["fast"] == counts["baseline"]


def test_the_thread_limit_ends_with_the_block():
    before = torch.get_num_threads()
    with thread_limit(2):
        assert torch.get_num_threads() == 2
        with thread_limit(1):
            assert torch.get_num_threads() == 1
            assert {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"} == {1}
        assert torch.get_num_threads() == 2
    assert torch.get_num_threads() == before


def test_the_machine_is_described():
    here = machine(threads=3)
    assert here.threads == 3
    assert here.cores >= 1
    assert here.instructions in ("avx512", "avx2", "neon", "other")
    assert all(getattr(here, field.name) for field in fields(Machine))
    assert here.blas.startswith("torch: ")
    assert "numpy: " in here.blas
