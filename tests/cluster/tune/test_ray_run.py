"""Contracts with Ray Tune's hooks, on real workers: one answer a job, processes that live on, runs that end.

Ray's searcher and scheduler are developer interfaces. What we rely on is tested here, so that a new version of Ray
breaks these tests and not a study.
"""

from __future__ import annotations

import functools
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import ray

from cluster.jobs import ClusterError, Job, Output
from cluster.local import run_here
from cluster.tune.run import run_jobs
from cluster.tune.session import fitting_jobs
from tests.support import ray_nodes
from tests.support.job_script import Script
from tests.support.job_work import act

ROOT = Path(__file__).parents[3]
SHARED = {"ones": np.ones(1000), "twos": np.full(10, 2.0)}
STOPPED_AT = 2

# What a job does, and how it ends: its state, and for failures what the error says.
ENDINGS: list[tuple[dict[str, Any], str, str]] = [
    ({}, "finished", ""),
    ({"reports": 3, "value": 0.5}, "finished", ""),
    ({"reports": 9, "stop_at": STOPPED_AT}, "stopped", ""),
    ({"then": "raise"}, "failed", "RuntimeError: as asked"),
    ({"then": "return nothing"}, "failed", "TypeError: a work function must return an Output, got NoneType"),
    ({"then": "exit"}, "failed", "SystemExit: 3"),
    ({"reports": 2, "then": "raise"}, "failed", "RuntimeError: as asked"),
    ({"shared": "twos", "size": 100_000}, "finished", ""),
    ({"then": "write to shared"}, "failed", "ValueError: assignment destination is read-only"),
    ({"reports": 1, "stop_at": 1}, "stopped", ""),
    ({}, "finished", ""),
]


# --- one run of everything that can become of a job whose process lives


@pytest.fixture(scope="module")
def diary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("work") / "diary"


@pytest.fixture(scope="module")
def mixed(diary: Path) -> Script:
    payloads = [
        {**payload, "diary": str(diary)} if number == 2 else payload for number, (payload, *_) in enumerate(ENDINGS)
    ]
    script = Script(payloads)
    run_jobs(script, act, SHARED, workers=2, cpus_per_job=3, on_tick=lambda: script.times.append(time.monotonic()))
    return script


@pytest.mark.parametrize("number", range(len(ENDINGS)))
def test_every_job_is_answered_once(mixed: Script, number: int) -> None:
    payload, state, words = ENDINGS[number]
    steps = payload.get("stop_at", payload.get("reports", 0))
    *reports, end = mixed.of(number)
    assert reports == [("report", step, payload.get("value", 0.0) * step) for step in range(1, steps + 1)]
    assert end[0] == state
    if state == "failed":
        _, lost, error = end
        assert not lost
        assert error.splitlines()[-1] == words


def test_outputs_arrive_whole(mixed: Script) -> None:
    assert mixed.outputs["job/0"].document["sum"] == 1000.0
    assert mixed.outputs["job/7"].document["sum"] == 20.0
    np.testing.assert_array_equal(mixed.outputs["job/7"].arrays["twice"], np.arange(100_000) * 2.0)


def test_workers_stay_in_the_drivers_folder_and_use_their_cores(mixed: Script) -> None:
    for output in mixed.outputs.values():
        assert output.document["cwd"] == str(Path.cwd())
        assert output.document["threads"] == ["3", "3"]


def test_as_many_processes_as_workers_though_jobs_raise_or_are_stopped(mixed: Script) -> None:
    """Also though one worker could do all of these short jobs while the other starts."""
    assert len(set(mixed.pids())) == 2


def test_a_stopped_job_does_no_step_more(mixed: Script, diary: Path) -> None:
    assert diary.read_text() == "1\n2\nstopped\n"


def test_the_source_is_never_pickled(mixed: Script) -> None:
    assert mixed.pickled == 0


def test_the_same_jobs_here_get_the_same_answers(mixed: Script) -> None:
    # except for a job that writes to what it shares with others, or that ends the process
    alike = [
        number for number, (payload, *_) in enumerate(ENDINGS) if payload.get("then") not in ("write to shared", "exit")
    ]
    script = Script(ENDINGS[number][0] for number in alike)
    run_here(script, act, SHARED)
    for here, there in enumerate(alike):
        *reports, end = script.of(here)
        *reports_there, end_there = mixed.of(there)
        assert (reports, end[:2]) == (reports_there, end_there[:2])


# --- workers


def test_processes_live_on_while_a_batch_is_awaited_and_nothing_is_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    environment = dict(os.environ)
    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)]
    ticks: list[float] = []
    script = Script([{"sleep": 0.1}] * 12, batch=2)
    with tempfile.TemporaryDirectory() as folder:
        monkeypatch.setattr(tempfile, "tempdir", folder)
        run_jobs(script, act, SHARED, workers=2, on_tick=lambda: ticks.append(time.monotonic()))
        assert list(Path(folder).glob("ray-*")) == []

    pids = script.pids()
    assert [pids.count(pid) for pid in set(pids)] == [6, 6]
    assert np.diff(ticks).min() >= 0.5
    assert not ray.is_initialized()
    assert dict(os.environ) == environment
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)] == handlers


