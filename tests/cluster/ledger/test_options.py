"""Samplers and pruners by name: what is built, and what is refused."""

from __future__ import annotations

import warnings
from typing import Any

import optuna
import pytest
from optuna.pruners import BasePruner
from optuna.samplers import BaseSampler

from cluster.ledger.options import OptionError
from cluster.ledger.pruners.registry import PRUNERS, make_pruner
from cluster.ledger.samplers.registry import SAMPLERS, make_sampler


def draw(sampler: BaseSampler) -> list[float]:
    study = optuna.create_study(sampler=sampler)
    for _ in range(15):
        trial = study.ask()
        study.tell(trial, trial.suggest_float("x", 0, 1))
    return [trial.params["x"] for trial in study.trials]


@pytest.mark.parametrize("name", SAMPLERS)
def test_a_samplers_seed_decides_what_it_proposes(name: str) -> None:
    assert draw(make_sampler(name, {}, 3)) == draw(make_sampler(name, {}, 3)) != draw(make_sampler(name, {}, 4))


@pytest.mark.parametrize("name", PRUNERS)
def test_every_pruner_is_built_without_options(name: str) -> None:
    assert isinstance(make_pruner(name, {}), BasePruner)


def test_building_warns_of_nothing() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for name in SAMPLERS:
            make_sampler(name, {}, 0)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("tpee", {}, r"unknown sampler 'tpee': did you mean 'tpe'\? valid are gp, grid, nsga2, random, tpe"),
        ("tpe", {"n_startup": 5}, r"unknown option of sampler 'tpe' 'n_startup': did you mean 'n_startup_trials'\?"),
        ("tpe", {"seed": 5}, "unknown option of sampler 'tpe' 'seed': valid are n_ei_candidates, n_startup_trials"),
        ("random", {"x": 5}, "unknown option of sampler 'random' 'x': valid are none"),
        ("tpe", {"n_startup_trials": True}, "sampler 'tpe', n_startup_trials: must not be true or false, but got True"),
        ("nsga2", {"population_size": False}, "'nsga2', population_size: must not be true or false, but got False"),
        ("tpe", {"n_startup_trials": -1}, "sampler 'tpe', n_startup_trials: .* greater than or equal to 0, got -1"),
        ("nsga2", {"population_size": 1}, "sampler 'nsga2', population_size: .* greater than or equal to 2, got 1"),
        ("nsga2", {"mutation_prob": 1.5}, "sampler 'nsga2', mutation_prob: .* less than or equal to 1, got 1.5"),
        ("gp", {"n_startup_trials": 0}, "sampler 'gp', n_startup_trials: .* greater than 0, got 0"),
        ("tpe", {"n_ei_candidates": "many"}, "sampler 'tpe', n_ei_candidates: .* valid integer.*, got 'many'"),
    ],
)
def test_sampler_options_that_cannot_work_are_refused(name: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError, match=message) as caught:
        make_sampler(name, options, 0)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        (
            "hyperbrand",
            {},
            r"unknown pruner 'hyperbrand': did you mean 'hyperband'\? "
            "valid are asha, hyperband, median, none, patience, successive_halving",
        ),
        ("hyperband", {"bootstrap_count": 2}, "pruner 'hyperband': bootstrap_count > 0 and max_resource == 'auto'"),
        ("hyperband", {"max_resource": 0}, "pruner 'hyperband', max_resource: .* greater than 0, got 0"),
        ("patience", {"patience": 0}, "pruner 'patience', patience: .* greater than 0, got 0"),
        ("patience", {"wrapped": "medina"}, "pruner 'patience': unknown pruner 'medina': did you mean 'median'"),
        ("patience", {"wrapped": "patience"}, "pruner 'patience': wrapped must be another pruner, got 'patience'"),
        ("patience", {"wrapped": {"patience": 2}}, "pruner 'patience': wrapped needs a name, got 'patience'"),
        (
            "patience",
            {"wrapped": {"name": "asha", "reduction_factor": 1}},
            "pruner 'patience': pruner 'asha', reduction_factor: .* got 1",
        ),
        ("none", {"patience": 1}, "unknown option of pruner 'none' 'patience': valid are none"),
        ("asha", {"reduction_factor": 1}, "pruner 'asha', reduction_factor: .* greater than or equal to 2, got 1"),
        ("asha", {"min_resource": "some"}, "pruner 'asha', min_resource: .*, got 'some'"),
        ("asha", {"bootstrap_count": 2}, "pruner 'asha': .*bootstrap_count > 0 and min_resource == 'auto'"),
        ("median", {"interval_steps": 0}, "pruner 'median', interval_steps: .* greater than 0, got 0"),
    ],
)
def test_pruner_options_that_cannot_work_are_refused(name: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError, match=message) as caught:
        make_pruner(name, options)
    assert "\n" not in str(caught.value)
