"""The runs of a study as its folder has them now; a look reads only what is new since the one before."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from studies.choice.best import BestRow
from studies.report.results import collect
from studies.report.tables import trials_table
from studies.spec.documents import read_json
from studies.store.archive import StudyArchive
from studies.store.folder import StudyFolder
from studies.store.lock import owner_lives
from studies.store.record import read_record, read_test
from studies.store.record_schema import Record, Stage
from studies.tracking.destination import Destination
from studies.tracking.facts import facts_of
from studies.tracking.progress import StudyProgress
from studies.tracking.runs import TrackedRun
from studies.tracking.tables import dataset_attached, study_attached
from studies.tracking.trials import Role, Standing, trial_run

_RECORD = re.compile(r"(0|[1-9][0-9]*)\.json")
_OPENED = re.compile(r"(?:0|[1-9][0-9]*)\.(?:test|list-[1-9][0-9]*)\.json")

Place = tuple[str, int]
"""A dataset and the number of a trial of it."""


@dataclass(frozen=True)
class Ended:
    """A trial that has ended, and when: its record's file says so."""

    place: Place
    time: float


class StudyContent:
    """Makes the runs of a study from its folder.

    Args:
        folder: of the study.
        to: where the runs go.
        sent: ids of runs that were sent before.

    Attributes:
        facts: what all runs share.
        opened: number of files beside the records, by dataset, when its winner was last chosen.
    """

    def __init__(self, folder: StudyFolder, to: Destination, sent: Collection[str]) -> None:
        archive = StudyArchive(folder)
        self.folder = folder
        self.facts = facts_of(archive, to, sent)
        self.datasets = archive.datasets
        self.opened: dict[str, int] = {}
        self._progress = StudyProgress(self.facts, float(archive.spec.resources.cpus))
        self._times: dict[Place, float] = {}
        self._rows: dict[str, list[BestRow]] = {}
        self._confirming: set[Place] = set()

    def look(self, before: float = math.inf) -> list[Ended]:
        """Return the trials that have ended since the last look, in the order in which they ended.

        Args:
            before: those that ended later wait for the next look, so that none comes before one that was seen already.

        Raises:
            RecordError: a record is damaged.
        """
        found = []
        for dataset in self.datasets:
            part = self.folder.record(dataset, 0).parent
            for path in part.iterdir() if part.is_dir() else ():
                match = _RECORD.fullmatch(path.name)
                if match is not None and (dataset, int(match[1])) not in self._times:
                    found.append(Ended((dataset, int(match[1])), path.stat().st_mtime))
        ended = sorted((trial for trial in found if trial.time < before), key=lambda trial: (trial.time, trial.place))
        for trial in ended:
            record = self._record(trial.place)
            self._progress.add(record, trial.time)
            self._times[trial.place] = trial.time
            if record["stage"] == Stage.CONFIRM:
                self._confirming.add(trial.place)
        return ended

    def choose(self) -> list[str]:
        """Choose the winners of the datasets whose test rows were opened since; return the names of these datasets.

        Raises:
            RecordError: a record is damaged.
        """
        changed = []
        for dataset in self.datasets:
            part = self.folder.record(dataset, 0).parent
            names = (path.name for path in part.iterdir()) if part.is_dir() else ()
            opened = sum(_OPENED.fullmatch(name) is not None for name in names)
            if opened != self.opened.get(dataset, 0):
                self._rows[dataset] = collect(StudyArchive(self.folder), [dataset]).best_by_method
                self.opened[dataset] = opened
                changed.append(dataset)
        return changed

    def confirming(self, datasets: Collection[str]) -> set[Place]:
        """Return the confirming trials of datasets that have ended."""
        return {place for place in self._confirming if place[0] in datasets}

    def trials(self, wanted: Callable[[Place], bool] = lambda place: True) -> Iterator[TrackedRun]:
        """Yield the runs of trials that have ended, confirming ones first: the leaderboard is made of them.

        Args:
            wanted: says whether a trial's run is asked for.
        """
        if not self.facts.trial_runs:
            return
        confirming = [place for place in self._times if place in self._confirming]
        search = [place for place in self._times if place not in self._confirming] if self.facts.search_runs else []
        for place in (*confirming, *search):
            if wanted(place):
                yield self._run(self._record(place))

    def running(self) -> list[TrackedRun]:
        """Return the runs of the trials at work, as the study's driver notes them; none where it does not live."""
        if not self.facts.trial_runs or not owner_lives(self.folder):
            return []
        runs = []
        for record in read_running(self.folder):
            asked = self.facts.search_runs or record["stage"] != Stage.SEARCH
            if asked and (record["dataset"], record["number"]) not in self._times:
                runs.append(trial_run(self.facts, record, None))
        return runs

    def overview(self, state: str, running: int = 0) -> list[TrackedRun]:
        """Return the runs of the datasets and of the study while it goes on."""
        best = [rows[0] for rows in self._rows.values() if rows]
        datasets = [
            self._progress.dataset_run(dataset, state=state, rows=self._rows.get(dataset, ()))
            for dataset in self.datasets
        ]
        return [*datasets, self._progress.study_run(state=state, best=best, running=running)]

    def complete(self, state: str) -> Iterator[TrackedRun]:
        """Yield the runs of the study and its datasets with all their tables and files."""
        archive = StudyArchive(self.folder)
        results = collect(archive)
        self._rows = {
            dataset: [row for row in results.best_by_method if row["dataset"] == dataset] for dataset in self.datasets
        }
        trials = trials_table(archive)
        attached = study_attached(archive, results, self.facts, trials)
        yield self._progress.study_run(state=state, best=results.best, **attached)
        for dataset in self.datasets:
            rows = self._rows[dataset]
            own: Mapping[str, Any] = dataset_attached(archive, results, self.facts, trials, dataset)
            yield self._progress.dataset_run(dataset, state=state, rows=rows, **own)

    def _record(self, place: Place) -> Record:
        return read_record(self.folder.record(*place))

    def _run(self, record: Record) -> TrackedRun:
        ended = self._times[record["dataset"], record["number"]]
        return trial_run(self.facts, record, ended, self._standing(record))

    def _standing(self, record: Record) -> Standing:
        dataset, source = record["dataset"], record["source"]
        if record["stage"] == Stage.SEARCH:
            return Standing("search")
        test = read_test(self.folder, dataset, record["number"])
        for place, row in enumerate(self._rows.get(dataset, ())):
            if row["number"] == source:
                role: Role = "best_of_method" if place else "winner"
                return Standing(role, row, test)
        return Standing("confirmed", None, test)


def running_file(folder: StudyFolder) -> Path:
    """Return the file in which the driver notes the trials at work, for who shows them."""
    return folder.wandb / "running.json"


def read_running(folder: StudyFolder) -> list[Record]:
    """Return the trials at work, as records with the state ``running``; none where the driver notes none."""
    with suppress(OSError, ValueError):
        document = read_json(running_file(folder))
        if isinstance(document, list):
            return [record for record in document if isinstance(record, dict)]  # type: ignore[misc]
    return []
