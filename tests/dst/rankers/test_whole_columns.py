"""A column of categories is worth what it tells: not more for many categories, and not less."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from dst import SparseFeatureSelector, TrialSpec, run_trial
from dst.data import Dataset, Design, from_frame, trial_data
from dst.rankers import RANKERS, make_config
from dst.rankers.whole_columns import COLUMN_RULES, rank_whole_columns
from dst.training.result import EpochEnd

LEVELS = (2, 3, 5, 20, 50, 200)
TRUE, NOISE, WORDS = [0, 1], 2, 3
"""Columns of the table."""

METRICS = (
    "neuron_strength",
    "neuron_attribution",
    "gradient_x_input",
    "integrated_gradients",
    "squared_gradient",
    "loss_gradient",
    "permutation",
)
NETWORK = {"hidden": (60, 20), "epochs": 60, "lr": 3e-3, "batch_size": 50}
QUICK: dict[str, dict[str, Any]] = {
    "extra_trees": {"trees": 60},
    "f_score": {},
    "fusion": {**NETWORK, "trees": 60},
    "greedy": {},
    "l1_logistic": {},
    "lasso": {},
    "lassonet": {"units": 50, "path_multiplier": 1.2, "dense_iterations": 100},
    "mrmr": {},
    "mutual_info": {},
    "rfs": {},
    "sequential_attention": {"units": 60, "epochs": 60, "lr": 1e-3, "batch_size": 50, "phases": 3},
    "set": {**NETWORK, "importances": METRICS},
    "stg": {**NETWORK, "lr": 1e-2, "lam": 1e-2},
}
FAST = ("f_score", "greedy", "l1_logistic", "lasso", "mrmr", "mutual_info")


def table(levels: int, seed: int, kind: str = "random", n_rows: int = 1000) -> Dataset:
    """Two numbers that decide the class, a number that tells nothing and a column of words.

    Args:
        levels: how many words.
        seed: draws.
        kind: of the words: ``random``: they tell nothing; ``decides``: the class is that of the word, but for a tenth
            of the rows, and no number tells anything.
        n_rows: of the table.
    """
    rng = np.random.default_rng([levels, seed])
    numbers = rng.normal(size=(n_rows, 3))
    codes = rng.integers(levels, size=n_rows)
    labels = numbers[:, 0] + numbers[:, 1] > 0
    if kind == "decides":
        labels = (rng.permutation(levels) < levels / 2)[codes] ^ (rng.random(n_rows) < 0.1)
    words = np.array([f"w{code}" for code in range(levels)])[codes]
    columns = {"a": numbers[:, 0], "b": numbers[:, 1], "noise": numbers[:, 2], "words": words}
    return from_frame(pd.DataFrame({**columns, "y": labels.astype(int)}), target="y", k=2)


def scores_of(dataset: Dataset, method: str, seed: int, settings: Mapping[str, Any]) -> dict[str, np.ndarray]:
    data = trial_data(dataset, Design("stratified", seed=seed, test_seed=0, count=1), keep=False)
    ((train, validation),) = data.parts
    config = make_config(method, {"batch_size": 100, **settings})
    rng = np.random.default_rng(seed)
    return rank_whole_columns(
        method, train, validation, config, rng, lambda end: None, n_features=dataset.n_features
    ).scores


def check_random(method: str, levels: int, seeds: int) -> None:
    """Below both true columns each time, above the noise no more often than by chance (one-sided, 1 in 100)."""
    above: dict[str, int] = {}
    for seed in range(seeds):
        for metric, scores in scores_of(table(levels, seed), method, seed, QUICK[method]).items():
            assert scores[WORDS] < scores[TRUE].min(), f"{metric}, {levels} levels, seed {seed}: {scores}"
            above[metric] = above.get(metric, 0) + int(scores[WORDS] > scores[NOISE])
    for metric, count in above.items():
        assert count <= stats.binom.ppf(0.99, seeds, 0.5), f"{metric}, {levels} levels: {count} of {seeds}"


def check_true(method: str, levels: int, seeds: int) -> None:
    for seed in range(seeds):
        for metric, scores in scores_of(table(levels, seed, "decides"), method, seed, QUICK[method]).items():
            assert scores[WORDS] > scores[:WORDS].max(), f"{metric}, {levels} levels, seed {seed}: {scores}"


@pytest.mark.parametrize("levels", [n if n in (3, 50) else pytest.param(n, marks=pytest.mark.slow) for n in LEVELS])
@pytest.mark.parametrize("method", FAST)
def test_random_categories_rank_like_noise(method: str, levels: int) -> None:
    check_random(method, levels, 20)


@pytest.mark.parametrize(("method", "levels"), [("set", 3), ("set", 50), ("extra_trees", 20), ("stg", 20)])
def test_random_categories_rank_below_what_decides(method: str, levels: int) -> None:
    check_random(method, levels, 1)


@pytest.mark.parametrize("method", [*FAST, "set", "extra_trees", "stg"])
def test_categories_that_decide_rank_first(method: str) -> None:
    check_true(method, 20, 1)


@pytest.mark.slow
@pytest.mark.parametrize("method", [method for method in QUICK if method not in FAST])
def test_random_categories_of_any_number_rank_like_noise(method: str) -> None:
    """Every metric of a network and every ranker that reads labels; of LassoNet, which takes longest, a few."""
    for levels in LEVELS if method != "lassonet" else (3, 50):
        check_random(method, levels, 1)


@pytest.mark.slow
@pytest.mark.parametrize("method", QUICK)
def test_categories_that_decide_rank_first_however_many(method: str) -> None:
    for levels in (5, 20, 50) if method != "lassonet" else (20,):
        check_true(method, levels, 1)


def test_every_ranker_that_reads_labels_is_tested_and_every_metric_has_a_rule() -> None:
    sparse = {
        name
        for name, entry in RANKERS.items()
        if entry.counts_flops and entry.by_epoch and name not in ("stg", "sequential_attention")
    }
    assert {name for name, entry in RANKERS.items() if entry.reads_labels} - sparse == QUICK.keys() - {"set"}
    assert {metric for entry in RANKERS.values() for metric in entry.metrics} == COLUMN_RULES.keys()
    assert set(METRICS) | {"random"} == set(RANKERS["set"].metrics)


@pytest.mark.parametrize("method", ["f_score", "l1_logistic", "extra_trees"])
def test_among_many_columns_without_effect_categories_are_not_ahead(method: str) -> None:
    """Twenty random columns of twenty words and twenty random numbers: who leads them is a matter of chance."""
    leading = 0
    for seed in range(4):
        rng = np.random.default_rng(seed)
        numbers = rng.normal(size=(1000, 22))
        columns = {f"n{i}": numbers[:, i] for i in range(22)}
        columns |= {f"w{i}": rng.choice([f"v{j}" for j in range(20)], size=1000) for i in range(20)}
        labels = (numbers[:, 0] + numbers[:, 1] > 0).astype(int)
        scores = scores_of(from_frame(pd.DataFrame({**columns, "y": labels}), target="y"), method, seed, QUICK[method])
        for one in scores.values():
            ranked = np.argsort(-one)
            assert set(ranked[:2]) == {0, 1}
            leading += int((ranked[2:12] >= 22).sum())
    assert leading <= stats.binom.ppf(0.999, 40, 0.5)


@pytest.mark.parametrize("method", ["l1_logistic", "extra_trees", "set"])
def test_indicators_change_nothing_where_nothing_is_missing(method: str) -> None:
    dataset = table(2, 0)
    numbers = from_frame(pd.DataFrame({"a": dataset.x[:, 0], "b": dataset.x[:, 2], "y": dataset.y}), target="y", k=1)
    spec = TrialSpec(method, {**QUICK[method], "epochs": 3}, impute="mean")
    plain, marked = (run_trial(numbers, dataclasses.replace(spec, indicators=one)) for one in (False, True))
    for metric, importance in plain.importances.items():
        np.testing.assert_array_equal(marked.importances[metric].scores, importance.scores)


def test_an_indicator_of_nothing_is_worth_nothing() -> None:
    """Numbers that are missing at random rank as they would without: below what decides, by every metric."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(600, 4))
    labels = (x[:, 0] + x[:, 1] > 0).astype(int)
    x[rng.random((600, 4)) < [0, 0, 0.3, 0.5]] = np.nan
    network = {"hidden": (60, 20), "epochs": 60, "n_repeats": 2}
    selector = SparseFeatureSelector(2, impute="mean", indicators=True, random_state=0, **network)
    for importance in ("neuron_strength", "neuron_attribution"):
        assert selector.set_params(importance=importance).fit(x, labels).support_.tolist() == [1, 1, 0, 0]


