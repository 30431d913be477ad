"""Whole studies without machines: real plans, ledgers and records, trials that take simulated seconds."""

from __future__ import annotations

import heapq
import itertools
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from optuna.storages import InMemoryStorage

from cluster.jobs import Job, Output
from dst.data import Design, Part
from studies.plan.data import StudyDataset
from studies.plan.dataset import DatasetPlan
from studies.plan.ledgers import open_ledger
from studies.plan.study import StudyPlan
from studies.spec.dataset import DatasetSpec
from studies.spec.loading import parse_spec
from studies.spec.space import search_space
from studies.spec.study import StudySpec
from studies.store.folder import StudyFolder
from studies.store.spent import Spent
from tests.support.simulated_jobs import answer


def study_spec(datasets: Sequence[str], **changes: Any) -> StudySpec:
    """A study of datasets that need not exist."""
    given = {
        "name": "simulated",
        "datasets": [f"{name}.csv" for name in datasets],
        "methods": ["set"],
        "search": {"trials": 12, "batch": 4, "sampler": "random", "pruner": "none"},
        "confirm": {"top": 2, "seeds": 3},
        **changes,
    }
    return parse_spec(given)


def study_plan(
    spec: StudySpec, path: Path, clock: Callable[[], float], storage: InMemoryStorage | None = None
) -> StudyPlan:
    """The plan of a study over simulated tables, as a run would open it."""
    folder = StudyFolder(path).create()
    space = search_space(spec)
    storage = storage or InMemoryStorage()
    names = [use.path.removesuffix(".csv") for use in spec.datasets]
    plans = (
        DatasetPlan(spec, _dataset(name, use), folder, open_ledger(spec, space, None, storage, "simulated", name))
        for name, use in zip(names, spec.datasets, strict=True)
    )
    spent = Spent(folder.spent, clock)
    return StudyPlan(plans, spent, retries=spec.resources.retries, search_seconds=spec.search.seconds)


def _no_rows(design: Design) -> Part:
    raise AssertionError("a simulated table has no rows")


def _dataset(name: str, use: DatasetSpec) -> StudyDataset:
    return StudyDataset(name, use, name, tuple("abcdef"), 2, 10, 0, {}, _no_rows)


def output(job: Job, seconds: float) -> Output:
    """What a worker gives back: a score that follows from the job's parameters."""
    return answer(job.payload, seconds)


@dataclass
class Played:
    """What a simulated run was like.

    Attributes:
        ends: when it was over, in seconds.
        work: seconds of all jobs, by dataset.
        starts: of the jobs of each dataset, in order, with their stage (``search``, ``confirm`` or ``test``).
        idle: seconds that workers had nothing to do.
    """

    ends: float = 0.0
    work: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    starts: dict[str, list[tuple[float, str]]] = field(default_factory=lambda: defaultdict(list))
    idle: float = 0.0


class Clock:
    """Seconds that pass only when they are told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def play(plan: StudyPlan, clock: Clock, workers: int, duration: Callable[[Job], float]) -> Played:
    """Run a study to its end on simulated workers."""
    played = Played()
    running: list[tuple[float, int, Job, float]] = []
    order = itertools.count()
    while not plan.done():
        while len(running) < workers and (job := plan.next_job()) is not None:
            seconds = duration(job)
            dataset, _, number = job.key.rpartition("/")
            seed = job.payload["trial"]["seed"]
            stage = "test" if "." in number else "confirm" if seed < 100 else "search"
            played.starts[dataset].append((clock.now, stage))
            played.work[dataset] += seconds
            plan.started(job)
            heapq.heappush(running, (clock.now + seconds, next(order), job, seconds))
        if not running:
            break
        end, _, job, seconds = heapq.heappop(running)
        played.idle += (workers - 1 - len(running)) * (end - clock.now)
        clock.now = end
        plan.finished(job, output(job, seconds))
    assert plan.done()
    played.ends = clock.now
    return played
