"""Recovery: a trial whose record was written by a run that died before it told the ledger."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from optuna.storages import InMemoryStorage

from cluster.ledger.entries import State
from studies.plan.dataset import DatasetPlan
from studies.report.cost import study_cost, total_cost
from studies.store.archive import StudyArchive
from studies.store.folder import StudyFolder
from studies.store.record_codec import RecordError
from tests.support.simulated_study import Clock, output, study_plan, study_spec


class KilledError(Exception):
    """Ends a run between a trial's record and the ledger."""


@pytest.fixture
def died(tmp_path: Path, monkeypatch):
    """A study that died so, by how its first trial ended; the trial took 5 s, after an attempt of 3 s that was lost."""
    clock, storage = Clock(), InMemoryStorage()

    def begin(ends: str):
        plan = study_plan(study_spec("a"), tmp_path, clock, storage)
        for seconds in (3.0, 5.0):
            job = plan.next_job()
            plan.started(job)
            clock.now += seconds
            if seconds == 3.0:
                plan.failed(job, "the worker was lost", lost=True)
        plan.report(job, 5, 0.25)
        plan._spent.save()
        with monkeypatch.context() as patch:
            patch.setattr(DatasetPlan, "settle", lambda self, ticket, record: (_ for _ in ()).throw(KilledError))
            with pytest.raises(KilledError):
                {
                    "finished": lambda: plan.finished(job, output(job, 5.0)),
                    "stopped": lambda: plan.stopped(job),
                    "failed": lambda: plan.failed(job, "ValueError: no", lost=False),
                }[ends]()
        return lambda: study_plan(study_spec("a"), tmp_path, clock, storage)

    return begin


@pytest.mark.parametrize("ends", ["finished", "stopped", "failed"])
def test_it_ends_as_its_record_says_and_is_not_run_again(died, tmp_path: Path, ends: str) -> None:
    again = died(ends)()
    checkpoint = StudyFolder(tmp_path).checkpoint("a", 0)
    checkpoint.parent.mkdir(parents=True)
    checkpoint.touch()
    record = StudyFolder(tmp_path).record("a", 0).read_bytes()
    job = again.next_job()
    assert job.key == "a/1"
    entry = again.plans[0].ledger.entries()[0]
    assert (entry.state, entry.reports) == (State(ends), {5: 0.25})
    assert StudyFolder(tmp_path).record("a", 0).read_bytes() == record
    assert not checkpoint.exists()
    assert again.plans[0].best == (json.loads(record)["val_score"] if ends == "finished" else None)
    again.tick()
    again._spent.save()
    cost = total_cost(study_cost(StudyArchive(StudyFolder(tmp_path)), ["a"], cpus=1).values())
    assert cost.core_seconds == 8.0, "what was lost is counted once"
    assert cost.repeated == 3.0


def test_the_record_of_another_trial_is_refused(died, tmp_path: Path) -> None:
    again = died("failed")()
    path = StudyFolder(tmp_path).record("a", 0)
    path.write_text(json.dumps({**json.loads(path.read_text()), "seed": 1}))
    with pytest.raises(RecordError, match=r"is not the record of the trial .* seed must be"):
        again.next_job()
