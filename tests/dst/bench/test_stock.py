"""The stock peer trains what it is said to train: exact masks, true gradients, the same protocol as ours."""

from __future__ import annotations

import itertools
import math
import subprocess
import sys
from dataclasses import asdict, replace

import numpy as np
import pytest
import torch
from torch import nn

from dst.bench.stock.masked_network import Masked, MaskedNetwork
from dst.bench.stock.settings import StockSettings, masked_settings
from dst.bench.stock.trial import stock_trial
from dst.data import load_dataset, trial_data
from dst.errors import InputError
from dst.importance.metrics import neuron_attribution, neuron_strength
from dst.network.model import SparseMLP
from dst.network.sparsity import connections
from dst.training.config import TrainingConfig
from dst.trial.run import run_trial
from dst.trial.spec import TrialSpec

SHAPES = [(40, 30), (30, 10), (10, 3)]


def settings(**changes):
    own = {"hidden": (30, 10), "epochs": 3, "patience": 3, "batch_size": 8, "sparsity": 0.8, **changes}
    grow = own.pop("grow", "random")
    return masked_settings(asdict(TrainingConfig(**own)), sparse=own.get("sparsity") is not None, grow=grow, rows=20)


def network(**changes):
    return MaskedNetwork(40, 3, settings(**changes), torch.Generator().manual_seed(0))


def batch(n=8):
    to_draw = torch.Generator().manual_seed(1)
    return torch.randn(n, 40, generator=to_draw), torch.randint(3, (n,), generator=to_draw)


@pytest.mark.parametrize("grow", ["random", "gradient", None])
@pytest.mark.parametrize("sparsity", [0.2, 0.5, 0.9])
def test_connections_keep_their_number_and_weights_stay_within_the_mask(grow, sparsity):
    peer = network(grow=grow, sparsity=sparsity, update_interval=2, drop_fraction=0.5)
    before = [one.mask.clone() for one in peer.masked]
    counts = [count for count, (a, b) in zip(connections(SHAPES, sparsity), SHAPES, strict=True) if count < a * b]
    for number in range(1, 11):
        peer.step(*batch(), number, 20)
        assert [int(one.mask.sum()) for one in peer.masked] == counts
        for one in peer.masked:
            assert set(one.mask.unique().tolist()) <= {0.0, 1.0}
            assert torch.equal(one.active.sort().values, one.mask.view(-1).nonzero().view(-1))
            assert not one.weight[one.mask == 0].any()
    assert grow is None or any(not torch.equal(a, b.mask) for a, b in zip(before, peer.masked, strict=True))
    assert grow is not None or all(torch.equal(a, b.mask) for a, b in zip(before, peer.masked, strict=True))


def test_the_smallest_weights_go_and_the_largest_gradients_come():
    weight = nn.Parameter(torch.tensor([[4.0, -1.0, 2.0, 9.0], [9.0, 9.0, -3.0, 9.0]]))
    optimizer = torch.optim.Adam([weight])
    optimizer.state[weight] = {name: torch.ones_like(weight) for name in ("exp_avg", "exp_avg_sq")}
    with torch.no_grad():
        masked = Masked(weight, 4, torch.Generator())
        masked.mask.copy_(torch.tensor([[1.0, 1.0, 1.0, 0.0], [0.0, 0.0, 1.0, 0.0]]))
        masked.active = torch.tensor([0, 1, 2, 6])
        weight.copy_(torch.tensor([[4.0, -1.0, 2.0, 0.0], [0.0, 0.0, -3.0, 0.0]]))
        weight.grad = torch.tensor([[0.0, 90.0, 80.0, 1.0], [-7.0, 5.0, 0.0, 6.0]])
        masked.move(0.5, "gradient", optimizer, torch.Generator())
    assert masked.mask.tolist() == [[1.0, 0.0, 0.0, 0.0], [1.0, 0.0, 1.0, 1.0]]
    assert weight.tolist() == [[4.0, 0.0, 0.0, 0.0], [0.0, 0.0, -3.0, 0.0]]
    for moment in optimizer.state[weight].values():
        assert moment.tolist() == [[1.0, 0.0, 0.0, 1.0], [1.0, 1.0, 1.0, 1.0]]


