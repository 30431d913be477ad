"""What every ranker holds to, and what each one computes, by hand or by another way."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import math
import warnings
from statistics import NormalDist

import numpy as np
import pytest
import torch
from scipy.sparse import csr_array
from sklearn.feature_selection import mutual_info_classif

from dst.data import load_dataset, make_splits, prepare
from dst.data.dataset import Part
from dst.data.preparation import at_first_encoding, column_numbers
from dst.errors import InputError
from dst.network.sparsity import connections
from dst.rankers import RANKERS, make_config, parameters
from dst.rankers.mutual_information import mutual_information
from dst.rankers.quickselection import QuickSelectionConfig
from dst.rankers.stg import StgConfig, StgRanking
from dst.rankers.stochastic_gates import StochasticGates
from dst.selector.selector import SparseFeatureSelector
from dst.topology.methods import METHODS
from tests.support.gpu import needs_gpu

QUICK = {
    "epochs": 40,
    "patience": 40,
    "hidden": (30, 10),
    "sparsity": 0.5,
    "lr": 3e-3,
    "batch_size": 20,
    "units": 20,
    "trees": 100,
    "dae_epochs": 30,
    "lambda_start": 20.0,
    "path_multiplier": 1.6,
    "dense_iterations": 100,
    "path_iterations": 10,
    "lam": 1e-2,
    "phases": 3,
    "inputs": 3,
}
"""Small networks and short paths."""

PLANTED = (2, 9, 17)

UNSUPERVISED = {name for name, entry in RANKERS.items() if not entry.reads_labels}


def table(n: int = 220, n_features: int = 24, seed: int = 0) -> tuple[Part, Part]:
    """Three classes that the columns 2, 9 and 17 decide; column 5 is constant."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, n_features)).astype(np.float32)
    x[:, 5] = 0
    y = np.argmax(x[:, PLANTED], axis=1).astype(np.int64)
    return Part(x[:160], y[:160], 3), Part(x[160:], y[160:], 3)


def rank(method, train, validation, seed=0, **settings):
    config = make_config(method, QUICK | settings)
    return RANKERS[method].rank(train, validation, config, np.random.default_rng(seed), lambda end: None)


def best(scores, k=3):
    return set(np.argsort(-scores, kind="stable")[:k].tolist())


@functools.cache
def quick_scores(method):
    """The scores of the table that several tests look at."""
    return rank(method, *table())


every_ranker = pytest.mark.parametrize("method", sorted(RANKERS))


@every_ranker
def test_scores_are_finite_and_repeat(method):
    train, validation = table()
    before = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002 - that nobody touches it is the point
    first, again = quick_scores(method), rank(method, train, validation)
    assert first.scores
    for name, scores in first.scores.items():
        assert scores.shape == (24,)
        assert scores.dtype == np.float64
        assert np.isfinite(scores).all()
        assert (scores >= 0).all()
        assert scores.any()
        np.testing.assert_array_equal(scores, again.scores[name])
    assert (first.val_loss, first.val_accuracy) == (again.val_loss, again.val_accuracy)
    assert torch.equal(before[0], torch.get_rng_state())
    np.testing.assert_array_equal(before[1], np.random.get_state()[1])  # noqa: NPY002


@functools.cache
def larger_scores(method):
    """The scores of 600 rows of the table, of LassoNet on a path in small steps."""
    return rank(method, *table(n=600), path_multiplier=1.3, dense_iterations=200, path_iterations=20)


@pytest.mark.parametrize("method", sorted(set(RANKERS) - UNSUPERVISED))
def test_planted_columns_come_first(method):
    assert any(best(scores) == set(PLANTED) for scores in larger_scores(method).scores.values())


@pytest.mark.slow
def test_quickselection_finds_the_relevant_columns_of_a_noisy_table():
    """Twenty columns that repeat one another among 180 of noise, of which chance would give two in the first twenty."""
    data = load_dataset("madelon_like")
    train, validation = prepare(data, make_splits(data, "stratified", seed=0, test_seed=0, count=1)[0])
    relevant = {number for number, name in enumerate(data.feature_names) if not name.startswith("noise")}
    config = make_config("quickselection", {})
    found = RANKERS["quickselection"].rank(train, validation, config, np.random.default_rng(0), lambda end: None)
    assert len(best(found.scores["neuron_strength"], 20) & relevant) >= 12


