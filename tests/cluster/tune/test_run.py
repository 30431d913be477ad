"""Contracts with Ray Tune's hooks, on real workers: one answer a job, processes that live on, runs that end.

Ray's searcher and scheduler are developer interfaces. What we rely on is tested here, so that a new version of Ray
breaks these tests and not a study.
"""

from __future__ import annotations

import contextlib
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
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil
import pytest
import ray
from ray._private import services

from cluster.jobs import ClusterError, Job, Output
from cluster.local import run_here
from cluster.tune.internals import is_node_of
from cluster.tune.run import run_jobs
from tests.support import ray_nodes
from tests.support.job_script import Script
from tests.support.job_work import act
from tests.support.local_run import ENDINGS, IN_PAIRS, SHARED, LocalRun

ROOT = Path(__file__).parents[3]

# --- one run of everything that can become of a job whose process lives


@pytest.fixture(scope="module")
def mixed(local_run: LocalRun) -> Script:
    return local_run.script


@pytest.mark.parametrize("number", range(len(ENDINGS)))
@pytest.mark.slow
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


@pytest.mark.slow
def test_outputs_arrive_whole(mixed: Script) -> None:
    assert mixed.outputs["job/0"].document["sum"] == 1000.0
    assert mixed.outputs["job/7"].document["sum"] == 20.0
    np.testing.assert_array_equal(mixed.outputs["job/7"].arrays["twice"], np.arange(100_000) * 2.0)


@pytest.mark.slow
def test_workers_stay_in_the_drivers_folder_and_use_their_cores(mixed: Script) -> None:
    for output in mixed.outputs.values():
        assert output.document["cwd"] == str(Path.cwd())
        assert output.document["threads"] == ["3", "3"]


@pytest.mark.slow
def test_as_many_processes_as_workers_though_jobs_raise_or_are_stopped(mixed: Script) -> None:
    """Also though one worker could do all of these short jobs while the other starts."""
    assert len(set(mixed.pids())) == 2


@pytest.mark.slow
def test_a_stopped_job_does_no_step_more(local_run: LocalRun) -> None:
    assert local_run.diary == "1\n2\nstopped\n"


@pytest.mark.slow
def test_the_source_is_never_pickled(mixed: Script) -> None:
    assert mixed.pickled == 0


@pytest.mark.slow
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


@pytest.mark.slow
def test_processes_live_on_while_a_batch_is_awaited(mixed: Script) -> None:
    in_pairs = [mixed.outputs[f"job/{len(ENDINGS) + number}"].document["pid"] for number in range(len(IN_PAIRS))]
    assert [in_pairs.count(pid) for pid in set(in_pairs)] == [4, 4]


@pytest.mark.slow
def test_ticks_come_twice_a_second_at_most(local_run: LocalRun) -> None:
    assert np.diff(local_run.ticks).min() >= 0.5


@pytest.mark.slow
def test_nothing_is_left_behind(local_run: LocalRun) -> None:
    assert local_run.left == []
    assert not ray.is_initialized()
    before, after = local_run.surroundings
    assert after == before


# --- a cluster that is there


@contextlib.contextmanager
def nodes() -> Iterator[Callable[..., str]]:
    """Starts ``ray start`` with the given arguments; returns what it has printed when it runs."""
    running: list[subprocess.Popen[str]] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_AUTH_MODE", "token")
        patch.setenv("RAY_AUTH_TOKEN", "a" * 64)
        patch.delenv("RAY_ADDRESS", raising=False)
        for name in ("period", "timeout"):  # a machine that is lost is noticed within seconds
            patch.setenv(f"RAY_health_check_{name}_ms", "1000")
        yield functools.partial(ray_nodes.start_node, running)
        for process in reversed(running):
            assert process.poll() is None, "the run must leave the cluster running"
            process.send_signal(signal.SIGTERM)
            try:
                process.communicate(timeout=20)
            finally:
                if process.poll() is None:
                    os.killpg(process.pid, signal.SIGKILL)


@pytest.fixture(scope="module")
def cluster_address(local_run: LocalRun) -> Iterator[str]:
    """The address of a cluster of two machines with a core each.

    The local run comes first: Ray looks for ``RAY_AUTH_MODE`` when it is imported, and a process that has started no
    Ray of its own since shows no token.
    """
    with tempfile.TemporaryDirectory(prefix="ray-") as folder, nodes() as start_node:
        printed = start_node(
            "--head", "--port=0", "--include-dashboard=false", "--disable-usage-stats", f"--temp-dir={folder}"
        )
        address = printed.split("--address='")[1].split("'")[0]
        start_node(f"--address={address}", "--disable-usage-stats")
        yield address


class FullDisk(Script):
    """Fails when it is told of an output after the first eight jobs."""

    def finished(self, job: Job, output: Output) -> None:
        if int(job.key.removeprefix("job/")) >= 8:
            raise OSError("disk full")
        super().finished(job, output)


@dataclass(frozen=True)
class Joined:
    """A run on a cluster that is there: processes die, and at its end the source raises.

    Attributes:
        script: the source.
        raised: what came out of the run.
        refusals: what Ray was asked for meanwhile and cannot do.
    """

    script: Script
    raised: BaseException
    refusals: list[str]