def test_jobs_of_processes_that_die_are_lost_and_the_run_goes_on() -> None:
    def before(job: Job) -> None:
        if job.key == "job/2":  # both workers are idle
            os.kill(script.outputs["job/1"].document["pid"], signal.SIGKILL)

    payloads = [{"sleep": 0.2}, {"sleep": 0.2}, {}, {}, {"then": "die"}, {}, {"then": "hang"}, {}, {"sleep": 0.2}, {}]
    script = Script(payloads, batch=2, before=before)
    run_jobs(script, act, SHARED, workers=2, seconds_per_job=3.0)

    ends = [script.of(number)[-1] for number in range(len(payloads))]
    assert sorted(end[0] for end in ends[2:4]) == [
        "failed",
        "finished",
    ]  # one was sent to the idle worker that had died
    lost = [number for number, end in enumerate(ends) if end[0] == "failed"]
    assert len(lost) == 3
    assert {4, 6} < set(lost)
    for number in lost:
        _, is_lost, error = ends[number]
        if number == 6:
            assert (is_lost, error) == (False, "the job ran past its limit of 3 s")
        else:
            assert is_lost
            assert "died" in error
    assert len(set(script.pids())) <= 2 + 3


def test_waiting_for_the_answer_to_a_report_takes_no_time_of_a_job() -> None:
    """The driver is away for twice the limit, as while a database restarts; the job works on for half of it then."""

    class Slow(Script):
        def report(self, job: Job, step: int, value: float) -> bool:
            time.sleep(6.0 if step == 1 else 0.0)
            return super().report(job, step, value)

    script = Slow([{"reports": 2, "sleep": 1.5}])
    run_jobs(script, act, SHARED, workers=1, seconds_per_job=3.0)
    assert script.of(0)[-1] == ("finished",)


def test_jobs_that_take_too_much_are_failures_and_their_places_are_taken_within_ten_seconds() -> None:
    """One hangs, one allocates at 1.6 GB a second: neither is tried again, and others work on beside and after them."""
    hang, allocate = {"then": "hang"}, {"then": "fill the memory slowly"}
    script = Script([hang, allocate, *([{"sleep": 0.2}] * 60)])
    limit = 800 * 2**20
    run_jobs(script, act, SHARED, workers=2, seconds_per_job=6.0, memory_per_job=limit)
    assert script.of(0) == [("failed", False, "the job ran past its limit of 6 s")]
    ((state, lost, error),) = script.of(1)
    assert (state, lost) == ("failed", False)
    said = re.fullmatch(r"the job ran past its limit of 800 MiB of memory: it held (\d+) MiB", error)
    assert said is not None, error
    assert 800 < int(said[1]) < 1600
    assert all(script.of(number)[-1][0] == "finished" for number in range(2, 62))
    assert len(set(script.pids())) == 2, "both places were taken again"
    first = {pid: script.pids().index(pid) + 2 for pid in set(script.pids())}
    for after, number in zip((1, 0), sorted(first.values()), strict=True):
        waited = script.ended_at[f"job/{number}"] - script.ended_at[f"job/{after}"]
        assert waited < 10


@pytest.mark.slow
def test_a_worker_that_fills_the_memory_is_lost_and_the_run_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ray kills it and says so in a way that Tune does not understand; the job beside it is none the worse."""
    memory = psutil.virtual_memory()
    if memory.available < 8 * 2**30:
        pytest.skip("needs 8 GiB of free memory")
    threshold = (memory.total - memory.available + 3 * 2**30) / memory.total
    monkeypatch.setenv("RAY_memory_usage_threshold", str(threshold))
    script = Script([{}, {"then": "fill the memory", "gibibytes": 6}, {"sleep": 20}, {}], batch=None)
    run_jobs(script, act, SHARED, workers=2)
    assert [script.of(number)[-1][0] for number in range(4)] == ["finished", "failed", "finished", "finished"]
    _, lost, error = script.of(1)[-1]
    assert lost
    assert "memory" in error


# --- ends before the end


class FullDisk(Script):
    def finished(self, job: Job, output: Output) -> None:
        raise OSError("disk full")


def test_what_the_source_raises_ends_the_run_as_it_is() -> None:
    refusals: list[str] = []

    def before(job: Job) -> None:  # Ray runs: a chance to ask it for what it cannot do
        for impossible in (lambda: run_jobs(Script([{}]), act, SHARED), lambda: fitting_jobs({"CPU": 2, "GPU": 64})):
            with pytest.raises(ClusterError) as refused:
                impossible()
            refusals.append(str(refused.value))

    script = FullDisk([{}, {"sleep": 600}], before=before)
    with pytest.raises(OSError, match="disk full"):
        run_jobs(script, act, SHARED, workers=2)
    assert script.answers == {}
    assert not ray.is_initialized()
    assert refusals[:2] == [
        "Ray runs in this process already: call ray.shutdown() first",
        "no machine fits a job: it takes 2 CPU, 64 GPU, the machines have 2 CPU, 0 GPU",
    ]


INTERRUPTED = """
import json, signal, sys
import numpy as np
import ray
from cluster.tune.run import run_jobs
from tests.support.job_script import Script
from tests.support.job_work import act

