"""Online tracking with W&B's real client: what arrives, and what becomes of it when the server breaks."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from studies.spec.tracking import WandbSpec
from studies.store.archive import StudyArchive
from studies.store.folder import StudyFolder
from studies.store.record import read_record, write_record
from studies.tracking import server as wandb_side
from studies.tracking.destination import destination, wandb_environment
from studies.tracking.follow import SETTLED_SECONDS, Follower
from studies.tracking.runs import run_id
from studies.tracking.send import Sent, send_results
from studies.tracking.server import TrackingError
from tests.studies.tracking.conftest import all_runs, assert_server_has, content_of
from tests.support.wandb_server import KEY, Server, wandb_server


def send(folder: StudyFolder, **options: Any) -> Sent:
    return send_results(StudyArchive(folder), **options)


@pytest.fixture(scope="module")
def sent(server: Server, copied: Callable[..., StudyFolder], tmp_path_factory: pytest.TempPathFactory) -> StudyFolder:
    """The study, sent to the server."""
    folder = copied(tmp_path_factory.mktemp("sent") / "study", "online")
    came = send(folder)
    assert (came.runs, came.deleted) == (25, 0)
    assert came.url == f"{server.url}/me/p/runs/{run_id('3b7634001d59', label='earlier')}"
    return folder


@pytest.mark.slow
def test_all_of_a_study_arrives_whatever_else_the_environment_asks_for(server: Server, sent: StudyFolder) -> None:
    """A process that a sweep or a launch has started has variables that would give all runs one id."""
    assert len(server.runs) == 25
    assert_server_has(server, sent)
    assert list(sent.wandb.glob("*run-*")) == [], "what is safe on the server lies here no more"
    for run in content_of(sent).trials():
        asked = server.runs[run.id].upserted
        assert (asked["displayName"], asked["groupName"], asked["jobType"]) == (run.name, run.group, run.job_type)
        assert tuple(asked["tags"]) == run.tags
        assert server.runs[run.id].config.items() >= json.loads(json.dumps(dict(run.config))).items()
    assert KEY not in repr([server.runs, server.artifacts])
    assert not [path for path in sent.wandb.rglob("*") if path.is_file() and KEY.encode() in path.read_bytes()]


def test_runs_have_the_times_of_training_and_axes_of_their_own(server: Server, sent: StudyFolder) -> None:
    content = content_of(sent)
    content.look()
    run = next(run for run in content.trials() if run.rows and run.job_type == "search")
    there = server.runs[run.id]
    assert {key: there.summary[key] for key in run.times} == run.times
    times = [json.loads(line)["_timestamp"] for line in there.history]
    assert times == pytest.approx([row.time for row in run.rows])
    assert max(times) == pytest.approx(sent.record(run.config["dataset"], run.config["number"]).stat().st_mtime)
    names = [metric.get("1") or metric.get("2") for metric in there.client["m"]]
    assert {"*", "epoch", "train/loss", "val/loss", "val/accuracy"} <= set(names)
    assert set(there.summary["val/loss"]) == {"min"}
    assert set(there.summary["val/accuracy"]) == {"max"}


def test_sending_again_sends_what_is_new_and_doubles_nothing(server: Server, sent: StudyFolder) -> None:
    assert send(sent).runs == 0
    assert send(sent, mode="offline").runs == 0, "what has reached a server stays there"
    history = {name: list(run.history) for name, run in server.runs.items()}
    name = run_id("3b7634001d59", "breast_cancer", 5)
    # As if the connection had broken in the middle of the run: the server has a half, the notes have nothing.
    del server.runs[name].history[5:]
    server.runs[name].summary = json.loads(server.runs[name].history[4])
    notes = sent.wandb / "sent.jsonl"
    notes.write_text("".join(line for line in notes.open() if name not in line) + '{"id": "half a li')
    record = read_record(sent.record("wine", 1))
    write_record(sent, record | {"val_score": 0.123})

    assert send(sent).runs == 2 + 2, "both trials, whose best and tables the dataset's run and the study's show"
    assert server.runs[run_id("3b7634001d59", "wine", 1)].summary["val_score"] == 0.123
    again = [json.loads(line) for line in server.runs[name].history]
    for step, line in zip(again, history[name], strict=True):
        assert {key: step[key] for key in step if key != "_runtime"} == {
            key: value for key, value in json.loads(line).items() if key != "_runtime"
        }


def test_a_run_that_was_deleted_in_the_page_holds_up_no_other(
    server: Server, sent: StudyFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wandb_side, "INIT_SECONDS", 2.0)
    names = [run_id("3b7634001d59", "wine", number) for number in range(4)]
    server.delete(names[0])
    notes = sent.wandb / "sent.jsonl"
    notes.write_text("".join(line for line in notes.open() if not any(name in line for name in names)))
    came = send(sent)
    assert (came.runs, came.deleted) == (3, 1)
    assert names[0] not in server.runs
    upserts = server.asked["UpsertBucket"]
    assert (send(sent).runs, server.asked["UpsertBucket"]) == (0, upserts), "a deletion is not tried again"
    server.deleted.clear()


@pytest.mark.slow
def test_one_look_brings_a_trial_that_has_ended(
    server: Server, copied: Callable[..., StudyFolder], tmp_path: Path
) -> None:
    """So that it is there within half a minute of its end, as looks are a quarter of one apart."""
    assert SETTLED_SECONDS + WandbSpec().seconds <= 20
    folder = copied(tmp_path / "look", "online", identity="c" * 12)
    for path in folder.records.glob("*/[0-9]*.*"):
        if path.name not in ("0.json", "0.npz"):
            path.unlink()
    follower = Follower(folder, destination(StudyArchive(folder).spec.tracking.wandb, folder, {}))
    with wandb_environment(folder):
        follower.look()
        for dataset in ("wine", "breast_cancer"):
            assert server.runs[run_id("c" * 12, dataset, 0)].exit_code == 0
            there = server.runs[run_id("c" * 12, dataset)]
            server.wait_until(lambda there=there: bool(there.history))
            assert (there.rows[0]["trial/number"], there.exit_code) == (0, None)
        assert follower.finish("interrupted").runs == 2 + 2 + 1


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["upload", "stream"])
def test_what_a_server_refuses_is_not_taken_for_sent(
    server: Server, sent: StudyFolder, copied: Callable[..., StudyFolder], tmp_path: Path, kind: str
) -> None:
    """Tables and files where it takes no uploads; everything where it takes no rows. Two studies of one name share
    no run, so that what one lacks is not there from the other.
    """
    folder = copied(tmp_path / kind, "online", identity=f"{kind[0] * 12}")
    folder.spec.write_text(folder.spec.read_text().replace("runs: trials", "runs: study"))
    before = set(server.runs)
    server.fault = lambda asked, what: 403 if asked == kind else None
    with pytest.raises(TrackingError, match=r"does not have all of it|have failed"):
        send(folder)
    server.fault = None
    assert len(set(server.runs) - before) == 3
    assert send(folder).runs == 3
    assert_server_has(server, folder)
    assert before <= set(server.runs)


def start_track(folder: StudyFolder, home: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    home.mkdir(exist_ok=True)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("WANDB_", "XDG_", "NETRC"))}
    variables = {"HOME": str(home), "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    return subprocess.run(
        [sys.executable, "-c", "from studies.cli.main import main; main()", "track", str(folder.path)],
        env=kept | variables | environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )


@pytest.mark.slow
def test_credentials_that_lack_and_a_server_that_is_not_there_are_named(
    copied: Callable[..., StudyFolder], tmp_path: Path
) -> None:
    folder = copied(tmp_path / "study", "online")
    with wandb_server() as gone:
        url = gone.url
        done = start_track(folder, tmp_path / "home", WANDB_BASE_URL=url)
    assert (done.returncode, done.stdout) == (1, "")
    assert f"error: W&B has no credentials for {url}" in done.stderr
    done = start_track(folder, tmp_path / "home", WANDB_BASE_URL=url, WANDB_API_KEY=KEY)
    assert done.returncode == 1
    assert f"error: W&B at {url} cannot be reached: Connection refused" in done.stderr
    assert len((folder.wandb / "sent.jsonl").read_text()) == 0


@pytest.mark.slow
def test_an_offline_study_that_was_moved_is_synced_whole(
    server: Server, copied: Callable[..., StudyFolder], tmp_path: Path
) -> None:
    folder = copied(tmp_path / "study", identity="d" * 12)
    send(folder)
    shutil.move(folder.path, tmp_path / "moved")
    moved = StudyFolder(tmp_path / "moved")
    runs = sorted(map(str, moved.wandb.glob("offline-run-*")))
    environment = {name: value for name, value in os.environ.items() if not name.startswith("WANDB_")}
    environment |= {"WANDB_BASE_URL": server.url, "WANDB_API_KEY": KEY, "WANDB_DATA_DIR": str(tmp_path / "data")}
    command = [sys.executable, "-m", "wandb", "sync", *runs]  # which writes a log beside it
    subprocess.run(command, env=environment, cwd=tmp_path, check=True, capture_output=True)
    for run in all_runs(content_of(moved)):
        there = server.runs[run.id]
        assert there.rows == [dict(row.values) for row in run.rows]
        for name in run.tables:
            assert there.files[there.summary[name]["path"]]
        for artifact in run.artifacts:
            files = {name: there.files[f"{artifact.name}/{name}"] for name in artifact.files}
            assert files == {name: path.read_bytes() for name, path in artifact.files.items()}


@pytest.mark.slow
def test_a_server_that_is_busy_gets_all_in_the_end(
    server: Server, copied: Callable[..., StudyFolder], tmp_path: Path
) -> None:
    """Each second request is refused with 429 or 503 for a while."""
    folder = copied(tmp_path / "busy", "online", identity="e" * 12)
    until = time.monotonic() + 5
    asked = iter(range(10**9))
    server.fault = lambda kind, what: (429, 503)[next(asked) % 4 // 2] if time.monotonic() < until else None
    try:
        send(folder)
    except TrackingError:
        server.fault = None
        send(folder)
    server.fault = None
    assert_server_has(server, folder)