@pytest.fixture(scope="module")
def joined(cluster_address: str) -> Joined:
    refusals: list[str] = []

    def before(job: Job) -> None:
        if job.key == "job/0":  # Ray runs: a chance to ask it for what it cannot do
            with pytest.raises(ClusterError) as refused:
                run_jobs(Script([{}]), act, SHARED)
            refusals.append(str(refused.value))
        if job.key == "job/2":  # both workers are idle
            os.kill(script.outputs["job/1"].document["pid"], signal.SIGKILL)

    payloads = [{"sleep": 0.2}, {"sleep": 0.2}, {}, {}, {"then": "die"}, {}, {"sleep": 0.2}, {}, {}, {"sleep": 600}]
    script = FullDisk(payloads, batch=2, before=before)
    with pytest.raises(OSError, match="disk full") as raised:
        run_jobs(script, act, SHARED, address=cluster_address)
    return Joined(script, raised.value, refusals)


@pytest.mark.slow
def test_the_machines_of_a_running_cluster_share_the_jobs(joined: Joined) -> None:
    first, second = joined.script.pids()[:2]
    assert first != second, "each machine has one core"


@pytest.mark.slow
def test_jobs_of_processes_that_die_are_lost_and_the_run_goes_on(joined: Joined) -> None:
    ends = [joined.script.of(number)[-1] for number in range(8)]
    # one of the first pair after the kill was sent to the idle worker that had died
    assert sorted(end[0] for end in ends[2:4]) == ["failed", "finished"]
    lost = [number for number, end in enumerate(ends) if end[0] == "failed"]
    assert len(lost) == 2
    assert 4 in lost
    for number in lost:
        _, is_lost, error = ends[number]
        assert is_lost
        assert "died" in error
    assert len(set(joined.script.pids())) <= 2 + 2


@pytest.mark.slow
def test_what_the_source_raises_ends_the_run_as_it_is(joined: Joined) -> None:
    assert str(joined.raised) == "disk full"
    assert {"job/8", "job/9"}.isdisjoint(joined.script.answers)
    assert not ray.is_initialized()


@pytest.mark.slow
def test_what_ray_cannot_do_is_refused(joined: Joined) -> None:
    assert joined.refusals == ["Ray runs in this process already: call ray.shutdown() first"]


@pytest.fixture(scope="module")
def interrupted(cluster_address: str) -> Script:
    """A run that SIGTERM ended when its first job was done."""
    script = Script([{}, *([{"sleep": 600}] * 3)])

    def tick() -> None:
        if script.answers:
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(KeyboardInterrupt):
        run_jobs(script, act, SHARED, address=cluster_address, on_tick=tick)
    return script


@pytest.mark.slow
def test_an_interrupt_leaves_jobs_without_an_answer(interrupted: Script) -> None:
    assert interrupted.answers == {"job/0": [("finished",)]}
    assert not ray.is_initialized()


