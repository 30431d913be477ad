"""Offline tracking: complete, idempotent, restartable after a kill, silent, and away from the home directory."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import wandb.util

from dst.errors import InputError
from studies.report.tables import BEST_COLUMNS
from studies.store.archive import StudyArchive
from studies.store.folder import StudyFolder
from studies.store.record import iter_records, read_record, read_test, write_record, write_test
from studies.tracking.runs import run_id, trial_run
from studies.tracking.wandb import TrackingError, track

# argv: folder, tables (JSON), and whether to kill W&B's own process after three runs.
SCRIPT = """
import json, sys
from pathlib import Path
import psutil
from studies.store.archive import StudyArchive
from studies.store.folder import StudyFolder
from studies.tracking import wandb as tracking

folder, tables, kill = StudyFolder(Path(sys.argv[1])), json.loads(sys.argv[2]), sys.argv[3] == "kill"
write_text = tracking.write_text
def write_and_kill(path, text):
    write_text(path, text)
    if kill and len(json.loads(text)) == 3:
        for child in psutil.Process().children():
            child.kill()
            child.wait()
tracking.write_text = write_and_kill
try:
    tracking.track(StudyArchive(folder), study_name="three", project="p", **tables)
except tracking.TrackingError as error:
    sys.exit(f"TrackingError: {error}")
