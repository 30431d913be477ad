"""What a study still has to do: the source of its jobs.

Each dataset goes through *search* (trials proposed in batches), *confirm* (its best configurations over fresh seeds)
and *test* (the test rows of the winner and of the best of each method are opened), at its own pace. A record is written
before its trial is told to the storage, so whatever dies, a trial that the storage calls ended has its record, and a
record without a tell is told at the next start instead of being computed again.
"""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from cluster.entries import SEARCH, State, Ticket
from cluster.jobs import Job, Output
from cluster.ledger import Ledger
from dst.trial import TrialSpec
from studies.datasets import StudyDataset
from studies.folder import StudyFolder
from studies.progress import DatasetProgress
from studies.records import SCHEMA, RecordError, iter_records, read_record, read_test, write_record, write_test
from studies.results import CONFIRM, confirmed_of
from studies.selection import to_confirm, to_open
from studies.spec import StudySpec
from studies.tables import last_line
from studies.trade_offs import values_of

TEST, DONE = "test", "done"


def trial_seed(seed: int, dataset: str, number: int) -> int:
    """Return the seed of a search trial: a function of the study's seed, the dataset and the trial's number."""
    name = int.from_bytes(dataset.encode(), "big")
    return int(np.random.SeedSequence([seed, name, number]).generate_state(1)[0])


@dataclass(frozen=True)
class PendingTest:
    """Test rows to be opened for a confirming trial.

    Attributes:
        record: the trial's record.
        importance: the metric whose selection is scored.
    """

    record: Mapping[str, Any]
    importance: str