def test_growth_stops_where_no_place_is_free():
    weight = nn.Parameter(torch.ones(2, 5))
    with torch.no_grad():
        masked = Masked(weight, 8, torch.Generator().manual_seed(0))
        masked.move(0.9, "random", torch.optim.Adam([weight]), torch.Generator().manual_seed(0))
    assert masked.mask.sum() == 8


def test_random_growth_favours_no_place():
    counts = np.zeros(40)
    to_draw = torch.Generator().manual_seed(0)
    for _ in range(2000):
        with torch.no_grad():
            masked = Masked(nn.Parameter(torch.ones(4, 10)), 8, to_draw)
            places = masked._free(6, to_draw)
        assert len(places.unique()) == 6
        assert not masked.mask.view(-1)[places].any()
        counts[places] += 1
    assert abs(counts / counts.mean() - 1).max() < 4 / math.sqrt(counts.mean())


def test_strength_and_attribution_are_ours_on_the_same_network():
    model = SparseMLP(40, 3, hidden=(30, 10), sparsity=0.5, rng=np.random.default_rng(0))
    peer = network(sparsity=0.5)
    with torch.no_grad():
        for linear, layer in zip(peer.network[::2], model.linears, strict=True):
            linear.weight.copy_(layer.dense_weight())
            linear.bias.copy_(layer.bias)
    rows = batch(20)[0]
    assert peer.strength().numpy() == pytest.approx(neuron_strength(model), rel=1e-5)
    assert peer.attribution(rows).numpy() == pytest.approx(neuron_attribution(model, rows.numpy()), rel=1e-4, abs=1e-7)


@pytest.mark.parametrize("method", [pytest.param("dense", marks=pytest.mark.slow), "set"])
def test_a_trial_follows_our_protocol(method):
    """As many epochs on as many inner splits, and a selection about as good, from the same prepared data."""
    data = load_dataset("wine")
    spec = TrialSpec(method, {"epochs": 12, "patience": 12, "sparsity": 0.5, "lr": 5e-3}, k=4)
    prepared = trial_data(data, spec.design, keep=True)
    config = {**asdict(TrainingConfig(**spec.settings, method=method)), "batch_size": data.batch_size}
    grow = {"dense": None, "set": "random"}[method]
    ranking = masked_settings(config, sparse=method == "set", grow=grow, rows=100)
    stock = StockSettings(ranking, spec.design, 4, "svm", seed=0)
    ends = list(stock_trial(prepared, stock))
    assert [end.epoch for end in ends] == [*range(1, 61), 60]
    assert [end.score is None for end in ends] == [True] * 60 + [False]
    ours = max(one.val_svm_accuracy for one in run_trial(prepared, spec).importances.values())
    assert ends[-1].score == pytest.approx(ours, abs=0.1)
    assert list(itertools.islice(stock_trial(data, stock), 15)) == ends[:15], "in the first split and the second"
    assert next(iter(stock_trial(data, replace(stock, seed=1)))) != ends[0]


def test_patience_ends_a_trial():
    spec = TrialSpec("static")
    ranking = settings(epochs=50, patience=2, lr=1.0)
    epochs = list(stock_trial(load_dataset("wine"), StockSettings(ranking, spec.design, 4, "svm", seed=0)))[-1].epoch
    assert 5 * 3 <= epochs < 5 * 50


def test_an_l1_trial_has_no_epochs():
    (end,) = stock_trial(load_dataset("wine"), StockSettings(1.0, TrialSpec("dense").design, 4, "svm", seed=0))
    assert end.epoch == 0
    assert end.score is not None
    assert end.score > 0.9


def test_what_masks_cannot_do_is_refused():
    with pytest.raises(InputError, match="grow must be None, random or gradient, but got 'importance'"):
        settings(grow="importance")
    with pytest.raises(InputError, match="optimizer='adam' only, but got 'sgd'"):
        settings(optimizer="sgd")


@pytest.mark.slow
def test_a_process_of_the_peer_loads_no_numba():
    code = "import sys, studies.bench.stock_work; sys.exit('numba' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
