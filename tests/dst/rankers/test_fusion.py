"""Fusion: the mean of the ranks that its members give alone, with the same draws, and what all of them took."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from dst.errors import InputError
from dst.files.checkpoint import read_state, save_state
from dst.rankers import RANKERS, FeatureScores, make_config, parameters, used_settings
from dst.rankers.scores import mean_ranks
from dst.rankers.successive import rank_table
from dst.training.epochs import EpochReport
from tests.support.coded_table import coded_table
from tests.support.small_training import comparable, parts

MEMBERS = ("l1_logistic", "set", "extra_trees")
GIVEN = {"hidden": (16, 8), "epochs": 4, "batch_size": 32, "sparsity": 0.6, "C": 0.3, "trees": 20, "networks": 2}


def fused(reports: list[EpochReport] | None = None, state: Any = None, seed: int = 5, **settings: Any) -> FeatureScores:
    config = make_config("fusion", {"members": MEMBERS, **GIVEN, **settings})
    at_epoch = (lambda end: None) if reports is None else reports.append
    return RANKERS["fusion"].rank(*parts(n_features=12), config, np.random.default_rng(seed), at_epoch, state)


def alone(train: Any, validation: Any, n_features: int, **settings: Any) -> list[FeatureScores]:
    return [
        rank_table(
            member,
            train,
            validation,
            make_config(member, {**GIVEN, **settings}),
            stream,
            lambda end: None,
            n_features=n_features,
        )
        for member, stream in zip(MEMBERS, np.random.default_rng(5).spawn(3), strict=True)
    ]


def test_fusion_is_the_mean_of_the_members_ranks_and_costs_add_up() -> None:
    reports: list[EpochReport] = []
    together = fused(reports)
    members = alone(*parts(n_features=12), 12)
    names = ("l1_coefficient", "neuron_attribution", "impurity_decrease")
    expected = mean_ranks([each.scores[name] for each, name in zip(members, names, strict=True)])
    np.testing.assert_array_equal(together.scores["mean_rank"], expected)
    assert together.epochs == members[1].epochs == len(reports) == 8
    assert together.curves == members[1].curves
    assert together.seconds.keys() == members[1].seconds.keys() | {"train"}
    assert together.flops is None, "trees count none"
    assert together.val_loss == pytest.approx(np.mean([each.val_loss for each in members]))
    assert together.val_accuracy == pytest.approx(np.mean([each.val_accuracy for each in members]))
    assert not any(end.first_training for end in reports), "no pruner compares a member with rankings"
    by_strength = fused(importance="neuron_strength")
    assert not np.array_equal(by_strength.scores["mean_rank"], together.scores["mean_rank"])


def test_flops_are_those_of_all_where_all_count() -> None:
    both = fused(members=("set", "rigl"))
    assert both.flops is not None
    assert both.flops > 0
    assert both.scores.keys() == {"mean_rank"}


@pytest.mark.parametrize("epoch", [0, 5])
def test_fusion_goes_on_from_any_epoch(epoch: int, tmp_path: Any) -> None:
    reports: list[EpochReport] = []
    whole = fused(reports)
    save_state(tmp_path / "state.npz", reports[epoch].state())
    assert comparable(fused(state=read_state(tmp_path / "state.npz"))) == comparable(whole)
    with pytest.raises(ValueError, match="other settings: settings differ"):
        fused(state=reports[epoch].state(), C=0.5)


def test_members_rank_whole_columns_above_chance() -> None:
    """Each as it does alone on a table with categories: shadows and all."""
    train, validation = coded_table(0), coded_table(1)
    config = make_config("fusion", {"members": MEMBERS, **GIVEN, "epochs": 1})
    found = rank_table("fusion", train, validation, config, np.random.default_rng(5), lambda end: None, n_features=10)
    members = alone(train, validation, 10, epochs=1)
    names = ("l1_coefficient", "neuron_attribution", "impurity_decrease")
    expected = mean_ranks([each.scores[name] for each, name in zip(members, names, strict=True)])
    np.testing.assert_array_equal(found.scores["mean_rank"], expected)


def test_settings_reach_the_members_that_take_them() -> None:
    used = used_settings("fusion", {"members": ["set_attr", "lasso"], "importance": "neuron_strength", "lr": 0.5})
    assert used["settings"]["set_attr"]["lr"] == 0.5
    assert used["settings"]["set_attr"]["importances"] == ["neuron_strength", "neuron_attribution"]
    assert used["settings"]["lasso"] == used_settings("lasso", {})
    assert {"members", "importance", "C", "sparsity", "units"} < parameters("fusion")
    assert not {"importances", "settings", "method"} & parameters("fusion")


@pytest.mark.parametrize(
    ("settings", "rule"),
    [
        ({"members": ("set",)}, r"at least two members, each once must hold, but got \('set',\)"),
        ({"members": ("set", "set")}, "at least two members, each once must hold"),
        ({"members": ("set", "fusion")}, "unknown member 'fusion': valid are"),
        ({"members": ("set", "laso")}, "unknown member 'laso': did you mean 'lasso'?"),
        ({"members": "set"}, "members must be a list of names, but got 'set'"),
        ({"importance": "strength"}, "unknown importance 'strength': did you mean 'neuron_strength'?"),
        ({"C": 0.0}, "C > 0 must hold"),
    ],
)
def test_members_and_their_settings_are_checked(settings: dict[str, Any], rule: str) -> None:
    with pytest.raises(InputError, match=rule):
        make_config("fusion", settings)