class DatasetPlan:
    """One dataset of a study.

    Args:
        spec: the study.
        dataset: the dataset, and how the study uses it.
        folder: where records go.
        ledger: its trials.
    """

    def __init__(self, spec: StudySpec, dataset: StudyDataset, folder: StudyFolder, ledger: Ledger) -> None:
        self.spec = spec
        self.dataset = dataset
        self.folder = folder
        self.ledger = ledger
        self.tests_waiting: list[PendingTest] = []
        self.tests_running = 0
        self.stage = SEARCH
        self.seconds: list[float] = []

    @property
    def name(self) -> str:
        """The dataset's name."""
        return self.dataset.name

    def advance(self) -> None:
        """Enter the next stage when this one is over; does nothing otherwise, so it may be called at any time."""
        if self.stage == SEARCH and self.ledger.search_done():
            self._add_confirming()
            self.stage = CONFIRM
        if self.stage == CONFIRM and all(entry.state.ended for entry in self.ledger.entries(CONFIRM)):
            self.tests_waiting = self._missing_tests()
            self.stage = TEST
        if self.stage == TEST and not self.tests_waiting and not self.tests_running:
            self.stage = DONE

    def trial_spec(self, params: Mapping[str, Any], *, number: int, seed_index: int | None) -> TrialSpec:
        """Return the trial of a search configuration (``seed_index`` None) or of its confirmation over a seed.

        Search trials of a dataset share their validation rows, so that they are compared on the same; each confirming
        seed draws its own. Test rows depend on the study's seed alone.
        """
        if seed_index is None:
            seed, split_seed = trial_seed(self.spec.seed, self.name, number), self.spec.seed
        else:
            seed = split_seed = self.spec.seed + 1 + seed_index
        design = self.dataset.use.search_design(self.spec.seed)
        scoring = self.spec.scoring
        settings = {**self.spec.training.settings(), **params}
        method = settings.pop("method")
        k = settings.pop("k", self.dataset.k)
        return TrialSpec(
            method=method,
            settings={"batch_size": self.dataset.batch_size, **settings},
            split=design.split,
            seed=seed,
            split_seed=split_seed,
            test_seed=design.test_seed,
            inner_splits=design.count,
            impute=design.policy,
            indicators=design.indicators,
            k=k,
            k_values=tuple(k for k in scoring.k_values if k <= len(self.dataset.feature_names)),
            scorer=scoring.scorer,
            max_rows=scoring.max_rows if seed_index is None else None,
        )

    def trial_job(self, ticket: Ticket) -> Job:
        """Return the job of a trial that the ledger handed out."""
        seed_index = ticket.attrs.get("seed_index")
        trial = self.trial_spec(ticket.params, number=ticket.number, seed_index=seed_index)
        payload = {
            "kind": "trial",
            "trial": asdict(trial),
            "removal": self._removal(),
            "objective": self.spec.objective.model_dump(),
            "on": self.spec.search.pruner.on if seed_index is None else "val_loss",  # the others are compared by nobody
        }
        shared = self.name if seed_index is None else self.dataset.table
        return Job(f"{self.name}/{ticket.number}", shared, payload)

    def test_job(self, test: PendingTest) -> Job:
        """Return the job that opens the test rows for one seed of a configuration."""
        record = test.record
        trial = self.trial_spec(record["params"], number=record["source"], seed_index=record["seed_index"])
        selected = {test.importance: record["importances"][test.importance]["selected"]}
        payload = {"kind": "test", "trial": asdict(trial), "removal": self._removal(), "selected": selected}
        return Job(f"{self.name}/{record['number']}.test", self.dataset.table, payload)

    def tell_from_record(self, ticket: Ticket) -> bool:
        """Tell the storage of a trial whose record was written by a run that died before it could.

        Returns:
            Whether there was such a record; the trial has ended then.

        Raises:
            RecordError: the record is of another trial.
        """
        path = self.folder.record(self.name, ticket.number)
        if not path.exists():
            return False
        record = read_record(path)
        expected = self.record(ticket, record["state"], {})
        for key in ("stage", "source", "seed", "params"):
            if record.get(key) != expected[key]:
                raise RecordError(
                    f"{path}: is not the record of the trial that the storage has under this number: {key} must be "
                    f"{expected[key]}, but is {record.get(key)}; was the storage lost, or changed?"
                )
        for step, value in sorted((int(step), value) for step, value in record["reports"].items()):
            self.ledger.report(ticket.number, step, math.nan if value is None else value)
        if record["state"] == State.FINISHED:
            self.ledger.complete(ticket.number, *values_of(record, self.spec.objective))
        elif record["state"] == State.STOPPED:
            self.ledger.stop(ticket.number)
        else:
            self.ledger.fail(ticket.number, last_line(record["error"]) or "unknown")
        self.advance()
        return True

    def may_stop(self, ticket: Ticket) -> bool:
        """Say whether a trial's method has been heard: a trial of it has finished in an earlier batch.

        Pruners compare losses across methods; without this a method whose losses are high, whatever its rankings are
        worth, could be stopped every time and drop out of the comparison. Only finished batches count, so that the
        answer does not depend on the order in which trials end.
        """
        return any(
            entry.state is State.FINISHED
            and entry.params["method"] == ticket.params["method"]
            and entry.attrs["batch"] < ticket.attrs["batch"]
            for entry in self.ledger.entries(SEARCH)
        )

    def progress(self) -> DatasetProgress:
        """Return where the dataset stands; the confirming trials are estimated until they are known."""
        entries = self.ledger.entries()
        counts = Counter(entry.state for entry in entries)
        values = [entry.value for entry in entries if entry.stage == SEARCH and entry.value is not None]
        better = min if self.spec.objective.direction == "minimize" else max
        if self.stage == SEARCH:
            configurations = min(self.spec.search.trials, self.spec.confirm.top + len(self.spec.methods) - 1)
            total = self.spec.search.trials + self.spec.confirm.seeds * configurations
        else:
            total = len(entries)
        return DatasetProgress(
            name=self.name,
            finished=counts[State.FINISHED],
            running=counts[State.RUNNING],
            stopped=counts[State.STOPPED],
            failed=counts[State.FAILED],
            waiting=counts[State.WAITING],
            total=total,
            best=better(values, default=None),
            stage=self.stage,
        )

    def record(self, ticket: Ticket, state: str, reports: Mapping[int, float], **known: Any) -> dict[str, Any]:
        """Return the record of an ended trial."""
        seed_index = ticket.attrs.get("seed_index")
        trial = self.trial_spec(ticket.params, number=ticket.number, seed_index=seed_index)
        return {
            "schema": SCHEMA,
            "dataset": self.name,
            "number": ticket.number,
            "stage": ticket.stage,
            "state": state,
            "source": ticket.attrs.get("source"),
            "seed": trial.seed,
            "seed_index": seed_index,
            "method": trial.method,
            "sparsity": ticket.params.get("sparsity", 0.0 if trial.method == "dense" else None),
            "l2": ticket.params.get("l2"),
            "params": dict(ticket.params),
            "split": trial.split,
            "k": trial.k,
            "scorer": trial.scorer,
            "scorer_max_rows": trial.max_rows,
            "reports": {str(step): value for step, value in reports.items()},
            "stopped_at": max(reports, default=None) if state == State.STOPPED else None,
            "error": None,
            **known,
        }

    def _removal(self) -> dict[str, Any] | None:
        removal = self.dataset.use.removal
        return None if removal is None else asdict(removal)

    def _add_confirming(self) -> None:
        """Let each chosen configuration wait once a seed; what a run that died has added already stays."""
        search = [record for record in iter_records(self.folder, self.name) if record["stage"] == SEARCH]
        chosen = to_confirm(search, top=self.spec.confirm.top, objective=self.spec.objective)
        there = {(entry.attrs["source"], entry.attrs["seed_index"]) for entry in self.ledger.entries(CONFIRM)}
        for seed_index in range(self.spec.confirm.seeds):
            for number in chosen:
                if (number, seed_index) not in there:
                    self.ledger.add(number, CONFIRM, {"seed_index": seed_index})

    def _missing_tests(self) -> list[PendingTest]:
        return [
            PendingTest(record, one.importance)
            for one in to_open(confirmed_of(self.folder, self.spec, self.name))
            for record in one.records
            if read_test(self.folder, self.name, record["number"]) is None
        ]


