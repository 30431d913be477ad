"""What a study still has to do on one dataset.

A dataset goes through *search* (trials proposed in batches), *confirm* (its best configurations over fresh seeds) and
*test* (the test rows of the winner and of the best of each method are opened, for what each seed selected and for the
feature list). A record is written before its trial is told to the storage, so whatever dies, a trial that the storage
calls ended has its record, and a record without a tell is told at the next start instead of being computed again.

A study that is extended goes back to its search. What it has confirmed stays, and counts where the configuration is
still chosen; so it ends with the trials and the winner of a study that was as large from the start.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Literal

import numpy as np

from cluster.jobs import Job
from cluster.ledger.entries import State, Ticket
from cluster.ledger.ledger import Ledger
from dst.rankers import RANKERS
from dst.trial.spec import TrialSpec
from studies.choice.selection import Confirmed, chosen_by, confirmed, importances_of, to_confirm, to_open
from studies.choice.trade_offs import values_of
from studies.plan.data import StudyDataset
from studies.plan.progress import DatasetProgress
from studies.report.feature_list import columns_of, to_measure
from studies.report.tables import last_line
from studies.spec.study import StudySpec
from studies.store.folder import StudyFolder
from studies.store.openings import Opening, PendingTest
from studies.store.record import RecordError, read_record, read_test, trial_record
from studies.store.record_schema import Ended, Outcome, Record, Stage

TEST, DONE = "test", "done"

_IDENTIFYING: tuple[Literal["stage", "source", "seed", "params"], ...] = ("stage", "source", "seed", "params")
"""Keys of a record by which a trial is known again."""


def trial_seed(seed: int, dataset: str, place: int) -> int:
    """Return the seed of a search trial: a function of the study's seed, the dataset and the trial's place.

    The place counts the search trials alone. It is the trial's number, unless the study was extended: then confirming
    trials have taken numbers before it.
    """
    name = int.from_bytes(dataset.encode(), "big")
    return int(np.random.SeedSequence([seed, name, place]).generate_state(1)[0])


class DatasetPlan:
    """One dataset of a study.

    Args:
        spec: the study.
        dataset: the dataset, and how the study uses it.
        folder: where records go.
        ledger: its trials.

    Attributes:
        stage: ``search``, ``confirm``, ``test`` or ``done``.
        tests_waiting: what may be opened now: test rows for a seed, or a feature list to be measured.
        tests_running: how many are being opened.
    """

    def __init__(self, spec: StudySpec, dataset: StudyDataset, folder: StudyFolder, ledger: Ledger) -> None:
        self.spec = spec
        self.dataset = dataset
        self.folder = folder
        self.ledger = ledger
        self.tests_waiting: list[Opening] = []
        self.tests_running = 0
        self.stage: str = Stage.SEARCH
        self._best: float | None = None
        self._searched: dict[int, Outcome] = {}  # of finished search trials what is chosen by, by number
        self._heard: dict[str, int] = {}  # the first batch with a finished trial, by method
        for entry in ledger.entries(Stage.SEARCH):
            if entry.value is not None:
                self._hear(entry.params, entry.attrs, entry.value)

    @property
    def name(self) -> str:
        """The dataset's name."""
        return self.dataset.name

    def advance(self) -> None:
        """Enter the next stage when this one is over; does nothing otherwise, so it may be called at any time."""
        if self.stage == Stage.SEARCH and self.ledger.search_done():
            self._add_confirming()
            self.stage = Stage.CONFIRM
        if self.stage == Stage.CONFIRM and not self._open(Stage.CONFIRM):
            self.tests_waiting = self._to_open()
            self.stage = TEST
        if self.stage == TEST and not self.tests_waiting and not self.tests_running:
            self.stage = DONE

    def reopen(self) -> None:
        """Go back to the search where there is more of it than before: nothing new is confirmed meanwhile.

        Confirming trials that were started run to their end; of the others, what is chosen then is added again.
        """
        if not self.ledger.search_done():
            self.ledger.skip_waiting(Stage.CONFIRM)
        self.advance()

    def end_search(self) -> None:
        """Search no further, if a trial has finished that can be confirmed; what was started runs to its end."""
        if self._heard and self.stage == Stage.SEARCH:
            self.ledger.end_search()
            self.advance()

    def completed(self, ticket: Ticket, record: Record) -> None:
        """Tell the storage of a trial that ran to its end, whose record is written."""
        values = values_of(record, self.spec.objective)
        self.ledger.complete(ticket.number, *values)
        if ticket.stage == Stage.SEARCH:
            self._hear(ticket.params, ticket.attrs, values[0])
            self._searched[ticket.number] = chosen_by(record)

    def trial_spec(self, params: Mapping[str, Any], *, place: int | None, seed_index: int | None) -> TrialSpec:
        """Return the trial of a search configuration (``seed_index`` None) or of its confirmation over a seed.

        Search trials of a dataset share their validation rows, so that they are compared on the same; each confirming
        seed draws its own. Test rows depend on the study's seed alone.
        """
        if seed_index is not None:
            seed = split_seed = self.spec.seed + 1 + seed_index
        elif place is not None:
            seed, split_seed = trial_seed(self.spec.seed, self.name, place), self.spec.seed
        else:
            raise ValueError("a search trial has a place, and a confirming trial the index of its seed")
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
            k_values=self._k_values(),
            scorer=scoring.scorer,
            max_rows=scoring.max_rows if seed_index is None else None,
        )

    def trial_job(self, ticket: Ticket) -> Job:
        """Return the job of a trial that the ledger handed out."""
        seed_index = ticket.attrs.get("seed_index")
        trial = self._trial_spec_of(ticket)
        every = self.spec.resources.checkpoint_seconds
        path = self.folder.checkpoint(self.name, ticket.number)
        on = self._reported(trial.method) if seed_index is None else "val_loss"  # nobody compares confirming trials
        payload = {
            "kind": "trial",
            "checkpoint": None if every is None else {"path": str(path), "seconds": every},
            "trial": trial.to_json(),
            "removal": self._removal(),
            "objective": self.spec.objective.model_dump(),
            "on": on,
        }
        shared = self.name if seed_index is None else self.dataset.table
        stoppable = seed_index is None and on is not None and self.spec.search.pruner.name != "none"
        return Job(f"{self.name}/{ticket.number}", shared, payload, stoppable)

    def _reported(self, method: str) -> str | None:
        """Return what a search trial reports, None where it could be compared with no other: a loss of another kind."""
        on = self.spec.search.pruner.on
        return on if on == "val_score" or RANKERS[method].by_epoch else None

    def opening_job(self, opening: Opening) -> Job:
        """Return the job that opens test rows for one seed of a configuration."""
        record = opening.record
        trial = self.trial_spec(record["params"], place=None, seed_index=record["seed_index"])
        payload = {
            "kind": opening.kind,
            "trial": trial.to_json(),
            "removal": self._removal(),
            **opening.payload(),
        }
        return Job(opening.key, self.dataset.table, payload)

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
        for key in _IDENTIFYING:
            if record[key] != expected[key]:
                raise RecordError(
                    f"{path}: is not the record of the trial that the storage has under this number: {key} must be "
                    f"{expected[key]}, but is {record[key]}; was the storage lost, or changed?"
                )
        for step, value in sorted((int(step), value) for step, value in record["reports"].items()):
            self.ledger.report(ticket.number, step, math.nan if value is None else value)
        if record["state"] == State.FINISHED:
            self.completed(ticket, record)
        elif record["state"] == State.STOPPED:
            self.ledger.stop(ticket.number)
        else:
            self.ledger.fail(ticket.number, last_line(record["error"]) or "unknown")
        self.folder.checkpoint(self.name, ticket.number).unlink(missing_ok=True)
        self.advance()
        return True

    def may_stop(self, ticket: Ticket) -> bool:
        """Say whether a trial's method has been heard: a trial of it has finished in an earlier batch.

        Pruners compare losses across methods; without this a method whose losses are high, whatever its rankings are
        worth, could be stopped every time and drop out of the comparison. Only finished batches count, so that the
        answer does not depend on the order in which trials end.
        """
        first = self._heard.get(ticket.params["method"])
        return first is not None and first < ticket.attrs["batch"]

    def progress(self) -> DatasetProgress:
        """Return where the dataset stands; the confirming trials are estimated until they are known."""
        counts = self.ledger.counts()
        total = counts.total() - counts[State.SKIPPED]
        if self.stage == Stage.SEARCH:
            search = self.ledger.counts(Stage.SEARCH)
            configurations = min(self.spec.search.trials, self.spec.confirm.top + len(self.spec.methods) - 1)
            to_come = self.spec.search.trials - (search.total() - search[State.SKIPPED])
            total = max(total + to_come, self.spec.search.trials + self.spec.confirm.seeds * configurations)
        return DatasetProgress(
            name=self.name,
            finished=counts[State.FINISHED],
            running=counts[State.RUNNING],
            stopped=counts[State.STOPPED],
            failed=counts[State.FAILED],
            waiting=counts[State.WAITING],
            total=total,
            best=self._best,
            stage=self.stage,
        )

    def record(self, ticket: Ticket, state: Ended, reports: Mapping[int, float], **known: Any) -> Record:
        """Return the record of an ended trial."""
        return trial_record(
            self.name,
            ticket,
            self._trial_spec_of(ticket),
            state,
            reports,
            batch_size=self.dataset.batch_size,
            cpus=self.spec.resources.cpus,
            outcome=known,
        )

    def _trial_spec_of(self, ticket: Ticket) -> TrialSpec:
        seed_index = ticket.attrs.get("seed_index")
        place = None
        if seed_index is None:
            place = ticket.attrs["batch"] * self.spec.search.batch + ticket.attrs["position"]
        return self.trial_spec(ticket.params, place=place, seed_index=seed_index)

    def _open(self, stage: str) -> int:
        counts = self.ledger.counts(stage)
        return counts[State.WAITING] + counts[State.RUNNING]

    def _hear(self, params: Mapping[str, Any], attrs: Mapping[str, Any], value: float) -> None:
        better = min if self.spec.objective.direction == "minimize" else max
        self._best = value if self._best is None else better(self._best, value)
        method = params["method"]
        self._heard[method] = min(attrs["batch"], self._heard.get(method, attrs["batch"]))

    def _removal(self) -> dict[str, Any] | None:
        removal = self.dataset.use.removal
        return None if removal is None else asdict(removal)

    def _add_confirming(self) -> None:
        """Let each chosen configuration wait once a seed; what a run that died has added already stays."""
        chosen = self._chosen()
        there = {
            (entry.attrs["source"], entry.attrs["seed_index"])
            for entry in self.ledger.entries(Stage.CONFIRM)
            if entry.state is not State.SKIPPED
        }
        for seed_index in range(self.spec.confirm.seeds):
            for number in chosen:
                if (number, seed_index) not in there:
                    self.ledger.add(number, Stage.CONFIRM, {"seed_index": seed_index})

    def _chosen(self) -> list[int]:
        """Return the search trials to confirm; records are read only of those that ended before this process began."""
        finished = [entry.number for entry in self.ledger.entries(Stage.SEARCH) if entry.state is State.FINISHED]
        for number in finished:
            if number not in self._searched:
                self._searched[number] = chosen_by(read_record(self.folder.record(self.name, number)))
        search = [self._searched[number] for number in finished]
        return to_confirm(search, top=self.spec.confirm.top, objective=self.spec.objective)

    def _k_values(self) -> tuple[int, ...]:
        return tuple(k for k in self.spec.scoring.k_values if k <= len(self.dataset.feature_names))

    def _to_open(self) -> list[Opening]:
        """Return what is still to be opened, for the winner and for the best of each method."""
        chosen = self._chosen()
        records = [
            read_record(self.folder.record(self.name, entry.number))
            for entry in self.ledger.entries(Stage.CONFIRM)
            if entry.state is State.FINISHED and entry.attrs["source"] in chosen
        ]
        ranked = confirmed(records, seeds=self.spec.confirm.seeds, objective=self.spec.objective)
        opened = to_open(ranked)
        tests: list[Opening] = [
            PendingTest(record, self._opened_metrics(one))
            for one in opened
            for record in one.records
            if read_test(self.folder, self.name, record["number"]) is None
        ]
        for one in opened:
            length = max(one.records[0]["k"], *self._k_values(), 1)
            tests += to_measure(self.folder, one, columns_of(self.folder, one, self.dataset.feature_names, length))
        return tests

    def _opened_metrics(self, one: Confirmed) -> tuple[str, ...]:
        """Return the metrics of which test rows are opened: all that compete, at once, though one is the choice."""
        if self.spec.objective.importance == "best":
            return tuple(sorted(importances_of(one.records[0])))
        return (one.importance,)
