from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
import torch
from scipy.sparse import csr_array

from dst.data.dataset import Part
from dst.errors import DivergedError, InputError
from dst.topology.methods import METHODS
from dst.training.config import TrainingConfig
from dst.training.result import training_flops
from dst.training.trainer import fit
from tests.support.small_training import SMALL, parts


@pytest.mark.parametrize("method", sorted(METHODS))
def test_training_learns_keeps_its_connections_and_repeats(method):
    train, validation = parts()
    config = TrainingConfig(method=method, sparsity=0.7, **SMALL)
    seen = []
    result = fit(
        train, validation, config, np.random.default_rng(0), lambda end: seen.append((end.epoch, end.model.nnz))
    )
    again = fit(train, validation, config, np.random.default_rng(0))
    assert result.curves == again.curves
    assert result.curves.val_loss[-1] < result.curves.val_loss[0]
    assert result.val_loss == min(result.curves.val_loss)
    assert result.best_epoch == int(np.argmin(result.curves.val_loss)) + 1
    assert [epoch for epoch, _ in seen] == list(range(1, result.epochs + 1))
    dense = 30 * 40 + 40 * 20 + 20 * 2
    total = dense if method == "dense" else round(0.3 * dense)
    assert all(sum(nnz) == total for _, nnz in seen)
    assert result.flops == training_flops(total, 100, result.epochs)


@pytest.mark.parametrize("method", sorted(name for name, method in METHODS.items() if method.grow))
def test_topology_moves_only_where_the_method_says_so(method):
    train, validation = parts()
    topologies = {}
    for name in ("static", method):
        snapshots = []
        fit(
            train,
            validation,
            TrainingConfig(method=name, sparsity=0.7, **SMALL),
            np.random.default_rng(0),
            lambda end, to=snapshots: to.append(end.model.linears[0].positions().tolist()),
        )
        topologies[name] = snapshots
    assert all(positions == topologies["static"][0] for positions in topologies["static"])
    assert topologies[method][0] != topologies[method][-1]


@pytest.mark.parametrize("method", ["dense", "set"])
@pytest.mark.parametrize("settings", [{"optimizer": "sgd", "lr": 0.05}, {"dropout": 0.2}])
def test_sgd_and_dropout_learn_too(method, settings):
    train, validation = parts()
    config = TrainingConfig(method=method, sparsity=0.5, **{**SMALL, "epochs": 40, **settings})
    result = fit(train, validation, config, np.random.default_rng(0))
    assert result.val_accuracy > 0.7
    assert result.curves.val_loss[-1] < result.curves.val_loss[0]


def test_the_best_weights_come_back():
    train, validation = parts()
    states = {}

    def keep(end):
        states[end.epoch] = {name: tensor.clone() for name, tensor in end.model.state_dict().items()}

    config = TrainingConfig(method="set", sparsity=0.5, lr=0.05, **SMALL)
    result = fit(train, validation, config, np.random.default_rng(0), keep)
    assert result.best_epoch < result.epochs, "the case must have a best epoch before the last"
    for name, tensor in result.model.state_dict().items():
        torch.testing.assert_close(tensor, states[result.best_epoch][name], rtol=0, atol=0)


def test_patience_ends_training():
    train, validation = parts()
    config = TrainingConfig(**{**SMALL, "epochs": 100, "patience": 3, "lr": 0.05}, sparsity=0.5)
    result = fit(train, validation, config, np.random.default_rng(0))
    assert result.epochs == result.best_epoch + 3 < 100


def test_connections_stay_where_they_are_after_the_stop_fraction():
    """Until then three tenths of each layer that has room move every third step; an epoch has seven steps."""
    train, validation = parts()
    snapshots = []
    result = fit(
        train,
        validation,
        TrainingConfig(method="set", sparsity=0.7, stop_fraction=0.5, schedule="constant", **SMALL),
        np.random.default_rng(0),
        lambda end: snapshots.append(end.model.linears[0].positions().tolist()),
    )
    assert snapshots[0] != snapshots[5]
    assert all(positions == snapshots[5] for positions in snapshots[6:])
    nnz, sizes = result.model.nnz, (30 * 40, 40 * 20, 20 * 2)
    each = sum(min(math.ceil(0.3 * n), size - n) for n, size in zip(nnz, sizes, strict=True)) / sum(nnz)
    updates = [2, 2, 3, 2, 2, 3, *[0] * 6]
    assert result.curves.moved == pytest.approx([count * each for count in updates])


