"""What every pruner owes a search in batches; a new one joins by its name in ``PRUNERS``."""

from __future__ import annotations

import math
import random
from typing import Any

import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.pruners import BasePruner
from optuna.storages import InMemoryStorage
from optuna.trial import TrialState, create_trial

from cluster.ledger.entries import Direction, State
from cluster.ledger.options import OptionError
from cluster.ledger.proposals import Proposal
from cluster.ledger.pruners.peers import PeerView
from cluster.ledger.pruners.registry import PRUNERS, make_pruner
from tests.support.simulated_search import ledger_on

OPTIONS: dict[str, dict[str, Any]] = {
    "asha": {"min_resource": 1, "reduction_factor": 2},
    "hyperband": {"min_resource": 1, "max_resource": 8, "reduction_factor": 2},
    "median": {"n_startup_trials": 2},
    "none": {},
    "patience": {"patience": 1, "min_delta": 0.0, "wrapped": {"name": "median", "n_startup_trials": 2}},
    "successive_halving": {"min_resource": 1, "reduction_factor": 2},
}
STEPS = (1, 2, 4, 8)
every_pruner = pytest.mark.parametrize("pruner", sorted(PRUNERS))


def search(pruner: str, direction: Direction, *, order: int | None = None, sign: float = 1.0) -> list[tuple[str, int]]:
    """Forty flat trials in batches of eight, by quality; the state of each and the step that it came to.

    Within a batch, trials take steps side by side; ``order`` shuffles who is next, and lets some start over.
    """
    quality = random.Random(11)  # noqa: S311
    values = [quality.random() for _ in range(40)]
    chaos = None if order is None else random.Random(order)  # noqa: S311
    ledger = ledger_on(
        InMemoryStorage(), direction=direction, sampler="random", pruner=pruner, pruner_options=OPTIONS[pruner],
        trials=40, batch=8,
    )  # fmt: skip
    while not ledger.search_done():
        running = {}
        while ticket := ledger.take():
            running[ticket.number] = 0
        while running:
            number = chaos.choice(sorted(running)) if chaos else min(running)
            if chaos and chaos.random() < 0.1:
                ledger.retry(number)
                assert ledger.take() is not None
                running[number] = 0
            elif running[number] == len(STEPS):
                ledger.complete(number, sign * values[number])
                del running[number]
            elif ledger.report(number, STEPS[running[number]], sign * values[number]):
                ledger.stop(number)
                del running[number]
            else:
                running[number] += 1
    return [(str(entry.state), max(entry.reports)) for entry in ledger.entries()]


@every_pruner
def test_order_and_restarts_decide_nothing(pruner: str) -> None:
    calm = search(pruner, "maximize")
    for order in range(3):
        assert search(pruner, "maximize", order=order) == calm


@every_pruner
def test_a_pruner_goes_by_the_objectives_direction(pruner: str) -> None:
    assert search(pruner, "maximize") == search(pruner, "minimize", sign=-1.0)


@every_pruner
def test_whoever_stops_stops_weak_trials_and_none_of_the_first_batch(pruner: str) -> None:
    quality = random.Random(11)  # noqa: S311
    values = [quality.random() for _ in range(40)]
    ended = search(pruner, "maximize")
    stopped = [number for number, (state, _) in enumerate(ended) if state == State.STOPPED]
    finished = [number for number in range(40) if number not in stopped]
    assert bool(stopped) == (pruner != "none")
    assert all(number >= 8 for number in stopped)
    if stopped:
        mean = sum(values[number] for number in stopped) / len(stopped)
        assert mean < sum(values[number] for number in finished) / len(finished)
        assert max(range(8, 40), key=lambda number: values[number]) in finished


def proposal() -> Proposal:
    return Proposal({}, {}, {})


def bracket(view: PeerView, place: int) -> int:
    pruner = view.pruner
    assert isinstance(pruner, optuna.pruners.HyperbandPruner)
    key = view.begin(proposal(), place)
    view.report(key, 1, 0.5)
    return pruner._get_bracket_id(view, view._trial(key))


def test_a_hyperband_bracket_follows_from_name_and_place() -> None:
    views = [
        PeerView(name, ["maximize"], make_pruner("hyperband", OPTIONS["hyperband"])) for name in ("7/a", "7/a", "7/b")
    ]
    forwards = [bracket(views[0], place) for place in range(30)]
    backwards = [bracket(views[1], place) for place in reversed(range(30))]
    assert forwards == backwards[::-1], "whenever it begins"
    assert len(set(forwards)) == 4, "log2(8) + 1"
    assert [bracket(views[2], place) for place in range(30)] != forwards


