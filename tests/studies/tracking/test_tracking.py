"""Offline tracking: complete, idempotent, restartable after a kill, silent, and away from the home directory."""

from __future__ import annotations

import fcntl
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import wandb.util

from dst.errors import InputError
from studies.spec.tracking import WandbSpec
from studies.store.archive import StudyArchive
from studies.store.folder import StudyFolder
from studies.tracking.destination import destination
from studies.tracking.runs import TrackedRun
from studies.tracking.send import send_results
from studies.tracking.server import TrackingError
from tests.studies.tracking.conftest import content_of
from tests.support.soundness import default_signals
from tests.support.wandb_server import KEY


def send(folder: StudyFolder, **options: Any) -> int:
    return send_results(StudyArchive(folder), **options).runs


def reread(folder: StudyFolder) -> StudyArchive:
    return StudyArchive(folder)


def with_spec(folder: StudyFolder, **wandb_keys: Any) -> None:
    """Change the section of the spec in the study's folder."""
    text = folder.spec.read_text()
    lines = "".join(f"    {key}: {json.dumps(value)}\n" for key, value in wandb_keys.items())
    kept = re.sub(rf"(?m)^    ({'|'.join(wandb_keys)}): .*\n", "", text)
    folder.spec.write_text(kept.replace("  wandb:\n", "  wandb:\n" + lines, 1))


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


def assert_holds(path: Path, expected: TrackedRun) -> None:
    """The run on disk is what is expected of it, ended, and each row once."""
    entries = contents(path)
    run = next(entry["run"] for entry in entries if entry["type"] == "run")
    assert (run["run_id"], run["display_name"], run["project"]) == (expected.id, expected.name, "p")
    assert (run["run_group"], run["job_type"], run["tags"]) == (expected.group, expected.job_type, list(expected.tags))
    assert run["config"]["update"].items() >= json.loads(json.dumps(dict(expected.config))).items()
    steps = [entry["history"]["item"] for entry in entries if entry["type"] == "history"]
    assert [item["_step"] for item in steps] == list(range(len(expected.rows)))
    logged = [{key: item[key] for key in item if not key.startswith("_")} for item in steps]
    assert logged == [dict(row.values) for row in expected.rows]
    summary: dict[str, Any] = {}
    for entry in entries:
        if entry["type"] == "summary":
            summary |= entry["summary"]["update"]
    assert {key: summary.get(key) for key in expected.summary} == expected.summary
    assert entries[-1]["type"] == "exit"
    assert entries[-1]["exit"].get("exit_code", 0) == expected.exit_code


@pytest.fixture(scope="module")
def offline(copied: Callable[..., StudyFolder], tmp_path_factory: pytest.TempPathFactory) -> StudyFolder:
    """The study, written offline in an environment with a key."""
    folder = copied(tmp_path_factory.mktemp("offline") / "study")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("WANDB_MODE", raising=False)
        patch.setenv("WANDB_API_KEY", KEY)
        patch.setenv("OTHER_SECRET", "opensesame-3")
        before = dict(os.environ)
        assert send(folder) == 25
        # W&B's own lets child processes share its server.
        assert {**os.environ, "WANDB_SERVICE": ""} == {**before, "WANDB_SERVICE": ""}
    return folder


@pytest.mark.slow
def test_every_trial_dataset_and_study_becomes_a_run_once(offline: StudyFolder) -> None:
    content = content_of(offline)
    content.look()
    content.choose()
    trials, runs = list(content.trials()), local_runs(offline)
    assert runs.keys() == {run.id for run in (*trials, *content.overview("finished"))}
    kinds = {(run.job_type, run.config["method"]): run for run in trials}
    assert len(kinds) == 6
    for run in (*kinds.values(), *content.overview("finished")):
        assert_holds(runs[run.id], run)
    assert send(offline) == 0
    assert local_runs(offline) == runs


def test_what_lies_here_is_lean_and_holds_no_secret_and_leet_finds_the_study(offline: StudyFolder) -> None:
    files = [path for path in offline.wandb.rglob("*") if path.is_file()]
    for secret in (KEY, "opensesame-3"):
        assert not [path for path in files if secret.encode() in path.read_bytes()]
    trials = [
        path for path in local_runs(offline).values() if "-3b" not in path.name and not (path / "files/media").exists()
    ]
    assert all(sum(1 for _ in path.rglob("*")) <= 4 for path in trials)
    link = offline.wandb / "latest-run"
    assert not os.path.isabs(os.readlink(link))
    assert link.resolve() == next(path for name, path in local_runs(offline).items() if name.startswith("earlier-"))
    tables = [json.loads(path.read_text()) for path in link.glob("files/media/table/best_by_method_*.json")]
    assert [table["columns"][:2] for table in tables] == [["study", "run"]]
    assert (link / "files" / "study-earlier" / "study.yaml").read_bytes() == offline.spec.read_bytes()


def test_another_project_and_fewer_runs(copied: Callable[..., StudyFolder], tmp_path: Path) -> None:
    folder = copied(tmp_path / "study")
    with_spec(folder, runs="study", tags=["mine"], group="ours", notes="Why.")
    assert send(folder) == 3
    for path in local_runs(folder).values():
        run = next(entry["run"] for entry in contents(path) if entry["type"] == "run")
        assert (run["run_group"], run["tags"][-1]) == ("ours", "mine")
        assert run.get("notes") == ("Why." if run["job_type"] == "study" else None)
    assert send(folder, project="another") == 3
    assert len(local_runs(folder)) == 3


