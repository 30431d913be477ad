"""The simulated search as a source of jobs, and its work function."""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cluster.jobs import Job, Output, Report
from cluster.ledger.ledger import Ledger
from tests.support.simulated_search import STEPS, curve, fails


class LedgerSource:
    """Hands out a ledger's trials until its search is done.

    Args:
        ledger: the ledger.
        grave: a folder for the names of trials whose process has died; None: none dies.
    """

    def __init__(self, ledger: Ledger, grave: Path | None = None) -> None:
        self._ledger = ledger
        self._grave = grave
        self.lost = 0

    def next_job(self) -> Job | None:
        ticket = self._ledger.take()
        if ticket is None:
            return None
        payload = {"number": ticket.number, "params": ticket.params, "grave": str(self._grave or "")}
        return Job(f"{self._ledger.name}/{ticket.number}", "nothing", payload)

    def done(self) -> bool:
        return self._ledger.search_done()

    def started(self, job: Job) -> None:
        pass

    def placed(self, job: Job, host: str) -> None:
        pass

    def report(self, job: Job, step: int, value: float) -> bool:
        return self._ledger.report(job.payload["number"], step, value)

    def finished(self, job: Job, output: Output) -> None:
        self._ledger.complete(job.payload["number"], output.document["value"])

    def stopped(self, job: Job) -> None:
        self._ledger.stop(job.payload["number"])

    def failed(self, job: Job, error: str, *, lost: bool) -> None:
        if lost:
            self.lost += 1
            self._ledger.retry(job.payload["number"])
        else:
            self._ledger.fail(job.payload["number"], "breaks")


def simulate(payload: Mapping[str, Any], shared: Any, report: Report) -> Output:
    """Report the simulated curve; every seventh trial's process dies on the way, the first time."""
    params = dict(payload["params"])
    grave = Path(payload["grave"], str(payload["number"]))
    for step in range(1, STEPS + 1):
        report(step, curve(params, step))
        if step == 2 and payload["grave"] and payload["number"] % 7 == 3 and not grave.exists():
            grave.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        if step == 2 and fails(params):
            raise RuntimeError("breaks")
    return Output({"value": curve(params, STEPS)})
