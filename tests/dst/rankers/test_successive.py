"""Successive elimination: which columns each round sees, what its scores say, and that it goes on where it died."""

from __future__ import annotations

import dataclasses
import itertools
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_array

from dst import InputError, SparseFeatureSelector, TrialSpec, run_trial
from dst.data import Dataset, Design, from_arrays, from_frame, trial_data
from dst.data.dataset import Part
from dst.files.checkpoint import State, read_state, save_state
from dst.rankers import FeatureScores, make_config, successive
from dst.rankers.networks_config import NetworksConfig
from dst.rankers.scores import mean_ranks
from dst.rankers.successive import one_behind_another, rank_table
from dst.rankers.whole_columns import rank_whole_columns
from dst.training.config import TrainingConfig
from dst.training.epochs import EpochReport
from dst.training.result import EpochEnd
from tests.support.informative_table import FAST, informative
from tests.support.small_training import comparable, parts

QUICK = {"hidden": (16, 8), "epochs": 3, "patience": 3, "batch_size": 32, "sparsity": 0.6, "lr": 5e-3}


def ranked(
    table: tuple[Part, Part], n_features: int, *, state: State | None = None, on_epoch=lambda end: None, **settings: Any
) -> FeatureScores:
    config = make_config("set", {**QUICK, **settings})
    return rank_table("set", *table, config, np.random.default_rng(5), on_epoch, state, n_features=n_features)


def with_known_scores(monkeypatch: pytest.MonkeyPatch, *rounds: dict[str, list[float]]) -> list[Part]:
    """Let rounds have these scores instead of training; return the training rows that each was given, as they come."""
    seen: list[Part] = []

    def known(method, train, validation, config, rng, on_epoch, state, *, n_features) -> FeatureScores:
        scores = {metric: np.array(values) for metric, values in rounds[len(seen)].items()}
        assert {len(values) for values in scores.values()} == {n_features}
        seen.append(train)
        return FeatureScores(scores, "none", {}, epochs=1, dense_size=n_features, flops=1.0, flops_ratio=1.0)

    monkeypatch.setattr(successive, "rank_by_networks", known)
    return seen


def test_scores_of_columns_that_left_by_hand():
    stages = [
        (np.arange(6), np.array([5.0, 1.0, 9.0, 1.0, 7.0, 6.0])),
        (np.array([0, 2, 4, 5]), np.array([0.3, 0.2, 0.1, 0.4])),
        (np.array([0, 5]), np.array([2.0, 3.0])),
    ]
    scores = one_behind_another(stages, 6)
    assert scores[[0, 5]].tolist() == [2.0, 3.0]
    np.testing.assert_allclose(scores[[1, 3, 4, 2]], 3e-6 * np.array([1, 1, 2, 3]) / 4)


@given(st.integers(0, 9999), st.sampled_from([0.0, -0.5, 1e-9]))
def test_each_column_is_before_all_that_left_earlier(seed: int, lowest: float):
    """Whatever the scores are: equal, zero or below zero."""
    rng = np.random.default_rng(seed)
    columns, stages = np.arange(40), []
    for width in (40, 17, 17, 3):
        columns = np.sort(rng.choice(columns, width, replace=False))
        stages.append((columns, lowest + rng.integers(0, 4, width) * rng.choice([0.0, 1.0, 1e9])))
    scores = one_behind_another(stages, 40)
    assert np.isfinite(scores).all()
    reached = sum(np.isin(np.arange(40), columns).astype(int) for columns, _ in stages)
    last = np.zeros(40)
    for stage, values in stages:
        last[stage] = values
    for one, other in itertools.combinations(range(40), 2):
        expected = (reached[one], last[one]) > (reached[other], last[other])
        assert (scores[one] > scores[other]) == expected
        assert (scores[one] == scores[other]) == ((reached[one], last[one]) == (reached[other], last[other]))


def test_the_second_round_trains_on_the_best_half():
    """The same rankings one by one, with the same streams."""
    train, validation = parts(n_features=12)
    result = ranked((train, validation), 12, rounds=2)
    config, streams = TrainingConfig(**QUICK), np.random.default_rng(5).spawn(2)
    one, two = (stream.spawn(2)[0] for stream in streams)
    first = rank_whole_columns("set", train, validation, config, one, lambda end: None, n_features=12)
    left = np.sort(np.argsort(-mean_ranks(list(first.scores.values())), kind="stable")[:6])
    halves = [Part(np.ascontiguousarray(part.x[:, left]), part.y, 2) for part in (train, validation)]
    second = rank_whole_columns("set", *halves, config, two, lambda end: None, n_features=6)
    assert {0, 1} <= set(left)
    for metric, scores in result.scores.items():
        np.testing.assert_array_equal(scores[left], second.scores[metric])
        gone = np.setdiff1d(np.arange(12), left)
        assert scores[gone].max() < scores[left].min()
        np.testing.assert_array_equal(np.argsort(scores[gone]), np.argsort(first.scores[metric][gone]))
    assert (result.val_loss, result.nnz, result.dense_size) == (second.val_loss, second.nnz, second.dense_size)
    assert result.epochs == first.epochs + second.epochs == len(result.curves.val_loss)
    assert result.flops == first.flops + second.flops
    dense = (first.flops / first.flops_ratio) / first.epochs * result.epochs
    assert result.flops_ratio == pytest.approx(result.flops / dense)
    assert result.curves.val_loss[result.best_epoch - 1] == result.val_loss
    assert result.memory == first.memory


