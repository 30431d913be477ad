"""A PostgreSQL server as the storage: lost connections, lost answers, restarts; each trial exactly once."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from optuna.storages import InMemoryStorage
from optuna.study import StudyDirection
from optuna.trial import TrialState, create_trial

from cluster.interrupts import held_interrupts
from cluster.ledger.storage.connect import StorageError, open_storage
from cluster.ledger.storage.patient import Patience, PatientStorage, StorageFailedError
from tests.support.postgres import PostgresServer, Relay, free_port, running_postgres
from tests.support.simulated_search import ledger_on, play


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with running_postgres() as server:
        yield server


class Line:
    """A storage that is reached through a relay, which cuts nothing until it is told to."""

    def __init__(self, server: PostgresServer) -> None:
        self.cut: Callable[[int], str | None] = lambda commit: None
        self.relay = Relay(server.port, lambda commit: self.cut(commit))
        self.storage = open_storage(server.url(port=self.relay.port), patience=Patience(20.0))

    def cut_by(self, cut: Callable[[int], str | None]) -> tuple[PatientStorage, Relay]:
        """Cut commits from now on, counted from here; what the relay notes begins anew."""
        self.relay.commits, self.relay.cuts, self.cut = 0, [], cut
        return self.storage, self.relay


@pytest.fixture(scope="module")
def line(server: PostgresServer) -> Iterator[Line]:
    line = Line(server)
    yield line
    line.storage.engine.dispose()
    line.relay.close()


@pytest.fixture
def relayed(line: Line, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[PatientStorage, Relay]]:
    """The storage through a relay that cuts by what it is told; what fails is tried again soon."""
    monkeypatch.setattr("cluster.ledger.storage.patient._FIRST_PAUSE", 0.01)
    return line.cut_by


# --- each write, with its commit unheard and with its answer lost


def in_a_study(storage: PatientStorage, name: str) -> tuple[int, int]:
    """A study with one waiting trial."""
    study = storage.create_new_study([StudyDirection.MINIMIZE], name)
    return study, storage.create_new_trial(study, waiting(0))


def waiting(number: int) -> Any:
    return create_trial(state=TrialState.WAITING, user_attrs={"stage": "search", "position": number})


def run(storage: PatientStorage, trial: int) -> None:
    storage.set_trial_state_values(trial, TrialState.RUNNING)


WRITES: dict[str, tuple[bool, Callable[[PatientStorage, int, int], Any], Callable[[PatientStorage, int, int], Any]]] = {
    "a study": (
        False,
        lambda s, study, trial: s.create_new_study([StudyDirection.MINIMIZE], f"another-{study}"),
        lambda s, study, trial: s.get_study_id_from_name(f"another-{study}"),
    ),
    "its settings": (
        False,
        lambda s, study, trial: s.set_study_user_attr(study, "settings", {"seed": 3}),
        lambda s, study, trial: s.get_study_user_attrs(study) == {"settings": {"seed": 3}} or None,
    ),
    "a trial": (
        False,
        lambda s, study, trial: s.create_new_trial(study, waiting(1)),
        lambda s, study, trial: s.get_trial_id_from_study_id_trial_number(study, 1),
    ),
    "a batch": (
        False,
        lambda s, study, trial: s.create_waiting_trials(study, [waiting(1), waiting(2)]),
        lambda s, study, trial: [s.get_trial_id_from_study_id_trial_number(study, number) for number in (1, 2)],
    ),
    "its start": (
        False,
        lambda s, study, trial: s.set_trial_state_values(trial, TrialState.RUNNING),
        lambda s, study, trial: s.get_trial(trial).state == TrialState.RUNNING,
    ),
    "a report": (
        True,
        lambda s, study, trial: s.set_trial_intermediate_value(trial, 5, 0.25),
        lambda s, study, trial: s.get_trial(trial).intermediate_values == {5: 0.25} or None,
    ),
    "a reason": (
        True,
        lambda s, study, trial: s.set_trial_user_attr(trial, "reason", "none"),
        lambda s, study, trial: s.get_trial(trial).user_attrs["reason"] == "none" or None,
    ),
    "waiting again": (
        True,
        lambda s, study, trial: s.set_trial_state_values(trial, TrialState.WAITING),
        lambda s, study, trial: s.get_trial(trial).state == TrialState.WAITING,
    ),
    "its end": (
        True,
        lambda s, study, trial: s.set_trial_state_values(trial, TrialState.COMPLETE, [0.5]),
        lambda s, study, trial: s.get_trial(trial).state == TrialState.COMPLETE and s.get_trial(trial).value == 0.5,
    ),
    "its failure": (
        True,
        lambda s, study, trial: s.set_trial_state_values(trial, TrialState.FAIL),
        lambda s, study, trial: s.get_trial(trial).state == TrialState.FAIL,
    ),
}


# once a commit has been heard it is not sent again, so no answer is lost twice
@pytest.mark.parametrize(("cut", "times"), [("unheard", 1), ("unheard", 3), ("unanswered", 1)])
@pytest.mark.parametrize("write", WRITES)
def test_a_write_whose_connection_breaks_is_done_once(
    relayed: Callable[..., tuple[PatientStorage, Relay]], write: str, cut: str, times: int
) -> None:
    cuts = [0]

    def next_cut(commit: int) -> str | None:
        cuts[0] -= 1
        return cut if cuts[0] >= 0 else None

    storage, relay = relayed(next_cut)
    study, trial = in_a_study(storage, f"{write}/{cut}/{times}")
    running, act, seen = WRITES[write]
    if running:
        run(storage, trial)
    before = len(storage.get_all_trials(study))
    cuts[0] = times
    returned = act(storage, study, trial)
    assert relay.cuts == [cut] * times
    assert returned in (None, seen(storage, study, trial))
    assert seen(storage, study, trial)
    trials = storage.get_all_trials(study)
    assert len(trials) == before + {"a trial": 1, "a batch": 2}.get(write, 0)
    assert [one.number for one in trials] == list(range(len(trials)))


def test_a_search_over_a_bad_line_is_the_undisturbed_search(
    relayed: Callable[..., tuple[PatientStorage, Relay]],
) -> None:
    chaos = random.Random(4)  # noqa: S311
    storage, relay = relayed(lambda commit: chaos.choice(["unheard", "unanswered"]) if chaos.random() < 0.1 else None)
    expected_storage = InMemoryStorage()
    expected = play(lambda: ledger_on(expected_storage, trials=15))
    assert play(lambda: ledger_on(storage, name="line", stream="wine", trials=15), workers=3, chaos=chaos) == expected
    assert {"unheard", "unanswered"} == set(relay.cuts)
    assert len(relay.cuts) >= 5


def test_a_trial_that_another_process_added_meanwhile_is_noticed(
    server: PostgresServer, relayed: Callable[..., tuple[PatientStorage, Relay]]
) -> None:
    cuts: list[str] = []
    storage, _ = relayed(lambda commit: cuts.pop() if cuts else None)
    study, _ = in_a_study(storage, "shared")
    other = open_storage(server.url())
    other.create_new_trial(study, waiting(7))
    other.engine.dispose()
    cuts.append("unheard")
    with pytest.raises(StorageFailedError, match="added by another process"):
        storage.create_new_trial(study, waiting(1))


# --- the server goes away


@pytest.mark.slow
def test_a_restarted_server_is_waited_for(server: PostgresServer, caplog: pytest.LogCaptureFixture) -> None:
    storage = open_storage(server.url())
    ledger = ledger_on(storage, name="restart", stream="wine", trials=10)
    ticket = ledger.take()
    assert ticket is not None
    server.stop()
    threading.Timer(1.5, server.start).start()
    begin = time.monotonic()
    ledger.complete(ticket.number, 0.5)
    assert 1.0 < time.monotonic() - begin < 10
    assert [record.levelname for record in caplog.records] == ["WARNING"] * 2
    assert "trying again for up to 300 s" in caplog.text
    assert server.password not in caplog.text
    assert [entry.value for entry in ledger.entries()][ticket.number] == 0.5
    storage.engine.dispose()


def test_a_server_that_stays_away_is_given_up_and_an_interrupt_does_not_wait(server: PostgresServer) -> None:
    storage = open_storage(server.url(), patience=Patience(1.0))
    study, trial = in_a_study(storage, "away")
    server.stop()
    try:
        with pytest.raises(StorageFailedError, match=r"given up after 1 s$") as caught:
            run(storage, trial)
        assert "\n" not in str(caught.value)
        assert server.password not in str(caught.value)
        patient = PatientStorage.__new__(PatientStorage)
        patient.__dict__.update(storage.__dict__, _patience=Patience(60.0))
        begin = time.monotonic()
        threading.Timer(0.5, os.kill, [os.getpid(), signal.SIGTERM]).start()
        with held_interrupts(), pytest.raises(KeyboardInterrupt):
            run(patient, trial)
        assert time.monotonic() - begin < 3
    finally:
        server.start()
    assert storage.get_trial(trial).state == TrialState.WAITING
    assert len(storage.get_all_trials(study)) == 1
    storage.engine.dispose()


# --- opening


def test_what_cannot_be_opened_is_said_in_one_line_without_the_password(
    server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PGPASSWORD", raising=False)
    monkeypatch.setenv("PGPASSFILE", "/nonexistent")
    wrong = server.url().replace(server.password, "opensesame")
    nowhere = server.url(port=free_port())
    for url, says in (
        (wrong, "password authentication failed"),
        (server.url(password=False), "no password supplied"),
        (nowhere, "refused"),
    ):
        with pytest.raises(StorageError, match=says) as caught:
            open_storage(url)
        assert "\n" not in str(caught.value)
        assert "opensesame" not in str(caught.value)
        assert server.password not in str(caught.value)


def test_the_password_may_come_from_the_environment(server: PostgresServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGPASSWORD", server.password)
    storage = open_storage(server.url(password=False))
    assert ledger_on(storage, name="by-environment").take() is not None
    storage.engine.dispose()
