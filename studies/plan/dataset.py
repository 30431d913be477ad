"""The stages of one dataset of a study.

A dataset goes through *search* (trials proposed in batches), *confirm* (its best configurations over fresh seeds) and
*test* (the test rows of the winner and of the best of each method are opened, for what each seed selected and for the
feature list; on other outer splits they are trained and tested, if the spec asks for it). A record is written before
its trial is told to the storage, so whatever dies, a trial that the storage calls ended has its record, and a record
without a tell is told at the next start instead of being computed again.

A study that is extended goes back to its search. What it has confirmed stays, and counts where the configuration is
still chosen; so it ends with the trials and the winner of a study that was as large from the start.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache, partial
from typing import Any

from cluster.ledger.entries import State, Ticket
from cluster.ledger.ledger import Ledger
from dst.errors import last_line
from studies.choice.feature_list import select_list, to_measure
from studies.choice.outer_splits import to_split
from studies.choice.selection import Confirmed, chosen_by, confirmed, to_confirm, to_open
from studies.choice.trade_offs import values_of
from studies.plan.data import StudyDataset
from studies.plan.jobs import DatasetJobs
from studies.plan.turns import Durations
from studies.spec.study import StudySpec
from studies.store.archive import StudyArchive
from studies.store.folder import StudyFolder
from studies.store.openings import Opening, PendingTest
from studies.store.record import read_record, read_test
from studies.store.record_schema import Outcome, Record, Stage, importances_of

TEST, DONE = "test", "done"


class DatasetPlan:
    """One dataset of a study.

    Args:
        spec: of the study: its search, confirmation and objective are followed.
        dataset: the dataset, and how the study uses it.
        folder: the study's, for records.
        ledger: proposes and keeps the dataset's trials.

    Attributes:
        stage: ``search``, ``confirm``, ``test`` or ``done``.
        jobs: makes its jobs.
        best: the best value of the first objective so far, or None.
        durations: of its trials that ended in this run.
        openings_waiting: openings that may start now: test rows for a seed, or a feature list to be measured.
        openings_running: number of openings at work.
    """

    def __init__(self, spec: StudySpec, dataset: StudyDataset, folder: StudyFolder, ledger: Ledger) -> None:
        self.spec = spec
        self.dataset = dataset
        self.folder = folder
        self.ledger = ledger
        self.jobs = DatasetJobs(spec, dataset, folder)
        self.durations = Durations()
        self.openings_waiting: list[Opening] = []
        self.openings_running = 0
        self.stage: str = Stage.SEARCH
        self.best: float | None = None
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
        if self.stage == Stage.CONFIRM and not self.ledger.open(Stage.CONFIRM):
            self.openings_waiting = self._to_open()
            self.stage = TEST
        if self.stage == TEST and not self.openings_waiting and not self.openings_running:
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

    def settle(self, ticket: Ticket, record: Record) -> None:
        """End a trial whose record is written: just now, or by a run that died before it could tell the ledger.

        Args:
            ticket: the trial, running in the ledger, which has heard its reports.
            record: what became of it.
        """
        self.folder.checkpoint(self.name, ticket.number).unlink(missing_ok=True)
        match record["state"]:
            case State.FINISHED:
                values = values_of(record, self.spec.objective)
                self.ledger.complete(ticket.number, *values)
                if ticket.stage == Stage.SEARCH:
                    self._hear(ticket.params, ticket.attrs, values[0])
                    self._searched[ticket.number] = chosen_by(record)
            case State.STOPPED:
                self.ledger.stop(ticket.number)
            case State.FAILED:
                self.ledger.fail(ticket.number, last_line(record["error"]) or "unknown")
        self.advance()

    def take_opening(self) -> Opening | None:
        """Hand out what is to be opened next, or None while there is nothing."""
        if not self.openings_waiting:
            return None
        self.openings_running += 1
        return self.openings_waiting.pop(0)

    def open_again(self, opening: Opening) -> None:
        """Let an opening that was handed out wait again."""
        self.openings_running -= 1
        self.openings_waiting.append(opening)

    def opened(self) -> None:
        """Take note that an opening that was handed out has ended, and is written."""
        self.openings_running -= 1
        self.advance()

    def may_stop(self, ticket: Ticket) -> bool:
        """Say whether a trial's method has been heard: a trial of it has finished in an earlier batch.

        Pruners compare losses across methods; without this a method whose losses are high, whatever its rankings are
        worth, could be stopped every time and drop out of the comparison. Only finished batches count, so that the
        answer does not depend on the order in which trials end.
        """
        first = self._heard.get(ticket.params["method"])
        return first is not None and first < ticket.attrs["batch"]

    def _hear(self, params: Mapping[str, Any], attrs: Mapping[str, Any], value: float) -> None:
        better = min if self.spec.objective.direction == "minimize" else max
        self.best = value if self.best is None else better(self.best, value)
        method = params["method"]
        self._heard[method] = min(attrs["batch"], self._heard.get(method, attrs["batch"]))

    def _add_confirming(self) -> None:
        """Let each chosen configuration wait once a seed; what a run that died has added already stays."""
        chosen = self._chosen()
        added = {
            (entry.attrs["source"], entry.attrs["seed_index"])
            for entry in self.ledger.entries(Stage.CONFIRM)
            if entry.state is not State.SKIPPED
        }
        for seed_index in range(self.spec.confirm.seeds):
            for number in chosen:
                if (number, seed_index) not in added:
                    self.ledger.add(number, Stage.CONFIRM, {"seed_index": seed_index})

    def _chosen(self) -> list[int]:
        """Return the search trials to confirm; records are read only of those that ended before this process began."""
        finished = [entry.number for entry in self.ledger.entries(Stage.SEARCH) if entry.state is State.FINISHED]
        for number in finished:
            if number not in self._searched:
                self._searched[number] = chosen_by(read_record(self.folder.record(self.name, number)))
        search = [self._searched[number] for number in finished]
        return to_confirm(search, top=self.spec.confirm.top, objective=self.spec.objective)

    def _to_open(self) -> list[Opening]:
        """Return the openings still to be done, for the winner and for the best of each method."""
        chosen = self._chosen()
        records = [
            read_record(self.folder.record(self.name, entry.number))
            for entry in self.ledger.entries(Stage.CONFIRM)
            if entry.state is State.FINISHED and entry.attrs["source"] in chosen
        ]
        ranked = confirmed(records, seeds=self.spec.confirm.seeds, objective=self.spec.objective)
        opened = to_open(ranked)
        tests: list[Opening] = [
            PendingTest(record, self._opened_metrics(configuration))
            for configuration in opened
            for record in configuration.records
            if read_test(self.folder, self.name, record["number"]) is None
        ]
        archive = StudyArchive(self.folder)
        training_rows = cache(self.dataset.training_rows)  # the first seed of each configuration has the same
        for configuration in opened:
            first = self.jobs.confirming(configuration.records[0])
            columns = select_list(
                archive,
                configuration,
                self.dataset.feature_names,
                max(configuration.records[0]["k"], *self.jobs.k_values, 1),
                partial(training_rows, first.design),
            )
            tests += to_measure(archive, configuration, columns)
            tests += to_split(archive, configuration, self.spec.confirm.outer_splits)
        return tests

    def _opened_metrics(self, configuration: Confirmed) -> tuple[str, ...]:
        """Return the rankings that are scored on test rows: all that compete at once, and the controls beside them."""
        rankings = importances_of(configuration.records[0])
        objective = self.spec.objective
        competing = objective.by_selection if objective.importance == "best" else objective.counting
        return tuple(sorted(competing(rankings)))