@pytest.mark.parametrize("method", sorted(UNSUPERVISED))
def test_no_labels_are_read(method):
    train, validation = table()
    blind = [dataclasses.replace(part, y=np.zeros_like(part.y)) for part in (train, validation)]
    (seen,) = quick_scores(method).scores.values()
    (unseen,) = rank(method, *blind).scores.values()
    np.testing.assert_array_equal(seen, unseen)


@every_ranker
def test_a_constant_column_is_not_among_the_best(method):
    if method == "random":
        pytest.skip("a random order knows no column")
    assert any(5 not in best(scores) for scores in larger_scores(method).scores.values())


@pytest.mark.parametrize(
    "method", ["f_score", "mutual_info", "lasso", "l1_logistic", "extra_trees", "greedy", "mrmr", "rfs"]
)
def test_a_constant_column_scores_zero(method):
    (scores,) = quick_scores(method).scores.values()
    assert scores[5] == 0


@every_ranker
@pytest.mark.parametrize("lacking", [0, 2])
def test_training_rows_may_lack_a_class(method, lacking):
    train, validation = table()
    there = train.y != lacking
    found = rank(method, Part(train.x[there], train.y[there], 3), validation)
    assert all(np.isfinite(scores).all() for scores in found.scores.values())
    if RANKERS[method].classifies:
        assert found.val_loss is not None
        assert math.isfinite(found.val_loss)
        assert found.val_accuracy is not None
        assert found.val_accuracy <= float((validation.y != lacking).mean())


STOPS_BY_VALIDATION = {*METHODS, "quickselection", "lassonet", "fusion"}
"""Whose training ends, or whose path moves on, by the loss of validation rows."""


@pytest.mark.parametrize("method", sorted(set(RANKERS) - STOPS_BY_VALIDATION))
def test_validation_rows_change_no_score(method):
    train, validation = table()
    other = Part(-validation.x, validation.y[::-1].copy(), 3)
    ours, theirs = quick_scores(method), rank(method, train, other)
    for name, scores in ours.scores.items():
        np.testing.assert_array_equal(scores, theirs.scores[name])


@pytest.mark.parametrize("method", sorted(STOPS_BY_VALIDATION))
def test_validation_rows_are_not_trained_on(method):
    """After one epoch nothing can have stopped yet, so other validation rows must not have changed anything."""
    train, validation = table()
    other = Part(-validation.x, validation.y[::-1].copy(), 3)
    one = {"epochs": 1, "dae_epochs": 1, "dense_iterations": 1, "path_iterations": 1}
    ours, theirs = rank(method, train, validation, **one), rank(method, train, other, **one)
    for name, scores in ours.scores.items():
        np.testing.assert_array_equal(scores, theirs.scores[name])
    assert ours.val_loss != theirs.val_loss


@every_ranker
def test_sparse_tables_are_ranked_alike_or_refused(method):
    train, validation = table()
    for part in (train, validation):
        part.x[np.abs(part.x) < 0.3] = 0
    sparse = [dataclasses.replace(part, x=csr_array(part.x)) for part in (train, validation)]
    if method == "lassonet":
        with pytest.raises(InputError, match="lassonet takes dense tables only"):
            rank(method, *sparse)
        return
    ours, dense = rank(method, *sparse), rank(method, train, validation)
    for name, scores in dense.scores.items():
        np.testing.assert_allclose(ours.scores[name], scores, rtol=1e-3, atol=1e-6)


@every_ranker
def test_two_classes_will_do(method):
    train, validation = table()
    two = [Part(part.x, (part.x[:, 2] > 0).astype(np.int64), 2) for part in (train, validation)]
    found = rank(method, *two)
    if method not in UNSUPERVISED:
        assert any(best(scores, 1) == {2} for scores in found.scores.values())


def test_columns_of_several_encodings_are_counted_once():
    part = Part(np.zeros((2, 5), np.float32), np.zeros(2, np.int64), 2, origin=np.array([0, 3, 3, 7, 0]))
    numbers = column_numbers(part)
    assert numbers.tolist() == [0, 1, 1, 2, 0]
    assert at_first_encoding(np.array([4.0, 5.0, 6.0]), numbers).tolist() == [4, 5, 0, 6, 0]


SHORT_PATH = {"path_multiplier": 2.0, "dense_iterations": 30, "path_iterations": 5}
"""Of LassoNet, which takes seconds for an epoch on columns of several encodings."""


