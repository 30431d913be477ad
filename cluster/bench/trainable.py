"""The trainables that the stock way (:mod:`cluster.bench.stock`) starts in worker processes; they import no Optuna."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import ray
from ray import tune

from cluster.jobs import Job
from cluster.tune.internals import DONE

JOB = "job"
EPOCH = "epoch"
LOSS = "loss"
SCORE = "score"


@dataclass(frozen=True)
class StockReport:
    """A stock trial's report at the end of an epoch.

    Attributes:
        epoch: the number of epochs so far.
        loss: the metric of ASHA and OptunaSearch, to be minimised.
        score: the trial's result, in its last report; None before.
    """

    epoch: int
    loss: float
    score: float | None = None


StockWork = Callable[[Mapping[str, Any], Any], Iterator[StockReport]]
"""``work(payload, shared)`` yields a report an epoch, and last of all one with the score; importable by name."""


def stock_function(
    config: Mapping[str, Any], *, jobs: Sequence[Job], work: StockWork, shared: Mapping[str, ray.ObjectRef]
) -> None:
    """Run a job in a process of its own (a function trainable)."""
    job = jobs[config[JOB]]
    for report in work(job.payload, ray.get(shared[job.shared])):
        tune.report(_metrics(report))


class StockTrainable(tune.Trainable):
    """Runs one job after the other, an epoch a step (a class trainable)."""

    def setup(
        self,
        config: Mapping[str, Any],
        *,
        jobs: Sequence[Job],
        work: StockWork,
        shared: Mapping[str, ray.ObjectRef],
    ) -> None:
        """Take the first job, and what all have in common."""
        self._jobs, self._work, self._shared = jobs, work, shared
        self.reset_config(dict(config))

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Take the next job."""
        job = self._jobs[new_config[JOB]]
        self._reports = self._work(job.payload, ray.get(self._shared[job.shared]))
        return True

    def step(self) -> dict[str, Any]:
        """Go on to the end of an epoch, or of the job."""
        report = next(self._reports)
        return {**_metrics(report), DONE: report.score is not None}

    def save_checkpoint(self, checkpoint_dir: str) -> dict[str, Any]:
        """Save nothing."""
        return {}

    def load_checkpoint(self, checkpoint: dict[str, Any] | None) -> None:
        """Load nothing."""


def _metrics(report: StockReport) -> dict[str, float]:
    metrics = {EPOCH: report.epoch, LOSS: report.loss}
    return metrics if report.score is None else {**metrics, SCORE: report.score}
