"""Whole studies through Ray while their processes are killed: nothing acknowledged is lost, the winner is the same."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from cluster.tune.scratch import remove_left_behind
from studies.run import run_study
from studies.spec.loading import load_spec
from studies.store.folder import StudyFolder
from tests.support.ray_nodes import Wire, start_node, wire
from tests.support.soundness import (
    assert_study_sound,
    dst,
    n_records,
    small_spec,
    start_dst,
    told_of,
    wait_until,
)

PATIENT = {"resources": {"retries": 1000}}
"""Resources may differ from one run of a study to the next: how often a trial is tried again changes no result."""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("study")


@pytest.fixture(scope="module")
def spec(place: Path) -> Path:
    return small_spec(place, **PATIENT)


@pytest.fixture(scope="module")
def reference(spec: Path, place: Path) -> Path:
    """The undisturbed run: in this process, one trial after the other."""
    return run_study(load_spec(spec), out=place / "reference", in_process=True).folder


@pytest.fixture
def scratch() -> Iterator[Path]:
    """A folder for temporary files with a name short enough for sockets."""
    folder = Path(tempfile.mkdtemp(prefix="k-"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def acknowledged(out: Path) -> dict[str, bytes]:
    """What a record says may never change once it is there; arrays are written before their record."""
    documents = list(out.glob("records/*/[0-9]*.json"))
    arrays = [path.with_suffix(".npz") for path in documents]
    return {str(path): path.read_bytes() for path in (*documents, *arrays) if path.exists()}


def changed(before: dict[str, bytes], after: dict[str, bytes]) -> list[str]:
    return [name for name, content in before.items() if after.get(name) != content]


def kill_at_random_moments(spec: Path, out: Path, scratch: Path, *, whole: int, kills: int, seed: int) -> None:
    """Kill a study's driver at moments that are spread over all of its records, one in five while it starts."""
    rng = np.random.default_rng(seed)
    environment = {"TMPDIR": str(scratch)}
    for goal in np.sort(rng.integers(0, whole, size=kills)).tolist():
        before = acknowledged(out)
        process = start_dst("run", spec, "--out", out, "--workers", "2", environment=environment)
        if rng.random() < 0.2:
            time.sleep(rng.uniform(0.5, 6.0))
        else:
            goal = max(goal, n_records(out))
            wait_until(lambda goal=goal: n_records(out) > goal or (out / "best.csv").exists(), process)
            time.sleep(rng.uniform(0.0, 0.2))
        process.kill()
        process.communicate()
        assert process.returncode == -signal.SIGKILL or (out / "best.csv").exists()
        assert changed(before, acknowledged(out)) == []
    before = acknowledged(out)
    status, _, errors = dst("run", spec, "--out", out, "--workers", "2", environment=environment)
    assert status == 0, errors
    assert changed(before, acknowledged(out)) == []


@pytest.mark.slow
def test_a_driver_killed_at_a_random_moment(spec: Path, reference: Path, tmp_path: Path, scratch: Path) -> None:
    kill_at_random_moments(spec, tmp_path / "out", scratch, whole=n_records(reference), kills=1, seed=1)
    assert_study_sound(tmp_path / "out", reference)


@pytest.mark.slow
def test_a_driver_killed_at_nineteen_more(spec: Path, reference: Path, tmp_path: Path, scratch: Path) -> None:
    whole = n_records(reference)
    kill_at_random_moments(spec, tmp_path / "out", scratch, whole=whole, kills=8, seed=2)
    assert_study_sound(tmp_path / "out", reference)
    kill_at_random_moments(spec, tmp_path / "again", scratch, whole=whole, kills=11, seed=3)
    assert_study_sound(tmp_path / "again", reference)