@dataclass
class _Open:
    """A job that is out: a trial (``ticket``) or the opening of test rows (``test``)."""

    plan: DatasetPlan
    started: float
    ticket: Ticket | None = None
    test: PendingTest | None = None
    reports: dict[int, float] = field(default_factory=dict)


class StudyPlan:
    """All datasets of a study as one source of jobs (:class:`cluster.jobs.JobSource`).

    Args:
        plans: one per dataset.
        retries: how often a job whose process died is tried again.
        clock: seconds, for the time that jobs take.
    """

    def __init__(
        self, plans: Iterable[DatasetPlan], *, retries: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.plans = list(plans)
        self._retries = retries
        self._clock = clock
        self._out: dict[str, _Open] = {}
        self._losses: Counter[str] = Counter()  # of this run: interruptions use up nothing
        for plan in self.plans:
            plan.ledger.requeue()
            plan.advance()

    def next_job(self) -> Job | None:
        """Return a job of the dataset that has most work left among those that have one to give."""
        for plan in sorted(self.plans, key=self._work_left, reverse=True):
            job = self._job_of(plan)
            if job is not None:
                return job
        return None

    def done(self) -> bool:
        """Say whether every dataset has been searched, confirmed and tested."""
        return not self._out and all(plan.stage == DONE for plan in self.plans)

    def report(self, job: Job, step: int, value: float) -> bool:
        """Take a trial's value at a rung; return whether to stop it."""
        out = self._out[job.key]
        if out.ticket is None:
            return False
        out.reports[step] = value
        return out.plan.ledger.report(out.ticket.number, step, value) and out.plan.may_stop(out.ticket)

    def finished(self, job: Job, output: Output) -> None:
        """Write what came out, then tell the storage."""
        out = self._close(job)
        if out.ticket is None:
            self._write_test(out, output.document)
        else:
            record = out.plan.record(out.ticket, State.FINISHED, out.reports, **output.document)
            write_record(out.plan.folder, record, output.arrays)
            out.plan.ledger.complete(out.ticket.number, *values_of(record, out.plan.spec.objective))
        out.plan.advance()

    def stopped(self, job: Job) -> None:
        """Write that the trial was stopped, then tell the storage."""
        out = self._close(job)
        if out.ticket is None:
            raise RuntimeError(f"{job.key} opens test rows: such a job is never stopped")
        self._write_unfinished(out, out.ticket, State.STOPPED)
        out.plan.ledger.stop(out.ticket.number)
        out.plan.advance()

    def failed(self, job: Job, error: str, *, lost: bool) -> None:
        """Let a job whose process died wait again, up to the retries; else write the error and tell the storage."""
        out = self._close(job)
        plan = out.plan
        if out.test is not None:
            if self._try_again(job, lost=lost):
                plan.tests_waiting.append(out.test)
            else:
                self._write_test(out, {"importances": {}, "error": error})
        elif out.ticket is not None:
            if self._try_again(job, lost=lost):
                plan.ledger.retry(out.ticket.number)
            else:
                self._write_unfinished(out, out.ticket, State.FAILED, error=error)
                plan.ledger.fail(out.ticket.number, last_line(error) or "unknown")
        plan.advance()

    def progress(self) -> list[DatasetProgress]:
        """Return where each dataset stands."""
        return [plan.progress() for plan in self.plans]

    def _job_of(self, plan: DatasetPlan) -> Job | None:
        while (ticket := plan.ledger.take()) is not None:
            if plan.tell_from_record(ticket):
                continue
            job = plan.trial_job(ticket)
            self._out[job.key] = _Open(plan, self._clock(), ticket=ticket)
            return job
        if plan.tests_waiting:
            test = plan.tests_waiting.pop(0)
            plan.tests_running += 1
            job = plan.test_job(test)
            self._out[job.key] = _Open(plan, self._clock(), test=test)
            return job
        return None

    def _close(self, job: Job) -> _Open:
        out = self._out.pop(job.key)
        out.plan.seconds.append(self._clock() - out.started)
        if out.test is not None:
            out.plan.tests_running -= 1
        return out

    def _try_again(self, job: Job, *, lost: bool) -> bool:
        self._losses[job.key] += lost
        return lost and self._losses[job.key] <= self._retries

    def _write_test(self, out: _Open, document: Mapping[str, Any]) -> None:
        assert out.test is not None  # noqa: S101 - for the type checker: callers have looked
        record = out.test.record
        identity = {key: record[key] for key in ("dataset", "number", "source", "seed_index", "k")}
        write_test(out.plan.folder, {"schema": SCHEMA, **identity, **document})

    def _write_unfinished(self, out: _Open, ticket: Ticket, state: State, **known: Any) -> None:
        seconds = {"total": self._clock() - out.started}
        write_record(out.plan.folder, out.plan.record(ticket, state, out.reports, seconds=seconds, **known))

    def _work_left(self, plan: DatasetPlan) -> float:
        """Return the expected seconds of a dataset's jobs that have not ended."""
        known = plan.seconds or [second for other in self.plans for second in other.seconds] or [1.0]
        progress = plan.progress()
        return (progress.total - progress.finished - progress.stopped - progress.failed) * float(np.mean(known))