@pytest.mark.parametrize("method", ["f_score", "mutual_info", "l1_logistic", "extra_trees"])
def test_that_a_number_is_missing_can_decide(method: str) -> None:
    rng = np.random.default_rng(1)
    x = rng.normal(size=(400, 3))
    labels = rng.integers(2, size=400)
    x[:, 1] = np.where((rng.random(400) < 0.1) ^ (labels == 1), np.nan, x[:, 1])
    how = {"impute": "mean", "indicators": True, "settings": QUICK[method]}
    selector = SparseFeatureSelector(1, method=method, n_repeats=2, random_state=0, **how)
    assert selector.fit(x, labels).order_[0] == 1


def test_a_table_without_encodings_is_ranked_as_the_ranker_says() -> None:
    dataset = table(2, 0)
    numbers = from_frame(pd.DataFrame({"a": dataset.x[:, 0], "b": dataset.x[:, 2], "y": dataset.y}), target="y", k=1)
    ((train, validation),) = trial_data(numbers, Design("stratified", seed=0, test_seed=0, count=1), keep=False).parts
    for method in ("set", "l1_logistic", "mutual_info"):
        arguments = (train, validation, make_config(method, QUICK[method]))
        whole = rank_whole_columns(method, *arguments, np.random.default_rng(0), lambda end: None, n_features=2)
        plain = RANKERS[method].rank(*arguments, np.random.default_rng(0), lambda end: None)
        for metric, scores in plain.scores.items():
            np.testing.assert_array_equal(whole.scores[metric], scores)


