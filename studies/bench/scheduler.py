"""The cost of the machinery beside the trials: a study of trials that only pass the time, on real workers.

Everything but the trials is what a study runs: the plan, the ledger on SQLite, sampler and pruner, records on disk, Ray
Tune.
"""

from __future__ import annotations

import functools
import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import psutil

from cluster.jobs import Job, Output, Report
from dst.errors import InputError
from studies.bench.plan import look_at, plan_of
from studies.plan.data import StudyData
from studies.plan.study import StudyPlan
from studies.spec.loading import parse_spec
from studies.spec.study import StudySpec

HUNDRED = 100
"""Trials at either end whose times are compared; a shorter run compares its halves."""


@dataclass(frozen=True)
class SchedulerCase:
    """Trials that pass the time.

    Attributes:
        trial_seconds: how long each keeps a core busy; not negative.
        reports_per_trial: reports of each, spread evenly over its time; not negative.
        trials: how many the search has.
        sampler: who proposes them.
        pruner: who looks at the reports; equal trials are never stopped.
    """

    trial_seconds: float
    reports_per_trial: int
    trials: int
    sampler: str = "tpe"
    pruner: str = "median"


CASES = (
    SchedulerCase(trial_seconds=0.0, reports_per_trial=6, trials=300),
    SchedulerCase(trial_seconds=0.0, reports_per_trial=200, trials=300, pruner="none"),
    SchedulerCase(trial_seconds=0.0, reports_per_trial=200, trials=300),
    SchedulerCase(trial_seconds=2.0, reports_per_trial=6, trials=40),
)
"""Empty trials of 200 epochs that report as a study's do, at rungs, and may be stopped there; that report each epoch
and run to their end, so that nobody waits for an answer; that report each epoch and wait each time whether to stop;
trials of two seconds."""

LONG_CASES = (SchedulerCase(0.0, reports_per_trial=200, trials=2000, sampler="random", pruner="none"),)
"""As many as show what grows. A proposal of the default sampler takes time in proportion to the trials before it, which
is its own; drawn parameters leave what the machinery adds."""


SPACE = {
    "sparsity": {"values": [0.5, 0.8, 0.9, 0.95, 0.98]},
    "l2": {"low": 1e-5, "high": 1e-2, "log": True},
    "lr": {"low": 3e-4, "high": 3e-3, "log": True},
    "drop_fraction": {"low": 0.1, "high": 0.5},
}
"""What the default space has for one method."""


@dataclass(frozen=True)
class SchedulerRow:
    """The result of a measurement. A worker's time goes on from the end of its first trial to the end of the search.

    Attributes:
        trial_seconds: of the case.
        reports_per_trial: of the case.
        trials: of the case.
        overhead_s_per_trial: seconds of a worker's time that go by for each trial besides ``trial_seconds``.
        utilisation: share of the workers' time that trials used, at most 1.
        driver_bytes_per_trial: by how much the driver's resident memory grew from trial to trial.
        slowdown: time of the last hundred trials over that of the first.
        start_up_s: from the call until every worker had ended a trial.
    """

    trial_seconds: float
    reports_per_trial: int
    trials: int
    overhead_s_per_trial: float
    utilisation: float
    driver_bytes_per_trial: float
    slowdown: float
    start_up_s: float


@dataclass(frozen=True)
class Ended:
    """A trial that has ended.

    Attributes:
        worker: its process.
        began: when it began, in seconds of the machine's monotonic clock, as the next two.
        ended: when it ended.
        told: when the driver had made that durable.
        rss: resident bytes of the driver then.
    """

    worker: int
    began: float
    ended: float
    told: float
    rss: int


def scheduler_rows(cases: Iterable[SchedulerCase], *, workers: int = 2) -> Iterator[SchedulerRow]:
    """Run the cases; yield a row for each as soon as it is there.

    Args:
        cases: what to run.
        workers: how many trials run at once, each on a core.

    Raises:
        InputError: a case has too few trials to measure: less than 4 a worker.
    """
    cases = list(cases)
    for case in cases:
        if case.trials < 4 * workers:
            raise InputError(f"trials >= 4 x {workers} workers must hold, but got trials={case.trials}")
    for case in cases:
        began = time.monotonic()
        yield row_of(case, _run(case, workers), began=began, workers=workers)


