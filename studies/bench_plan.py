"""A study's plan in a temporary folder, for measurements of what runs it."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from cluster.ledger import Ledger
from cluster.storage import open_storage, quiet_optuna
from dst.rankers import RANKERS, parameters
from search_spaces import load_space
from studies.datasets import StudyData
from studies.folder import StudyFolder
from studies.plan import DatasetPlan
from studies.spec import StudySpec
from studies.spent import Spent
from studies.study_plan import StudyPlan

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
    allowed = set().union(*(parameters(method) for method in RANKERS))
    space = load_space(spec.space, methods=spec.methods, allowed=allowed, known_methods=RANKERS)
    with tempfile.TemporaryDirectory(prefix="dst-bench-") as there, quiet_optuna():
        folder = StudyFolder(Path(there)).create()
        storage = open_storage(f"sqlite:///{folder.storage}")

        def ledger(dataset: str) -> Ledger:
            return Ledger(
                storage,
                dataset,
                suggest=space.suggest,
                direction=spec.objective.direction,
                sampler=spec.search.sampler.name,
                pruner=spec.search.pruner.name,
                seed=spec.seed,
                trials=spec.search.trials,
                batch=spec.search.batch,
            )

        try:
            plans = [DatasetPlan(spec, dataset, folder, ledger(dataset.name)) for dataset in data.datasets]
            yield kind(plans, Spent(folder.spent), retries=0)
        finally:
            storage.remove_session()
            storage.engine.dispose()
