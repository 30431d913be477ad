"""A trial whose process dies goes on from its checkpoint and ends bitwise as if nothing had happened."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

import dst.trial.run
import studies.run
import studies.store.checkpoints
from cluster.jobs import Output, Stopped
from dst.data import load_dataset
from dst.files.checkpoint import CheckpointError, State, save_state
from studies.report.status import study_status
from studies.run import run_study
from studies.spec.loading import parse_spec
from studies.spec.study import StudySpec
from studies.store.checkpoints import Checkpoint, Kept, kept_seconds, read_kept
from studies.store.folder import StudyFolder
from studies.store.record import iter_records, read_scores
from studies.worker.job import run_job
from tests.support import study_work
from tests.support.soundness import assert_study_sound
from tests.support.two_tables import document, table, without_measurements

MEASURED = ("seconds", "peak_rss_bytes", "resumption", "warm_up", "bytes")


@pytest.fixture
def at_every_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let trials write however long it takes them: those here take no longer than the writing."""
    monkeypatch.setattr(studies.store.checkpoints, "SHARE", float("inf"))


class DiedError(Exception):
    """What ends a worker here: its caller's last report."""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return load_dataset(str(table(tmp_path_factory.mktemp("data") / "t.csv", n=300)), target="label")


def payload(path: Path | None, **changes: Any) -> dict[str, Any]:
    """A trial of two inner splits with 45 epochs each, written down at every epoch."""
    settings = {"epochs": 45, "patience": 45, "hidden": [20, 10], "sparsity": 0.5, "dropout": 0.1, "batch_size": 32}
    trial = {"method": "rigl", "settings": settings, "seed": 7, "inner_splits": 2}
    checkpoint = None if path is None else {"path": str(path), "seconds": 0.0}
    given = {"kind": "trial", "trial": trial, "removal": None, "objective": {}, "on": "val_loss"}
    return {**given, "checkpoint": checkpoint, **changes}


def run(job: dict[str, Any], data: Any, until: tuple[int, ...] = ()) -> tuple[Output | None, list[tuple[int, float]]]:
    """Run a job; it dies after its report at the step of ``until``. Return what came out and its reports."""
    reports: list[tuple[int, float]] = []

    def report(step: int, value: float) -> None:
        reports.append((step, value))
        if step in until:
            raise DiedError

    try:
        return run_job(job, data, report), reports
    except DiedError:
        return None, reports


def result(output: Output) -> tuple[dict[str, Any], dict[str, list[float]]]:
    plain = {key: value for key, value in output.document.items() if key not in MEASURED}
    return plain, {name: array.tolist() for name, array in output.arrays.items()}


STEPS = [5, 10, 20, 40, 50, 55, 65, 85]


@pytest.fixture(scope="module")
def undisturbed(data: Any) -> tuple[Output, list[tuple[int, float]]]:
    """What comes out of the trial, and its reports, when nothing happens."""
    output, reports = run(payload(None), data)
    assert output is not None
    return output, reports


@pytest.mark.usefixtures("at_every_epoch")
@pytest.mark.parametrize("deaths", [[10], [40], [50], [85], [10, 20, 55]], ids=str)
def test_the_result_and_the_reports_are_those_of_an_undisturbed_trial(
    data: Any, undisturbed: Any, tmp_path: Path, deaths
) -> None:
    whole, expected = undisturbed
    assert [step for step, _ in expected] == STEPS
    job = payload(tmp_path / "3.npz")
    for death in deaths:
        broken, _ = run(job, data, until=(death,))
        assert broken is None
    resumed, reports = run(job, data)
    assert result(resumed) == result(whole)
    assert reports == expected, "who decides about the trial hears the same"
    place = resumed.document["resumption"]
    assert place["split"] * 45 + place["epoch"] == deaths[-1] - 1, "an epoch is written after its report"
    assert 0 < place["seconds"] < resumed.document["seconds"]["total"] + resumed.document["seconds"]["warm_up"] + 1
    assert place["problem"] is None
    assert whole.document["resumption"] is None


