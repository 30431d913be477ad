"""One study, whatever the number of workers, the order in which trials end, and however often it is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

import studies.run
from studies.run import StudyResult, run_study
from studies.spec.study import StudySpec
from studies.store.folder import StudyFolder
from studies.store.record import iter_records, read_scores
from tests.support import study_work
from tests.support.soundness import default_signals
from tests.support.two_tables import spec_of, without_measurements

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


@pytest.mark.slow
def test_several_workers_with_random_delays(data, undisturbed, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv(study_work.DELAY, "0.3")
    monkeypatch.setattr(studies.run, "run_job", study_work.late)
    check_equal(run_study(study(data), out=tmp_path / "out", workers=3), undisturbed)


SCRIPT = """
import pathlib, sys
import studies.run
from studies.spec.loading import load_spec
from tests.support.study_work import late
from studies.spec.loading import load_spec
from tests.support.study_work import late
if __name__ == "__main__":
    studies.run.run_job = late
    studies.run.run_study(load_spec(sys.argv[1]), out=pathlib.Path(sys.argv[2]), workers=int(sys.argv[3]))
"""


def kill_after(records: int, command: list[str], out: Path, environment: dict[str, str]) -> None:
    """Start a run and kill its driver as soon as there are so many records."""
    with subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL, preexec_fn=default_signals) as process:
        deadline = time.monotonic() + 200
        while len(list(out.glob("records/*/[0-9]*.json"))) < records and process.poll() is None:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL


@pytest.mark.slow
def test_a_driver_that_is_killed_and_other_numbers_of_workers(data, undisturbed, tmp_path, monkeypatch) -> None:
    """Four workers with random delays, SIGKILL in the search; two, SIGKILL while it confirms; then one to the end."""
    path, out = tmp_path / "spec.yaml", tmp_path / "out"
    path.write_text(yaml.safe_dump(study(data).model_dump(mode="json")))
    environment: dict[str, Any] = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), study_work.DELAY: "0.3"}
    for records, workers in ((9, 4), (28, 2)):
        kill_after(records, [sys.executable, "-c", SCRIPT, str(path), str(out), str(workers)], out, environment)
    monkeypatch.setenv(study_work.DELAY, "0.1")
    monkeypatch.setattr(studies.run, "run_job", study_work.late)
    check_equal(run_study(study(data), out=out, workers=1), undisturbed)