@pytest.mark.slow
def test_what_a_killed_driver_has_started_ends_by_itself(
    spec: Path, tmp_path: Path, scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = {"TMPDIR": str(scratch)}
    process = start_dst("run", spec, "--out", tmp_path / "out", "--workers", "2", environment=environment)
    wait_until(lambda: n_records(tmp_path / "out") >= 2, process)
    started = psutil.Process(process.pid).children(recursive=True)
    assert any(one.name() == "raylet" for one in started)
    names = {one.pid: one.name() for one in started}
    process.kill()
    process.communicate()
    _, alive = psutil.wait_procs(started, timeout=20)
    assert {names[one.pid] for one in alive} <= {"ray::DashboardAgent", "ray::RuntimeEnvAgent"}
    _, alive = psutil.wait_procs(alive, timeout=150)  # the agents look for the head for a minute first
    assert alive == []
    assert len(list(scratch.glob("ray-*"))) == 1
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    remove_left_behind()  # as the next run does that starts Ray
    assert list(scratch.glob("ray-*")) == []


def workers_of(driver: int) -> list[psutil.Process]:
    found = []
    with contextlib.suppress(psutil.Error):
        for process in psutil.Process(driver).children(recursive=True):
            with contextlib.suppress(psutil.Error):
                if process.name().startswith("ray::JobTrainable"):
                    found.append(process)
    return found


@pytest.mark.slow
def test_a_worker_killed_every_two_seconds(spec: Path, reference: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    process = start_dst("run", spec, "--out", out, "--workers", "2")
    killed = 0
    rng = np.random.default_rng(4)
    reader = threading.Thread(target=process.communicate, daemon=True)
    reader.start()
    begin = due = time.monotonic()
    while process.poll() is None:
        assert time.monotonic() - begin < 600
        if time.monotonic() >= due and (workers := workers_of(process.pid)):
            with contextlib.suppress(psutil.NoSuchProcess):
                workers[int(rng.integers(len(workers)))].kill()
                killed += 1
                due = time.monotonic() + 2.0
        time.sleep(0.05)
    assert process.returncode == 0
    assert killed >= 1  # there is a worker before there is a trial; on a quiet machine the study lasts some seconds
    assert_study_sound(out, reference)


@pytest.mark.slow
@pytest.mark.parametrize("blow", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_run_within_thirty_seconds_and_it_goes_on_later(
    spec: Path, reference: Path, tmp_path: Path, blow: signal.Signals
) -> None:
    out = tmp_path / "out"
    process = start_dst("run", spec, "--out", out, "--workers", "2")
    wait_until(lambda: n_records(out) >= 4, process)
    process.send_signal(blow)
    begin = time.monotonic()
    _, errors = process.communicate(timeout=60)
    assert time.monotonic() - begin < 30
    assert process.returncode == 130
    assert errors.splitlines()[-1] == "interrupted; the same command goes on from here"
    result = run_study(load_spec(spec), out=out, in_process=True)
    assert result.ran
    assert_study_sound(out, reference)


@pytest.mark.slow
def test_a_signal_while_ray_starts_ends_the_run_all_the_same(spec: Path, tmp_path: Path) -> None:
    process = start_dst("run", spec, "--out", tmp_path / "out", "--workers", "2")

    def ray_starts() -> bool:
        with contextlib.suppress(psutil.Error):
            return any(one.name() == "gcs_server" for one in psutil.Process(process.pid).children(recursive=True))
        return False

    wait_until(ray_starts, process)
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 130, errors
    assert errors.splitlines()[-1] == "interrupted; the same command goes on from here"


# --- a node


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch, scratch: Path) -> Iterator[Callable[..., str]]:
    """Starts nodes of one core each, as ``ray start`` makes them; they end with the test.

    The first call starts the head and returns the cluster's address, the others join it.
    """
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    monkeypatch.setenv("RAY_AUTH_TOKEN", "b" * 64)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setenv("RAY_health_check_period_ms", "1000")
    running: list[subprocess.Popen[str]] = []
    address = ""

    def start(*arguments: str, **settings: Any) -> str:
        nonlocal address
        if address:
            place = [f"--address={address}"]
        else:
            place = ["--head", "--port=0", "--include-dashboard=false", f"--temp-dir={scratch}"]
        printed = start_node(running, "--disable-usage-stats", *place, *arguments, **settings)
        address = address or printed.split("--address='")[1].split("'")[0]
        return address

    yield start
    for process in reversed(running):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(timeout=20)


def kill_all_of(process: int) -> None:
    """Kill a process and all that it has started."""
    root = psutil.Process(process)
    for one in (*root.children(recursive=True), root):
        with contextlib.suppress(psutil.NoSuchProcess):
            one.kill()


@pytest.mark.slow
def test_one_of_three_nodes_lost(cluster: Callable[..., str], spec: Path, reference: Path, tmp_path: Path) -> None:
    address = cluster()
    before = set(psutil.Process().children())
    cluster()
    (second,) = set(psutil.Process().children()) - before
    cluster()
    out = tmp_path / "out"
    process = start_dst("run", spec, "--out", out, "--address", address)
    wait_until(lambda: n_records(out) >= 5, process)
    assert process.poll() is None
    there = n_records(out)
    kill_all_of(second.pid)
    _, errors = process.communicate(timeout=600)
    assert process.returncode == 0, errors
    assert n_records(out) > there
    assert_study_sound(out, reference)


@pytest.fixture
def line() -> Iterator[Wire]:
    with wire() as drawn:
        yield drawn


@pytest.mark.slow
@pytest.mark.parametrize("seconds", [4.0, 60.0], ids=["shortly", "until the node is given up"])
def test_the_network_between_two_nodes_cut(
    cluster: Callable[..., str], line: Wire, spec: Path, reference: Path, tmp_path: Path, seconds: float
) -> None:
    address = cluster(f"--node-ip-address={line.here}")
    cluster(f"--node-ip-address={line.there}", inside=line.inside)
    out = tmp_path / "out"
    process = start_dst("run", spec, "--out", out, "--address", address)
    wait_until(lambda: n_records(out) >= 3, process)
    line.cut()
    there = n_records(out)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(timeout=seconds)
    line.mend()  # what comes back may still hold answers: none may count twice
    _, errors = process.communicate(timeout=600)
    assert process.returncode == 0, errors
    assert n_records(out) > there
    assert_study_sound(out, reference)
    again = [
        entry.number for entries in told_of(StudyFolder(out)).values() for entry in entries if "requeued" in entry.attrs
    ]
    assert len(again) >= (1 if seconds > 30 else 0), "the trial behind the cut line began again here"