def test_reports_on_the_way_are_of_whole_columns() -> None:
    """What a pruner hears of a network is about the table's columns; the random words are not the strongest."""
    dataset, ends = table(50, 0), []
    spec = TrialSpec("set", {**NETWORK, "epochs": 30}, k=2, inner_splits=1)
    result = run_trial(dataset, spec, on_epoch=lambda split, end: ends.append(end))
    strengths = [end.strength() for end in ends if isinstance(end, EpochEnd)]
    assert len(strengths) == result.to_json()["epochs"]
    assert all(strength.shape == (4,) for strength in strengths)
    assert strengths[-1][WORDS] < strengths[-1][TRUE].min()


def test_a_ranking_with_shadows_is_reproducible_and_goes_on_from_a_state() -> None:
    dataset, states = table(5, 0), []
    spec = TrialSpec("set", {**NETWORK, "epochs": 6, "importances": ("neuron_strength", "permutation")}, k=2)
    whole = run_trial(dataset, spec, on_epoch=lambda split, end: states.append(end.state()))
    resumed = run_trial(dataset, spec, state=states[2])
    for metric, importance in whole.importances.items():
        np.testing.assert_array_equal(resumed.importances[metric].scores, importance.scores)
    other = run_trial(dataset, dataclasses.replace(spec, seed=1, split_seed=0))
    assert not np.array_equal(other.importances["neuron_strength"].scores, whole.importances["neuron_strength"].scores)
