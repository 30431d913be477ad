"""The ledger: the same trials in whatever order they end, and states that only move forward."""

from __future__ import annotations

import math
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from optuna.storages import InMemoryStorage
from optuna.trial import FrozenTrial, TrialState, create_trial

from cluster.ledger.durable import read_entries
from cluster.ledger.entries import LedgerError, State
from cluster.ledger.ledger import Ledger
from cluster.ledger.options import OptionError
from cluster.ledger.storage.connect import open_storage
from tests.support.simulated_search import STEPS, curve, ledger_on, play

PRUNERS = {
    "median": {"n_startup_trials": 3},
    "asha": {"min_resource": 1, "reduction_factor": 2},
    "hyperband": {"min_resource": 1, "max_resource": 6, "reduction_factor": 2},
    "patience": {"patience": 1, "min_delta": 0.1, "wrapped": {"name": "median", "n_startup_trials": 3}},
    "none": {},
}
STOPPING = [name for name in PRUNERS if name != "none"]


def take_all(ledger: Ledger) -> list[int]:
    numbers = []
    while ticket := ledger.take():
        numbers.append(ticket.number)
    return numbers


# --- the same trials, whatever happens


@pytest.fixture(scope="module")
def reference() -> Callable[[str, str], list]:
    """The undisturbed search, one trial at a time, by sampler and pruner."""
    known: dict[tuple[str, str], list] = {}

    def run(sampler: str, pruner: str) -> list:
        if (sampler, pruner) not in known:
            storage = InMemoryStorage()
            known[sampler, pruner] = play(
                lambda: ledger_on(storage, sampler=sampler, pruner=pruner, pruner_options=PRUNERS[pruner])
            )
        return known[sampler, pruner]

    return run


@pytest.mark.parametrize("pruner", PRUNERS)
@pytest.mark.parametrize("sampler", ["tpe", "random", "nsga2"])
@settings(deadline=None, max_examples=6)
@given(chaos=st.randoms(use_true_random=False), workers=st.integers(1, 9), crash=st.sampled_from([0.0, 0.03]))
def test_neither_workers_nor_order_nor_restarts_change_a_search(
    reference: Any, sampler: str, pruner: str, chaos: random.Random, workers: int, crash: float
) -> None:
    storage = InMemoryStorage()
    expected = reference(sampler, pruner)
    seen = play(
        lambda: ledger_on(storage, sampler=sampler, pruner=pruner, pruner_options=PRUNERS[pruner]),
        workers=workers,
        chaos=chaos,
        crash=crash,
    )
    assert seen == expected


@pytest.mark.parametrize("pruner", STOPPING)
def test_the_simulation_stops_finishes_and_fails_trials(reference: Any, pruner: str) -> None:
    assert {state for _, state, *_ in reference("tpe", pruner)} == {State.STOPPED, State.FINISHED, State.FAILED}