@pytest.mark.parametrize("method", ["stg", "lassonet"])
def test_one_decision_covers_all_encodings_of_a_column(method):
    train, validation = table()
    origin = np.array([0, 1, 2, 2, 2, *range(3, 22)])
    (scores,) = rank(
        method, *(dataclasses.replace(part, origin=origin) for part in (train, validation)), **SHORT_PATH
    ).scores.values()
    assert scores[3] == scores[4] == 0
    assert np.count_nonzero(scores) >= 20


@pytest.mark.parametrize(
    ("method", "settings", "rule"),
    [
        ("lasso", {"alpha": 0.0}, "alpha > 0 must hold, but got alpha=0.0"),
        ("extra_trees", {"max_features": 1.5}, "0 < max_features <= 1 must hold, but got max_features=1.5"),
        ("extra_trees", {"trees": 0}, "trees >= 1 must hold"),
        ("mutual_info", {"n_neighbors": 0}, "n_neighbors >= 1 must hold"),
        ("stg", {"sigma": 0.0}, "0 < sigma < inf must hold"),
        ("stg", {"lam": math.nan}, "0 <= lam < inf must hold"),
        ("lassonet", {"path_multiplier": 1}, "1 < path_multiplier must hold"),
        ("lassonet", {"device": "gpu"}, r"unknown device 'gpu': did you mean 'cpu'\? valid are cpu, cuda"),
        ("lassonet", {"lambda_start": "auto"}, "lambda_start must be a number, but got 'auto'"),
        ("quickselection", {"zeta": 1.0}, "0 < zeta < 1 must hold"),
        ("quickselection", {"input_noise": -1.0}, "0 <= input_noise < inf must hold"),
        ("neurofs", {"growth": "gradients"}, "unknown growth 'gradients': did you mean 'gradient'"),
        ("neurofs", {"zeta_inputs": 1.0}, "0 <= zeta_inputs < 1 must hold"),
        ("wast", {"lamda": 1.5}, "0 <= lamda <= 1 must hold, but got lamda=1.5"),
        ("wast", {"dae_batch_size": 0}, "dae_batch_size >= 1 must hold"),
    ],
)
def test_settings_are_checked(method, settings, rule):
    with pytest.raises(InputError, match=rule):
        make_config(method, settings)


def test_f_scores_by_hand():
    """Classes (1, 3) and (5, 7): between 16 of 20; (0, 0) and (1, 1): all of it; (0, 1) and (0, 1): nothing."""
    x = np.array([[1, 0, 0], [3, 0, 1], [5, 1, 0], [7, 1, 1]], np.float32)
    part = Part(x, np.array([0, 0, 1, 1]), 2)
    (scores,) = rank("f_score", part, part).scores.values()
    np.testing.assert_allclose(scores, [0.8, 1.0, 0.0])


@pytest.mark.parametrize(
    "method", ["f_score", "mutual_info", "lasso", "l1_logistic", "extra_trees", "greedy", "mrmr", "rfs"]
)
def test_many_constant_columns_are_no_matter_for_a_warning(method):
    train, validation = table()
    wide = [Part(np.pad(part.x, ((0, 0), (0, 60))), part.y, 3) for part in (train, validation)]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        (scores,) = rank(method, *wide).scores.values()
    assert (scores[24:] == 0).all()


def test_mutual_information_of_two_values_by_hand():
    """A copy of two even classes tells ln 2; three of four right tell ln 2 less the entropy that is left."""
    y = np.array([0, 0, 0, 0, 1, 1, 1, 1])
    copy, mostly, nothing = y * 3.0 - 1, [0, 0, 0, 1, 1, 1, 1, 0], [0, 1, 0, 1, 0, 1, 0, 1]
    part = Part(np.stack([copy, mostly, nothing], axis=1).astype(np.float32), y, 2)
    (scores,) = rank("mutual_info", part, part).scores.values()
    left = -(0.75 * math.log(0.75) + 0.25 * math.log(0.25))
    np.testing.assert_allclose(scores, [math.log(2), math.log(2) - left, 0.0], atol=1e-12)


@pytest.mark.parametrize("n_neighbors", [1, 3, 7])
@pytest.mark.parametrize("classes", [2, 5])
def test_mutual_information_of_numbers_is_scikit_learns(n_neighbors, classes):
    rng = np.random.default_rng(n_neighbors)
    labels = rng.integers(classes, size=130)
    labels[:3] = [0, 1, classes - 1]
    lonely = np.append(labels, classes)  # a class of one row
    x = rng.normal(size=(131, 6)) + lonely[:, None] * np.array([0, 0.2, 0.5, 1, 3, 50])
    expected = mutual_info_classif(x, lonely, n_neighbors=n_neighbors, random_state=0, discrete_features=False)
    ours = [mutual_information(column, lonely, n_neighbors, rng) for column in x.T]
    np.testing.assert_allclose(ours, expected, atol=1e-6)