def row_of(case: SchedulerCase, trials: Sequence[Ended], *, began: float, workers: int) -> SchedulerRow:
    """Sum up.

    Args:
        case: what was run.
        trials: in the order in which they were told.
        began: when the run was called for.
        workers: how many there were; each has ended a trial.
    """
    firsts: dict[int, Ended] = {}
    for trial in trials:
        firsts.setdefault(trial.worker, trial)
    ready = max(first.told for first in firsts.values())
    counted = [trial for trial in trials if trial.told > ready]
    end = counted[-1].told
    used = sum(
        case.trial_seconds * max(0.0, min(trial.ended, end) - max(trial.began, ready)) / (trial.ended - trial.began)
        for trial in trials
        if trial.ended > ready and case.trial_seconds > 0
    )
    time_there = workers * (end - ready)
    several = min(HUNDRED, len(counted) // 2)
    return SchedulerRow(
        trial_seconds=case.trial_seconds,
        reports_per_trial=case.reports_per_trial,
        trials=case.trials,
        overhead_s_per_trial=(time_there - used) / len(counted),
        utilisation=used / time_there,
        driver_bytes_per_trial=(counted[-1].rss - counted[0].rss) / (len(counted) - 1),
        slowdown=(counted[-1].told - counted[-1 - several].told) / (counted[several].told - counted[0].told),
        start_up_s=ready - began,
    )


def pass_time(payload: Mapping[str, Any], shared: Any, report: Report, *, seconds: float, reports: int) -> Output:
    """Keep a core busy, report, and return a record as large as a training's (a work function).

    Args:
        payload: of a study's job.
        shared: the job's dataset.
        report: takes each report.
        seconds: how long; waiting for the answer to a report does not count.
        reports: how many.
    """
    if payload["kind"] == "test":
        scores = {"test_svm_accuracy": 0.5, "by_k": {str(payload["k"]): 0.5}}
        return Output({"importances": dict.fromkeys(payload["ranked"], scores), "seconds": {"total": 0.0}})
    began = time.monotonic()
    for step in range(1, reports + 1):
        _keep_busy(seconds / reports)
        report(step, -1.0 / step)
    if reports == 0:
        _keep_busy(seconds)
    selected = {"val_svm_accuracy": 0.5, "selected": list(range(shared.k))}
    importances = dict.fromkeys(("neuron_strength", "neuron_attribution"), selected)
    curve = np.linspace(1.0, 0.5, max(reports, 1)).tolist()
    document = {
        "val_score": 0.5,
        "val_loss": 0.5,
        "importance": "neuron_strength",
        "importances": importances,
        "curves": [{"train_loss": curve, "val_loss": curve, "val_accuracy": curve}],
        "seconds": {"total": time.monotonic() - began},
        "worker": os.getpid(),
        "began": began,
        "ended": time.monotonic(),
    }
    return Output(document, dict.fromkeys(importances, np.linspace(1.0, 0.0, shared.n_features)))


def _keep_busy(seconds: float) -> None:
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        pass


class _Watched(StudyPlan):
    """A plan that notes when trials end, and what the driver holds then."""

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self.trials: list[Ended] = []

    def finished(self, job: Job, output: Output) -> None:
        super().finished(job, output)
        document = output.document
        if "worker" in document:
            rss = psutil.Process().memory_info().rss
            self.trials.append(Ended(document["worker"], document["began"], document["ended"], time.monotonic(), rss))


def _run(case: SchedulerCase, workers: int) -> list[Ended]:
    from cluster.tune.run import run_jobs

    spec = _spec(case)
    data = StudyData(spec)
    work = functools.partial(pass_time, seconds=case.trial_seconds, reports=case.reports_per_trial)
    with plan_of(_Watched, spec, data) as plan:
        run_jobs(plan, work, data, shared_bytes=data.n_bytes, workers=workers, on_tick=look_at(plan))
    return plan.trials[: case.trials]  # without those that confirm


def _spec(case: SchedulerCase) -> StudySpec:
    return parse_spec(
        {
            "name": "scheduler",
            "datasets": ["wine"],
            "space": SPACE,
            "search": {"sampler": case.sampler, "pruner": case.pruner, "trials": case.trials},
            "confirm": {"top": 1, "seeds": 1},
        }
    )