@pytest.mark.parametrize(
    ("mode", "variable", "used"),
    [
        ("disabled", None, "disabled"),
        ("disabled", "online", "disabled"),
        ("offline", "disabled", "disabled"),
        ("offline", "online", "offline"),
        ("offline", "dryrun", "offline"),
        ("offline", "", "offline"),
        ("online", "offline", "offline"),
        ("online", "disabled", "disabled"),
        ("online", "nonsense", "online"),
    ],
)
def test_the_environment_can_only_make_it_more_private(mode: str, variable: str | None, used: str) -> None:
    environment = {} if variable is None else {"WANDB_MODE": variable}
    assert destination(WandbSpec(mode=mode), StudyFolder(Path("s")), environment).mode == used


def test_a_users_variables_hold_where_the_spec_is_silent() -> None:
    given = {"PROJECT": "theirs", "ENTITY": "team", "TAGS": "a, b,", "RUN_GROUP": "g", "NOTES": "n", "DIR": "/d"}
    environment = {f"WANDB_{name}": value for name, value in given.items()}
    folder = StudyFolder(Path("/s"))

    def where(spec: WandbSpec, environment: Mapping[str, str]) -> tuple[Any, ...]:
        to = destination(spec, folder, environment)
        return to.project, to.entity, to.tags, to.group, to.notes, to.runs_folder

    assert where(WandbSpec(), {}) == ("dst-studies", None, (), None, None, Path("/s/wandb"))
    assert where(WandbSpec(), environment) == ("theirs", "team", ("a", "b"), "g", "n", Path("/d/wandb"))
    spec = WandbSpec(project="p", entity="e", tags=("t",), group="h", notes="m")
    assert where(spec, environment) == ("p", "e", ("t",), "h", "m", Path("/d/wandb"))


def test_a_run_per_search_trial_up_to_a_thousand_of_them(copied: Callable[..., StudyFolder], tmp_path: Path) -> None:
    folder = copied(tmp_path / "study")
    with_spec(folder, runs="auto")
    assert content_of(folder).facts.search_runs
    folder.spec.write_text(folder.spec.read_text().replace("trials: 6", "trials: 501"))
    content = content_of(folder)
    content.look()
    assert {run.job_type for run in content.trials()} == {"confirm"}
    assert len(next(content.complete("finished")).tables["trials"].rows) == 22


def test_wrong_words_are_refused_before_anything_is_done(copied: Callable[..., StudyFolder], tmp_path: Path) -> None:
    folder = copied(tmp_path / "study")
    with pytest.raises(InputError, match="unknown W&B mode 'of-line': did you mean 'offline'"):
        send(folder, mode="of-line")
    for options in ({"project": "team/churn"}, {"project": "x" * 129}, {"entity": "a?b"}):
        with pytest.raises(InputError, match=r"1 to 128 characters.*--project NAME"):
            send(folder, **options)
    assert send(folder, mode="disabled") == 0
    assert not folder.wandb.exists()


def test_two_at_once_and_damaged_notes_are_named(copied: Callable[..., StudyFolder], tmp_path: Path) -> None:
    folder = copied(tmp_path / "study")
    folder.wandb.mkdir()
    with (folder.wandb / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(TrackingError, match=r"another process is sending this study to W&B: .*lock is locked"):
            send(folder)
    for name, text, where in (("sent.json", '{"half', r"sent\.json is damaged"), ("sent.jsonl", "{]\n", "in line 1")):
        (folder.wandb / name).write_text(text)
        with pytest.raises(TrackingError, match=rf"{where}.*: delete it to send all runs again"):
            send(folder)
        (folder.wandb / name).unlink()


def start(folder: StudyFolder, home: Path) -> subprocess.Popen[str]:
    """Track in a process of its own, which shares nothing of W&B with this one."""
    home.mkdir()
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("WANDB_", "XDG_"))}
    return subprocess.Popen(
        [sys.executable, "-c", "from studies.cli.main import main; main()", "track", str(folder.path)],
        env=kept | {"HOME": str(home), "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        cwd=home,
        preexec_fn=default_signals,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.slow
def test_a_kill_in_the_middle_loses_and_doubles_nothing_at_home_or_on_the_terminal(
    copied: Callable[..., StudyFolder], tmp_path: Path
) -> None:
    folder = copied(tmp_path / "study")
    notes = folder.wandb / "sent.jsonl"
    child = start(folder, tmp_path / "home")
    deadline = time.monotonic() + 300
    while (len(notes.read_text().splitlines()) if notes.exists() else 0) < 3:
        assert child.poll() is None, "it ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.005)
    child.send_signal(signal.SIGKILL)
    child.communicate()
    sent = len(notes.read_text().splitlines())
    child = start(folder, tmp_path / "again")
    assert child.communicate() == (f"{25 - sent} runs sent\n", "")
    assert len(local_runs(folder)) == 25
    assert [*(tmp_path / "home").rglob("*"), *(tmp_path / "again").rglob("*")] == []
