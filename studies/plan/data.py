"""The datasets of a study: loaded once, checked before anything runs, and handed to the workers.

The driver keeps one copy of each table that is read, however many datasets a sweep over missing data makes of it; of
these it keeps the facts. Workers share, through the object store, that table (confirming trials and tests split and
prepare it themselves) and, for each dataset, the parts that all its search trials read.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from dst.data import Dataset, Design, Part, TrialData, check_policy, remove_values, split_sha256, trial_data
from dst.data.readers.table import missing_counts
from dst.data.trial_data import prepared_bytes, table_bytes
from dst.errors import AbsentDataError
from studies.spec.dataset import DatasetSpec
from studies.spec.errors import SpecError
from studies.spec.study import StudySpec

SCORING = "whole columns, above chance"
"""The rule by which columns with several encodings are scored; studies that began without it summed them up."""


@dataclass(frozen=True)
class StudyDataset:
    """A dataset of a study, described without its rows.

    Attributes:
        name: the dataset's, with what its ``missing`` adds.
        use: its section in the spec, lists of ``missing`` resolved to one combination.
        table: the key of its table among :attr:`StudyData.tables`.
        feature_names: one name a column.
        k: number of columns that are scored.
        batch_size: rows in a minibatch.
        prepared_bytes: the most bytes that its search data takes, once prepared.
        resolved: its entry in ``study.yaml``; a study goes on only while this stays the same.
        training_rows: returns the prepared training rows of a design's first split, for a feature list whose selection
            looks at rows.
        notes: remarks on its table, from reading it (:attr:`dst.data.Dataset.notes`).
    """

    name: str
    use: DatasetSpec
    table: str
    feature_names: tuple[str, ...]
    k: int
    batch_size: int
    prepared_bytes: int
    resolved: Mapping[str, Any]
    training_rows: Callable[[Design], Part]
    notes: tuple[str, ...] = ()


class StudyData(Mapping[str, Dataset | TrialData]):
    """The data that workers share: tables by :attr:`StudyDataset.table`, prepared search data by the dataset's name.

    Prepared data is made when it is asked for and not kept here, so that it is held where it is needed only.

    Args:
        spec: the study whose datasets are read and prepared.

    Attributes:
        datasets: in the spec's order.
        absent: the datasets that are left out because their files are not at hand.
        tables: whole tables by key, each read once.

    Raises:
        InputError: a dataset cannot be loaded or used as the spec says, or two have the same name, or none is at hand.
    """

    def __init__(self, spec: StudySpec) -> None:
        self._seed = spec.seed
        self.tables: dict[str, Dataset] = {}
        self.datasets, self.absent = self._look_at_all(spec)
        for name, count in Counter(dataset.name for dataset in self.datasets).items():
            if count > 1:
                alike = [dataset.use for dataset in self.datasets if dataset.name == name]
                raise SpecError(f"datasets: each name once, but {name!r} is there {count} times: {_remedy(alike)}")

    def __getitem__(self, key: str) -> Dataset | TrialData:
        """Return a table, or split and prepare a dataset for its search."""
        if key in self.tables:
            return self.tables[key]
        (dataset,) = (known for known in self.datasets if known.name == key)
        return trial_data(self._dataset(dataset.use), dataset.use.search_design(self._seed), keep=True)

    @property
    def n_bytes(self) -> int:
        """The most bytes that all tables and prepared data take, known without preparing any."""
        tables = sum(table_bytes(table) for table in self.tables.values())
        return tables + sum(dataset.prepared_bytes for dataset in self.datasets)

    def __iter__(self) -> Iterator[str]:
        """Iterate over all keys."""
        yield from self.tables
        yield from (dataset.name for dataset in self.datasets)

    def __len__(self) -> int:
        """Count the keys."""
        return len(self.tables) + len(self.datasets)

    def _dataset(self, use: DatasetSpec) -> Dataset:
        table = self.tables[use.table_key]
        return table if use.removal is None else remove_values(table, use.removal)

    def _look_at_all(self, spec: StudySpec) -> tuple[tuple[StudyDataset, ...], tuple[str, ...]]:
        """Load what is at hand; return what was looked at, and what is not there and need not be."""
        loaded, absent = [], []
        for use in spec.datasets:
            try:
                loaded.append(self._look_at(use))
            except AbsentDataError:
                if spec.absent_datasets == "error":
                    raise
                absent.append(use.path)
        if not loaded:
            raise SpecError(f"datasets: one at least must be at hand, but none of {', '.join(absent)} is")
        return tuple(loaded), tuple(dict.fromkeys(absent))

    def _look_at(self, use: DatasetSpec) -> StudyDataset:
        """Load the table if it is new, and take note of what the study uses it as."""
        if use.table_key not in self.tables:
            self.tables[use.table_key] = use.load_table()
        dataset = self._dataset(use)
        check_policy(dataset, use.missing.policy if use.missing else None)
        design = use.search_design(self._seed)
        return StudyDataset(
            name=dataset.name + (use.missing.suffix if use.missing else ""),
            use=use,
            table=use.table_key,
            feature_names=dataset.feature_names,
            k=dataset.k,
            batch_size=dataset.batch_size,
            prepared_bytes=prepared_bytes(dataset, design),
            resolved={
                "sha256": dataset.sha256,
                "content_sha256": dataset.content_sha256,
                "split_sha256": split_sha256(design.splits(dataset)),
                "samples": dataset.n_samples,
                "features": dataset.n_features,
                "classes": dataset.n_classes,
                "k": dataset.k,
                "batch_size": dataset.batch_size,
                **({"scoring": SCORING} if has_encodings(dataset, design.indicators) else {}),
            },
            training_rows=partial(self._training_rows, use),
            notes=dataset.notes,
        )

    def _training_rows(self, use: DatasetSpec, design: Design) -> Part:
        train, _ = next(iter(trial_data(self._dataset(use), design, keep=False).parts))
        return train


def has_encodings(dataset: Dataset, indicators: bool) -> bool:
    """Say whether a column of the dataset may have several encodings: categories, or a number and its indicator."""
    return bool(dataset.categories) or (indicators and bool(missing_counts(dataset.x).any()))


def _remedy(alike: Sequence[DatasetSpec]) -> str:
    """Return the advice on how to make the names of datasets differ."""
    if len({use.path for use in alike}) == len(alike):
        return "rename a file"  # of the registry's names no two are alike
    if len({use.missing is None for use in alike}) == 2:
        return "leave out the one without missing, or the 0 of the other's missing.rate"
    return "leave out all but one"