def test_mutual_information_of_few_values_is_near_scikit_learns():
    """Both part equal values by noise, so that they agree on average only."""
    rng = np.random.default_rng(0)
    labels = rng.integers(2, size=400)
    x = rng.poisson(0.6 + 1.5 * labels[:, None] * np.array([0, 0.5, 1, 2]))
    expected = mutual_info_classif(x, labels, random_state=0, discrete_features=False)
    ours = [mutual_information(column.astype(float), labels, 3, rng) for column in x.T]
    np.testing.assert_allclose(ours, expected, atol=0.05)


def test_lasso_on_orthogonal_columns_by_hand():
    """Columns are orthogonal and scaled: coefficients are correlations less alpha, or 0 (soft thresholding)."""
    x = np.array(list(itertools.product((-1, 1), repeat=3)), np.float32)
    y = (x[:, 0] + 0.5 * x[:, 1] > 0).astype(np.int64)
    y[0] = 1  # correlations 3/4, 1/4 and 1/4 with a target of mean 1/4
    target = (y - y.mean()) / y.std()
    expected = np.maximum(np.abs(x.T @ target) / 8 - 0.3, 0)
    part = Part(x, y, 2)
    (scores,) = rank("lasso", part, part, alpha=0.3).scores.values()
    np.testing.assert_allclose(scores, expected, atol=1e-6)
    assert scores[0] > 0
    assert (scores[1:] == 0).all()
    (none,) = rank("lasso", part, part, alpha=1.0).scores.values()
    assert not none.any()


def test_the_equations_of_stochastic_gates():
    gates = StochasticGates(torch.ones(3, dtype=torch.int64), sigma=0.5)
    assert gates.mu.tolist() == [0.5, 0.5, 0.5]
    with torch.no_grad():
        gates.mu.copy_(torch.tensor([-0.4, 0.3, 1.7]))
    phi = NormalDist().cdf
    expected = [phi(-0.8), phi(0.6), phi(3.4)]
    np.testing.assert_allclose(gates.open_probability().detach(), expected, rtol=1e-5)
    assert gates.penalty().item() == pytest.approx(sum(expected), rel=1e-5)
    np.testing.assert_allclose(gates.expected().detach(), [0, 0.3, 1])
    gates.penalty().backward()
    density = NormalDist().pdf
    np.testing.assert_allclose(gates.mu.grad, [density(z) / 0.5 for z in (-0.8, 0.6, 3.4)], rtol=1e-4)


def test_a_gate_of_several_inputs_costs_the_root_of_their_number():
    one, four = (StochasticGates(torch.tensor(sizes), sigma=0.5).penalty().item() for sizes in ([1, 1], [1, 4]))
    assert four == pytest.approx(one / 2 * 3)


def test_gates_are_as_often_open_as_they_say():
    gates = StochasticGates(torch.ones(4, dtype=torch.int64), sigma=0.5)
    with torch.no_grad():
        gates.mu.copy_(torch.tensor([-0.5, 0.0, 0.5, 1.0]))
    generator = torch.Generator().manual_seed(0)
    drawn = torch.stack([gates.sample(generator) for _ in range(4000)]).detach()
    assert ((drawn >= 0) & (drawn <= 1)).all()
    np.testing.assert_allclose((drawn > 0).double().mean(dim=0), gates.open_probability().detach(), atol=0.025)
    np.testing.assert_allclose((drawn == 1).double().mean(dim=0), [0.0013, 0.0228, 0.1587, 0.5], atol=0.025)


def test_the_penalty_alone_shuts_every_gate_alike():
    train, validation = table()
    flat = [Part(np.zeros_like(part.x), part.y, 3) for part in (train, validation)]
    config = StgConfig(lam=1.0, lr=0.01, hidden=(4,), epochs=30, batch_size=20)
    ranking = StgRanking(*flat, config, np.random.default_rng(0))
    while not ranking.done:
        ranking.run_epoch()
    mu = ranking.gates.mu.detach()
    assert (mu < 0).all()
    assert mu.max() - mu.min() < 1e-6


def test_quickselection_has_the_authors_connections():
    """``epsilon (n_in + n_out)`` in both layers, exact; all of them where there are fewer."""
    training = QuickSelectionConfig().training(n_features=1024, n_rows=1000)
    assert connections([(1024, 1000), (1000, 1024)], training.sparsity) == [13 * 2024] * 2
    assert QuickSelectionConfig().training(n_features=10, n_rows=1000).sparsity == 0