@pytest.mark.slow
def test_a_machine_that_joins_gets_jobs_and_when_it_is_lost_the_others_keep_their_workers(
    cluster_address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    added: list[subprocess.Popen[str]] = []
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    monkeypatch.setenv("RAY_AUTH_TOKEN", "a" * 64)
    environment = {"env_vars": {"OMP_NUM_THREADS": "7", "NUMBA_NUM_THREADS": "1"}}  # of a job that was submitted
    monkeypatch.setenv("RAY_JOB_CONFIG_JSON_ENV_VAR", json.dumps({"runtime_env": environment}))

    def before(job: Job) -> None:
        if job.key == "job/4":
            ray_nodes.start_node(added, f"--address={cluster_address}", "--disable-usage-stats")
        if len({output.document["node"] for output in script.outputs.values()}) == 3 and added[0].poll() is None:
            os.killpg(added[0].pid, signal.SIGKILL)
            added[0].wait()
            lost_at.append(int(job.key.removeprefix("job/")))

    lost_at: list[int] = []
    script = Script([{"sleep": 0.2}] * 40, batch=4, before=before)
    run_jobs(script, act, SHARED, address=cluster_address)
    nodes_of = [script.outputs[key].document["node"] for key in sorted(script.outputs, key=lambda key: int(key[4:]))]
    assert all(output.document["threads"] == ["1", "1"] for output in script.outputs.values())
    assert lost_at, "no job ran on the machine that joined"
    assert len(set(nodes_of)) == 3
    assert len(set(script.pids())) == 3, "no worker of the machines that stay was ended to make room"


NEIGHBOUR = """
import sys
import numpy as np
from cluster.tune.run import run_jobs
from tests.support.job_script import Script
from tests.support.job_work import act

address, diary = sys.argv[1:]
payloads = [{"sleep": 0.5, "reports": 1, "diary": diary}] * 10
run_jobs(Script(payloads, batch=5), act, {"ones": np.ones(3)}, address=address)
"""


@pytest.mark.slow
def test_two_runs_share_a_cluster(cluster_address: str, tmp_path: Path) -> None:
    """The second starts when the first has all places; while both have work each gets two jobs of five at least."""
    diary = tmp_path / "diary"
    neighbours: list[subprocess.Popen[bytes]] = []
    shared: list[int] = []  # jobs of the first that have ended, at each of the second's

    class First(Script):
        def next_job(self) -> Job | None:
            if neighbours and neighbours[0].poll() is not None:
                self._left.clear()
            return super().next_job()

        def finished(self, job: Job, output: Output) -> None:
            super().finished(job, output)
            theirs = len(diary.read_text().splitlines()) if diary.exists() else 0
            shared.extend([len(self.outputs)] * (theirs - len(shared)))

    def before(job: Job) -> None:
        if job.key == "job/4":
            command = [sys.executable, "-c", NEIGHBOUR, cluster_address, str(diary)]
            neighbours.append(subprocess.Popen(command, cwd=ROOT))

    first = First([{"sleep": 0.5}] * 1000, batch=4, before=before)
    run_jobs(first, act, SHARED, address=cluster_address)
    assert neighbours[0].wait(60) == 0
    ours, theirs = shared[-1] - shared[0], len(shared) - 1
    assert theirs >= 5, "the second got its places while the first had work"
    assert ours / (ours + theirs) >= 0.4
    assert theirs / (ours + theirs) >= 0.4


STRANGER = """
import sys
import numpy as np
from cluster.jobs import ClusterError
from cluster.tune.run import run_jobs
from tests.support.job_script import Script
from tests.support.job_work import act

try:
    run_jobs(Script([{}]), act, {"ones": np.ones(3)}, address=sys.argv[1])
except ClusterError as error:
    print(error)
"""


@pytest.mark.slow
def test_a_host_that_is_no_node_says_so(cluster_address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """To processes of a namespace of their own, no node runs beside them."""
    assert is_node_of(cluster_address, 5.0)
    with monkeypatch.context() as patch:
        patch.setattr(services, "find_node_ids", lambda: {"f" * 56})
        assert not is_node_of(cluster_address, 5.0), "a node of another cluster is none"
    apart = ["unshare", "--pid", "--fork", "--mount-proc"]
    if subprocess.run([*apart, "true"], capture_output=True, check=False).returncode != 0:
        pytest.skip("needs the right to make a namespace of processes")
    command = [*apart, sys.executable, "-c", STRANGER, cluster_address]
    said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=50).stdout
    assert said.startswith(f"this host is no node of the Ray cluster at '{cluster_address}'")
    assert "ray job submit" in said


# --- limits of time and memory, and interrupts, by the clock


@pytest.mark.slow
def test_waiting_for_the_answer_to_a_report_takes_no_time_of_a_job(cluster_address: str) -> None:
    """The driver is away for twice the limit, as while a database restarts; the job works on for half of it then."""

    class Slow(Script):
        def report(self, job: Job, step: int, value: float) -> bool:
            time.sleep(6.0 if step == 1 else 0.0)
            return super().report(job, step, value)

    script = Slow([{"reports": 2, "sleep": 1.5}])
    run_jobs(script, act, SHARED, workers=1, seconds_per_job=3.0, address=cluster_address)
    assert script.of(0)[-1] == ("finished",)


@pytest.mark.slow
def test_jobs_that_take_too_much_are_failures_and_their_places_are_taken_within_ten_seconds(
    cluster_address: str,
) -> None:
    """One hangs, one allocates at 1.6 GB a second: neither is tried again, and others work on beside and after them."""
    n_after = 90
    hang, allocate = {"then": "hang"}, {"then": "fill the memory slowly"}
    script = Script([hang, allocate, *([{"sleep": 0.2}] * n_after)])
    limit = 800 * 2**20
    run_jobs(script, act, SHARED, workers=2, seconds_per_job=8.0, memory_per_job=limit, address=cluster_address)
    assert script.of(0) == [("failed", False, "the job ran past its limit of 8 s")]
    ((state, lost, error),) = script.of(1)
    assert (state, lost) == ("failed", False)
    said = re.fullmatch(r"the job ran past its limit of 800 MiB of memory: it held (\d+) MiB", error)
    assert said is not None, error
    assert 800 < int(said[1]) < 1600
    assert all(script.of(number)[-1][0] == "finished" for number in range(2, 2 + n_after))
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
    script = Script([{}, {"then": "fill the memory", "gibibytes": 6}, {"sleep": 12}, {}], batch=None)
    run_jobs(script, act, SHARED, workers=2)
    assert [script.of(number)[-1][0] for number in range(4)] == ["finished", "failed", "finished", "finished"]
    _, lost, error = script.of(1)[-1]
    assert lost
    assert "memory" in error


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


@pytest.mark.slow
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


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("auto", "nothing answers at '127.0.0.1:2': .*refused"),
        ("127.0.0.1:1", "nothing answers at '127.0.0.1:1': .*refused"),
        ("ray://head:10001", "address must be 'auto' or 'host:port', e.g. 'head:6379', got 'ray://head:10001'"),
        ("head", "address must be 'auto' or 'host:port'"),
    ],
)
def test_an_address_where_no_cluster_is_is_refused_at_once(
    address: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:2")
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
