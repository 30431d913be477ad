"""The rival of :func:`cluster.tune.run.run_jobs`: jobs run the way that Ray's documentation shows.

Its configuration: one ``tune.Tuner`` with ``OptunaSearch`` over the numbers of the jobs, all of them as
``points_to_evaluate``, so that exactly the given jobs run, in their order; ``ASHAScheduler`` with its first rung behind
the last epoch, so that nothing is stopped and the work is the same; ``max_concurrent_trials`` workers, as many as Ray
has cores; data through the object store; a report an epoch. Once as a function trainable, which takes a fresh process
for every trial, and once as a class trainable with ``reuse_actors=True``. In its favour: the loggers and snapshots that
a study does without are off here too, and all datasets share one run.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray
from optuna.distributions import IntDistribution
from ray import tune
from ray.tune.schedulers import ASHAScheduler
from ray.tune.search.optuna import OptunaSearch

from cluster.bench.trainable import EPOCH, JOB, LOSS, SCORE, StockTrainable, StockWork, stock_function
from cluster.jobs import Job
from cluster.ledger.storage.connect import quiet_optuna
from cluster.tune.session import ray_session


@dataclass(frozen=True)
class StockRun:
    """The result of a run.

    Attributes:
        seconds: from the start of Ray to its end.
        epochs: trained by all trials.
        scores: of the jobs, in their order.
    """

    seconds: float
    epochs: int
    scores: tuple[float, ...]


def run_stock(
    jobs: Sequence[Job],
    work: StockWork,
    shared: Mapping[str, Any],
    *,
    workers: int,
    max_epochs: int,
    reuse: bool,
    shared_bytes: int = 0,
) -> StockRun:
    """Run jobs the stock way.

    Args:
        jobs: each is a trial.
        work: runs a job.
        shared: the shared objects by name; each travels once.
        workers: how many trials run at once, each on a core with one thread.
        max_epochs: the most that a job reports.
        reuse: a class trainable whose processes are reused, instead of a function trainable.
        shared_bytes: about what the shared objects take together.

    Raises:
        RuntimeError: a trial failed, or its score is missing.
    """
    began = time.monotonic()
    with ray_session(None, cpus=workers, threads=1, shared_bytes=shared_bytes) as folder, quiet_optuna():
        stored = {name: ray.put(value) for name, value in shared.items()}
        common = {"jobs": list(jobs), "work": work, "shared": stored}
        trainable = tune.with_parameters(StockTrainable if reuse else stock_function, **common)
        tuner = tune.Tuner(
            tune.with_resources(trainable, {"cpu": 1}),
            tune_config=tune.TuneConfig(
                metric=LOSS,
                mode="min",
                search_alg=OptunaSearch(
                    {JOB: IntDistribution(0, max(1, len(jobs) - 1))},
                    metric=LOSS,
                    mode="min",
                    points_to_evaluate=[{JOB: number} for number in range(len(jobs))],
                ),
                scheduler=ASHAScheduler(max_t=max_epochs + 2, grace_period=max_epochs + 2),
                num_samples=len(jobs),
                max_concurrent_trials=workers,
                reuse_actors=reuse,
            ),
            run_config=tune.RunConfig(name="stock", storage_path=str(Path(folder, "tune")), verbose=0),
        )
        results = tuner.fit()
    seconds = time.monotonic() - began
    if results.errors:
        raise RuntimeError(
            f"{len(results.errors)} of {len(jobs)} stock trials failed, the first with {results.errors[0]}"
        )
    by_job = {result.config[JOB]: result.metrics for result in results if result.metrics}
    missing = [number for number in range(len(jobs)) if SCORE not in by_job.get(number, {})]
    if missing:
        raise RuntimeError(f"stock trials must end with a score, but {jobs[missing[0]].key} has none")
    ended = [by_job[number] for number in range(len(jobs))]
    epochs = sum(int(metrics[EPOCH]) for metrics in ended)
    return StockRun(seconds, epochs, tuple(float(metrics[SCORE]) for metrics in ended))
