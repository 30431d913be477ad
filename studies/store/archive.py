"""A study's folder that has been read: each file once, however many tables, figures and runs are made of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from studies.spec.study import StudySpec
from studies.store.folder import StudyFolder
from studies.store.record import (
    iter_records,
    measured_lists,
    read_list,
    read_scores,
    read_split,
    read_test,
    tested_splits,
)
from studies.store.record_schema import ListRecord, Record, SplitRecord, TestRecord
from studies.store.study_file import StudyFile, read_columns, read_study_file


class StudyArchive:
    """The content of a study's folder; each part stays as it was when it was first asked for.

    Nothing is read before it is needed and nothing is read twice, so that an archive costs the memory of the records
    and scores that its readers look at. A study that goes on is seen by a new archive.

    Args:
        folder: the study's folder.

    Attributes:
        folder: the study's folder.

    Raises:
        InputError: by what reads ``study.yaml``: the folder holds no study, or the file is damaged.
        RecordError: by what reads records and what stands beside them: a file is damaged.
    """

    def __init__(self, folder: StudyFolder) -> None:
        self.folder = folder
        self._records: dict[str, tuple[Record, ...]] = {}
        self._tests: dict[tuple[str, int], TestRecord | None] = {}
        self._lists: dict[tuple[str, int, int], ListRecord | None] = {}
        self._splits: dict[str, list[SplitRecord]] = {}
        self._columns: dict[str, list[str]] = {}
        self._scores: dict[tuple[str, int], dict[str, npt.NDArray[np.float64]]] = {}

    @property
    def spec(self) -> StudySpec:
        """The spec that the study ran with."""
        return self._study.spec

    @property
    def datasets(self) -> tuple[str, ...]:
        """The names of the study's datasets, in the spec's order."""
        return self._study.datasets

    @property
    def resolved(self) -> Mapping[str, Any]:
        """The details that the study settled when it began."""
        return self._study.resolved

    def records(self, dataset: str) -> tuple[Record, ...]:
        """The records of a dataset's trials, by number."""
        if dataset not in self._records:
            self._records[dataset] = tuple(iter_records(self.folder, dataset))
        return self._records[dataset]

    def all_records(self) -> Iterator[Record]:
        """Yield the records of all datasets that have a folder, by dataset and then by number."""
        for dataset in self._recorded:
            yield from self.records(dataset)

    def test(self, dataset: str, number: int) -> TestRecord | None:
        """The result of a confirming trial on the test rows; None while they have not been opened."""
        if (dataset, number) not in self._tests:
            self._tests[dataset, number] = read_test(self.folder, dataset, number)
        return self._tests[dataset, number]

    def lists(self, dataset: str) -> list[ListRecord]:
        """All measurements of a dataset's feature lists, earlier ones over fewer seeds included."""
        lists = (self.list_of(dataset, number, seeds) for number, seeds in measured_lists(self.folder, dataset))
        return [measured for measured in lists if measured is not None]

    def list_of(self, dataset: str, number: int, seeds: int) -> ListRecord | None:
        """The scores of the feature list of ``seeds`` seeds under a confirming trial's design; None: not measured."""
        key = dataset, number, seeds
        if key not in self._lists:
            self._lists[key] = read_list(self.folder, dataset, number, seeds)
        return self._lists[key]

    def outer_splits(self, dataset: str) -> list[SplitRecord]:
        """All tests on other outer splits, those for earlier choices included."""
        if dataset not in self._splits:
            found = (
                read_split(self.folder, dataset, number, index) for number, index in tested_splits(self.folder, dataset)
            )
            self._splits[dataset] = [tested for tested in found if tested is not None]
        return self._splits[dataset]

    def columns(self, dataset: str) -> list[str]:
        """The names of a dataset's columns."""
        if dataset not in self._columns:
            self._columns[dataset] = read_columns(self.folder, dataset)
        return self._columns[dataset]

    def scores(self, dataset: str, number: int) -> Mapping[str, npt.NDArray[np.float64]]:
        """A trial's feature scores: per importance metric a float64 array ``(n_features,)``."""
        if (dataset, number) not in self._scores:
            self._scores[dataset, number] = read_scores(self.folder, dataset, number)
        return self._scores[dataset, number]

    @cached_property
    def _study(self) -> StudyFile:
        return read_study_file(self.folder)

    @cached_property
    def _recorded(self) -> list[str]:
        records = self.folder.records
        return sorted(path.name for path in records.iterdir() if path.is_dir()) if records.is_dir() else []
