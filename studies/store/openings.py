"""Openings of test rows when a dataset's configurations are confirmed: one job for each of their seeds.

A *test* scores the columns that the seed itself selected on the test rows. A *list* scores the columns that all seeds
select together, the feature list that a user gets, under the seed's design: on its validation rows and on the test
rows. What either gives is written beside the record of the seed's confirming trial.

A *split* is no further opening of the same rows: it trains the configuration on another outer split, whose test rows it
opens; what comes out is written beside the record of the configuration's first seed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from studies.store.folder import StudyFolder
from studies.store.record import write_list, write_split, write_test
from studies.store.record_schema import SCHEMA, Record, importances_of


@dataclass(frozen=True)
class PendingTest:
    """Test rows to be opened for a confirming trial.

    Attributes:
        record: the trial's record.
        importances: the metrics whose selections are scored: the one that the objective names, or all.
    """

    record: Record
    importances: tuple[str, ...]

    @property
    def key(self) -> str:
        """The job's key."""
        return f"{self.record['dataset']}/{self.record['number']}.test"

    def ranked(self) -> dict[str, list[int]]:
        """Return the columns by metric, best first, as many as the largest K."""
        found = {name: importances_of(self.record)[name] for name in self.importances}
        return {name: importance.get("ranked", importance["selected"]) for name, importance in found.items()}

    def write(self, folder: StudyFolder, document: Mapping[str, Any]) -> None:
        """Write what came out; nothing but ``error`` and what it cost where the job failed."""
        write_test(folder, {**_identity(self.record), "importances": {}, **document})


@dataclass(frozen=True)
class PendingList:
    """A feature list to be measured under the design of one of the seeds that it is the mean of.

    Attributes:
        record: that seed's record.
        importance: the metric that ranked the columns.
        columns: the list, best first, as long as the largest K.
        seeds: number of seeds that it is the mean of.
    """

    record: Record
    importance: str
    columns: tuple[int, ...]
    seeds: int

    @property
    def key(self) -> str:
        """The job's key."""
        return f"{self.record['dataset']}/{self.record['number']}.list-{self.seeds}"

    def write(self, folder: StudyFolder, document: Mapping[str, Any]) -> None:
        """Write what came out; nothing but ``error`` and what it cost where the job failed."""
        which = {"importance": self.importance, "columns": list(self.columns), "seeds": self.seeds}
        write_list(folder, {**_identity(self.record), **which, "validation": {}, "test": {}, **document})


@dataclass(frozen=True)
class PendingSplit:
    """A configuration to be trained and tested on another outer split.

    Attributes:
        record: of its first seed's confirming trial.
        importance: the ranking whose columns are tested.
        index: of the split, 0, 1, ...
    """

    record: Record
    importance: str
    index: int

    @property
    def key(self) -> str:
        """The job's key."""
        return f"{self.record['dataset']}/{self.record['number']}.split-{self.index}"

    def write(self, folder: StudyFolder, document: Mapping[str, Any]) -> None:
        """Write what came out; nothing but ``error`` and what it cost where the job failed."""
        which = {"importance": self.importance, "index": self.index}
        write_split(folder, {**_identity(self.record), **which, "test": {}, **document})


Opening = PendingTest | PendingList | PendingSplit

_SHARED = ("dataset", "number", "source", "seed_index", "k")
"""Keys that what stands beside a record has of it."""


def _identity(record: Record) -> dict[str, Any]:
    return {"schema": SCHEMA, **{key: value for key, value in record.items() if key in _SHARED}}
