"""Several networks: the same draws as of each alone, combined by hand, and their costs added up."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from dst.errors import InputError
from dst.rankers import FeatureScores, make_config
from dst.rankers.networks_config import NetworksConfig
from dst.rankers.scores import COMBINATIONS, mean_ranks, mean_scores, median_scores
from dst.rankers.successive import rank_table
from dst.rankers.whole_columns import rank_whole_columns
from dst.training.config import TrainingConfig
from dst.training.epochs import EpochReport
from tests.support.small_training import comparable, parts

QUICK = {"hidden": (16, 8), "epochs": 4, "patience": 2, "batch_size": 32, "sparsity": 0.6, "lr": 5e-3}
N_FEATURES = 12


def ranked(**settings: Any) -> tuple[FeatureScores, list[EpochReport]]:
    """The ranking of a small table, and the reports of its epochs."""
    reports: list[EpochReport] = []
    config = make_config("set", {**QUICK, **settings})
    arguments = ("set", *parts(n_features=N_FEATURES), config, np.random.default_rng(5), reports.append)
    return rank_table(*arguments, n_features=N_FEATURES), reports


@pytest.fixture(scope="module")
def alone() -> list[FeatureScores]:
    """Three rankings by one network each, with the streams that three networks have."""
    config = TrainingConfig(**QUICK)
    return [
        rank_whole_columns(
            "set", *parts(n_features=N_FEATURES), config, stream, lambda end: None, n_features=N_FEATURES
        )
        for stream in np.random.default_rng(5).spawn(3)
    ]


def test_one_network_in_one_round_is_what_it_always_was():
    """To the bit, and its state has nothing of networks and rounds: an earlier checkpoint goes on."""
    reports: list[EpochReport] = []
    config = TrainingConfig(**QUICK)
    arguments = ("set", *parts(n_features=N_FEATURES), config, np.random.default_rng(5), reports.append)
    before = rank_whole_columns(*arguments, n_features=N_FEATURES)
    now, reports_now = ranked()
    assert comparable(now) == comparable(before)
    for end, end_before in zip(reports_now, reports, strict=True):
        assert (end.epoch, end.val_loss, end.first_training) == (end_before.epoch, end_before.val_loss, True)
        assert end.state().arrays.keys() == end_before.state().arrays.keys()
    noted = reports_now[0].state().progress
    assert noted.keys() == reports[0].state().progress.keys()
    assert noted["training"]["config"] == dataclasses.asdict(config)


def test_scores_by_hand():
    few, many = np.array([1.0, 3.0, 0.0, 0.0]), np.array([20.0, 0.0, 60.0, 0.0])
    assert mean_scores([few, many]).tolist() == [0.25, 0.375, 0.375, 0.0]
    assert median_scores([few, many, many]).tolist() == [0.25, 0.0, 0.75, 0.0]
    assert mean_ranks([few, many]).tolist() == [3 / 4, (4 + 1.5) / 8, (1.5 + 4) / 8, 1.5 / 4]


@pytest.mark.parametrize("combine", COMBINATIONS)
def test_networks_are_those_of_each_stream_alone(combine: str, alone: list[FeatureScores]):
    together, _ = ranked(networks=3, combine=combine)
    assert together.scores.keys() == alone[0].scores.keys()
    for metric, scores in together.scores.items():
        np.testing.assert_array_equal(scores, COMBINATIONS[combine]([one.scores[metric] for one in alone]))


def test_costs_add_up_and_losses_are_means(alone: list[FeatureScores]):
    together, reports = ranked(networks=3)
    epochs = [one.epochs for one in alone]
    assert together.epochs == sum(epochs) == len(together.curves.val_loss) == len(reports)
    assert together.curves.train_loss == [loss for one in alone for loss in one.curves.train_loss]
    assert together.flops == sum(one.flops for one in alone)
    assert together.flops_ratio == pytest.approx(alone[0].flops_ratio)
    assert together.seconds.keys() == alone[0].seconds.keys()
    assert together.val_loss == pytest.approx(np.mean([one.val_loss for one in alone]))
    assert together.val_accuracy == pytest.approx(np.mean([one.val_accuracy for one in alone]))
    assert together.curves.val_loss[together.best_epoch - 1] == min(one.val_loss for one in alone)
    assert (together.nnz, together.dense_size) == (alone[0].nnz, alone[0].dense_size)
    assert [end.epoch for end in reports] == list(range(1, sum(epochs) + 1))
    assert [end.first_training for end in reports] == [True] * epochs[0] + [False] * sum(epochs[1:])


def test_the_state_of_other_networks_is_refused():
    _, reports = ranked(networks=2)
    config = make_config("set", {**QUICK, "networks": 3})
    arguments = ("set", *parts(n_features=N_FEATURES), config, np.random.default_rng(5), lambda end: None)
    with pytest.raises(ValueError, match="other settings: networks differ"):
        rank_table(*arguments, reports[-1].state(), n_features=N_FEATURES)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"networks": 0}, "networks >= 1 must hold, but got networks=0"),
        ({"rounds": 0}, "rounds >= 1 must hold, but got rounds=0"),
        ({"keep": 1.0}, "0 < keep < 1 must hold, but got keep=1.0"),
        ({"combine": "means"}, "unknown combine 'means': did you mean 'mean'"),
        ({"networks": 2.5}, "networks must be a whole number, but got 2.5"),
    ],
)
def test_what_is_wrong_is_said(settings: dict[str, Any], says: str):
    with pytest.raises(InputError, match=says):
        make_config("set", settings)


def test_the_settings_of_each_training_are_in_those_of_all():
    assert NetworksConfig(**QUICK, networks=3, rounds=2).training == TrainingConfig(**QUICK)


def test_a_width_multiplies_the_hidden_sizes_and_nothing_else():
    half = make_config("set", {"hidden": (7, 100, 1), "width": 0.5})
    assert half.training == TrainingConfig(hidden=(4, 50, 1))
    assert make_config("set", {"hidden": (16, 8)}).training == TrainingConfig(hidden=(16, 8))
    twice, by_sizes = ranked(width=2.0), ranked(hidden=(32, 16))
    assert comparable(twice[0]) == comparable(by_sizes[0])


@pytest.mark.parametrize("width", [0.0, -1.0, float("inf"), float("nan")])
def test_a_width_is_positive_and_finite(width: float):
    with pytest.raises(InputError, match="0 < width < inf must hold, but got width="):
        make_config("rigl", {"width": width})