def test_a_trial_that_is_stopped_while_it_repeats_its_reports_is_stopped(data: Any, tmp_path: Path) -> None:
    job = payload(tmp_path / "3.npz")
    run(job, data, until=(40,))

    def stop(step: int, value: float) -> None:
        raise Stopped

    with pytest.raises(Stopped):
        run_job(job, data, stop)


def spoil(path: Path, how: str) -> None:
    whole = path.read_bytes()
    if how == "cut":
        path.write_bytes(whole[: len(whole) // 2])
    elif how == "flipped":
        path.write_bytes(whole[:200] + bytes(byte ^ 0xFF for byte in whole[200:400]) + whole[400:])
    elif how == "text":
        path.write_text("no archive")
    elif how == "empty":
        path.touch()
        path.write_bytes(b"")
    elif how == "folder":
        path.unlink()
        path.mkdir()
    elif how == "pickle":
        np.savez(path, a=np.array([{"an": "object"}], dtype=object))
    elif how == "other arrays":
        save_state(path, State({"a": np.zeros(3)}, {"epoch": 1}))
    else:
        kept = read_kept(path)
        assert kept is not None
        arrays = {name: array for name, array in kept.trial.arrays.items() if "model" not in name}
        broken = Kept(State(arrays, kept.trial.progress), kept.reports, kept.best, 0, 9, 1.0)
        Checkpoint(path, 0.0).offer(lambda: broken)


@pytest.mark.parametrize(
    "how", ["cut", "flipped", "text", "empty", "folder", "pickle", "other arrays", "without a model", "another trial's"]
)
def test_a_damaged_or_foreign_checkpoint_is_ignored_and_noted(
    data: Any, undisturbed: Any, tmp_path: Path, how: str
) -> None:
    path = tmp_path / "3.npz"
    foreign = how == "another trial's"
    trial = {**payload(path)["trial"], "seed": 8} if foreign else payload(path)["trial"]
    run(payload(path, trial=trial), data, until=(20,))
    assert kept_seconds(path) > 0
    if not foreign:
        spoil(path, how)
    again, reports = run(payload(path), data)
    whole, expected = undisturbed
    assert result(again) == result(whole)
    assert reports == expected
    assert again.document["resumption"].keys() == {"problem"}
    assert again.document["resumption"]["problem"]


def test_a_trial_that_fails_fails_in_the_same_way_after_a_checkpoint(data: Any, tmp_path: Path, monkeypatch) -> None:
    trial = {**payload(None)["trial"]}
    trial["settings"] = {**trial["settings"], "epochs": 6, "patience": 6}
    job = payload(tmp_path / "3.npz", trial=trial)
    run(job, data, until=(5,))

    def fail(*arguments: Any, **named: Any) -> None:
        raise ArithmeticError("no score")

    monkeypatch.setattr(dst.trial.run, "score_columns", fail)
    with pytest.raises(ArithmeticError, match="no score"):
        run_job(job, data, lambda step, value: None)


def test_short_trials_write_nothing_and_large_ones_write_seldom(tmp_path: Path) -> None:
    now = [0.0]
    written = []
    checkpoint = Checkpoint(tmp_path / "1.npz", every=30.0, clock=lambda: now[0])

    def kept() -> Kept:
        written.append(now[0])
        now[0] += 4.0  # what saving takes
        return Kept(State({}, {}), (), {}, 0, 1, now[0])

    while now[0] < 300:
        now[0] += 1.0
        checkpoint.offer(kept)
    assert written[0] == 30
    assert {after - before for before, after in itertools.pairwise(written)} == {84.0}


def test_a_folder_that_is_not_there_costs_the_checkpoint_and_nothing_else(
    data: Any, undisturbed: Any, tmp_path: Path
) -> None:
    output, _ = run(payload(tmp_path / "nowhere" / "3.npz"), data)
    assert result(output) == result(undisturbed[0])
    assert output.document["resumption"]["problem"].endswith("cannot be written (No such file or directory)")
    assert not (tmp_path / "nowhere").exists()


def test_reading_names_the_file(tmp_path: Path) -> None:
    assert read_kept(tmp_path / "missing.npz") is None
    assert kept_seconds(tmp_path / "missing.npz") == 0
    (tmp_path / "text.npz").write_text("no archive")
    with pytest.raises(CheckpointError, match=r"text\.npz: cannot be read as a checkpoint"):
        read_kept(tmp_path / "text.npz")
    assert kept_seconds(tmp_path / "text.npz") == 0


# --- whole studies with real deaths


def long_study(tmp_path: Path, **changes: Any) -> StudySpec:
    given = {
        "methods": ["set"],
        "datasets": [{"path": str(table(tmp_path / "a.csv", n=300)), "target": "label", "inner_splits": 1}],
        "training": {"epochs": 60, "patience": 60, "hidden": [20, 10]},
        "search": {"trials": 2, "batch": 2, "pruner": "none"},
        "confirm": {"top": 1, "seeds": 1},
        "resources": {"checkpoint_seconds": 0},
    }
    return parse_spec({**document(tmp_path), **given, **changes})


def same(one: Path, other: Path) -> None:
    assert without_measurements(one, "bytes") == without_measurements(other, "bytes")
    for record in iter_records(StudyFolder(one)):
        scores = (read_scores(StudyFolder(folder), "a", record["number"]) for folder in (one, other))
        mine, theirs = ({name: array.tolist() for name, array in each.items()} for each in scores)
        assert mine == theirs


@pytest.mark.slow
def test_a_worker_that_is_killed_costs_what_came_after_its_checkpoint(tmp_path: Path, monkeypatch) -> None:
    """The worker of each trial, one that searches and one that confirms, is killed once, with SIGKILL."""
    spec = long_study(tmp_path, search={"trials": 1, "batch": 1, "pruner": "none"})
    whole = run_study(spec, out=tmp_path / "whole", in_process=True)
    monkeypatch.setattr(studies.run, "run_job", study_work.mortal)
    result = run_study(spec, out=tmp_path / "out", workers=2)
    same(result.folder, whole.folder)
    assert_study_sound(result.folder)
    assert result.rows == whole.rows
    records = list(iter_records(StudyFolder(result.folder)))
    assert [record["stage"] for record in records] == ["search", "confirm"]
    for record in records:
        assert record["resumption"]["epoch"] >= 1
        assert record["seconds"]["repeated"] > 0
    assert not (result.folder / "checkpoints").exists()
    cost = study_status(result.folder)["cost"]
    assert cost["repeated"] == pytest.approx(sum(record["seconds"]["repeated"] for record in records))
    parts = [cost[kind] for kind in ("useful", "stopped", "failed", "repeated")]
    assert cost["core_seconds"] == pytest.approx(sum(parts))


SCRIPT = """
import sys, pathlib
from studies.run import run_study
from studies.spec.loading import load_spec
if __name__ == "__main__":
    run_study(load_spec(sys.argv[1]), out=pathlib.Path(sys.argv[2]), in_process=True)
"""


@pytest.mark.slow
def test_a_whole_run_that_is_killed_goes_on_within_its_trial(tmp_path: Path) -> None:
    """One process that does everything is killed within a trial, which then goes on from where it was."""
    spec = long_study(tmp_path, training={"epochs": 120, "patience": 120, "hidden": [20, 10]})
    whole = run_study(spec, out=tmp_path / "whole", in_process=True)
    (tmp_path / "spec.yaml").write_text(yaml.safe_dump(spec.model_dump(mode="json")))
    out = tmp_path / "out"
    checkpoint = out / "checkpoints" / "a" / "1.npz"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", SCRIPT, str(tmp_path / "spec.yaml"), str(out)]
    with subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + 120
        while not checkpoint.exists() and process.poll() is None:
            assert time.monotonic() < deadline
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
    kept = read_kept(checkpoint)
    assert kept is not None
    assert not (out / "records" / "a" / "1.json").exists()
    result = run_study(spec, out=out, in_process=True)
    same(out, whole.folder)
    assert result.rows == whole.rows
    record = json.loads((out / "records" / "a" / "1.json").read_text())
    assert record["resumption"] == {"split": kept.split, "epoch": kept.epoch, "seconds": kept.seconds, "problem": None}
