"""One study, whatever the number of workers, the order in which trials end, and however often it is killed."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import psutil
import pytest
import yaml

from studies.run import StudyResult, run_study
from studies.spec.study import StudySpec
from studies.store.folder import StudyFolder
from studies.store.record import iter_records, read_scores
from tests.support import study_work
from tests.support.command import call
from tests.support.soundness import default_signals, n_records, wait_until
from tests.support.two_tables import digests, spec_of, without_measurements

SEARCH = {"sampler": {"name": "tpe", "n_startup_trials": 4}, "trials": 12, "batch": 4}
PRUNER = {"pruner": {"name": "median", "n_startup_trials": 2}}
SPACE = {"lr": {"low": 1e-4, "high": 3e-2, "log": True, "when": {"method": ["set"]}}}


def study(tmp_path: Path) -> StudySpec:
    training = {"epochs": 25, "patience": 25, "hidden": [20, 10], "engine": "auto"}
    methods = ["set", "l1_logistic"]
    return spec_of(tmp_path, methods=methods, space=SPACE, search={**SEARCH, **PRUNER}, training=training)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="module")
def undisturbed(data: Path, tmp_path_factory: pytest.TempPathFactory) -> StudyResult:
    """The study in one process, one trial after the other."""
    result = run_study(study(data), out=tmp_path_factory.mktemp("undisturbed") / "out", in_process=True)
    assert set(result.trials["state"]) == {"finished", "stopped"}, "the pruner must have something to decide"
    return result


def check_equal(result: StudyResult, undisturbed: StudyResult) -> None:
    """Configurations, seeds, states, reports, metrics and feature scores bit by bit; so are the winners."""
    assert without_measurements(result.folder) == without_measurements(undisturbed.folder)
    for record in iter_records(StudyFolder(result.folder)):
        if record["state"] == "finished":
            place = record["dataset"], record["number"]
            mine, theirs = (read_scores(StudyFolder(one.folder), *place) for one in (result, undisturbed))
            assert {name: one.tolist() for name, one in mine.items()} == {k: one.tolist() for k, one in theirs.items()}
    assert result.rows == undisturbed.rows
    assert (result.folder / "best.csv").read_text() == (undisturbed.folder / "best.csv").read_text()


# --- runs that end before the study does

SCRIPT = """
import studies.run
from studies.cli.main import main
from tests.support.study_work import late
if __name__ == "__main__":
    studies.run.run_job = late
    main()
"""
"""``dst`` whose workers are late."""

BLOWS = [(3, 3, signal.SIGKILL), (1, 10, signal.SIGINT), (2, 18, signal.SIGKILL), (1, 28, signal.SIGTERM)]
"""Runs one after the other: workers, the number of records after which the run is ended, and how.

What is killed comes early: what a killed driver leaves takes a minute to end, while the others run.
"""

AGENTS = {"ray::DashboardAgent", "ray::RuntimeEnvAgent"}
"""Processes of Ray that look for the head for a minute before they end themselves."""


def start(command: list[str], environment: dict[str, str], said: Path) -> subprocess.Popen[bytes]:
    """Start a run that writes to a file: what a killed driver has started would hold a pipe open."""
    with said.open("wb") as file:
        return subprocess.Popen(command, env=environment, stdout=file, stderr=file, preexec_fn=default_signals)


def names_of(processes: list[psutil.Process]) -> set[str]:
    found = set()
    for process in processes:
        with contextlib.suppress(psutil.Error):
            if process.status() != psutil.STATUS_ZOMBIE:
                found.add(process.name())
    return found


@pytest.mark.slow
def test_whatever_ends_its_runs_a_study_is_the_undisturbed_one(
    data: Path,
    undisturbed: StudyResult,
    tmp_path: Path,
    scratch: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Killed, interrupted, killed and terminated, by other numbers of workers with delays; to the end, and once more.

    What is acknowledged never changes, and what a killed driver has started ends by itself.
    """
    path, out, said = tmp_path / "spec.yaml", tmp_path / "out", tmp_path / "said"
    path.write_text(yaml.safe_dump(study(data).model_dump(mode="json")))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "HOME": "/nonexistent"}
    environment |= {study_work.DELAY: "0.1", "TMPDIR": str(scratch), "MPLCONFIGDIR": str(tmp_path)}
    command = [sys.executable, "-c", SCRIPT, "run", str(path), "--out", str(out), "--workers"]
    started: list[psutil.Process] = []
    for workers, records, blow in BLOWS:
        before = digests(out)
        process = start([*command, str(workers)], environment, said)
        wait_until(lambda records=records: n_records(out) >= records, process)
        if blow == signal.SIGKILL:
            started += psutil.Process(process.pid).children(recursive=True)
            assert "raylet" in names_of(started)
        process.send_signal(blow)
        process.wait(timeout=30)
        assert process.returncode == (-signal.SIGKILL if blow == signal.SIGKILL else 130), said.read_text()
        told = "interrupted; the same command goes on from here"
        assert blow == signal.SIGKILL or said.read_text().splitlines()[-1] == told
        after = digests(out)
        assert {name: after[name] for name in before} == before
        if blow == signal.SIGKILL:
            wait_until(lambda left=started: names_of(left) <= AGENTS, seconds=20)
            assert len(list(scratch.glob("ray-*"))) == 1
    before = digests(out)
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    status, printed, errors = call(capsys, "run", path, "--out", out, "--workers", "1")
    assert status == 0, errors
    assert "test accuracy" in printed
    after = digests(out)
    assert {name: after[name] for name in before} == before
    result = run_study(study(data), out=out)
    assert not result.ran
    check_equal(result, undisturbed)
    status, printed, _ = call(capsys, "best", out, "--json")
    assert status == 0
    assert json.loads(printed)["best"] == json.loads(json.dumps(undisturbed.rows))
    status, _, errors = call(capsys, "run", path, "--out", out)
    assert (status, "Nothing to do: the study is finished." in errors) == (0, True)
    assert digests(out) == after
    _, alive = psutil.wait_procs(started, timeout=150)
    assert names_of(alive) == set()
    assert list(scratch.glob("ray-*")) == [], "the next run that starts Ray removes what killed ones have left"