"""


@pytest.fixture
def copy(make_study: Callable, tmp_path: Path):
    """A study of one dataset, to be changed and tracked."""
    return make_study(tmp_path / "one", tables=["yale"])


def send(study, **options: Any) -> int:
    tables = {"best": study.best, "best_by_method": study.best_by_method}
    return track(StudyArchive(study.folder), **({"study_name": "three", "project": "p"} | tables | options))


def start(study, kill: str = "") -> subprocess.Popen[str]:
    """Track in a process of its own, which shares nothing of W&B with this one."""
    tables = json.dumps({"best": study.best, "best_by_method": study.best_by_method})
    home = study.folder.path.parent / "home"
    home.mkdir()
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("WANDB_", "XDG_"))}
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(study.folder.path), tables, kill],
        env=kept | {"HOME": str(home), "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        cwd=home,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def local_runs(folder: StudyFolder) -> dict[str, Path]:
    """The run folders by run id; fails if one id has two."""
    runs = {path.name.split("-", 3)[3]: path for path in folder.wandb.glob("offline-run-*")}
    assert len(runs) == len(list(folder.wandb.glob("*run-*")))
    return runs


def contents(path: Path) -> list[dict[str, Any]]:
    """Every entry of a run's file, read by W&B's own reader."""
    (file,) = path.glob("run-*.wandb")
    command = [wandb.util.get_core_path(), "leet", "inspect", "--no-observability", "--json", "--run-file", file, path]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    return [json.loads(line) for line in lines]


def assert_holds(path: Path, record: dict[str, Any], test: dict[str, Any] | None) -> None:
    """The run on disk is what the record says, ended, and each step once."""
    expected = trial_run("three", record, test)
    entries = contents(path)
    run = next(entry["run"] for entry in entries if entry["type"] == "run")
    assert (run["run_id"], run["display_name"], run["project"]) == (expected.id, expected.name, "p")
    assert (run["run_group"], run["job_type"], run["tags"]) == (expected.group, expected.job_type, list(expected.tags))
    config = run["config"]["update"]
    assert {key: config.get(key) for key in expected.config} == expected.config
    steps = [entry["history"]["item"] for entry in entries if entry["type"] == "history"]
    logged = {item["_step"]: {key: item[key] for key in item if not key.startswith("_")} for item in steps}
    assert len(logged) == len(steps)
    assert logged == expected.history
    summary: dict[str, Any] = {}
    for entry in entries:
        if entry["type"] == "summary":
            summary |= entry["summary"]["update"]
    assert {key: summary[key] for key in expected.summary} == expected.summary
    assert entries[-1]["type"] == "exit"
    assert entries[-1]["exit"].get("exit_code", 0) == int(expected.failed)


def test_every_trial_becomes_a_run_once(copy) -> None:
    records = list(iter_records(copy.folder))
    assert send(copy) == len(records) + 1
    runs = local_runs(copy.folder)
    assert set(runs) == {run_id("three", r["dataset"], r["number"]) for r in records} | {run_id("three")}
    kinds = {(record["stage"], record["state"], record["method"]): record for record in records}
    assert len(kinds) >= 6
    for record in kinds.values():
        test = read_test(copy.folder, record["dataset"], record["number"])
        assert_holds(runs[run_id("three", record["dataset"], record["number"])], record, test)

    assert send(copy) == 0
    assert local_runs(copy.folder) == runs


def test_the_study_has_its_tables(copy) -> None:
    assert send(copy, runs="study") == 1
    (path,) = local_runs(copy.folder).values()
    for name, rows in (("best", copy.best), ("best_by_method", copy.best_by_method)):
        (file,) = (path / "files" / "media" / "table").glob(f"{name}_[0-9]*.table.json")
        table = json.loads(file.read_text())
        assert table["columns"] == list(BEST_COLUMNS)
        place = BEST_COLUMNS.index("test_mean")
        assert [row[place] for row in table["data"]] == [row["test_mean"] for row in rows]


@pytest.mark.slow
def test_what_changes_is_sent_again_and_replaces_itself(copy) -> None:
    send(copy)
    before = local_runs(copy.folder)
    dataset, number = copy.best[0]["dataset"], copy.best[0]["number"]
    record = read_record(copy.folder.record(dataset, number))
    write_record(copy.folder, record | {"val_score": 0.123})
    confirming = next(r for r in iter_records(copy.folder, "yale") if r["stage"] == "confirm")
    test = read_test(copy.folder, "yale", confirming["number"]) | {"importances": {"coefficient": {"test_accuracy": 1}}}
    write_test(copy.folder, test)
    copy.best[0] |= {"test_mean": 0.5}

    assert send(copy) == 3
    after = local_runs(copy.folder)
    changed = {run_id("three", dataset, number), run_id("three", "yale", confirming["number"]), run_id("three")}
    assert set(after) == set(before)
    assert {key for key in after if after[key] != before[key] or key in changed} == changed
    assert_holds(after[run_id("three", dataset, number)], record | {"val_score": 0.123}, None)
    assert_holds(after[run_id("three", "yale", confirming["number"])], confirming, test)

    assert send(copy, project="another") == len(before)
    assert send(copy, study_name="another") == len(before)
    assert len(local_runs(copy.folder)) == 2 * len(before)


@pytest.mark.slow
def test_a_kill_in_the_middle_loses_and_doubles_nothing(copy) -> None:
    records = {run_id("three", r["dataset"], r["number"]): r for r in iter_records(copy.folder)}
    notes = copy.folder.wandb / "sent.json"
    child = start(copy)
    deadline = time.monotonic() + 60
    while len(json.loads(notes.read_text()) if notes.exists() else {}) < 5:
        assert child.poll() is None, "it ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.001)
    child.send_signal(signal.SIGKILL)
    child.communicate()
    assert child.returncode == -signal.SIGKILL
    sent = json.loads(notes.read_text())
    assert 5 <= len(sent) < len(records)
    # What the kill left: a run begun and not noted. Usually there is one already; make sure.
    begun = next(key for key in records if key not in sent)
    left = copy.folder.wandb / f"offline-run-20260101_000000-{begun}"
    left.mkdir()
    (left / f"run-{begun}.wandb").write_bytes(b":W&B half")

    assert send(copy) == len(records) + 1 - len(sent)
    runs = local_runs(copy.folder)
    assert set(runs) == {*records, run_id("three")}
    assert not left.exists()
    for key in [begun, *list(sent)[:2]]:
        record = records[key]
        assert_holds(runs[key], record, read_test(copy.folder, record["dataset"], record["number"]))


@pytest.mark.slow
def test_a_failure_of_wandb_is_one_line_and_costs_only_what_was_not_sent(copy) -> None:
    child = start(copy, "kill")
    errors = child.communicate()[1]
    assert child.returncode == 1
    last = [line for line in errors.splitlines() if line.startswith("TrackingError: ")]
    assert len(last) == 1
    assert last[0].startswith("TrackingError: W&B: ")
    assert send(copy) == len(list(iter_records(copy.folder))) + 1 - 3
    assert local_runs(copy.folder)


@pytest.mark.slow
def test_offline_needs_no_home_no_terminal_and_says_nothing(copy) -> None:
    child = start(copy)
    assert child.communicate() == ("", "")
    assert child.returncode == 0
    assert list((copy.folder.path.parent / "home").rglob("*")) == []
    assert len(local_runs(copy.folder)) == len(list(iter_records(copy.folder))) + 1


def test_the_environment_is_left_as_it_was(copy) -> None:
    before = dict(os.environ)
    send(copy, runs="study")
    added = {name for name in os.environ if os.environ[name] != before.get(name)}
    assert added <= {"WANDB_SERVICE"}  # W&B's own, which lets child processes share its server


@pytest.mark.parametrize(
    ("mode", "variable", "sent"),
    [
        ("disabled", None, 0),
        ("disabled", "online", 0),
        ("offline", "disabled", 0),
        ("offline", "online", 1),
        ("offline", "dryrun", 1),
        ("offline", "", 1),
        ("online", "offline", 1),
        ("online", "disabled", 0),
    ],
)
def test_the_environment_can_only_make_it_more_private(
    copy, monkeypatch: pytest.MonkeyPatch, mode: str, variable: str | None, sent: int
) -> None:
    monkeypatch.delenv("WANDB_MODE", raising=False)
    if variable is not None:
        monkeypatch.setenv("WANDB_MODE", variable)
    assert send(copy, mode=mode, runs="study") == sent
    assert copy.folder.wandb.exists() == bool(sent)
    assert len(local_runs(copy.folder)) == sent


def test_wrong_words_are_refused_before_anything_is_done(copy) -> None:
    with pytest.raises(InputError, match="unknown W&B mode 'of-line': did you mean 'offline'"):
        send(copy, mode="of-line")
    with pytest.raises(InputError, match="unknown choice of W&B runs 'trial': did you mean 'trials'"):
        send(copy, runs="trial")
    assert not copy.folder.wandb.exists()


def test_two_at_once_and_damaged_notes_are_named(copy) -> None:
    send(copy, runs="study")
    with (copy.folder.wandb / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(TrackingError, match=r"another process is sending this study to W&B: .*lock is locked"):
            send(copy, runs="study")
    notes = copy.folder.wandb / "sent.json"
    notes.write_text('{"half')
    with pytest.raises(TrackingError, match=r"sent\.json is damaged .*: delete it to send all runs again"):
        send(copy, runs="study")
    notes.unlink()
    assert send(copy, runs="study") == 1
    assert len(local_runs(copy.folder)) == 1


def test_a_project_that_wandb_refuses_is_refused_before_anything_is_written(copy) -> None:
    for options in ({"project": "team/churn"}, {"project": "x" * 129}, {"entity": "a?b"}):
        with pytest.raises(InputError, match=r"1 to 128 characters.*--project NAME"):
            send(copy, **options)
    assert not copy.folder.wandb.exists()
