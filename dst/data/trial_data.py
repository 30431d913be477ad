"""The data of one trial: the parts of its splits, and the hashes by which a record names them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from dst.data.dataset import Dataset, Part
from dst.data.preparation import prepare
from dst.data.readers.table import missing_counts
from dst.data.splits import Split, default_count, make_splits, split_sha256
from dst.files.plain import make_plain


@dataclass(frozen=True)
class Design:
    """Splits and preparation of a table's rows.

    Attributes:
        split: a name in :data:`dst.data.splits.SPLITS`.
        seed: draws the validation rows.
        test_seed: draws the test rows of a split that has no fixed ones.
        count: how many draws of validation rows; None: the split's own rule.
        policy: what stands in for a missing number, a name in :data:`dst.data.imputing.POLICIES`; None: none may miss.
        indicators: whether a missing number also sets a column of its own.
    """

    split: str = "stratified"
    seed: int = 0
    test_seed: int = 0
    count: int | None = None
    policy: str | None = None
    indicators: bool = False

    def __post_init__(self) -> None:
        make_plain(self)

    def splits(self, dataset: Dataset) -> tuple[Split, ...]:
        """Return the rows.

        Raises:
            InputError: the table cannot be split so.
        """
        count = default_count(dataset, self.split) if self.count is None else self.count
        return make_splits(dataset, self.split, seed=self.seed, test_seed=self.test_seed, count=count)


@dataclass(frozen=True)
class TrialData:
    """A dataset as a trial reads it: training and validation parts, no test rows.

    Attributes:
        name: the dataset's.
        n_features: columns of the table, before any encoding.
        class_names: one name a class.
        k: how many columns a ranking is judged on, unless the trial says otherwise.
        batch_size: rows in a minibatch, likewise.
        design: how it was made.
        parts: training and validation part of each split; may be read more than once.
        split_sha256: of the rows of all splits, test rows included.
        data_sha256: of the table's content, these rows and the policy: equal where a trial reads the same.
    """

    name: str
    n_features: int
    class_names: tuple[str, ...]
    k: int
    batch_size: int
    design: Design
    parts: Iterable[tuple[Part, Part]]
    split_sha256: str
    data_sha256: str


def trial_data(dataset: Dataset, design: Design, *, keep: bool) -> TrialData:
    """Split and prepare a dataset.

    Args:
        dataset: the table.
        design: how.
        keep: whether all parts are prepared now and kept, to be read by many trials; else each is prepared whenever it
            is read, and not kept.

    Raises:
        InputError: the table cannot be split or prepared so; of the preparation only when it happens.
    """
    splits = design.splits(dataset)
    parts = _Parts(dataset, splits, design)
    rows = split_sha256(splits)
    return TrialData(
        name=dataset.name,
        n_features=dataset.n_features,
        class_names=dataset.class_names,
        k=dataset.k,
        batch_size=dataset.batch_size,
        design=design,
        parts=tuple(parts) if keep else parts,
        split_sha256=rows,
        data_sha256=_sha256([dataset.content_sha256, rows, design.policy, design.indicators]),
    )


def prepared_bytes(dataset: Dataset, design: Design) -> int:
    """Bound the bytes of all parts that :func:`trial_data` prepares from above, without preparing them.

    Categories and missing numbers count though the training rows may not hold them.

    Args:
        dataset: the table, with all of its values that are missing.
        design: how it is split and prepared.

    Raises:
        InputError: the table cannot be split so.
    """
    splits = design.splits(dataset)
    numbers = dataset.n_features - len(dataset.categories)
    added = sum(len(names) + 1 for names in dataset.categories.values())  # one for missing
    lacking = missing_counts(dataset.x) if design.indicators else np.zeros(dataset.n_features, dtype=np.int64)
    lacking[list(dataset.categories)] = 0
    added += int(np.count_nonzero(lacking))
    rows = sum(len(split.train) + len(split.validation) for split in splits)
    labels = rows * dataset.y.itemsize
    origins = 2 * len(splits) * (numbers + added) * _INDEX
    if isinstance(dataset.x, np.ndarray):
        return rows * (numbers + added) * _VALUE + labels + origins
    per_row = len(dataset.categories)  # each row is of one category of a column
    entries = len(splits) * (int(dataset.x.nnz) + int(lacking.sum())) + rows * per_row
    row_starts = (rows + 2 * len(splits)) * _INDEX
    return entries * (_VALUE + _INDEX) + row_starts + labels + origins


def table_bytes(dataset: Dataset) -> int:
    """Return the bytes of a table's arrays."""
    x = dataset.x
    columns = (dataset.y, dataset.official_test, dataset.groups, dataset.times)
    arrays = [*((x,) if isinstance(x, np.ndarray) else (x.data, x.indices, x.indptr)), *columns]
    return sum(int(array.nbytes) for array in arrays if array is not None)


_VALUE = 4  # bytes of a number
_INDEX = 8  # bytes of an index; SciPy may take 4


@dataclass(frozen=True)
class _Parts:
    """Training and validation part of each split, prepared when they are read."""

    dataset: Dataset
    splits: tuple[Split, ...]
    design: Design

    def __iter__(self) -> Iterator[tuple[Part, Part]]:
        for split in self.splits:
            yield prepare(self.dataset, split, policy=self.design.policy, indicators=self.design.indicators)


def _sha256(words: list[object]) -> str:
    return hashlib.sha256(json.dumps(words).encode()).hexdigest()
