"""Counts of a dataset's trials: how far it is."""

from __future__ import annotations

from cluster.ledger.entries import State
from studies.plan.dataset import DatasetPlan
from studies.plan.progress import DatasetProgress
from studies.store.record_schema import Stage


def progress_of(plan: DatasetPlan) -> DatasetProgress:
    """Return where a dataset stands; the confirming trials are estimated until they are known."""
    spec, counts = plan.spec, plan.ledger.counts()
    total = counts.total() - counts[State.SKIPPED]
    if plan.stage == Stage.SEARCH:
        search = plan.ledger.counts(Stage.SEARCH)
        configurations = min(spec.search.trials, spec.confirm.top + len(spec.methods) - 1)
        to_come = spec.search.trials - (search.total() - search[State.SKIPPED])
        total = max(total + to_come, spec.search.trials + spec.confirm.seeds * configurations)
    return DatasetProgress(
        name=plan.name,
        finished=counts[State.FINISHED],
        running=counts[State.RUNNING],
        stopped=counts[State.STOPPED],
        failed=counts[State.FAILED],
        waiting=counts[State.WAITING],
        total=total,
        best=plan.best,
        stage=plan.stage,
    )
