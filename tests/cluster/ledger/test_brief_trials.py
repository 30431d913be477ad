"""Samplers propose the same though they are shown trials without the reports that they never look at."""

from __future__ import annotations

import numpy as np
import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution
from optuna.trial import FrozenTrial, TrialState, create_trial

from cluster.ledger.proposals import propose
from cluster.ledger.samplers.registry import make_sampler

DISTRIBUTIONS = {"x": FloatDistribution(0.0, 1.0), "way": CategoricalDistribution(("up", "down"))}


def earlier(count: int) -> list[FrozenTrial]:
    rng = np.random.default_rng(0)
    trials = []
    for number in range(count):
        x, state = float(rng.random()), (TrialState.PRUNED, TrialState.COMPLETE, TrialState.COMPLETE)[number % 3]
        last = int(rng.choice([5, 10, 20]))
        trials.append(
            create_trial(
                state=state,
                value=None if state is TrialState.PRUNED else x,
                params={"x": x, "way": str(rng.choice(["up", "down"]))},
                distributions=DISTRIBUTIONS,
                intermediate_values={step: x / step for step in (5, 10, 20) if step <= last},
            )
        )
    return trials


def suggest(trial):
    return {"x": trial.suggest_float("x", 0.0, 1.0), "way": trial.suggest_categorical("way", ("up", "down"))}


@pytest.mark.parametrize("sampler", ["tpe", "random"])
@pytest.mark.parametrize("direction", ["minimize", "maximize"])
def test_proposals_are_those_of_a_study_with_all_reports(sampler, direction):
    trials = earlier(40)
    study = optuna.create_study(sampler=make_sampler(sampler, {}, seed=3), direction=direction)
    study.add_trials(trials)
    expected = [suggest(study.ask()) for _ in range(6)]
    proposals = propose(
        suggest, sampler=make_sampler(sampler, {}, seed=3), directions=[direction], earlier=trials, count=6
    )
    assert [proposal.params for proposal in proposals] == expected
    assert [len(trial.intermediate_values) for trial in trials] == [
        len(trial.intermediate_values) for trial in earlier(40)
    ]  # those of the caller are as they were
