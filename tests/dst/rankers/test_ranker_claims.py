"""What a ranker's entry says that it gives, it gives: objectives are checked against it before a study begins."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import numpy as np
import pytest

from dst.data.dataset import Part
from dst.errors import InputError
from dst.rankers import RANKERS, make_config, used_settings
from dst.rankers.whole_columns import COLUMN_RULES
from dst.topology.methods import METHODS
from dst.trial.spec import TrialSpec

QUICK = {
    "epochs": 2,
    "hidden": [6],
    "batch_size": 16,
    "units": 6,
    "trees": 10,
    "lambda_start": 20.0,
    "path_multiplier": 1.5,
    "dense_iterations": 20,
    "path_iterations": 5,
    "inputs": 3,
}


@pytest.mark.parametrize("method", RANKERS)
def test_metrics_loss_and_flops_are_as_claimed(method: str) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 8)).astype(np.float32)
    y = (x[:, 1] > 0).astype(np.int64)
    train, validation = Part(x[:40], y[:40], 2), Part(x[40:], y[40:], 2)
    entry = RANKERS[method]
    found = entry.rank(train, validation, make_config(method, QUICK), rng, lambda end: None)
    assert set(found.scores) <= set(entry.metrics)
    assert method in METHODS or set(found.scores) == set(entry.metrics)
    assert set(entry.metrics) <= COLUMN_RULES.keys()
    assert entry.counts_flops == (found.flops is not None)
    if entry.classifies:
        assert found.val_loss is not None


@pytest.mark.parametrize("method", RANKERS)
@pytest.mark.parametrize("given", [{}, {"l2": 0.5, "C": 2.0, "lr": 0.25, "units": 7, "hidden": (4,), "k": 3}])
def test_used_settings_are_those_of_the_configuration(method: str, given: dict[str, Any]) -> None:
    """Defaults included, for every ranker; a network that stores all connections has sparsity 0."""
    used = used_settings(method, given)
    made = json.loads(json.dumps(dataclasses.asdict(make_config(method, given))))
    made.pop("method", None)
    if method == "dense":
        made["sparsity"] = 0.0
    assert used == made
    assert used == json.loads(json.dumps(used)), "plain data"


def test_sparsity_and_l2_are_null_where_a_ranker_has_none() -> None:
    described = {method: TrialSpec(method, {"epochs": 3}).described(17) for method in RANKERS}
    sparse = {method for method in METHODS if METHODS[method].sparse}
    assert {method for method, one in described.items() if one["sparsity"] == 0.9} == sparse
    assert {method for method, one in described.items() if one["sparsity"] == 0.0} == {"dense"}
    assert all(one["sparsity"] is None for method, one in described.items() if method not in METHODS)
    penalised = {method for method, one in described.items() if one["l2"] is not None}
    assert penalised == {*METHODS, "neurofs", "quickselection"}
    assert described["set"]["settings"]["batch_size"] == 17, "the dataset's"
    assert TrialSpec("set", {"batch_size": 5}).described(17)["settings"]["batch_size"] == 5
    assert described["f_score"]["settings"] == described["random"]["settings"] == {}


@pytest.mark.parametrize(
    ("given", "used"),
    [(np.float32(0.5), 0.5), (np.int64(1), 1), (np.array([0.25, 0.5]), [0.25, 0.5]), ("much", "much"), (-1.0, -1.0)],
)
def test_a_record_says_what_was_given_right_or_wrong(given: Any, used: Any) -> None:
    assert used_settings("set", {"sparsity": given})["sparsity"] == used
    with pytest.raises(InputError, match="unknown method 'sett'"):
        used_settings("sett", {})