def test_quickselection_moves_connections_after_every_epoch_but_the_last():
    training = QuickSelectionConfig(dae_epochs=7, batch_size=30).training(n_features=50, n_rows=100)
    steps = 4
    moves = [
        step
        for step in range(1, 7 * steps + 1)
        if step % training.update_interval == 0 and step <= training.stop_fraction * 7 * steps
    ]
    assert moves == [steps * epoch for epoch in range(1, 7)]


def test_lassonet_scores_are_the_penalties_at_which_columns_leave_in_the_order_of_their_skip_connections():
    from lassonet import LassoNetClassifier

    train, validation = table()
    seen = []
    config = make_config("lassonet", QUICK)
    found = RANKERS["lassonet"].rank(train, validation, config, np.random.default_rng(1), seen.append)
    theirs = LassoNetClassifier(
        hidden_dims=(20,),
        lambda_start=QUICK["lambda_start"],
        path_multiplier=QUICK["path_multiplier"],
        n_iters=(QUICK["dense_iterations"], QUICK["path_iterations"]),
        verbose=0,
        device=torch.device("cpu"),
        torch_seed=int(np.random.default_rng(1).integers(2**63)),
    )
    with torch.random.fork_rng(devices=[]):
        path = theirs.path(train.x, train.y, X_val=validation.x, y_val=validation.y, return_state_dicts=True)
    scores, left_at = found.scores["path_lambda"], theirs.feature_importances_.numpy()
    assert (scores >= left_at * (1 - 1e-6)).all()
    assert (scores < left_at * QUICK["path_multiplier"]).all()
    assert len(np.unique(scores)) == len(scores) > len(np.unique(left_at))
    for before, point in itertools.pairwise(path):  # those that leave together, in the order of their skip connections
        together = np.flatnonzero(before.selected.numpy() & ~point.selected.numpy())
        norms = before.state_dict["skip.weight"].norm(dim=0).numpy()[together]
        assert (np.argsort(scores[together]) == np.argsort(norms)).all()
    assert found.curves.val_loss == [point.val_loss for point in path]
    assert found.val_loss == min(found.curves.val_loss)
    assert [end.epoch for end in seen] == list(range(1, len(path) + 1))


@needs_gpu
def test_lassonet_walks_the_same_path_on_a_gpu_and_goes_on_there():
    train, validation = table()
    draws, states = torch.cuda.get_rng_state(), []

    def run(device, state=None):
        config = make_config("lassonet", {**QUICK, "device": device})
        keep = lambda end: states.append(end.state())  # noqa: E731
        return RANKERS["lassonet"].rank(train, validation, config, np.random.default_rng(1), keep, state)

    gpu, cpu = run("cuda"), run("cpu")
    assert (gpu.device, cpu.device) == ("cuda", "cpu")
    assert torch.equal(torch.cuda.get_rng_state(), draws)
    np.testing.assert_allclose(gpu.curves.val_loss[:5], cpu.curves.val_loss[:5], rtol=1e-3)
    again = run("cuda", states[2])
    np.testing.assert_allclose(again.curves.val_loss[3:6], gpu.curves.val_loss[3:6], rtol=1e-3)
    for found in (gpu, cpu, again):
        (scores,) = found.scores.values()
        assert set(np.argsort(scores)[-3:]) == set(PLANTED)


def test_lassonet_says_how_to_install_it(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"not installed: pip install 'dst-studies\[lassonet\]'"):
        make_config("lassonet", {})


@pytest.mark.parametrize("method", sorted(set(RANKERS) - set(METHODS) - UNSUPERVISED))
def test_every_rival_serves_the_selector(method):
    train, _ = table()
    settings = QUICK | {"path_multiplier": 1.2, "dense_iterations": 200}  # by some seeds a shorter path misses
    settings |= {"members": ("l1_logistic", "extra_trees")}  # a network of sparsity 0.9 misses on so few columns
    of_selector = {"epochs", "patience", "hidden", "sparsity", "lr", "batch_size"}
    taken = {name: settings[name] for name in parameters(method) & (settings.keys() - of_selector)}
    selector = SparseFeatureSelector(
        3, method=method, hidden=(30, 10), epochs=40, lr=3e-3, n_repeats=1, settings=taken, random_state=0
    )
    assert set(selector.fit(train.x, train.y).get_support(indices=True)) == set(PLANTED)
