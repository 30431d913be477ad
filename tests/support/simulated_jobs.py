"""Jobs of studies that compute nothing, for real workers: what they answer follows from the job, and loads no torch.

A study of them is real but for that: its plan, ledger, processes, records and report. A worker that trains takes three
times as long to start.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from cluster.jobs import Output, Report
from dst.data import Dataset, TrialData

PAUSE = "TEST_PAUSE"
"""Names the time before each report, in seconds; where it is not set there is none."""

HANGS = 0.004
"""The learning rate of a trial that never ends in :func:`hanging`."""

STEPS = (5, 10)
"""The rungs at which a simulated network reports."""


def answer(payload: Mapping[str, Any], seconds: float, n_features: int = 6, k: int = 2) -> Output:
    """Answer a job: a trial's scores follow from its seeds.

    Args:
        payload: of the job.
        seconds: that it is to have taken.
        n_features: columns of its table.
        k: how many of them are selected.
    """
    if payload["kind"] == "test":
        tests = {name: {"test_svm_accuracy": 0.5} for name in payload["ranked"]}
        return Output({"importances": tests, "seconds": {"total": seconds}})
    if payload["kind"] == "list":
        judged = {str(payload["k"]): {"accuracy": 0.5}}
        return Output({"validation": judged, "test": judged, "seconds": {"total": seconds}})
    trial = payload["trial"]
    rng = np.random.default_rng([trial["seed"], trial["split_seed"]])
    score, ranks = float(rng.random()), rng.permutation(np.arange(n_features, dtype=float))
    selected = np.argsort(-ranks)[:k].tolist()
    importances = {"neuron_strength": {"val_svm_accuracy": score, "selected": selected}}
    losses = {"val_score": score, "val_loss": 1 - score, "importance": "neuron_strength", "importances": importances}
    return Output({**losses, "seconds": {"total": seconds}, "peak_rss_bytes": 1000}, {"neuron_strength": ranks})


def simulated(payload: Mapping[str, Any], shared: Dataset | TrialData, report: Report) -> Output:
    """Report at every rung and answer (a work function, see :data:`cluster.jobs.WorkFunction`)."""
    output = answer(payload, 0.1, shared.n_features, shared.k)
    for step in STEPS if payload["kind"] == "trial" else ():
        time.sleep(float(os.environ.get(PAUSE, "0")))
        report(step, -output.document["val_loss"])
    return output


def hanging(payload: Mapping[str, Any], shared: Dataset | TrialData, report: Report) -> Output:
    """Do as :func:`simulated`, but for a trial with the learning rate ``HANGS``."""
    if payload["kind"] == "trial" and payload["trial"]["settings"].get("lr") == HANGS:
        time.sleep(600)
    return simulated(payload, shared, report)
