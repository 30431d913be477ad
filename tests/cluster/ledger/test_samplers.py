"""What every sampler owes a search in batches; a new one joins by its name in ``SAMPLERS``."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from optuna.samplers import RandomSampler
from optuna.storages import InMemoryStorage
from optuna.trial import BaseTrial, FrozenTrial, TrialState, create_trial

from cluster.ledger.entries import Direction
from cluster.ledger.proposals import Proposal, propose
from cluster.ledger.samplers.registry import SAMPLERS, make_sampler
from tests.support.simulated_search import ledger_on, play, quality, suggest

ONE: tuple[Direction, ...] = ("maximize",)
TWO: tuple[Direction, ...] = ("maximize", "minimize")
LEARNING = sorted(set(SAMPLERS) - {"grid", "random"})

every_sampler = pytest.mark.parametrize("sampler", sorted(SAMPLERS))
every_number_of_objectives = pytest.mark.parametrize("directions", [ONE, TWO], ids=["one", "two"])


def ended(
    proposals: Sequence[Proposal], directions: tuple[Direction, ...], states: Sequence[TrialState]
) -> list[FrozenTrial]:
    """Trials as a pruner's view hands them on."""
    trials = []
    for proposal, state in zip(proposals, itertools.cycle(states), strict=False):
        values = [quality({"objective": i, **proposal.params}) for i in range(len(directions))]
        trials.append(
            create_trial(
                state=state,
                values=values if state is TrialState.COMPLETE else None,
                params=dict(proposal.suggested),
                distributions=dict(proposal.distributions),
                intermediate_values={1: 0.5} if state is TrialState.PRUNED else {},
            )
        )
    return trials


def random_history(directions: tuple[Direction, ...], states: Sequence[TrialState], count: int) -> list[FrozenTrial]:
    drawn = propose(suggest, sampler=RandomSampler(seed=1), directions=directions, earlier=(), count=count)
    return ended(drawn, directions, states)


def mixed_states(directions: tuple[Direction, ...]) -> list[TrialState]:
    states = [TrialState.COMPLETE, TrialState.COMPLETE, TrialState.FAIL]
    return states if len(directions) > 1 else [*states, TrialState.PRUNED]


def batch(
    sampler: str, directions: tuple[Direction, ...], history: Sequence[FrozenTrial], *, seed: int = 7, count: int = 3
) -> list[dict[str, Any]]:
    proposals = propose(
        suggest, sampler=make_sampler(sampler, {}, seed), directions=directions, earlier=history, count=count
    )
    return [dict(proposal.params) for proposal in proposals]


@every_sampler
@every_number_of_objectives
@pytest.mark.parametrize("length", [0, 8, pytest.param(24, marks=pytest.mark.slow)])
def test_a_batch_follows_from_its_seed_and_history(sampler: str, directions: Any, length: int) -> None:
    history = random_history(directions, mixed_states(directions), length)
    larger = 2 if sampler == "gp" else 3  # a proposal of Gaussian processes takes half a second
    first = batch(sampler, directions, history, count=larger)
    assert first[:-1] == batch(sampler, directions, history, count=larger - 1), "the first n of a larger batch"
    assert first[:-1] != batch(sampler, directions, history, seed=8, count=larger - 1)


@every_sampler
@every_number_of_objectives
def test_conditions_and_ranges_hold(sampler: str, directions: Any) -> None:
    history = random_history(directions, mixed_states(directions), 24)
    for params in batch(sampler, directions, history, count=1 if sampler == "gp" else 3):
        conditional = {"sparsity", "l2"} if params["method"] != "none" else set()
        assert set(params) == {"method", "lr", "width"} | conditional
        assert params["method"] in ("set", "rigl", "none")
        assert params["lr"] == 1e-3
        assert 1 <= params["width"] <= 64
        if conditional:
            assert params["sparsity"] in (0.5, 0.8, 0.9)
            assert 1e-5 <= params["l2"] <= 1e-2


@every_sampler
@pytest.mark.parametrize(
    ("directions", "states"),
    [(ONE, [TrialState.FAIL]), (TWO, [TrialState.FAIL]), (ONE, [TrialState.PRUNED]), (ONE, [TrialState.COMPLETE])],
)
def test_any_history_will_do(sampler: str, directions: Any, states: list[TrialState]) -> None:
    assert len(batch(sampler, directions, random_history(directions, states, 12))) == 3


@every_sampler
def test_points_go_before_the_sampler(sampler: str) -> None:
    points = [{"method": "none", "width": 3}, {"method": "set", "sparsity": 0.8, "l2": 1e-3, "width": 5}]
    made = make_sampler(sampler, {}, 0)
    proposals = propose(suggest, sampler=made, directions=ONE, earlier=(), count=3, points=points)
    assert [proposal.suggested for proposal in proposals[:2]] == points


