"""Jobs in this process: each gets exactly one answer."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cluster.jobs import Job, Output, Report
from cluster.local import run_here
from tests.support.job_script import Script
from tests.support.job_work import act, ignore_stops

SHARED = {"ones": np.ones(4)}


def test_every_way_to_end(tmp_path: Path) -> None:
    diary = tmp_path / "diary"
    script = Script(
        [
            {},
            {"reports": 2, "value": 0.5},
            {"reports": 9, "stop_at": 2, "diary": str(diary)},
            {"then": "raise"},
            {"then": "return nothing"},
            {"reports": 1, "then": "raise"},
        ]
    )
    ticks = []
    run_here(script, act, SHARED, on_tick=lambda: ticks.append(1))
    assert script.of(0) == [("finished",)]
    assert script.of(1) == [("report", 1, 0.5), ("report", 2, 1.0), ("finished",)]
    assert script.of(2) == [("report", 1, 0.0), ("report", 2, 0.0), ("stopped",)]
    assert diary.read_text() == "1\n2\nstopped\n"
    for number, words in ((3, "RuntimeError: as asked"), (4, "must return an Output"), (5, "RuntimeError: as asked")):
        *_, (state, lost, error) = script.of(number)
        assert (state, lost) == ("failed", False)
        assert words in error
    assert "here.py" not in script.of(3)[0][2]
    assert script.outputs["job/0"].document["sum"] == 4.0
    assert len(ticks) == 6 + 5
    assert script.done()


def test_a_stop_counts_even_if_the_work_does_not_listen() -> None:
    script = Script([{"stop_at": 3}])
    run_here(script, ignore_stops, SHARED)
    assert script.of(0) == [("report", 1, 0.0), ("report", 2, 0.0), ("report", 3, 0.0), ("stopped",)]


class FullDisk(Script):
    def report(self, job: Job, step: int, value: float) -> bool:
        raise OSError("disk full")


@pytest.mark.parametrize("work", [act, ignore_stops])
def test_what_the_source_raises_is_not_the_jobs_fault(work: Any) -> None:
    script = FullDisk([{"reports": 1}])
    with pytest.raises(OSError, match="disk full"):
        run_here(script, work, SHARED)
    assert script.answers == {}


def test_a_source_that_can_never_end_is_noticed() -> None:
    class Stuck(Script):
        def next_job(self) -> Job | None:
            return None

    with pytest.raises(RuntimeError, match="neither a job nor an end"):
        run_here(Stuck([{}]), act, SHARED)


def test_an_interrupt_leaves_the_job_open() -> None:
    def interrupted(payload: Mapping[str, Any], shared: Any, report: Report) -> Output:
        raise KeyboardInterrupt

    script = Script([{}])
    with pytest.raises(KeyboardInterrupt):
        run_here(script, interrupted, SHARED)
    assert script.answers == {}


def test_neither_the_package_nor_running_here_imports_ray() -> None:
    code = "import sys, cluster, cluster.local, cluster.ledger.ledger; sys.exit('ray' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
    code = "import sys, cluster; sys.exit('ray' in sys.modules or 'optuna' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
