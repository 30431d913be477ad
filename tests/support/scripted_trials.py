"""A work function that ends each trial as the trial's learning rate says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cluster.jobs import Output, Report
from studies.worker.job import NoScoreError, run_job

FINISHES, RAISES, NAN, STOPS = 0.01, 0.001, 0.002, 0.003


def act(payload: Mapping[str, Any], shared: Any, report: Report) -> Output:
    """Work, and fail or report as asked; confirming trials work as they are."""
    lr = payload["trial"]["settings"].get("lr")
    if payload["kind"] == "trial" and payload["trial"]["split_seed"] == 3:  # the search's
        if lr == RAISES:
            raise RuntimeError("as asked")
        if lr == NAN:
            raise NoScoreError("the objective val_svm_accuracy must be a finite number, but it is nan")
        if lr == STOPS:
            for step in (5, 10, 20):
                report(step, -1e6)
    return run_job(payload, shared, report)