def plane(trial: BaseTrial) -> dict[str, Any]:
    return {"x": trial.suggest_float("x", 0, 1), "y": trial.suggest_float("y", 0, 1)}


AFTER_8: dict[str, dict[str, Any]] = {
    "gp": {"n_startup_trials": 8},
    "nsga2": {"population_size": 8, "mutation_prob": 0.2},
    "tpe": {"n_startup_trials": 8},
}


def evolve(
    sampler: str,
    directions: tuple[Direction, ...],
    counts: Sequence[int],
    values: Callable[..., list[float]],
) -> list[list[dict[str, Any]]]:
    """Batches of as many proposals, the first of them random."""
    history: list[FrozenTrial] = []
    seen = []
    for number, count in enumerate(counts):
        made = make_sampler(sampler, AFTER_8[sampler], 100 + number)
        proposals = propose(plane, sampler=made, directions=directions, earlier=history, count=count)
        seen.append([dict(proposal.params) for proposal in proposals])
        history += [
            create_trial(
                state=TrialState.COMPLETE,
                values=values(**proposal.params),
                params=dict(proposal.suggested),
                distributions=dict(proposal.distributions),
            )
            for proposal in proposals
        ]
    return seen


@pytest.mark.parametrize("sampler", LEARNING)
def test_later_batches_are_nearer_to_the_optimum_and_not_one_point(sampler: str) -> None:
    counts = (8, 8) if sampler == "gp" else (8,) * 6  # Gaussian processes need fewer, and take long for each
    seen = evolve(sampler, ("minimize",), counts, lambda x, y: [(x - 0.3) ** 2 + (y - 0.6) ** 2])
    distances = [np.mean([abs(p["x"] - 0.3) + abs(p["y"] - 0.6) for p in proposed]) for proposed in seen]
    assert distances[-1] < 0.6 * distances[0]
    assert len({(round(p["x"], 2), round(p["y"], 2)) for p in seen[-1]}) >= 4


@pytest.mark.parametrize("sampler", LEARNING)
def test_later_batches_are_nearer_to_the_pareto_front(sampler: str) -> None:
    """The front is y = 0 with every x: both values become worse with y, and x trades them."""
    counts = (8, 3) if sampler == "gp" else (8,) * 6
    seen = evolve(sampler, ("minimize", "maximize"), counts, lambda x, y: [x + y, x - y])
    heights = [np.mean([p["y"] for p in proposed]) for proposed in seen]
    assert heights[-1] < 0.6 * heights[0]
    assert np.ptp([p["x"] for p in seen[-1]]) > 0.3


def test_children_of_nsga2_are_mixed_from_the_best_where_nothing_mutates() -> None:
    history = random_history(ONE, [TrialState.COMPLETE], 30)
    best = sorted(history, key=lambda trial: -trial.values[0])[:6]
    made = make_sampler("nsga2", {"population_size": 6, "mutation_prob": 0.0}, 0)
    children = propose(suggest, sampler=made, directions=ONE, earlier=history, count=60)
    inherited = {(name, value) for trial in best for name, value in trial.params.items()}
    whole = [child for child in children if child.suggested.items() <= inherited]
    # the others have a condition that neither parent met, and draw what it asks for
    assert len(whole) > len(children) / 2
    for child in children:
        drawn = {name for name, value in child.suggested.items() if (name, value) not in inherited}
        assert drawn <= {"sparsity", "l2"}
    assert len({str(child.suggested) for child in whole}) > len(best), "parents are crossed"
    assert any("l2" in child.suggested for child in whole), "also in what is conditional"


def test_nsga2_draws_at_random_until_a_population_has_finished() -> None:
    few = random_history(ONE, [TrialState.COMPLETE, TrialState.FAIL], 18)  # 9 have finished
    made = make_sampler("nsga2", {"mutation_prob": 0.0}, 0)
    widths = [p.params["width"] for p in propose(suggest, sampler=made, directions=ONE, earlier=few, count=30)]
    assert set(widths) - {trial.params["width"] for trial in few}


@pytest.mark.parametrize("sampler", ["gp", "nsga2", "tpe"])
@pytest.mark.parametrize("direction", ["maximize", TWO], ids=["one", "two"])
def test_a_search_is_the_same_in_any_order_with_any_crash(sampler: str, direction: Any) -> None:
    results = []
    for workers, crash in ((1, 0.0), (4, 0.02)):
        storage = InMemoryStorage()
        chaos = random.Random(3) if crash else None  # noqa: S311
        results.append(
            play(
                lambda storage=storage: ledger_on(
                    storage, direction=direction, sampler=sampler, sampler_options={}, trials=15
                ),
                workers=workers,
                chaos=chaos,
                crash=crash,
            )
        )
    assert results[0] == results[1]
