"""Whole studies through Ray while their processes are killed: nothing acknowledged is lost, the winner is the same."""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

import studies.run
from studies.run import run_study
from studies.spec.loading import load_spec
from studies.store.folder import StudyFolder
from tests.support import simulated_jobs
from tests.support.ray_nodes import Wire, start_node, wire
from tests.support.soundness import (
    assert_study_sound,
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
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(studies.run, "run_job", simulated_jobs.simulated)
        return run_study(load_spec(spec), out=place / "reference", in_process=True).folder


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


@pytest.mark.slow
def test_when_ray_ends_under_a_run_that_is_said_and_has_a_status_of_its_own(
    spec: Path, reference: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its raylet gets SIGTERM, as all processes of a pre-empted job do: Ray's own code leaves the driver then."""
    out = tmp_path / "out"
    pause = {simulated_jobs.PAUSE: "0.3"}
    process = start_dst("run", spec, "--out", out, "--workers", "2", simulated=True, environment=pause)
    wait_until(lambda: n_records(out) >= 1, process)
    (raylet,) = (one for one in psutil.Process(process.pid).children(recursive=True) if one.name() == "raylet")
    raylet.terminate()
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 75, errors
    assert errors.splitlines()[-1].endswith("the same command goes on from here")
    monkeypatch.setattr(studies.run, "run_job", simulated_jobs.simulated)
    assert run_study(load_spec(spec), out=out, in_process=True).ran
    assert_study_sound(out, reference)


# --- a node


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch, scratch: Path) -> Iterator[Callable[..., str]]:
    """Starts nodes of one core each, as ``ray start`` makes them; they end with the test.

    The first call starts the head and returns the cluster's address, the others join it.
    """
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    monkeypatch.setenv("RAY_AUTH_TOKEN", "b" * 64)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setenv(simulated_jobs.PAUSE, "0.3")
    for name in ("period", "timeout"):  # a node that is not heard of for ten seconds is given up, not for a minute
        monkeypatch.setenv(f"RAY_health_check_{name}_ms", "1000")
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


@pytest.fixture
def line() -> Iterator[Wire]:
    with wire() as drawn:
        yield drawn


@pytest.mark.slow
def test_a_node_killed_and_another_cut_off_shortly_and_until_it_is_given_up(
    cluster: Callable[..., str], line: Wire, spec: Path, reference: Path, tmp_path: Path
) -> None:
    """Of three nodes the second is cut off for two seconds; then the third is killed and the second cut off again."""
    address = cluster(f"--node-ip-address={line.here}")
    cluster(f"--node-ip-address={line.there}", inside=line.inside)
    before = set(psutil.Process().children())
    cluster(f"--node-ip-address={line.here}")
    (third,) = set(psutil.Process().children()) - before
    out = tmp_path / "out"
    process = start_dst("run", spec, "--out", out, "--address", address, simulated=True)
    wait_until(lambda: n_records(out) >= 2, process)
    line.cut()
    time.sleep(2.0)
    line.mend()
    cut_at = n_records(out)
    assert requeued(out) == []
    wait_until(lambda: n_records(out) > cut_at, process)
    assert process.poll() is None
    there = n_records(out)
    kill_all_of(third.pid)
    line.cut()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(timeout=25)
    line.mend()  # what comes back may still hold answers: none may count twice
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    assert n_records(out) > there
    assert_study_sound(out, reference)
    assert requeued(out), "the trial behind the cut line began again here"


def requeued(out: Path) -> list[int]:
    """The numbers of trials that were begun more than once."""
    entries = itertools.chain(*told_of(StudyFolder(out)).values())
    return [entry.number for entry in entries if "requeued" in entry.attrs]
