"""Work functions of studies for real workers: late, or dying on the way."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cluster.jobs import Output, Report
from studies.worker.job import run_job

DELAY = "TEST_DELAY"
"""Names the longest pause before a job and before each of its reports, in seconds."""


def late(payload: Mapping[str, Any], shared: Any, report: Report) -> Output:
    """Run the job with pauses of random lengths, so that jobs end in another order each time."""
    longest = float(os.environ[DELAY])
    rng = random.Random()  # noqa: S311 - unseeded on purpose

    def slow(step: int, value: float) -> None:
        time.sleep(rng.uniform(0, longest))
        report(step, value)

    time.sleep(rng.uniform(0, longest))
    return run_job(payload, shared, slow)


def mortal(payload: Mapping[str, Any], shared: Any, report: Report) -> Output:
    """Run the job; its worker is killed once, at the third report or the first after it that finds a checkpoint."""
    if payload["kind"] != "trial":
        return run_job(payload, shared, report)
    path = Path(payload["checkpoint"]["path"])
    grave = path.with_suffix(".grave")
    heard = []

    def deadly(step: int, value: float) -> None:
        report(step, value)
        heard.append(step)
        if len(heard) >= 3 and path.exists() and not grave.exists():
            grave.touch()
            os.kill(os.getpid(), signal.SIGKILL)

    return run_job(payload, shared, deadly)