def test_the_mean_rank_of_the_metrics_decides_but_of_controls(monkeypatch: pytest.MonkeyPatch):
    table = parts(n_features=4)
    seen = with_known_scores(
        monkeypatch,
        {"a": [4, 3, 2, 1], "b": [300, 0, 400, 100], "random": [1, 2, 3, 9], "permutation": [0, 0, 0, 9]},
        {"a": [1, 2], "b": [2, 1], "random": [7, 8], "permutation": [1, 0]},
    )
    result = ranked(table, 4, rounds=2)
    np.testing.assert_array_equal(seen[1].x, table[0].x[:, [0, 2]])
    assert np.argsort(-result.scores["a"]).tolist() == [2, 0, 1, 3]
    assert np.argsort(-result.scores["b"]).tolist() == [0, 2, 3, 1]
    assert result.scores["random"].tolist() == [1, 2, 3, 9], "a baseline does not profit from what others chose"
    assert np.argsort(-result.scores["permutation"])[:2].tolist() == [0, 2]


def test_controls_decide_where_nothing_else_is_asked_for(monkeypatch: pytest.MonkeyPatch):
    seen = with_known_scores(monkeypatch, {"permutation": [0, 3, 1, 2]}, {"permutation": [1, 2]})
    table = parts(n_features=4)
    ranked(table, 4, rounds=2)
    np.testing.assert_array_equal(seen[1].x, table[0].x[:, [1, 3]])


def test_equal_columns_stay_by_chance(monkeypatch: pytest.MonkeyPatch):
    table, stayed = parts(n_features=8), set()
    for seed in range(20):
        seen = with_known_scores(monkeypatch, {"a": [1.0] * 8}, {"a": [1.0] * 4})
        config = make_config("set", {**QUICK, "rounds": 2})
        rank_table("set", *table, config, np.random.default_rng(seed), lambda end: None, n_features=8)
        stayed.add(tuple(np.flatnonzero(np.isin(table[0].x[0], seen[1].x[0]))))
    assert len(stayed) > 5


@pytest.mark.parametrize("sparse", [False, True])
def test_encodings_stay_together(monkeypatch: pytest.MonkeyPatch, sparse: bool):
    """Columns: a number, words, a number with an indicator, words; the first and the last leave."""
    frame = pd.DataFrame(
        {"n": np.arange(40.0), "w": ["a", "b", "c", "d"] * 10, "m": [np.nan, 1.0, 2.0, 0.5] * 10, "v": ["x", "y"] * 20}
    )
    dataset = from_frame(frame.assign(y=[0, 1, 1, 0] * 10), target="y", k=1)
    data = trial_data(dataset, Design("stratified", count=1, policy="mean", indicators=True), keep=False)
    ((train, validation),) = data.parts
    if sparse:
        train, validation = (dataclasses.replace(part, x=csr_array(part.x)) for part in (train, validation))
    seen = with_known_scores(monkeypatch, {"a": [1, 4, 3, 2]}, {"a": [1, 2]})
    ranked((train, validation), 4, rounds=2)
    whole, left = seen
    kept = np.flatnonzero(np.isin(whole.origin, [1, 2]))
    dense = [part.x.toarray() if sparse else part.x for part in (whole, left)]
    assert type(left.x) is type(whole.x)
    assert left.x.dtype == np.float32
    np.testing.assert_array_equal(dense[1], dense[0][:, kept])
    np.testing.assert_array_equal(left.origin, whole.origin[kept] - 1)
    assert left.n_numbers == 1
    assert whole.n_numbers == 2


def test_a_table_with_encodings_is_ranked_in_rounds():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(120, 6)), columns=list("abcdef"))
    frame["words"] = rng.choice(["u", "v", "w"], 120)
    frame["y"] = ((frame["words"] == "u") | (frame["a"] > 1)).astype(int)
    spec = TrialSpec("set", {**QUICK, "epochs": 20, "rounds": 2}, inner_splits=1)
    result = run_trial(from_frame(frame, target="y", k=2), spec)
    assert 6 in result.importances["neuron_strength"].selected


def test_a_sparse_table_has_the_rounds_of_a_dense_one():
    table = parts(n_features=12)
    sparse = tuple(dataclasses.replace(part, x=csr_array(part.x)) for part in table)
    dense_scores, sparse_scores = (ranked(both, 12, rounds=3).scores for both in (table, sparse))
    for metric, scores in dense_scores.items():
        np.testing.assert_allclose(sparse_scores[metric], scores, rtol=1e-5)


