"""A whole study beside the stock way to run the same trials, on the same number of processes.

Ours is what ``dst run`` does from the first proposal to the last opened test row, records included. The stock way
(:mod:`cluster.bench.stock`) is given the trials that ours came to, search and confirmation, with their parameters and
seeds, and runs each by a masked network in torch (:mod:`dst.bench.stock`). Neither stops a trial before its patience
ends: the two stop by different rules at different moments, and what a stopped trial saves would hide what a trial
costs. How many epochs patience leaves is up to chance on either side, so both counts are shown. Weights & Biases takes
no part, each trial has one thread, and both sides count Ray's start and end.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any

from cluster.jobs import Job, Output
from dst.bench.stock.settings import StockSettings, masked_settings
from dst.data import list_datasets
from dst.errors import InputError, unknown_name
from dst.rankers import RANKERS, make_config
from studies.bench.plan import look_at, plan_of
from studies.bench.stock_work import run_stock_job
from studies.plan.data import StudyData
from studies.plan.study import StudyPlan
from studies.spec.loading import load_spec, parse_spec
from studies.spec.study import StudySpec
from studies.worker.job import run_job
from studies.worker.payload import TrialPayload

_BASEHOCK: dict[str, Any] = {
    "name": "basehock",
    "datasets": ["BASEHOCK"],
    "methods": ["set", "rigl"],
    "space": {
        "sparsity": {"values": [0.9, 0.95, 0.98]},
        "l2": {"low": 1e-5, "high": 1e-3, "log": True},
    },
    "training": {"epochs": 100, "patience": 10},
    "search": {"trials": 6},
    "confirm": {"top": 1, "seeds": 2},
}

STUDIES: dict[str, Callable[[], StudySpec]] = {
    "quickstart": lambda: load_spec("quickstart"),
    "basehock": lambda: parse_spec(_BASEHOCK),
}
"""What is run, by name: the packaged quickstart study, and sparse networks from sparsity 0.9 on a wide table."""


@dataclass(frozen=True)
class StudyRow:
    """Seconds on the clock.

    Attributes:
        name: of the study.
        ours_s: what ours took.
        stock_s: the stock way with a function trainable: a process a trial.
        stock_reused_s: the stock way with a class trainable and reused processes.
        ratio: how many times as long as ours the stock way took.
        ratio_reused: the same with reused processes.
        trials: how many were trained by each.
        ours_epochs: epochs that all trials of ours trained.
        stock_epochs: epochs of the stock way.
        stock_reused_epochs: epochs of the stock way with reused processes.
    """

    name: str
    ours_s: float
    stock_s: float
    stock_reused_s: float
    ratio: float
    ratio_reused: float
    trials: int
    ours_epochs: int
    stock_epochs: int
    stock_reused_epochs: int


class _Noted(StudyPlan):
    """A plan that notes the trials that it hands out, and what they came to."""

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self.trials: list[Job] = []
        self.epochs = 0

    def next_job(self) -> Job | None:
        job = super().next_job()
        if job is not None and job.payload["kind"] == TrialPayload.kind:
            self.trials.append(job)
        return job

    def finished(self, job: Job, output: Output) -> None:
        super().finished(job, output)
        self.epochs += output.document.get("epochs", 0)


def study_rows(
    names: Iterable[str],
    *,
    trials: int | None = None,
    workers: int = 2,
    left_out: Callable[[str], None] = lambda reason: None,
) -> Iterator[StudyRow]:
    """Run each study and its peers; yield a row for each as soon as it is there.

    Args:
        names: of :data:`STUDIES`.
        trials: of each dataset's search, of which one is confirmed over one seed; None: what the study says.
        workers: processes that run trials, each with one thread.
        left_out: told of a study whose data is not there.

    Raises:
        InputError: an unknown name.
        RuntimeError: a trial of either side failed.
    """
    names = list(names)
    for name in names:
        if name not in STUDIES:
            raise InputError(unknown_name("study", name, STUDIES))
    for name in names:
        spec = _without_stops(STUDIES[name](), trials)
        available = {dataset["name"] for dataset in list_datasets() if dataset["available"]}
        if missing := [use.path for use in spec.datasets if use.path not in available]:
            left_out(f"{name} is left out: {', '.join(missing)} is not there (see dst datasets fetch)")
        else:
            yield _measured(name, spec, StudyData(spec), workers)


def stock_job(job: Job) -> Job:
    """Return the job of the stock way that does the same as a study's trial.

    Raises:
        InputError: the stock way has no such method or setting.
    """
    trial = TrialPayload.from_json(job.payload).trial
    config = make_config(trial.method, trial.settings)
    network = RANKERS[trial.method].network
    if network is not None:
        if network.drop != "magnitude":
            raise InputError(f"the stock way drops by magnitude only, but got method={trial.method!r}")
        ranking = masked_settings(asdict(config), sparse=network.sparse, grow=network.grow, rows=config.importance_rows)
    elif trial.method == "l1_logistic":
        ranking = config.C
    else:
        raise InputError(f"the stock way has no method {trial.method!r}")
    if trial.k is None:
        raise InputError("the stock way needs k")
    settings = StockSettings(ranking, trial.design, trial.k, trial.scorer, trial.seed)
    return replace(job, payload={"settings": settings})


def _without_stops(spec: StudySpec, trials: int | None) -> StudySpec:
    search = spec.search.model_copy(update={"pruner": spec.search.pruner.model_copy(update={"name": "none"})})
    if trials is None:
        return spec.model_copy(update={"search": search})
    few = {"search": search.model_copy(update={"trials": trials})}
    return spec.model_copy(update={**few, "confirm": spec.confirm.model_copy(update={"top": 1, "seeds": 1})})


def _measured(name: str, spec: StudySpec, data: StudyData, workers: int) -> StudyRow:
    from cluster.bench.stock import run_stock
    from cluster.tune.run import run_jobs

    began = time.monotonic()
    with plan_of(_Noted, spec, data) as plan:
        run_jobs(plan, run_job, data, shared_bytes=data.n_bytes, workers=workers, on_tick=look_at(plan))
        ours_s = time.monotonic() - began
        failed = sum(dataset.failed for dataset in plan.progress())
    if failed:
        raise RuntimeError(f"{failed} trials of {name} failed: a study without failures is what is compared")
    jobs = [stock_job(job) for job in plan.trials]
    several_splits = 100
    stock, reused = (
        run_stock(
            jobs,
            run_stock_job,
            data,
            workers=workers,
            max_epochs=several_splits * spec.training.epochs,
            reuse=reuse,
            shared_bytes=data.n_bytes,
        )
        for reuse in (False, True)
    )
    return StudyRow(
        name=name,
        ours_s=ours_s,
        stock_s=stock.seconds,
        stock_reused_s=reused.seconds,
        ratio=stock.seconds / ours_s,
        ratio_reused=reused.seconds / ours_s,
        trials=len(jobs),
        ours_epochs=plan.epochs,
        stock_epochs=stock.epochs,
        stock_reused_epochs=reused.epochs,
    )
