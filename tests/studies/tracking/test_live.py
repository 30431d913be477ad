"""A study is seen in W&B as it goes on, by a process of its own that outlives the driver and holds nobody up."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from studies.store.archive import StudyArchive
from studies.store.folder import StudyFolder
from studies.store.lock import owned
from studies.store.record import iter_records, read_record
from studies.tracking.publisher import WAIT_SECONDS, Publisher, publishing
from studies.tracking.runs import RunIds
from tests.studies.tracking.conftest import assert_server_has
from tests.support.soundness import default_signals, dst, n_records, small_spec, wait_until
from tests.support.wandb_server import KEY, Server, wandb_server

IDS = RunIds("3b7634001d59", "earlier")


@pytest.fixture
def live(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A server for the processes that a test starts."""
    for name in [name for name in os.environ if name.startswith(("WANDB_", "NETRC"))]:
        monkeypatch.delenv(name)
    (tmp_path / "home").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    with wandb_server() as server:
        monkeypatch.setenv("WANDB_BASE_URL", server.url)
        monkeypatch.setenv("WANDB_API_KEY", KEY)
        yield server


@pytest.fixture
def growing(copied: Callable[..., StudyFolder], tmp_path: Path) -> tuple[StudyFolder, Callable[[int], None]]:
    """The study before its trials, looked at twice a second, and what lets breast_cancer's trial of a number end."""
    whole, folder = copied(tmp_path / "whole", "online"), copied(tmp_path / "study", "online")
    text = folder.spec.read_text().replace("    mode: online\n", "    mode: online\n    seconds: 0.5\n")
    folder.spec.write_text(text)
    for path in folder.records.glob("*/[0-9]*.*"):
        path.unlink()

    def end(number: int) -> None:
        for path in sorted(whole.records.glob(f"breast_cancer/{number}.*"), key=lambda path: path.suffix == ".json"):
            shutil.copyfile(path, folder.records / "breast_cancer" / path.name)

    return folder, end


def running(folder: StudyFolder, number: int, **reports: float) -> dict[str, Any]:
    """What the driver says of a trial at work."""
    record = read_record(folder.path.parent / "whole" / "records" / "breast_cancer" / f"{number}.json")
    kept = ("schema", "dataset", "number", "stage", "source", "seed", "seed_index", "method", "params", "settings", "k")
    return {key: record.get(key) for key in kept} | {"state": "running", "reports": reports, "error": None}


@pytest.mark.slow
def test_trials_appear_as_they_run_and_end_and_a_killed_driver_loses_none(
    live: Server, growing: tuple[StudyFolder, Callable[[int], None]]
) -> None:
    folder, end = growing
    whole = StudyFolder(folder.path.parent / "whole")
    number = next(n for n in range(6) if read_record(whole.record("breast_cancer", n))["method"] == "set")
    study, dataset, trial, other = (
        IDS.of(*place) for place in ((), ("breast_cancer",), ("breast_cancer", number), ("breast_cancer", 5 - number))
    )
    runs = live.runs
    with owned(folder):
        publisher = Publisher(folder)
        publisher.note([running(folder, number, **{"5": -0.9})])
        live.wait_until(lambda: trial in runs and bool(runs[trial].history), 120)
        publisher._due = 0.0
        publisher.note([running(folder, number, **{"5": -0.9, "10": -0.7})])
        live.wait_until(lambda: len(runs[trial].history) == 2, 120)
        assert runs[trial].rows == [{"rung/value": 0.9, "rung/epoch": 5}, {"rung/value": 0.7, "rung/epoch": 10}]
        assert runs[trial].summary["state"] == "running"
        end(5 - number)
        live.wait_until(lambda: other in runs and runs[other].exit_code == 0, 120)
        live.wait_until(lambda: bool(runs[dataset].history) and bool(runs[study].history), 120)
        assert (runs[study].exit_code, runs[study].summary["trials/running"]) == (None, 1)
        assert runs[dataset].rows[0]["trial/number"] == 5 - number
    end(number)
    publisher._process.stdin.close()  # as the death of the driver does
    assert publisher.wait(100) is None
    assert runs[trial].exit_code == 0
    curves = read_record(whole.record("breast_cancer", number))["curves"]
    assert runs[trial].rows[-1]["epoch"] == max(len(split["val_loss"]) for split in curves)
    assert (runs[study].exit_code, runs[study].summary["state"]) == (255, "interrupted")
    assert (runs[dataset].exit_code, len(runs[dataset].history)) == (255, 2)

    for rest in {*range(12)} - {number, 5 - number}:
        end(rest)
    before = set(runs)
    opened = {path: path.read_bytes() for path in folder.records.glob("*/*.test.json")}
    confirmed = IDS.of("breast_cancer", int(min(opened).name.split(".")[0]))
    for path in opened:
        path.unlink()
    with publishing(folder, StudyArchive(folder).spec.tracking.wandb) as again:
        assert again is not None
        live.wait_until(lambda: confirmed in runs and runs[confirmed].exit_code == 0, 120)
        for path, content in opened.items():
            path.write_bytes(content)
    assert again.wait(100) is None
    assert runs[confirmed].summary["test_score"] > 0
    assert runs[confirmed].ends == 2
    # What was sent again with its test accuracy counts once.
    assert again.said() == f"{10 + 3} runs sent: {live.url}/me/p/runs/{study}"
    assert before < set(runs), "the study goes on in the same runs"
    assert (runs[study].exit_code, runs[study].summary["state"]) == (0, "finished")
    assert [row["trials/ended"] for row in runs[study].rows] == list(range(1, 13))
    assert {runs[IDS.of("breast_cancer", place)].exit_code for place in range(12)} == {0}


