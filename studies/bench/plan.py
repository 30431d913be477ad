"""A study's plan in a temporary folder, for measurements of what runs it."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from cluster.ledger.storage.connect import open_storage, quiet_optuna
from studies.plan.data import StudyData
from studies.plan.dataset import DatasetPlan
from studies.plan.ledgers import grid_points, open_ledger
from studies.plan.study import StudyPlan
from studies.spec.space import search_space
from studies.spec.study import StudySpec
from studies.store.folder import StudyFolder
from studies.store.spent import Spent

Plan = TypeVar("Plan", bound=StudyPlan)


def look_at(plan: StudyPlan) -> Callable[[], None]:
    """Return what asks how far the plan is, as a study's progress does about twice a second."""

    def look() -> None:
        plan.progress()

    return look


@contextlib.contextmanager
def plan_of(kind: type[Plan], spec: StudySpec, data: StudyData) -> Iterator[Plan]:
    """Make a plan with its ledgers on SQLite and its records on disk; all is gone when the context ends.

    Args:
        kind: the plan's class.
        spec: the study.
        data: its data.
    """
    space = search_space(spec)
    points = grid_points(spec, space)
    with tempfile.TemporaryDirectory(prefix="dst-bench-") as directory, quiet_optuna():
        folder = StudyFolder(Path(directory)).create()
        storage = open_storage(folder.storage)

        try:
            ledgers = [open_ledger(spec, space, points, storage, "bench", dataset.name) for dataset in data.datasets]
            plans = [
                DatasetPlan(spec, dataset, folder, ledger)
                for dataset, ledger in zip(data.datasets, ledgers, strict=True)
            ]
            yield kind(plans, Spent(folder.spent), retries=0)
        finally:
            storage.close()
