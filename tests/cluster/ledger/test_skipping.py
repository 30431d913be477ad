"""A search that ends early leaves nothing waiting, and goes on later as if it had not ended."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from optuna.storages import InMemoryStorage
from optuna.trial import TrialState

from cluster.ledger.durable import read_entries
from cluster.ledger.entries import LedgerError, State
from cluster.ledger.ledger import Ledger
from tests.support.simulated_search import curve, ledger_on, play, summary


def finish(ledger: Ledger, count: int) -> None:
    for _ in range(count):
        ticket = ledger.take()
        assert ticket is not None
        ledger.complete(ticket.number, curve(dict(ticket.params), 6))


def without_numbers(trials: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    return [trial[1:] for trial in trials if trial[1] is not State.SKIPPED]


@pytest.mark.parametrize("ended", [1, 4, 5, 8])
def test_a_search_that_was_ended_goes_on_as_if_it_had_not_been(ended: int) -> None:
    whole, storage = ledger_on(InMemoryStorage(), trials=12), InMemoryStorage()
    finish(whole, 12)
    ledger = ledger_on(storage, trials=12)
    finish(ledger, ended)
    ledger.end_search()
    assert ledger.search_done()
    assert ledger.take() is None
    assert ledger.counts() == Counter({State.FINISHED: ended, State.SKIPPED: -ended % 5})
    ledger.end_search()
    for reopened in (ledger_on(storage, trials=12), ledger_on(storage, trials=12)):
        assert not reopened.search_done()
    finish(reopened, 12 - ended)
    assert reopened.search_done()
    assert without_numbers(summary(reopened)) == without_numbers(summary(whole))
    assert reopened.counts() == ledger_on(storage, trials=12).counts()


def test_what_was_started_is_not_skipped() -> None:
    storage = InMemoryStorage()
    ledger = ledger_on(storage, trials=5)
    for _ in range(3):
        ledger.take()
    ledger.retry(0)  # its process died
    ledger.complete(1, 0.5)
    ledger.end_search()
    assert [entry.state for entry in ledger.entries()] == [
        State.WAITING, State.FINISHED, State.RUNNING, State.SKIPPED, State.SKIPPED,
    ]  # fmt: skip
    assert not ledger.search_done()
    ticket = ledger.take()
    assert ticket is not None
    assert ticket.number == 0
    ledger.fail(0, "reason")
    ledger.stop(2)
    assert ledger.search_done()
    assert ledger.take() is None


@pytest.mark.parametrize("operation", ["report", "complete", "stop", "fail", "retry"])
def test_a_skipped_trial_stays_so(operation: str) -> None:
    storage = InMemoryStorage()
    ledger = ledger_on(storage, trials=5)
    finish(ledger, 1)
    ledger.end_search()
    arguments = {"report": (4, 1, 0.5), "complete": (4, 0.5), "fail": (4, "reason")}.get(operation, (4,))
    with pytest.raises(LedgerError, match="trial 4 of 'wine' must be running, it is skipped"):
        getattr(ledger, operation)(*arguments)
    assert read_entries(storage, "wine")[4].state is State.SKIPPED
    trial = storage.get_all_trials(0)[4]
    assert trial.state == TrialState.FAIL
    assert trial.datetime_start is None


def test_stages_are_skipped_apart() -> None:
    ledger = ledger_on(InMemoryStorage(), trials=5)
    finish(ledger, 2)
    numbers = [ledger.add(0, "confirm", {"seed_index": index}) for index in range(2)]
    assert ledger.skip_waiting("confirm") == 2
    assert ledger.skip_waiting("confirm") == 0
    assert {entry.number for entry in ledger.entries() if entry.state is State.SKIPPED} == set(numbers)
    finish(ledger, 3)
    assert ledger.search_done()


def test_counts_are_those_of_the_entries() -> None:
    storage = InMemoryStorage()
    play(lambda: ledger_on(storage, pruner="median", pruner_options={"n_startup_trials": 3}))
    ledger = ledger_on(storage, trials=33, pruner="median", pruner_options={"n_startup_trials": 3})
    ledger.add(0, "confirm", {})
    for _ in range(2):
        ledger.take()
    ledger.end_search()
    for stage in (None, "search", "confirm"):
        states = [entry.state for entry in ledger.entries(stage)]
        assert {state: count for state, count in ledger.counts(stage).items() if count} == {
            state: states.count(state) for state in set(states)
        }