def test_it_goes_on_at_the_end_of_every_epoch(tmp_path):
    """Two rounds of two networks: whatever it dies in, it ends bit by bit the same, and does nothing twice."""
    table, asked = parts(n_features=12), {"rounds": 2, "networks": 2}
    paths: list = []
    reports: list[EpochReport] = []

    def keep(end: EpochReport) -> None:
        reports.append(end)
        paths.append(tmp_path / f"{end.epoch}.npz")
        save_state(paths[-1], end.state())

    whole = ranked(table, 12, on_epoch=keep, **asked)
    assert [end.epoch for end in reports] == list(range(1, 13))
    assert [end.first_training for end in reports] == [True] * 3 + [False] * 9
    for number, path in enumerate(paths, start=1):
        left: list[int] = []
        resumed = ranked(table, 12, state=read_state(path), on_epoch=lambda end, to=left: to.append(end.epoch), **asked)
        assert left == list(range(number + 1, 13))
        assert comparable(resumed) == comparable(whole)


def test_strength_on_the_way_is_of_all_columns():
    strengths: list[np.ndarray] = []

    def keep(end: EpochReport) -> None:
        assert isinstance(end, EpochEnd)
        strengths.append(end.strength())

    result = ranked(parts(n_features=12), 12, on_epoch=keep, rounds=2)
    left = np.sort(np.argsort(-result.scores["neuron_strength"])[:6])
    for strength in strengths[3:]:
        assert strength.shape == (12,)
        assert set(np.argsort(-strength)[:6]) == set(left)


@pytest.mark.parametrize(
    ("n_features", "rounds", "keep", "widths"),
    [
        (1024, 5, 0.5, (1024, 512, 256, 128, 64)),
        (5, 4, 0.5, (5, 2, 1, 1)),
        (100, 3, 0.3, (100, 30, 9)),
        (7, 1, 0.1, (7,)),
    ],
)
def test_widths(n_features: int, rounds: int, keep: float, widths: tuple[int, ...]):
    assert NetworksConfig(rounds=rounds, keep=keep).widths(n_features) == widths


def test_more_columns_than_the_last_round_has_are_refused():
    data, settings = informative(), {**FAST, "rounds": 4}
    says = "k <= columns of the last round must hold, but got k=6, and 5 of 40 columns .* round 4 .*: take rounds=3"
    with pytest.raises(InputError, match=says):
        run_trial(data, TrialSpec("set", settings, k=6))
    with pytest.raises(InputError, match=says):
        SparseFeatureSelector(6, settings={"rounds": 4}).fit(data.x, data.y)
    run_trial(data, TrialSpec("f_score", settings, k=6))  # which has no rounds


def test_a_trial_of_rounds_and_networks():
    settings = {**FAST, "lr": 1e-2, "rounds": 3, "networks": 2}
    result = run_trial(informative(), TrialSpec("set", settings, k_values=(20,), inner_splits=1))
    assert set(result.importances["neuron_strength"].selected) == {3, 11, 29}
    assert result.epochs == len(result.rankings[0].curves.val_loss)
    assert 0 < result.to_json()["flops_ratio_to_dense"] < 0.4 * (1 + 1 / 2 + 1 / 4) / 3 + 0.1


def copies(seed: int) -> Dataset:
    """Four hidden numbers decide the class; eight columns each are one of them with little noise, 160 are nothing."""
    rng = np.random.default_rng(seed)
    hidden = rng.normal(size=(400, 4))
    labels = np.argmax(hidden @ rng.normal(size=(4, 4)), axis=1)
    shown = np.repeat(hidden, 8, axis=1) + 0.3 * rng.normal(size=(400, 32))
    return from_arrays(np.hstack([shown, rng.normal(size=(400, 160))]).astype(np.float32), labels, k=6)


def test_where_columns_repeat_rounds_select_more_that_differ():
    """How many of the four hidden numbers are among six columns, added up over tables."""
    found = {1: 0, 4: 0}
    for seed in range(6):
        for rounds in found:
            settings = {"hidden": (30, 10), "epochs": 15, "sparsity": 0.6, "lr": 3e-3, "batch_size": 32}
            spec = TrialSpec("set", {**settings, "rounds": rounds}, inner_splits=1, seed=seed)
            selected = np.array(run_trial(copies(seed), spec).importances["neuron_attribution"].selected)
            found[rounds] += len(np.unique(selected[selected < 32] // 8))
    assert found[4] >= found[1] + 3


def test_a_selector_takes_networks_and_rounds_as_settings():
    data = informative()
    asked = {"networks": 2, "rounds": 3}
    selector = SparseFeatureSelector(
        3, hidden=(30, 10), epochs=8, sparsity=0.6, lr=1e-2, n_repeats=1, settings=asked, random_state=0
    ).fit(data.x, data.y)
    assert selector.get_support(indices=True).tolist() == [3, 11, 29]
    with pytest.raises(InputError, match="unknown setting 'networks'"):
        SparseFeatureSelector(3, method="lasso", settings=asked).fit(data.x, data.y)
