"""A study whose storage is a PostgreSQL server: restarted on the way, and its password written nowhere.

What trials compute is simulated, and the same in all three: the undisturbed study is one.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import studies.run
from studies.report.status import study_status
from studies.run import StudyResult, run_study
from studies.spec.loading import load_spec
from studies.spec.tracking import TrackingSpec
from studies.store.record import write_record
from tests.support import simulated_jobs
from tests.support.postgres import PostgresServer, running_postgres
from tests.support.soundness import (
    assert_study_sound,
    dst,
    n_records,
    small_spec,
    start_dst,
    wait_until,
)

AWAY = 8.0
"""Seconds without a server: longer than a trial may take."""


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with running_postgres() as server:
        yield server


@pytest.fixture(scope="module")
def spec_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_spec(tmp_path_factory.mktemp("spec"), resources={"trial_seconds": AWAY - 2.0})


@pytest.fixture(scope="module")
def reference(spec_path: Path, tmp_path_factory: pytest.TempPathFactory) -> StudyResult:
    """The undisturbed study, in this process and in a file."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(studies.run, "run_job", simulated_jobs.simulated)
        return run_study(load_spec(spec_path), out=tmp_path_factory.mktemp("reference") / "out", in_process=True)


@pytest.fixture
def simulated(monkeypatch: pytest.MonkeyPatch) -> None:
    """What trials of studies in this process compute is simulated."""
    monkeypatch.setattr(studies.run, "run_job", simulated_jobs.simulated)


@pytest.mark.slow
@pytest.mark.usefixtures("simulated")
def test_a_study_outlives_restarts_of_its_server_and_keeps_its_password_to_itself(
    server: PostgresServer,
    spec_path: Path,
    reference: StudyResult,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    written = []

    def restarting(*arguments: object) -> None:
        """The server falls between a record and its tell, three times."""
        write_record(*arguments)  # type: ignore[arg-type]
        written.append(arguments)
        if len(written) in (5, 14, 20):
            server.stop()
            threading.Timer(0.4, server.start).start()

    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr("studies.plan.running.write_record", restarting)
    offline = TrackingSpec.model_validate({"wandb": {"mode": "offline"}})
    spec = load_spec(spec_path).model_copy(update={"storage": server.url(), "tracking": offline})
    out = tmp_path / "out"
    result = run_study(spec, out=out, in_process=True)
    assert caplog.text.count("trying again") >= 3
    assert result.rows == reference.rows

    secret = server.password.encode()
    found = [str(path) for path in out.rglob("*") if path.is_file() and secret in path.read_bytes()]
    assert found == []
    assert server.password not in caplog.text + repr(result)

    monkeypatch.setenv("PGPASSWORD", server.password)
    assert_study_sound(out, reference.folder)
    assert study_status(out)["datasets"]["a"]["running"] == 0
    assert not run_study(load_spec(out / "study.yaml"), out=out, in_process=True).ran

    monkeypatch.delenv("PGPASSWORD")
    monkeypatch.setenv("PGPASSFILE", "/nonexistent")
    status, printed, errors = dst("status", out)
    assert (status, printed) == (2, "")
    assert len(errors.splitlines()) == 1
    assert "no password supplied" in errors


@pytest.mark.slow
def test_workers_wait_for_a_server_that_is_away_for_longer_than_a_trial_may_take(
    server: PostgresServer, spec_path: Path, reference: StudyResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    monkeypatch.setenv("PGPASSWORD", server.password)
    monkeypatch.setenv(simulated_jobs.PAUSE, "0.3")
    url = server.url(password=False)
    arguments = ("run", spec_path, "--out", out, "--workers", "2", "--set", f"storage={url}")
    process = start_dst(*arguments, simulated=True)
    wait_until(lambda: n_records(out) >= 4, process)
    server.stop()
    time.sleep(AWAY)
    server.start()
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    assert "trying again" in errors
    assert_study_sound(out, reference.folder)


@pytest.mark.slow
@pytest.mark.usefixtures("simulated")
def test_a_server_that_does_not_come_back_ends_the_study_and_the_same_call_goes_on(
    server: PostgresServer, spec_path: Path, reference: StudyResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from cluster.ledger.storage.patient import Patience, StorageFailedError

    monkeypatch.setattr("studies.run.open_storage", lambda url: _open(url, patience=Patience(0.5)))
    written = []

    def stopping(*arguments: object) -> None:
        write_record(*arguments)  # type: ignore[arg-type]
        written.append(arguments)
        if len(written) == 7:
            server.stop()

    spec = load_spec(spec_path).model_copy(update={"storage": server.url()})
    out = tmp_path / "out"
    with monkeypatch.context() as patch:
        patch.setattr("studies.plan.running.write_record", stopping)
        with pytest.raises(StorageFailedError, match="given up after"):
            run_study(spec, out=out, in_process=True)
    server.start()
    assert run_study(spec, out=out, in_process=True).rows == reference.rows
    monkeypatch.setenv("PGPASSWORD", server.password)
    assert_study_sound(out, reference.folder)


def _open(*arguments: object, **options: object):  # type: ignore[no-untyped-def]
    from cluster.ledger.storage.connect import open_storage

    return open_storage(*arguments, **options)  # type: ignore[arg-type]