signal.signal(signal.SIGINT, signal.default_int_handler)
script = Script([{"then": "die"}] + [{"sleep": 600}] * 5)
def tick():
    if script.answers:
        print("running", file=sys.stderr, flush=True)
try:
    run_jobs(script, act, {"ones": np.ones(3)}, workers=2, on_tick=tick)
except KeyboardInterrupt:
    answers = {key: [list(answer)[:2] for answer in answers] for key, answers in script.answers.items()}
    print(json.dumps({"answers": answers, "ray": ray.is_initialized()}))
"""


def test_an_interrupt_leaves_at_once_and_jobs_without_an_answer() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED],
        cwd=ROOT,
        start_new_session=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if line == "running\n":
                break
        begin = time.monotonic()
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does
        printed, _ = process.communicate(timeout=60)
        assert time.monotonic() - begin < 10
    # a worker died on the way, which Ray likes to print: stdout belongs to the caller
    assert json.loads(printed) == {"answers": {"job/0": [["failed", True]]}, "ray": False}
    with pytest.raises(ProcessLookupError):
        os.killpg(process.pid, 0)


# --- a cluster that is there


@pytest.fixture
def token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    monkeypatch.setenv("RAY_AUTH_TOKEN", "a" * 64)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)


@pytest.fixture
def start_node(token: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., str]]:
    """Starts ``ray start`` with the given arguments; returns what it has printed when it runs."""
    running: list[subprocess.Popen[str]] = []

    yield functools.partial(ray_nodes.start_node, running)
    for process in reversed(running):
        assert process.poll() is None, "the run must leave the cluster running"
        process.send_signal(signal.SIGTERM)
        try:
            process.communicate(timeout=20)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)


JOINED = """
import json, sys
import numpy as np
from cluster.tune.run import run_jobs
from tests.support.job_script import Script
from tests.support.job_work import act

script = Script([{"sleep": 0.3}] * 8)
run_jobs(script, act, {"ones": np.ones(100_000)}, address=sys.argv[1])
print(json.dumps(script.pids()))
"""


def test_the_machines_of_a_running_cluster_share_the_jobs(start_node: Callable[..., str]) -> None:
    with tempfile.TemporaryDirectory(prefix="ray-") as folder:
        printed = start_node(
            "--head", "--port=0", "--include-dashboard=false",
            "--disable-usage-stats", f"--temp-dir={folder}",
        )  # fmt: skip
        address = printed.split("--address='")[1].split("'")[0]
        start_node(f"--address={address}", "--disable-usage-stats")
        joined = subprocess.run(
            [sys.executable, "-c", JOINED, address], cwd=ROOT, capture_output=True, text=True, timeout=90, check=False
        )
        assert joined.returncode == 0, joined.stderr
        pids = json.loads(joined.stdout)
    assert len(pids) == 8
    assert len(set(pids)) == 2  # each machine has one core


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("127.0.0.1:1", "nothing answers at '127.0.0.1:1': .*refused"),
        ("ray://head:10001", "address must be 'auto' or 'host:port', e.g. 'head:6379', got 'ray://head:10001'"),
        ("head", "address must be 'auto' or 'host:port'"),
    ],
)
def test_an_address_where_no_cluster_is_is_refused_at_once(address: str, message: str) -> None:
    begin = time.monotonic()
    with pytest.raises(ClusterError, match=message):
        run_jobs(Script([{}]), act, SHARED, address=address)
    assert time.monotonic() - begin < 6


@pytest.mark.parametrize(
    ("name", "number", "rule"),
    [
        ("workers", 0, "> 0"),
        ("cpus_per_job", 0, "> 0"),
        ("seconds_per_job", 0.0, "> 0"),
        ("gpus_per_job", -1, ">= 0"),
        ("memory_per_job", -1, ">= 0"),
        ("shared_bytes", -1, ">= 0"),
    ],
)
def test_numbers_out_of_range_are_refused(name: str, number: float, rule: str) -> None:
    with pytest.raises(ValueError, match=f"{name} {rule} must hold, got {number}"):
        run_jobs(Script([{}]), act, SHARED, **{name: number})  # type: ignore[arg-type]


def test_nothing_to_do_starts_nothing() -> None:
    begin = time.monotonic()
    run_jobs(Script([]), act, SHARED)
    assert time.monotonic() - begin < 0.5
