from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from dst.data import load_dataset
from dst.data.dataset import Dataset
from dst.errors import InputError
from dst.rankers import RANKERS, make_config, parameters
from dst.scoring import rank_columns
from dst.trial import TrialSpec, run_trial, score_on_test

FAST = {"hidden": (30, 10), "epochs": 15, "patience": 5, "sparsity": 0.6}


def informative(n: int = 600, n_features: int = 40, seed: int = 0) -> Dataset:
    """Three classes that the columns 3, 11 and 29 decide; the last 100 rows are the official test part."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, n_features)).astype(np.float32)
    y = np.argmax(x[:, [3, 11, 29]], axis=1).astype(np.int64)
    return Dataset(
        name="informative",
        x=x,
        y=y,
        feature_names=tuple(f"c{i}" for i in range(n_features)),
        class_names=("a", "b", "c"),
        k=3,
        batch_size=32,
        kind="tabular",
        sha256="",
        source="test",
        official_test=np.arange(n - 100, n),
    )


@pytest.mark.parametrize("method", sorted(set(RANKERS) - {"random"}))
def test_every_ranker_finds_the_columns_that_decide(method):
    data = informative()
    spec = TrialSpec(method, FAST | {"epochs": 60, "lr": 3e-3})
    result = run_trial(data, spec)
    best = max(result.importances.values(), key=lambda one: one.val_svm_accuracy)
    assert set(best.selected) == {3, 11, 29}
    tested = score_on_test(data, spec, {"it": best.selected})
    assert tested["it"] > 0.85
    json.dumps(result.to_json(), allow_nan=False)


def test_a_random_order_is_no_better_than_chance():
    result = run_trial(informative(), TrialSpec("random", seed=3))
    assert result.importances["random"].val_svm_accuracy < 0.6


@pytest.mark.parametrize("method", sorted(RANKERS))
def test_a_trial_repeats_and_follows_its_seed(method):
    data = informative()
    first, again, other = (run_trial(data, TrialSpec(method, FAST, seed=seed)) for seed in (1, 1, 2))
    for name, one in first.importances.items():
        np.testing.assert_array_equal(one.scores, again.importances[name].scores)
        assert one.val_svm_accuracy == again.importances[name].val_svm_accuracy
        assert not np.array_equal(one.scores, other.importances[name].scores)


@pytest.mark.parametrize("method", sorted(RANKERS))
def test_permuting_test_labels_changes_nothing_before_the_test(method):
    data = informative()
    y = data.y.copy()
    y[-100:] = np.random.default_rng(0).permutation(y[-100:])
    assert (y != data.y).any()
    spec = TrialSpec(method, FAST)
    result, permuted = (run_trial(one, spec) for one in (data, dataclasses.replace(data, y=y)))
    for name, importance in result.importances.items():
        np.testing.assert_array_equal(importance.scores, permuted.importances[name].scores)
        assert importance.val_svm_accuracy == permuted.importances[name].val_svm_accuracy
    for ours, theirs in zip(result.rankings, permuted.rankings, strict=True):
        assert ours.curves == theirs.curves
    opened = [score_on_test(one, spec, {"it": (3, 11, 29)})["it"] for one in (data, dataclasses.replace(data, y=y))]
    assert opened[0] > opened[1] + 0.2, "the labels that were permuted must be those that are opened"


def test_changing_test_features_changes_nothing_before_the_test():
    data = informative()
    x = data.x.copy()
    x[-100:] *= 100
    spec = TrialSpec("set", FAST)
    ours, theirs = (run_trial(one, spec) for one in (data, dataclasses.replace(data, x=x)))
    assert ours.importances.keys() == theirs.importances.keys()
    for name, one in ours.importances.items():
        np.testing.assert_array_equal(one.scores, theirs.importances[name].scores)


def test_small_data_is_judged_on_five_inner_splits():
    wine = load_dataset("wine")
    result = run_trial(wine, TrialSpec("set", FAST))
    assert len(result.rankings) == 5
    document = result.to_json()
    assert document["epochs"] == sum(ranking.epochs for ranking in result.rankings)
    assert document["val_loss"] == pytest.approx(np.mean([ranking.val_loss for ranking in result.rankings]))
    for name, one in result.importances.items():
        mean = np.mean([r.scores[name] / r.scores[name].sum() for r in result.rankings], axis=0)
        np.testing.assert_allclose(one.scores, mean)
        assert one.selected == tuple(np.argsort(-mean)[: wine.k])
    assert len(run_trial(wine, TrialSpec("set", FAST, inner_splits=1)).rankings) == 1


def test_the_seed_of_validation_rows_can_be_fixed():
    data = load_dataset("breast_cancer")
    fixed = [run_trial(data, TrialSpec("l1_logistic", seed=seed, split_seed=7)) for seed in (1, 2)]
    drawn = [run_trial(data, TrialSpec("l1_logistic", seed=seed)) for seed in (1, 2)]
    assert fixed[0].to_json()["val_loss"] == pytest.approx(fixed[1].to_json()["val_loss"], rel=1e-3)
    assert drawn[0].to_json()["val_loss"] != pytest.approx(drawn[1].to_json()["val_loss"], rel=1e-3)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (TrialSpec("sett"), "unknown method 'sett': did you mean 'set'?"),
        (TrialSpec("set", split="strat"), "unknown split 'strat': did you mean 'stratified'?"),
        (TrialSpec("set", {"sparsity": 1.0}), "0 <= sparsity < 1 must hold, but got sparsity=1.0"),
        (TrialSpec("l1_logistic", {"C": 0.0}), "C > 0 must hold, but got C=0.0"),
        (TrialSpec("set", k=41), "1 <= k <= number of columns must hold, but got k=41, 40 columns"),
        (TrialSpec("set", k=0), "1 <= k <= number of columns must hold, but got k=0"),
    ],
)
def test_impossible_trials_are_refused(spec, message):
    with pytest.raises(InputError, match=message):
        run_trial(informative(), spec)


def test_equal_scores_come_in_random_order():
    scores = np.array([0.0, 2.0, 0.0, 2.0, 1.0])
    orders = {tuple(rank_columns(scores, np.random.default_rng(seed)).tolist()) for seed in range(100)}
    assert orders == {(*first, 4, *last) for first in ((1, 3), (3, 1)) for last in ((0, 2), (2, 0))}


def test_a_model_that_says_nothing_selects_at_random():
    """An L1 penalty that leaves no coefficient: the selection follows the seed, not the order of columns."""
    data = informative()
    results = [run_trial(data, TrialSpec("l1_logistic", {"C": 1e-6}, seed=seed)) for seed in range(5)]
    assert all(not one.importances["l1_coefficient"].scores.any() for one in results)
    assert len({one.importances["l1_coefficient"].selected for one in results}) == 5


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"batch_size": 16.5}, "batch_size must be a whole number, but got 16.5"),
        ({"epochs": True}, "epochs must be a whole number, but got True"),
        ({"lr": "fast"}, "lr must be a number, but got 'fast'"),
        ({"schedule": 3}, "schedule must be a name, but got 3"),
        ({"hidden": [10, "x"]}, "hidden must be a list of whole numbers"),
    ],
)
def test_settings_of_a_wrong_type_are_refused(settings, message):
    with pytest.raises(InputError, match=message):
        make_config("set", settings)


def test_a_ranker_takes_its_own_settings_only():
    assert parameters("l1_logistic") == {"C"}
    config = make_config("rigl", {"sparsity": 0.3, "C": 5.0})
    assert (config.method, config.sparsity) == ("rigl", 0.3)