@pytest.mark.slow
def test_a_server_that_hangs_holds_nobody_up(live: Server, growing: tuple[StudyFolder, Callable[[int], None]]) -> None:
    folder, end = growing
    live.open.clear()
    publisher = Publisher(folder)
    end(0)
    assert live.kept_waiting.wait(120)
    publisher.end("finished")
    began = time.monotonic()
    said = publisher.wait(2.0)
    assert said == f"W&B does not have all of the study yet after 2 s: dst track {folder.path} sends the rest"
    assert time.monotonic() - began < 20
    with pytest.raises(ProcessLookupError):
        os.killpg(publisher._process.pid, 0)
    live.open.set()
    code, printed, _ = dst("track", folder.path)
    assert (code, printed) == (0, f"{1 + 3} runs sent: {live.url}/me/p/runs/{IDS.of()}\n")
    assert_server_has(live, folder)


SCRIPT = """
import sys
from pathlib import Path
from studies import load_spec, run_study
from studies.tracking.publisher import Publisher
Publisher.wait.__defaults__ = (float(sys.argv[3]),)
spec, out = load_spec(sys.argv[1]), Path(sys.argv[2])
result = run_study(spec, out=out, in_process=True, show=lambda result: print("shown", flush=True))
print(result.tracked, *result.warnings, sep="\\n")
"""


def start_study(spec: Path, out: Path, seconds: float = WAIT_SECONDS) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(spec), str(out), str(seconds)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        preexec_fn=default_signals,
        stdout=subprocess.PIPE,
        text=True,
    )


@pytest.mark.slow
def test_a_study_whose_driver_is_killed_is_whole_in_wandb_when_it_was_resumed(live: Server, tmp_path: Path) -> None:
    tracking = {"wandb": {"mode": "online", "seconds": 0.5, "project": "p", "alerts": True}}
    search = {"trials": 4, "batch": 2, "sampler": "random"}
    confirm = {"top": 1, "seeds": 1}
    spec = small_spec(
        tmp_path,
        tracking=tracking,
        search=search,
        confirm=confirm,
        training={"epochs": 400, "patience": 400, "hidden": [10, 5]},
    )
    out = tmp_path / "out"
    driver = start_study(spec, out)
    wait_until(lambda: n_records(out) >= 2, driver)
    driver.send_signal(signal.SIGKILL)
    driver.communicate()
    live.wait_until(lambda: {0, 255} <= {run.exit_code for run in live.runs.values()}, 200)  # what had ended is there
    wait_until(lambda: (out / "wandb" / "sent.jsonl").exists())
    seen = set(live.runs)

    printed = start_study(spec, out).communicate(timeout=400)[0].splitlines()
    assert printed[0] == "shown"
    assert "runs sent: http" in printed[1]
    assert seen <= set(live.runs)
    records = list(iter_records(StudyFolder(out)))
    assert len(live.runs) == len(records) + 2 + 1
    by_place = {
        (run.config["dataset"], run.config.get("number")): run for run in live.runs.values() if "k" in run.config
    }
    for record in records:
        run = by_place[record["dataset"], record["number"]]
        assert (run.exit_code, run.summary["val_score"]) == (0, record["val_score"])
        assert any("topology/changed" in row for row in run.rows) == (record["method"] == "set")
    assert [title for title, _ in live.alerts] == ["small interrupted", "small finished"]

    # A server that hangs holds the end up for as long as it is waited for; the winners are there before.
    assert WAIT_SECONDS < 60
    live.open.clear()
    (out / "wandb" / "sent.jsonl").unlink()
    driver = start_study(spec, out, seconds=3)
    assert driver.stdout.readline() == "shown\n"
    began = time.monotonic()
    nothing, said = driver.communicate(timeout=60)[0].splitlines()
    assert time.monotonic() - began < 3 + 10
    why, rest = said.rsplit(": ", 1)
    assert why in ("W&B does not have all of the study yet after 3 s", f"W&B at {live.url} does not answer")
    assert (nothing, rest) == ("None", f"dst track {out} sends the rest")
    live.open.set()
    code, printed, _ = dst("track", out)
    assert (code, printed.split(":")[0]) == (0, f"{len(live.runs)} runs sent")
    assert_server_has(live, StudyFolder(out))