# By the reports of a trial: whether it stands still, for a patience of 2 and a tolerance of 0.1.
STILL = [
    ([0.5], False),
    ([0.5, 0.5], False),
    ([0.5, 0.5, 0.5], True),
    ([0.5, 0.55, 0.6], True),
    ([0.5, 0.55, 0.61], False),
    ([0.1, 0.5, 0.5, 0.5], True),
    ([0.5, 0.5, 0.5, 0.7], False),
    ([0.5, 0.5, 0.2], False),  # the next inner split has begun
    ([0.5, float("nan"), 0.5], False),
]


@pytest.mark.parametrize(("reports", "stands"), STILL)
@pytest.mark.parametrize("direction", ["maximize", "minimize"])
@pytest.mark.parametrize("wrapped", ["none", "asha", "median"])
def test_patience_asks_only_about_what_stands_still(
    reports: list[float], stands: bool, direction: Direction, wrapped: str
) -> None:
    pruner = make_pruner("patience", {"patience": 2, "min_delta": 0.1, "wrapped": wrapped})
    view = PeerView("peers", [direction], pruner)
    key = view.begin(proposal(), 0)
    answers = [view.report(key, step, value) for step, value in enumerate(reports, start=1)]
    assert answers[-1] is (stands and wrapped == "none"), "there is nobody to lose against"


def asked(pruner: BasePruner, direction: Direction, finished: list[dict[int, float]], mine: dict[int, float]) -> bool:
    """What a pruner says of a running trial's reports beside those of finished trials."""
    study = optuna.create_study(direction=direction)
    for reports in finished:
        study.add_trial(create_trial(state=TrialState.COMPLETE, value=0.0, intermediate_values=reports))
    study.add_trial(create_trial(state=TrialState.RUNNING, intermediate_values=mine))
    return pruner.prune(study, study.trials[-1])


def best_so_far(values: list[float]) -> dict[int, float]:
    return {step: min(values[: place + 1]) for place, step in enumerate(STEPS[: len(values)])}


@given(
    finished=st.lists(st.lists(st.floats(0, 1), min_size=1, max_size=4), max_size=6),
    mine=st.lists(st.floats(0, 1), min_size=1, max_size=4),
    options=st.fixed_dictionaries(
        {
            "n_startup_trials": st.integers(0, 4),
            "n_warmup_steps": st.integers(0, 4),
            "interval_steps": st.integers(1, 4),
            "n_min_trials": st.integers(1, 3),
        }
    ),
)
def test_on_one_split_the_median_pruner_is_optunas(
    finished: list[list[float]], mine: list[float], options: dict[str, int]
) -> None:
    given_reports = [best_so_far(values) for values in finished], best_so_far(mine)
    theirs = optuna.pruners.MedianPruner(**options)
    assert asked(make_pruner("median", options), "minimize", *given_reports) == asked(
        theirs, "minimize", *given_reports
    )


def test_an_easy_first_split_protects_no_trial() -> None:
    """Reports are means over the splits begun so far; the second split of the trial goes badly."""
    peers = [{5: 0.2, 10: 0.2, 205: 0.5, 210: 0.5}] * 3
    mine = {5: 0.19, 10: 0.19, 205: 2.5}
    assert asked(make_pruner("median", {"n_startup_trials": 2}), "minimize", peers, mine)
    assert not asked(optuna.pruners.MedianPruner(n_startup_trials=2), "minimize", peers, mine)


def test_a_report_that_is_no_number_is_worse_than_any() -> None:
    peers = [{5: 0.2}, {5: math.nan}, {5: 0.4}]
    median = make_pruner("median", {"n_startup_trials": 0})
    assert asked(median, "minimize", peers, {5: math.nan})
    assert not asked(median, "minimize", peers, {5: 0.3})
    assert asked(median, "minimize", peers, {5: 0.31})
    assert asked(median, "maximize", peers, {5: 0.29})


def test_hyperband_without_a_bracket_is_refused() -> None:
    with pytest.raises(OptionError, match="max_resource >= min_resource must hold, got 4 and 5"):
        make_pruner("hyperband", {"max_resource": 4})
