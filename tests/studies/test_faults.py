"""A full disk, a dataset on which nothing works, a folder in use: said in one line, and the next call goes on."""

from __future__ import annotations

import fcntl
import functools
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from cluster.jobs import Output, Report
from dst.errors import InputError
from studies.cli.main import main
from studies.run import run_study
from studies.spec.loading import load_spec
from studies.store.folder import StudyFolder
from studies.store.lock import owned
from studies.worker.job import run_job
from tests.support.soundness import assert_study_sound, n_records, small_spec, small_table


@pytest.fixture
def in_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """``dst run`` without Ray, for speed."""
    monkeypatch.setattr("studies.run.run_study", functools.partial(run_study, in_process=True))


def call(*arguments: object) -> int:
    with pytest.raises(SystemExit) as ended:
        main([str(argument) for argument in arguments])
    return int(ended.value.code or 0)


# --- a full disk


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 2 MiB in memory."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", place], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip(f"needs the right to mount a tmpfs: {mounted.stderr.decode().strip()}")
    yield place
    subprocess.run(["umount", "--lazy", place], check=True)


@pytest.mark.slow
@pytest.mark.usefixtures("simulated_work")
@pytest.mark.parametrize("kib", [150, 500, 800])
def test_a_full_disk_ends_the_run_with_one_line_and_the_next_goes_on(
    in_process: None, disk: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], kib: int
) -> None:
    path = small_spec(tmp_path)
    reference = run_study(load_spec(path), out=tmp_path / "reference", in_process=True).folder
    ballast = disk / "ballast"
    ballast.write_bytes(bytes(2 * 2**20 - kib * 2**10))
    out = disk / "out"
    capsys.readouterr()
    assert call("run", path, "--out", out) in ((1, 2) if kib == 150 else (1,))  # 2: the storage cannot even be made
    errors = [line for line in capsys.readouterr().err.splitlines() if "error:" in line]
    assert len(errors) == 1
    assert "full" in errors[0] or "No space left" in errors[0]
    there = {path: path.read_bytes() for path in out.glob("records/*/[0-9]*.json")}
    assert (len(there) > 0) == (kib > 150)
    assert not list(out.rglob("*.tmp"))
    ballast.unlink()
    subprocess.run(["mount", "-o", "remount,size=64m", disk], check=True)
    assert call("run", path, "--out", out) == 0
    assert all(path.read_bytes() == before for path, before in there.items())
    assert_study_sound(out, reference)


# --- a dataset on which nothing works


def fails_at_k_5(payload: Mapping[str, Any], shared: Any, report: Report) -> Output:
    """Break down on one dataset, which is known by its K, and work on the others."""
    if payload["trial"]["k"] == 5:
        raise FloatingPointError("as asked")
    return run_job(payload, shared, report)


@pytest.mark.usefixtures("simulated_work")
@pytest.mark.slow
def test_a_dataset_on_which_nothing_works_keeps_no_other_from_its_end(
    in_process: None, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("studies.run.run_job", fails_at_k_5)
    path = small_spec(tmp_path)
    document = yaml.safe_load(path.read_text())
    good = document["datasets"]
    again = [{**one, "missing": {"rate": 0.1, "policy": "mean"}} for one in good]
    broken = {"path": str(small_table(tmp_path / "broken.csv")), "target": "label", "inner_splits": 1, "k": 5}
    document["datasets"] = [good[0], broken, good[1], *again]
    path.write_text(yaml.safe_dump(document))
    out = tmp_path / "out"
    assert call("run", path, "--out", out) == 1
    printed = capsys.readouterr()
    *_, last = printed.err.splitlines()
    assert last == f"error: no trial could be confirmed on broken; see dst status {out}"
    assert "warning: broken: 6 of 6 trials failed, the last with: FloatingPointError: as asked" in printed.err
    assert_study_sound(out)
    best = pd.read_csv(out / "best.csv")
    assert list(best["dataset"]) == ["a", "b", "a-mcar-0.1", "b-mcar-0.1"]
    assert n_records(out) > 4 * 12
    states = pd.read_csv(out / "trials.csv").groupby("dataset")["state"].agg(set)
    assert states["broken"] == {"failed"}


# --- one run at a time


def hold(folder: Path) -> subprocess.Popen[str]:
    code = (
        "import sys, time; from pathlib import Path; from studies.store.folder import StudyFolder\n"
        "from studies.store.lock import owned\n"
        "with owned(StudyFolder(Path(sys.argv[1]))):\n    print('here', flush=True)\n    time.sleep(600)"
    )
    process = subprocess.Popen([sys.executable, "-c", code, folder], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "here\n"
    return process


def test_the_owner_is_named_and_a_dead_one_does_not_block(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = StudyFolder(tmp_path / "out").create()
    holder = hold(folder.path)
    with (
        pytest.raises(InputError, match=f"is in use by process {holder.pid} on {socket.gethostname()}$"),
        owned(folder),
    ):
        pass
    holder.kill()
    holder.communicate()
    with owned(folder):
        assert f"the last run here, process {holder.pid}, was ended from outside" in caplog.text
    caplog.clear()
    with owned(folder):
        assert caplog.text == ""
    assert folder.lock.read_text() == ""


@pytest.mark.parametrize(("age", "refused"), [(0, True), (30, True), (61, False), (86_400, False)])
def test_an_owner_on_another_machine_counts_as_dead_after_a_minute_without_a_beat(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, age: int, refused: bool
) -> None:
    """On a file system that keeps locks to each machine nothing but the file tells of the other."""
    folder = StudyFolder(tmp_path / "out").create()
    folder.lock.write_text("process 4711 on elsewhere\n")
    touched = folder.lock.stat().st_mtime - age
    os.utime(folder.lock, (touched, touched))
    if refused:
        says = r"is in use by process 4711 on elsewhere: .*sign of life \d+ s ago"
        for _ in range(2):
            with pytest.raises(InputError, match=says), owned(folder):
                pass
            assert folder.lock.read_text() == "process 4711 on elsewhere\n"
            assert folder.lock.stat().st_mtime == touched, "who looks gives no sign of life"
    else:
        with owned(folder):
            assert "process 4711 on elsewhere, has given no sign of life" in caplog.text


@pytest.mark.parametrize("in_background", [False, True])
def test_a_run_whose_folder_was_taken_over_ends(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, in_background: bool
) -> None:
    """Its machine stood still for more than a minute, where locks do not reach from machine to machine.

    Shells have SIGINT ignored in what they run in the background.
    """
    folder = StudyFolder(tmp_path / "out").create()
    other = threading.Timer(0.2, folder.lock.write_text, ["process 4711 on elsewhere\n"])
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    signal.signal(signal.SIGINT, signal.SIG_IGN if in_background else signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        other.start()
        with pytest.raises(KeyboardInterrupt), owned(folder, beat_seconds=0.05):
            time.sleep(20)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    assert "the folder was taken over by process 4711 on elsewhere: this run ends" in caplog.text
    assert folder.lock.read_text() == "process 4711 on elsewhere\n"


def test_a_live_owner_gives_signs_of_life(tmp_path: Path) -> None:
    folder = StudyFolder(tmp_path / "out").create()
    with owned(folder, beat_seconds=0.05):
        os.utime(folder.lock, (0, 0))
        for _ in range(100):
            if folder.lock.stat().st_mtime > 0:
                break
            subprocess.run(["sleep", "0.05"], check=True)
        assert folder.lock.stat().st_mtime > 0


def test_a_file_system_without_locks_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(InputError, match="its file system has no locks"), owned(StudyFolder(tmp_path).create()):
        pass