def test_a_sparsity_of_zero_is_a_full_network():
    train, validation = parts()
    result = fit(train, validation, TrainingConfig(method="set", sparsity=0.0, **SMALL), np.random.default_rng(0))
    assert sum(result.model.nnz) == result.model.dense_size


def test_validation_rows_decide_only_when_to_stop():
    train, validation = parts()
    curves = [
        fit(
            train, Part(validation.x * scale, validation.y, 2), TrainingConfig(**SMALL), np.random.default_rng(0)
        ).curves
        for scale in (1.0, 5.0)
    ]
    shorter = min(len(curve.train_loss) for curve in curves)
    assert curves[0].train_loss[:shorter] == curves[1].train_loss[:shorter]


@pytest.mark.parametrize("method", sorted(METHODS))
def test_divergence_is_an_error_not_a_result(method):
    train, validation = parts()
    with pytest.raises(DivergedError, match="must stay finite"):
        fit(train, validation, TrainingConfig(method=method, **{**SMALL, "lr": 1e30}), np.random.default_rng(0))


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"method": "ste"}, "unknown method 'ste': did you mean 'set'?"),
        ({"sparsity": 1.0}, "0 <= sparsity < 1 must hold, but got sparsity=1.0"),
        ({"sparsity": -0.5}, "0 <= sparsity < 1 must hold, but got sparsity=-0.5"),
        ({"l2": -1.0}, "0 <= l2 < inf must hold, but got l2=-1.0"),
        ({"lr": 0.0}, "0 < lr < inf must hold, but got lr=0.0"),
        ({"l2": float("inf")}, "0 <= l2 < inf must hold, but got l2=inf"),
        ({"final_drop_fraction": -0.5}, "0 <= final_drop_fraction < 1 must hold"),
        ({"drop_fraction": 1.0}, "0 < drop_fraction < 1 must hold, but got drop_fraction=1.0"),
        ({"hidden": (10, 0)}, r"every hidden size >= 1 must hold, but got hidden=\(10, 0\)"),
        ({"optimizer": "adm"}, "unknown optimizer 'adm': did you mean 'adam'?"),
        ({"momentum": 1.0}, "0 <= momentum < 1 must hold, but got momentum=1.0"),
        ({"dropout": 1.0}, "0 <= dropout < 1 must hold, but got dropout=1.0"),
        ({"label_smoothing": 1.0}, "0 <= label_smoothing < 1 must hold, but got label_smoothing=1.0"),
        ({"label_smoothing": 0.1, "loss": "squared_error"}, "label_smoothing needs class labels"),
        ({"group_penalty": -1.0}, "0 <= group_penalty < inf must hold, but got group_penalty=-1.0"),
        ({"distribution": "err"}, "unknown distribution 'err': did you mean 'er'?"),
        ({"schedule": "cosin"}, "unknown schedule 'cosin': did you mean 'cosine'?"),
        ({"stop_fraction": 1.5}, "0 <= stop_fraction <= 1 must hold, but got stop_fraction=1.5"),
        ({"epochs": 0}, "epochs >= 1 must hold, but got epochs=0"),
        ({"batch_size": 0}, "batch_size >= 1 must hold, but got batch_size=0"),
    ],
)
def test_impossible_settings_are_refused(setting, message):
    with pytest.raises(InputError, match=message):
        TrainingConfig(**setting)


@pytest.mark.parametrize("method", ["set", "dense"])
def test_a_sparse_table_trains_and_validates_as_its_dense_twin(method):
    """300 validation rows: a sparse table makes them dense in chunks."""
    train, validation = parts(n=400)
    config = TrainingConfig(method=method, sparsity=0.7, **SMALL)
    sparse = [dataclasses.replace(part, x=csr_array(part.x)) for part in (train, validation)]
    ours = fit(train, validation, config, np.random.default_rng(0))
    theirs = fit(*sparse, config, np.random.default_rng(0))
    assert ours.curves.train_loss == theirs.curves.train_loss
    np.testing.assert_allclose(ours.curves.val_loss, theirs.curves.val_loss, rtol=1e-5)
    np.testing.assert_allclose(ours.curves.val_accuracy, theirs.curves.val_accuracy, rtol=1e-12)


def test_a_minibatch_is_no_larger_than_the_table():
    """A batch size beyond the rows costs nothing and changes nothing."""
    train, validation = parts()
    results = [
        fit(train, validation, TrainingConfig(hidden=(20,), epochs=3, batch_size=size), np.random.default_rng(0))
        for size in (100, 100_000)
    ]
    assert results[0].curves == results[1].curves
    assert results[0].memory == results[1].memory
