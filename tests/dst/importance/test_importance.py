from __future__ import annotations

import dataclasses

import captum.attr
import numpy as np
import pytest
import torch
from scipy.sparse import csr_array

from dst.data.dataset import Part
from dst.errors import InputError
from dst.files.checkpoint import State
from dst.importance.metrics import (
    HELD_OUT_METRICS,
    METRICS,
    Sample,
    gradient_x_input,
    integrated_gradients,
    loss_gradient,
    neuron_attribution,
    neuron_strength,
    permutation_importance,
    random_importance,
    squared_gradient,
    take_metrics,
)
from dst.importance.permutation import permutation
from dst.network.model import SparseMLP
from dst.rankers.sparse_mlp import rank_by_sparse_mlp
from dst.training.config import TrainingConfig
from dst.training.importance_history import ImportanceHistory
from dst.training.result import EpochEnd, StepStart


def network(sparsity, hidden=(20, 10)):
    return SparseMLP(12, 4, hidden=hidden, sparsity=sparsity, rng=np.random.default_rng(0))


def jacobian_of_oracle(model, rows):
    oracle = model.masked()
    jacobian = torch.func.vmap(torch.func.jacrev(lambda x: oracle(x[None])[0]))(torch.from_numpy(rows))
    return jacobian.detach().numpy()


def drawn(n_rows, n_features=12):
    return np.random.default_rng(1).normal(size=(n_rows, n_features)).astype(np.float32)