def test_a_file_reopened_again_and_again_gives_the_same_search(reference: Any, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/study.db"
    seen = play(
        lambda: ledger_on(open_storage(url), pruner="asha", pruner_options=PRUNERS["asha"]),
        workers=3,
        chaos=random.Random(0),  # noqa: S311
        crash=0.05,
    )
    assert seen == reference("tpe", "asha")


CHILD = """
import random, sys
from cluster.ledger.storage.connect import open_storage
from tests.support.simulated_search import ledger_on, play
open_ledger = lambda: ledger_on(open_storage(sys.argv[1]), pruner="asha",
                                pruner_options={"min_resource": 1, "reduction_factor": 2})
print("ready", flush=True)
play(open_ledger, workers=4, chaos=random.Random(int(sys.argv[2])))
"""


def test_processes_killed_at_any_moment_lose_nothing(reference: Any, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/study.db"
    rng = random.Random(5)  # noqa: S311
    kills = 0
    for attempt in range(40):
        environment = {**os.environ, "PYTHONHASHSEED": str(attempt), "PYTHONPATH": os.pathsep.join(sys.path)}
        with subprocess.Popen(
            [sys.executable, "-c", CHILD, url, str(attempt)], env=environment, stdout=subprocess.PIPE
        ) as child:
            assert child.stdout is not None
            assert child.stdout.readline() == b"ready\n"
            if attempt < 4:
                time.sleep(rng.uniform(0.05, 0.4))
                child.send_signal(signal.SIGKILL)
            if child.wait() == 0:
                break
            kills += 1
    assert kills > 0
    assert play(lambda: ledger_on(open_storage(url), pruner="asha", pruner_options=PRUNERS["asha"])) == reference(
        "tpe", "asha"
    )


class DiesWhileWriting(InMemoryStorage):
    """Breaks off at the n-th trial that is written."""

    def __init__(self, writes: int) -> None:
        super().__init__()
        self.writes = writes

    def create_new_trial(self, study_id: int, template_trial: FrozenTrial | None = None) -> int:
        self.writes -= 1
        if self.writes < 0:
            raise OSError("disk full")
        return super().create_new_trial(study_id, template_trial)


@pytest.mark.parametrize("writes", [0, 1, 3, 5, 7])
def test_a_batch_cut_short_is_completed_at_the_next_start(reference: Any, writes: int) -> None:
    storage = DiesWhileWriting(writes)
    with pytest.raises(OSError, match="disk full"):
        play(lambda: ledger_on(storage))
    assert len(storage.get_all_trials(0)) == writes
    storage.writes = 1000
    assert play(lambda: ledger_on(storage)) == reference("tpe", "none")


@pytest.mark.parametrize("first", [1, 7, 10])
def test_a_longer_search_begins_like_a_shorter_one(reference: Any, first: int) -> None:
    storage = InMemoryStorage()
    short = play(lambda: ledger_on(storage, trials=first))
    assert short == reference("tpe", "none")[:first]
    assert play(lambda: ledger_on(storage)) == reference("tpe", "none")


@pytest.mark.parametrize("change", [{"seed": 2}, {"name": "iris"}, {"batch": 6}])
def test_seed_name_and_batch_decide_the_proposals(reference: Any, change: dict[str, Any]) -> None:
    storage = InMemoryStorage()
    other = play(lambda: ledger_on(storage, **change))
    assert [params for _, _, params, *_ in other] != [params for _, _, params, *_ in reference("tpe", "none")]


def test_every_proposal_holds_all_parameters_and_optuna_only_those_it_chose() -> None:
    storage = InMemoryStorage()
    ledger = ledger_on(storage)
    take_all(ledger)
    for entry, trial in zip(ledger.entries(), storage.get_all_trials(0), strict=True):
        assert entry.params == {"lr": 1e-3, **trial.params}
        assert ("l2" in entry.params) == (entry.params["method"] != "none")


# --- batches


def test_a_batch_waits_for_all_before_it() -> None:
    ledger = ledger_on(InMemoryStorage(), trials=8, batch=5)
    assert take_all(ledger) == [0, 1, 2, 3, 4]
    for number in (4, 0, 2, 1):
        ledger.complete(number, 0.5)
        assert ledger.take() is None
    ledger.fail(3, "reason")
    assert take_all(ledger) == [5, 6, 7]
    assert not ledger.search_done()
    for number in (5, 6, 7):
        ledger.stop(number)
    assert ledger.search_done()
    assert ledger.take() is None


def test_what_waits_is_handed_out_by_number() -> None:
    ledger = ledger_on(InMemoryStorage(), trials=5)
    assert take_all(ledger) == [0, 1, 2, 3, 4]
    for number in (3, 1, 4):
        ledger.retry(number)
    confirm = ledger.add(2, "confirm", {})
    assert take_all(ledger) == [1, 3, 4, confirm]


def curves(ledger: Ledger, values: dict[int, list[float]]) -> list[int]:
    """Report step by step, all trials side by side; return those that were to stop."""
    stopped = []
    for step in range(max(map(len, values.values()))):
        for number, curve_ in values.items():
            if step < len(curve_) and number not in stopped and ledger.report(number, step + 1, curve_[step]):
                ledger.stop(number)
                stopped.append(number)
    for number, curve_ in values.items():
        if number not in stopped:
            ledger.complete(number, curve_[-1])
    return stopped


@pytest.mark.parametrize("pruner", STOPPING)
def test_a_trial_is_compared_with_finished_batches_only(pruner: str) -> None:
    ledger = ledger_on(InMemoryStorage(), batch=4, trials=8, pruner=pruner, pruner_options=PRUNERS[pruner])
    take_all(ledger)
    first = {0: [0.2] * 4, 1: [0.4] * 4, 2: [0.6] * 4, 3: [0.8] * 4}
    assert curves(ledger, first) == []  # there is nobody to compare them with

    take_all(ledger)
    # three siblings end far ahead before the last begins: it would lose against them, not against the first batch
    assert curves(ledger, {4: [9.0] * 4, 6: [9.0] * 4, 7: [9.0] * 4}) == []
    assert curves(ledger, {5: [0.7] * 4}) == []


@pytest.mark.parametrize("pruner", STOPPING)
def test_a_trial_that_loses_against_finished_batches_is_stopped(pruner: str) -> None:
    ledger = ledger_on(InMemoryStorage(), batch=4, trials=8, pruner=pruner, pruner_options=PRUNERS[pruner])
    take_all(ledger)
    curves(ledger, {0: [0.2] * 4, 1: [0.4] * 4, 2: [0.6] * 4, 3: [0.8] * 4})
    take_all(ledger)
    assert curves(ledger, {4: [0.1] * 4, 5: [0.7] * 4, 6: [0.3] * 4, 7: [0.9] * 4}) == [4, 6]


@pytest.mark.parametrize("pruner", STOPPING)
def test_nan_and_confirming_trials_are_never_stopped(pruner: str) -> None:
    ledger = ledger_on(InMemoryStorage(), batch=4, trials=8, pruner=pruner, pruner_options=PRUNERS[pruner])
    take_all(ledger)
    curves(ledger, {number: [0.5] * 4 for number in range(4)})
    ledger.add(0, "confirm", {})
    confirm, nan, bad, *_ = take_all(ledger)
    assert not any(ledger.report(nan, step, math.nan) for step in range(1, STEPS))
    assert not any(ledger.report(confirm, step, -9.0) for step in range(1, STEPS))
    assert any(ledger.report(bad, step, -9.0) for step in range(1, STEPS))


# --- added trials


def test_added_trials_are_invisible_to_sampler_and_pruner(reference: Any) -> None:
    storage = InMemoryStorage()

    def open_ledger(trials: int = 30) -> Ledger:
        return ledger_on(storage, trials=trials, pruner="asha", pruner_options=PRUNERS["asha"])

    expected = reference("tpe", "asha")
    assert play(lambda: open_ledger(10)) == expected[:10]
    ledger = open_ledger(10)
    for value in (1e6, -1e6):
        added = ledger.add(0, "confirm", {"seed_index": 0})
        assert take_all(ledger) == [added]
        assert not ledger.report(added, 1, value)
        ledger.complete(added, value)
    seen = play(open_ledger)
    assert seen[:10] == expected[:10]
    assert [trial[1:] for trial in seen] == [trial[1:] for trial in expected]  # only numbers move, by the added ones


def test_an_added_trial_takes_its_sources_parameters(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/study.db"
    ledger = ledger_on(open_storage(url), trials=5)
    take_all(ledger)
    number = ledger.add(3, "confirm", {"seed_index": 2})
    ticket = ledger.take()
    assert ticket is not None
    assert (ticket.number, ticket.stage, ticket.attrs) == (number, "confirm", {"source": 3, "seed_index": 2})
    assert ticket.params == ledger.entries()[3].params
    assert [entry.number for entry in read_entries(open_storage(url), "wine") if entry.stage == "confirm"] == [number]


@pytest.mark.parametrize(("stage", "attrs"), [("search", {}), ("confirm", {"batch": 1}), ("confirm", {"stage": "x"})])
def test_the_ledgers_own_names_are_refused(stage: str, attrs: dict[str, Any]) -> None:
    ledger = ledger_on(InMemoryStorage())
    ledger.take()
    with pytest.raises(ValueError, match="are the ledger's own"):
        ledger.add(0, stage, attrs)


# --- states


OPERATIONS: dict[str, Callable[[Ledger], Any]] = {
    "take": lambda ledger: ledger.take(),
    "requeue": lambda ledger: ledger.requeue(),
    "report": lambda ledger: ledger.report(0, 1, 0.5),
    "complete": lambda ledger: ledger.complete(0, 0.5),
    "stop": lambda ledger: ledger.stop(0),
    "fail": lambda ledger: ledger.fail(0, "reason"),
    "retry": lambda ledger: ledger.retry(0),
}

# By state and operation: the state that follows, or None for a refusal. Taking and requeueing name no trial: they pass
# over those that are not theirs.
TRUTH = {
    State.WAITING: {
        "take": State.RUNNING,
        "requeue": State.WAITING,
        "report": None,
        "complete": None,
        "stop": None,
        "fail": None,
        "retry": None,
    },
    State.RUNNING: {
        "take": State.RUNNING,
        "requeue": State.WAITING,
        "report": State.RUNNING,
        "complete": State.FINISHED,
        "stop": State.STOPPED,
        "fail": State.FAILED,
        "retry": State.WAITING,
    },
    **{
        ended: {
            "take": ended,
            "requeue": ended,
            "report": None,
            **{operation: ended if operation == again else None for operation in ("complete", "stop", "fail")},
            "retry": None,
        }
        for ended, again in ((State.FINISHED, "complete"), (State.STOPPED, "stop"), (State.FAILED, "fail"))
    },
}
WAY_TO = {
    State.WAITING: ["retry"],
    State.RUNNING: [],
    State.FINISHED: ["complete"],
    State.STOPPED: ["stop"],
    State.FAILED: ["fail"],
}


@pytest.mark.parametrize("reopened", [False, True])
@pytest.mark.parametrize(("state", "operation"), [(s, o) for s, row in TRUTH.items() for o in row])
def test_states_only_move_forward(state: State, operation: str, reopened: bool) -> None:
    storage = InMemoryStorage()
    ledger = ledger_on(storage, trials=5)
    take_all(ledger)
    for step in WAY_TO[state]:
        OPERATIONS[step](ledger)
    if reopened and state is not State.RUNNING:
        ledger = ledger_on(storage, trials=5)
    before = ledger.entries()[0]
    assert before.state is state

    follows = TRUTH[state][operation]
    if follows is None:
        with pytest.raises(LedgerError, match=f"trial 0 of 'wine' must be running, it is {state}"):
            OPERATIONS[operation](ledger)
        assert ledger.entries()[0] == before
    else:
        OPERATIONS[operation](ledger)
        assert ledger.entries()[0].state is follows
        if state.ended:
            assert ledger.entries()[0] == before
    if follows is State.WAITING and state is State.RUNNING:
        assert ledger.entries()[0].reports == {}, "a trial that starts over begins anew"
        assert ledger.entries()[0].attrs["requeued"] == before.attrs.get("requeued", 0) + 1
    if follows is not State.RUNNING:
        assert read_entries(storage, "wine")[0] == ledger.entries()[0]


OPTUNAS = {
    State.WAITING: TrialState.WAITING,
    State.RUNNING: TrialState.RUNNING,
    State.FINISHED: TrialState.COMPLETE,
    State.STOPPED: TrialState.PRUNED,
    State.FAILED: TrialState.FAIL,
}


@pytest.mark.parametrize("state", OPTUNAS)
def test_each_state_is_told_to_optuna_in_its_words(state: State) -> None:
    """OptunaSearch tells a stopped trial as COMPLETE, with its last value, and leaves a NaN RUNNING."""
    storage = InMemoryStorage()
    ledger = ledger_on(storage, trials=5)
    take_all(ledger)
    ledger.report(0, 5, 0.25)
    for step in WAY_TO[state]:
        OPERATIONS[step](ledger)
    (trial,) = (trial for trial in storage.get_all_trials(0) if trial.number == 0)
    assert trial.state == OPTUNAS[state]
    assert trial.values == ([0.5] if state is State.FINISHED else None)
    assert trial.last_step == (5 if state.ended else None), "a stopped trial has the step that it was stopped at"


@pytest.mark.parametrize("operation", ["report", "complete", "stop", "fail", "retry"])
def test_a_skipped_trial_stays_skipped(operation: str) -> None:
    ledger = ledger_on(InMemoryStorage(), trials=5)
    assert ledger.take() is not None
    ledger.complete(0, 0.5)
    ledger.end_search()
    assert ledger.requeue() == 0
    assert ledger.take() is None
    number = 4
    calls = {"report": (1, 0.5), "complete": (0.5,), "stop": (), "fail": ("reason",), "retry": ()}
    with pytest.raises(LedgerError, match="trial 4 of 'wine' must be running, it is skipped"):
        getattr(ledger, operation)(number, *calls[operation])
    assert ledger.entries()[number].state is State.SKIPPED


def test_opening_a_study_again_asks_for_nothing_twice() -> None:
    """OptunaSearch enqueues ``points_to_evaluate`` again whenever it is constructed."""
    storage = InMemoryStorage()
    points = [{"method": "none", "width": width} for width in range(1, 11)]

    def open_ledger() -> Ledger:
        return ledger_on(storage, trials=10, sampler="grid", points=points)

    seen = play(open_ledger, workers=3, chaos=random.Random(2), crash=0.2)  # noqa: S311
    assert [params for _, _, params, *_ in seen] == [{"lr": 1e-3, **point} for point in points]


def test_studies_that_share_a_storage_share_nothing_else() -> None:
    """OptunaSearch calls every study "optuna" and loads it where it exists."""
    storage = InMemoryStorage()
    wine, iris = (ledger_on(storage, name=name, trials=5) for name in ("wine", "iris"))
    take_all(wine)
    wine.complete(0, 0.5)
    assert [entry.number for entry in iris.entries()] == []
    assert take_all(iris) == [0, 1, 2, 3, 4]
    iris.fail(0, "reason")
    assert [entries[0].state for entries in (wine.entries(), iris.entries())] == [State.FINISHED, State.FAILED]
    assert read_entries(storage, "wine")[0].value == 0.5


def test_a_result_for_a_trial_that_has_failed_is_refused_aloud() -> None:
    """After ``resume_errored`` OptunaSearch keeps FAIL and ignores the new result without a word."""
    storage = InMemoryStorage()
    ledger = ledger_on(storage, trials=5)
    take_all(ledger)
    ledger.fail(0, "reason")
    ledger = ledger_on(storage, trials=5)
    assert ledger.requeue() == 4
    assert 0 not in take_all(ledger)
    with pytest.raises(LedgerError, match="trial 0 of 'wine' must be running, it is failed"):
        ledger.complete(0, 0.9)


# --- several objectives


def test_several_objectives_are_told_and_read_in_their_order(tmp_path: Path) -> None:
    storage = open_storage(f"sqlite:///{tmp_path}/study.db")
    ledger = ledger_on(storage, direction=("maximize", "minimize"), trials=5)
    take_all(ledger)
    assert not ledger.report(0, 1, 0.1)
    ledger.complete(0, 0.5, 7.0)
    for values in ((0.5,), (0.5, 1.0, 2.0)):
        with pytest.raises(ValueError, match=rf"trial 1 of 'wine' has 2 values, got {len(values)}"):
            ledger.complete(1, *values)
    with pytest.raises(ValueError, match="must be finite, got nan"):
        ledger.complete(1, 0.5, math.nan)
    with pytest.raises(LedgerError, match="trial 1 of 'wine' has several objectives: such a trial is never stopped"):
        ledger.stop(1)
    ledger.fail(1, "reason")
    first, second, *_ = read_entries(storage, "wine")
    assert (first.values, first.value, first.reports) == ((0.5, 7.0), 0.5, {1: 0.1})
    assert (second.values, second.value) == ((), None)
    assert [direction.name for direction in storage.get_study_directions(1)] == ["MAXIMIZE", "MINIMIZE"]


def test_a_study_keeps_its_objectives() -> None:
    storage = InMemoryStorage()
    ledger_on(storage, direction=("maximize", "minimize"))
    with pytest.raises(LedgerError, match=r"was begun with direction=\['maximize', 'minimize'\], now 'maximize'"):
        ledger_on(storage)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_value_is_finite(value: float) -> None:
    ledger = ledger_on(InMemoryStorage())
    ledger.take()
    with pytest.raises(ValueError, match=r"the value of trial 0 of 'wine' must be finite, got"):
        ledger.complete(0, value)
    assert ledger.entries()[0].state is State.RUNNING


def test_what_ended_is_told_with_its_reports(tmp_path: Path) -> None:
    storage = open_storage(f"sqlite:///{tmp_path}/study.db")
    ledger = ledger_on(storage, trials=5)
    take_all(ledger)
    ledger.report(0, 1, 0.1)
    ledger.report(0, 2, math.nan)
    ledger.report(0, 3, math.inf)
    ledger.complete(0, 0.4)
    ledger.report(1, 1, 0.2)
    ledger.stop(1)
    ledger.fail(2, "a\ntraceback")
    first, second, third, *running = read_entries(storage, "wine")
    assert (first.state, first.value) == (State.FINISHED, 0.4)
    assert str(first.reports) == str({1: 0.1, 2: math.nan, 3: math.inf})
    assert (second.state, second.value, second.reports) == (State.STOPPED, None, {1: 0.2})
    assert (third.state, third.value, third.attrs["reason"]) == (State.FAILED, None, "a\ntraceback")
    assert [entry.state for entry in running] == [State.RUNNING] * 2


def test_requeue_hands_out_again_what_a_dead_process_left(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/study.db"
    dead = ledger_on(open_storage(url), trials=5)
    for _ in range(3):
        dead.take()
    dead.complete(1, 0.5)

    ledger = ledger_on(open_storage(url), trials=5)
    assert ledger.requeue() == 2
    assert [entry.attrs.get("requeued") for entry in ledger.entries()] == [1, None, 1, None, None]
    assert take_all(ledger) == [0, 2, 3, 4]
    assert ledger_on(open_storage(url), trials=5).requeue() == 4


def test_a_second_process_is_noticed(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/study.db"
    one = ledger_on(open_storage(url))
    one.take()
    one.retry(0)
    other = ledger_on(open_storage(url))
    assert one.take() is not None
    with pytest.raises(LedgerError, match="trial 0 of 'wine' is run by another process"):
        other.take()


# --- refusals


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seed": 2}, "was begun with seed=1, now 2"),
        ({"batch": 6}, "was begun with batch=5, now 6"),
        ({"direction": "minimize"}, "was begun with direction='maximize', now 'minimize'"),
        ({"sampler": "random", "pruner": "median"}, "sampler=.*; pruner="),
    ],
)
def test_a_study_goes_on_with_the_settings_it_began_with(change: dict[str, Any], message: str) -> None:
    storage = InMemoryStorage()
    ledger_on(storage)
    with pytest.raises(LedgerError, match=message):
        ledger_on(storage, **change)
    ledger_on(storage, trials=99)


def test_a_study_that_no_ledger_wrote_is_refused() -> None:
    storage = InMemoryStorage()
    ledger_on(storage)
    storage.create_new_trial(0, create_trial(state=TrialState.COMPLETE, value=1.0))
    with pytest.raises(LedgerError, match="holds trial 0, which no ledger wrote"):
        ledger_on(storage)


def test_reading_an_unknown_study_is_refused() -> None:
    with pytest.raises(LedgerError, match="holds no study 'wine'"):
        read_entries(InMemoryStorage(), "wine")


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"direction": "up"}, ValueError, "direction must be one of minimize, maximize, got 'up'"),
        ({"seed": -1}, ValueError, "seed >= 0 must hold, got -1"),
        ({"trials": 0}, ValueError, "trials >= 1 must hold, got 0"),
        ({"batch": 0}, ValueError, "batch >= 1 must hold, got 0"),
        ({"sampler_options": {"n_start": 3}}, OptionError, "did you mean 'n_startup_trials'"),
        ({"pruner": "hyperbrand"}, OptionError, "unknown pruner 'hyperbrand'"),
        ({"direction": ()}, ValueError, "direction must be one of minimize, maximize, got 'none'"),
        ({"direction": ("maximize", "down")}, ValueError, "direction must be one of minimize, maximize, got 'down'"),
        (
            {"direction": ("maximize", "minimize"), "pruner": "median"},
            ValueError,
            "a pruner needs one objective, got 'median' with 2: name 'none'",
        ),
    ],
)
def test_arguments_are_checked_before_anything_is_written(
    change: dict[str, Any], error: type[Exception], message: str
) -> None:
    storage = InMemoryStorage()
    with pytest.raises(error, match=message):
        ledger_on(storage, **change)
    assert storage.get_all_studies() == []


def test_unknown_numbers_and_negative_steps_are_refused() -> None:
    ledger = ledger_on(InMemoryStorage())
    ledger.take()
    with pytest.raises(LedgerError, match="study 'wine' has 5 trials, none with number 7"):
        ledger.stop(7)
    with pytest.raises(ValueError, match="step >= 0 must hold, got -1 from trial 0 of 'wine'"):
        ledger.report(0, -1, 0.5)


# --- cost


def test_a_trial_costs_the_driver_little() -> None:
    def simple(trial: Any) -> dict[str, Any]:
        return {"x": trial.suggest_float("x", 0, 1), "y": trial.suggest_float("y", 0, 1)}

    ledger = Ledger(
        InMemoryStorage(), "wine", suggest=simple, direction="maximize", sampler="random", pruner="median",
        seed=0, trials=400, batch=20,
    )  # fmt: skip
    begin = time.perf_counter()
    while ticket := ledger.take():
        for step in range(1, 5):
            ledger.report(ticket.number, step, curve(dict(ticket.params), step))
        ledger.complete(ticket.number, ticket.params["x"])
    assert (time.perf_counter() - begin) / 400 < 0.02