@pytest.mark.parametrize("hidden", [(), (30,), (20, 10), (20, 15, 10)])
@pytest.mark.parametrize("sparsity", [None, 0.0, 0.8])
@pytest.mark.parametrize("n_rows", [1, 16, 21, 300])
def test_gradients_match_the_jacobian_of_the_oracle(sparsity, n_rows, hidden):
    model, rows = network(sparsity, hidden), drawn(n_rows)
    jacobian = jacobian_of_oracle(model, rows)
    expected = np.abs(jacobian).mean(axis=0).sum(axis=0)
    np.testing.assert_allclose(neuron_attribution(model, rows), expected, rtol=1e-4, atol=1e-6)
    expected = np.abs(jacobian * rows[:, None]).mean(axis=0).sum(axis=0)
    np.testing.assert_allclose(gradient_x_input(model, rows), expected, rtol=1e-4, atol=1e-6)
    expected = (jacobian**2).mean(axis=0).sum(axis=0)
    np.testing.assert_allclose(squared_gradient(model, rows), expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("hidden", [(), (20, 10)])
@pytest.mark.parametrize("sparsity", [None, 0.8])
@pytest.mark.parametrize("names", [tuple(METRICS), tuple(reversed(METRICS)), ("squared_gradient", "random")])
def test_metrics_that_are_taken_together_are_what_each_is_alone(names, sparsity, hidden):
    model, rows = network(sparsity, hidden), drawn(21)
    sample = Sample(rows, np.arange(21) % 4, np.arange(12))
    together = take_metrics(names, model, sample, np.random.default_rng(3))
    assert list(together) == list(names)
    rng = np.random.default_rng(3)
    for name in names:
        np.testing.assert_array_equal(together[name], METRICS[name].take(model, sample, rng), err_msg=name)


@pytest.mark.parametrize("hidden", [(), (30,), (20, 10)])
@pytest.mark.parametrize("sparsity", [None, 0.8])
@pytest.mark.parametrize("n_rows", [1, 21, 300])
@pytest.mark.parametrize(("target", "label_smoothing"), [("codes", 0.0), ("codes", 0.3), ("floats", 0.0)])
def test_the_gradient_of_the_loss_is_autograds(target, label_smoothing, n_rows, sparsity, hidden):
    """Row by row, whatever the rows are together; floats are four outputs."""
    model, rows = network(sparsity, hidden), drawn(n_rows)
    if sparsity is not None:
        for layer in model.linears:
            layer.arrange(5)
    rng = np.random.default_rng(4)
    targets = rng.integers(0, 4, n_rows) if target == "codes" else rng.normal(size=(n_rows, 4)).astype(np.float32)
    x = torch.from_numpy(rows).requires_grad_()
    outputs, y = model.masked()(x), torch.from_numpy(targets)
    if target == "codes":
        loss = torch.nn.functional.cross_entropy(outputs, y, reduction="sum", label_smoothing=label_smoothing)
    else:
        loss = torch.nn.functional.mse_loss(outputs, y, reduction="none").mean(dim=1).sum()
    loss.backward()
    expected = x.grad.abs().mean(dim=0).numpy()
    scores = loss_gradient(model, rows, targets, label_smoothing=label_smoothing)
    np.testing.assert_allclose(scores, expected, rtol=1e-3, atol=1e-6)


def test_panels_and_dead_neurons_change_nothing():
    model, rows = network(0.5), drawn(40)
    with torch.no_grad():
        model.linears[0].bias[:7] = -1e3
        model.linears[1].bias[:3] = -1e3
    expected = np.abs(jacobian_of_oracle(model, rows)).mean(axis=0).sum(axis=0)
    for tile in (12, 5, 1):
        model.linears[0].arrange(tile)
        model.linears[1].arrange(2 * tile)
        np.testing.assert_allclose(neuron_attribution(model, rows), expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("sparsity", [None, 0.7])
def test_metrics_are_captums(sparsity):
    model, rows = network(sparsity), drawn(21)
    oracle, x = model.masked(), torch.from_numpy(rows)
    ways = {
        neuron_attribution: lambda c: captum.attr.Saliency(oracle).attribute(x.clone().requires_grad_(), target=c),
        gradient_x_input: lambda c: captum.attr.InputXGradient(oracle).attribute(x.clone().requires_grad_(), target=c),
        integrated_gradients: lambda c: captum.attr.IntegratedGradients(oracle).attribute(
            x, target=c, n_steps=32, method="riemann_middle"
        ),
    }
    for metric, of_logit in ways.items():
        expected = sum(of_logit(c).abs().mean(dim=0).detach().numpy() for c in range(4))
        np.testing.assert_allclose(metric(model, rows), expected, rtol=1e-3, atol=1e-5)


def test_strength_is_the_column_sum_of_the_first_layer():
    model = network(0.8)
    expected = model.linears[0].dense_weight().abs().sum(dim=0).numpy()
    np.testing.assert_allclose(neuron_strength(model), expected, rtol=1e-6)


def test_permutation_falls_to_chance_on_the_one_column_that_decides():
    model = SparseMLP(3, 2, hidden=(), sparsity=0.0, rng=np.random.default_rng(0))
    with torch.no_grad():
        model.linears[0].values[:] = torch.tensor([0.0, -1, 0, 0, 1, 0])
        model.linears[0].bias[:] = 0
    rows = drawn(9000, 3)  # more than go through the network at once
    before, labels = rows.copy(), (rows[:, 1] > 0).astype(np.int64)
    drops = permutation(model, rows, labels, np.arange(3), np.random.default_rng(0), repeats=3)
    assert drops[[0, 2]].tolist() == [0, 0]
    assert drops[1] == pytest.approx(0.5, abs=0.03)
    np.testing.assert_array_equal(rows, before)


@pytest.mark.parametrize("as_table", [np.asarray, csr_array])
@pytest.mark.parametrize("hidden", [(), (10,), (20, 10)])
def test_permutation_is_captums(hidden, as_table):
    model, rows = network(0.6, hidden), drawn(50)
    labels = np.random.default_rng(2).integers(0, 4, 50)
    seeds = iter(np.random.default_rng(3).integers(2**63, size=(12, 1))[:, 0])

    def accuracy(x):
        return (model(x).argmax(dim=1) == torch.from_numpy(labels)).double().mean()[None]

    def permuted(x, mask):
        order = np.random.default_rng(next(seeds)).permutation(len(x))
        return torch.where(mask.bool(), x[torch.from_numpy(order)], x)

    theirs = captum.attr.FeaturePermutation(accuracy, permuted).attribute(torch.from_numpy(rows))
    ours = permutation(model, as_table(rows), labels, np.arange(12), np.random.default_rng(3))
    np.testing.assert_allclose(ours, theirs[0].numpy(), atol=1e-6)
    assert np.abs(ours).max() > 0


def test_encodings_of_a_column_move_together():
    """A column of four categories decides alone: its permutation leaves chance, whatever each code's alone would."""
    codes = np.random.default_rng(0).integers(0, 4, 4000)
    rows = np.eye(4, dtype=np.float32)[codes]
    model = SparseMLP(4, 2, hidden=(), sparsity=0.0, rng=np.random.default_rng(0))
    with torch.no_grad():
        model.linears[0].values[:] = torch.tensor([1.0, 0, 1, 0, 0, 1, 0, 1])
        model.linears[0].bias[:] = 0
    scores = permutation_importance(
        model, Part(rows, codes % 2, 2, origin=np.zeros(4, np.int64)), np.random.default_rng(1)
    )
    assert scores[0] == pytest.approx(0.5, abs=0.03)
    assert scores[1:].tolist() == [0, 0, 0]


def test_many_encodings_are_no_better_chance_at_random():
    columns = np.array([0, 1, 1, 1, 1, 1, 1, 2, 3])
    firsts = [random_importance(columns, np.random.default_rng(seed)).argmax() for seed in range(400)]
    assert np.isin(firsts, [0, 1, 7, 8]).all()
    assert np.bincount(firsts, minlength=9)[1] == pytest.approx(100, abs=35)


def test_random_importance_is_the_generators():
    one, same = (random_importance(np.arange(12), np.random.default_rng(5)) for _ in range(2))
    assert one.shape == (12,)
    np.testing.assert_array_equal(one, same)


@pytest.mark.parametrize(
    ("history", "counted"), [("best", [0, 1, 2]), ("all", [0, 1, 2, 3]), ("best_epoch", [2]), ("last", [3])]
)
@pytest.mark.parametrize("sampling", ["per_epoch", "per_step"])
def test_the_history_sums_what_counts(history, counted, sampling):
    rng = np.random.default_rng(2)
    models = [SparseMLP(6, 2, hidden=(8,), sparsity=0.5, rng=rng) for _ in range(4)]
    x, labels = drawn(30, 6), rng.integers(0, 2, 30)
    names = ("neuron_strength", "neuron_attribution", "loss_gradient")
    config = TrainingConfig(
        history=history,
        sampling=sampling,
        importance_rows=40,  # more rows than there are
        importances=names,
        label_smoothing=0.1,
    )
    whole, resumed = (ImportanceHistory(Part(x, labels, 2), np.random.default_rng(seed), config) for seed in (0, 1))
    for epoch, (model, improved) in enumerate(zip(models, [True, False, True, False], strict=True), start=1):
        for index in range(3 if sampling == "per_epoch" else 1):
            whole.add_step(StepStart(model, index, 3, lambda: x, labels))
        whole.add(
            EpochEnd(epoch, 0.0, 0.0, 0.0, improved, lambda: State({}, {}), model, model.linears[0].input_strength)
        )
        resumed.load_state_dict(whole.state_dict())
    assert tuple(whole.scores()) == names
    attribution, strength = whole.scores()["neuron_attribution"], whole.scores()["neuron_strength"]
    np.testing.assert_allclose(attribution, sum(neuron_attribution(models[i], x) for i in counted), rtol=1e-5)
    np.testing.assert_allclose(strength, sum(neuron_strength(models[i]) for i in counted), rtol=1e-6)
    np.testing.assert_array_equal(resumed.scores()["neuron_attribution"], attribution)
    of_loss = [loss_gradient(models[i], x, labels, label_smoothing=0.1) for i in counted]
    decayed = sum(0.9**age * taken for age, taken in enumerate(reversed(of_loss)))
    np.testing.assert_allclose(whole.scores()["loss_gradient"], decayed, rtol=1e-5)
    np.testing.assert_array_equal(resumed.scores()["loss_gradient"], whole.scores()["loss_gradient"])
    with pytest.raises(ValueError, match="the state must hold"):
        resumed.load_state_dict(State({"sum.random": np.zeros(6)}, {}))


@pytest.mark.parametrize("engine", ["sparse", "dense"])
@pytest.mark.parametrize("sampling", ["per_epoch", "per_step"])
def test_gradients_of_losses_on_floats_rank_the_columns_that_matter_first(engine, sampling):
    """Two outputs that two of eight columns make, and the columns themselves as what is reconstructed."""
    rng = np.random.default_rng(6)
    x = rng.normal(size=(200, 8)).astype(np.float32)
    y = np.stack([x[:, 2] + x[:, 5], x[:, 2] - 2 * x[:, 5]], axis=1)
    train, validation = (Part(x[rows], y[rows], 0) for rows in (slice(160), slice(160, 200)))
    metrics = ("loss_gradient", "squared_gradient")
    learn = {"hidden": (40,), "sparsity": 0.3, "epochs": 15, "lr": 1e-2}
    config = TrainingConfig(loss="squared_error", importances=metrics, engine=engine, sampling=sampling, **learn)
    ranked = rank_by_sparse_mlp(train, validation, config, np.random.default_rng(0), lambda end: None)
    for metric in metrics:
        assert set(np.argsort(-ranked.scores[metric])[:2]) == {2, 5}
    config = dataclasses.replace(config, loss="reconstruction", epochs=2)
    ranked = rank_by_sparse_mlp(train, validation, config, np.random.default_rng(0), lambda end: None)
    assert (ranked.scores["loss_gradient"] > 0).all()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"importances": ()}, "importances not empty"),
        ({"importances": ("neuron_strenght",)}, "neuron_strength"),
        ({"history": "bets"}, "best"),
        ({"sampling": "per_stop"}, "per_step"),
        ({"loss": "squared_error", "importances": ("permutation",)}, "need class labels"),
        ({"importance_rows": 0}, "importance_rows >= 1"),
        ({"method": "set_attr", "importances": ("neuron_strength",)}, "importances must include it"),
    ],
)
def test_wrong_settings_are_refused(settings, message):
    with pytest.raises(InputError, match=message):
        TrainingConfig(**settings)


def test_a_ranking_takes_every_metric_and_nothing_that_one_draws_changes_another():
    x = drawn(60, 6)
    train, validation = (Part(rows, (rows[:, 1] > 0).astype(np.int64), 2) for rows in (x[:40], x[40:]))
    every = (*METRICS, *HELD_OUT_METRICS)

    def scores(importances, table=train):
        config = TrainingConfig(sparsity=0.5, hidden=(8,), epochs=4, batch_size=20, importances=importances)
        ranked = rank_by_sparse_mlp(table, validation, config, np.random.default_rng(0), lambda end: None)
        return ranked.scores

    together = scores(every)
    assert tuple(together) == every
    for name in every:
        np.testing.assert_array_equal(scores((name,))[name], together[name])
    sparse = Part(csr_array(train.x), train.y, 2)
    np.testing.assert_allclose(
        scores(("gradient_x_input",), sparse)["gradient_x_input"], together["gradient_x_input"], rtol=1e-4
    )
