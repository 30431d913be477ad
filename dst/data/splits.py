"""Splits of a table: rows that train, rows that validate, and test rows that are opened at the end.

A split's test rows depend on the table and ``test_seed`` alone, so every trial of a study has the same; its validation
rows are drawn from the others by ``(seed, number of the split)``. Once the test rows are fixed, their labels influence
nothing: train and validation rows are functions of the other rows' labels.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dst.data.dataset import Dataset
from dst.errors import InputError, unknown_name

Rows = npt.NDArray[np.int64]

_SMALL = 500  # below this many rows one validation part decides nothing
_MAX_SEED = 2**32 - 1  # of scikit-learn's random_state


@dataclass(frozen=True)
class Split:
    """Three disjoint sets of rows that together are all rows; each is sorted, int64 and not empty."""

    train: Rows
    validation: Rows
    test: Rows


@dataclass(frozen=True)
class SplitKind:
    """One way to split a table.

    Attributes:
        test: ``test(dataset, test_seed)`` draws test rows from all rows. It returns the other rows, in the order in
            which ``validation`` takes them, and the test rows.
        validation: ``validation(dataset, rows, seed, number, count)`` draws the validation rows of split ``number`` of
            ``count`` from ``rows``, and returns them.
        takes_official: whether an official test part, where the table has one, stands in for the rows of ``test``.
        small_count: how many splits a table below 500 rows is judged on.
        count: how many splits any other table is judged on.
    """

    test: Callable[[Dataset, int], tuple[Rows, Rows]]
    validation: Callable[[Dataset, Rows, int, int, int], Rows]
    takes_official: bool = True
    small_count: int = 5
    count: int = 1


def make_splits(dataset: Dataset, kind: str, *, seed: int, test_seed: int, count: int) -> tuple[Split, ...]:
    """Split a table ``count`` times, with the same test rows each time.

    ``stratified`` draws 65 / 15 / 20 of 100 rows by class. Test rows come first, as 20/100 of all rows; validation
    rows are 15/80 of the others. Each of the two draws allots rows to classes by largest remainder:

    1. a class of ``c`` rows gives ``floor(share * c)``;
    2. what is missing from ``share * rows``, rounded to a whole number (at least one), is given one by one by the
       classes with the largest remainder; ties are broken by the seed;
    3. but a class with a single row left gives none, and no class gives more than its share rounded up.

    So every class keeps at least one training row if it has a row outside an official test part, no part is empty, and
    sizes are exact unless so many classes are down to a single row that rule 3 leaves some of the total undrawn.

    ``official`` takes the table's official test part for the test rows; validation rows as in ``stratified``.

    ``kfold`` has the test rows of ``stratified``. The other rows, shuffled by the seed within their classes, are dealt
    out in turn to ``count`` folds, and split ``i`` validates on fold ``i``: each of these rows validates once.

    ``paper`` follows Atashgahi et al. (ECAI 2024) and their code: 20% of the rows test, drawn with
    ``train_test_split(random_state=42)`` whatever the seeds; 20% of the others validate, drawn with
    ``train_test_split(random_state=seed)``, or with a seed derived from ``(seed, number)`` after the first split.

    ``group`` keeps the rows of a group (``dataset.groups``) in one part. Groups come in random order, and each is taken
    that brings the number of test rows nearer to 20/100 of all rows (of validation rows: to 15/80 of the others); the
    smallest group where none does; at least one group is left for each part that is still to be filled.

    ``time`` trains on the earliest rows, validates on later ones and tests on the latest (``dataset.times``). Its two
    boundaries are the changes of time that are nearest to 65 and 80 of 100 rows (ties: the earlier), so rows of one
    time stay in one part. Nothing is drawn, so there is one such split.

    Only ``stratified``, ``official`` and ``kfold`` look at labels; with the others, and in a table with small classes,
    a class may be absent from the training rows. Where a table has an official test part, ``stratified``, ``kfold`` and
    ``paper`` take it for the test rows.

    Args:
        dataset: the table.
        kind: a name in ``SPLITS``.
        seed: of the validation rows, ``0 .. 2**32 - 1``.
        test_seed: of the test rows, ``0 .. 2**32 - 1``.
        count: number of splits, at least 1.

    Raises:
        InputError: the kind is unknown, a number is out of range, there are too few rows (groups, times) to fill three
            parts, the table lacks what the kind goes by, or it has groups or times and the kind does not go by them.
    """
    scheme = _kind(kind)
    if count < 1:
        raise InputError(f"the number of splits must be at least 1, but got {count}")
    for name, value in (("seed", seed), ("test_seed", test_seed)):
        if not 0 <= value <= _MAX_SEED:
            raise InputError(f"{name} must be between 0 and {_MAX_SEED}, but got {value}")
    for column, present in (("group", dataset.groups is not None), ("time", dataset.times is not None)):
        if present and kind != column:
            raise InputError(
                f"{dataset.name}: a {column} column is named ({column}: NAME), and only the split {column!r} goes by "
                f"it, but the split is {kind!r}: choose split {column!r}, or take the column out of the table"
            )
    if scheme.takes_official and dataset.official_test is not None:
        test = dataset.official_test
        others = np.setdiff1d(np.arange(dataset.n_samples, dtype=np.int64), test)
    elif dataset.n_samples >= 3:
        others, test = scheme.test(dataset, test_seed)
    else:
        raise InputError(f"{dataset.name}: three parts need at least 3 rows, but there are {dataset.n_samples}")
    if len(others) < 2:
        raise InputError(f"{dataset.name}: training and validation need at least 2 rows, but {len(others)} are left")
    splits = []
    for number in range(count):
        validation = scheme.validation(dataset, others, seed, number, count)
        if not len(validation):
            raise InputError(
                f"{dataset.name}: a {kind} split needs a class with two rows outside the test part, but there is none"
            )
        train = np.setdiff1d(others, validation)
        splits.append(Split(train=train, validation=np.sort(validation), test=np.sort(test)))
    return tuple(splits)


def default_count(dataset: Dataset, kind: str) -> int:
    """The number of splits that a trial's objective is the mean of: 5 below 500 rows, else 1.

    But ``kfold`` always has 5, and ``paper`` and ``time`` have 1.

    Raises:
        InputError: the kind is unknown.
    """
    scheme = _kind(kind)
    return scheme.small_count if dataset.n_samples < _SMALL else scheme.count


def split_sha256(splits: Iterable[Split]) -> str:
    """Return the SHA-256 of the row numbers of all parts, in their order: equal for equal splits only."""
    digest = hashlib.sha256()
    for split in splits:
        for rows in (split.train, split.validation, split.test):
            digest.update(len(rows).to_bytes(8, "little"))
            digest.update(np.ascontiguousarray(rows, dtype="<i8").tobytes())
    return digest.hexdigest()


def _kind(kind: str) -> SplitKind:
    if kind not in SPLITS:
        raise InputError(unknown_name("split", kind, SPLITS))
    return SPLITS[kind]


def _paper_test(dataset: Dataset, test_seed: int) -> tuple[Rows, Rows]:
    from sklearn.model_selection import train_test_split

    rows = np.arange(dataset.n_samples, dtype=np.int64)
    others, test = train_test_split(rows, test_size=0.2, random_state=42)
    return others, test  # the others in scikit-learn's order, which the next draw goes by


def _paper_validation(dataset: Dataset, rows: Rows, seed: int, number: int, count: int) -> Rows:
    from sklearn.model_selection import train_test_split

    state = seed if number == 0 else int(np.random.SeedSequence([seed, number]).generate_state(1)[0])
    validation: Rows = train_test_split(rows, test_size=0.2, random_state=state)[1]
    return validation


# The first number keeps the streams apart when seeds are equal: a seed sequence ignores trailing zeros.
_TEST, _VALIDATION, _FOLDS, _GROUP_TEST, _GROUP_VALIDATION = 1, 2, 3, 4, 5


def _stratified_test(dataset: Dataset, test_seed: int) -> tuple[Rows, Rows]:
    rows = np.arange(dataset.n_samples, dtype=np.int64)
    test = _draw(dataset.y, rows, 20, 100, np.random.default_rng([_TEST, test_seed]))
    return np.setdiff1d(rows, test), test


def _stratified_validation(dataset: Dataset, rows: Rows, seed: int, number: int, count: int) -> Rows:
    return _draw(dataset.y, rows, 15, 80, np.random.default_rng([_VALIDATION, seed, number]))


def _draw(y: npt.NDArray[np.int64], rows: Rows, share: int, of: int, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """Draw ``share / of`` of the rows by class, by the rule that ``make_splits`` states; whole numbers only."""
    classes, counts = np.unique(y[rows], return_counts=True)
    given, remainders = np.divmod(counts * share, of)
    total = max(1, (2 * len(rows) * share + of) // (2 * of))  # rounded half up
    order = np.lexsort((rng.permutation(len(classes)), -remainders))
    able = order[(counts[order] > 1) & (remainders[order] > 0)]
    given[able[: max(0, total - int(given.sum()))]] += 1
    drawn = [rng.permutation(rows[y[rows] == label])[:n] for label, n in zip(classes, given, strict=True)]
    return np.concatenate(drawn)


def _no_official_test(dataset: Dataset, test_seed: int) -> tuple[Rows, Rows]:
    known = ", ".join(kind for kind in SPLITS if kind != "official")
    raise InputError(f"{dataset.name} has no official test part: choose another split of {known}")


def _fold(dataset: Dataset, rows: Rows, seed: int, number: int, count: int) -> Rows:
    if not 2 <= count <= len(rows):
        raise InputError(
            f"{dataset.name}: kfold needs 2 <= inner_splits <= {len(rows)}, the rows outside the test part, "
            f"but got {count}"
        )
    shuffled = np.random.default_rng([_FOLDS, seed]).permutation(rows)
    by_class = shuffled[np.argsort(dataset.y[shuffled], kind="stable")]
    return by_class[number::count]


def _group_test(dataset: Dataset, test_seed: int) -> tuple[Rows, Rows]:
    rows = np.arange(dataset.n_samples, dtype=np.int64)
    if dataset.groups is None:
        raise InputError(f"{dataset.name}: a group split needs a group column (group: NAME), but none is named")
    if len(np.unique(dataset.groups)) < 3:
        raise InputError(
            f"{dataset.name}: a group split needs at least 3 groups, but there are {len(np.unique(dataset.groups))}"
        )
    test = _draw_groups(dataset.groups, rows, 20 / 100, 2, np.random.default_rng([_GROUP_TEST, test_seed]))
    return np.setdiff1d(rows, test), test


def _group_validation(dataset: Dataset, rows: Rows, seed: int, number: int, count: int) -> Rows:
    groups = np.asarray(dataset.groups)
    return _draw_groups(groups, rows, 15 / 80, 1, np.random.default_rng([_GROUP_VALIDATION, seed, number]))


def _draw_groups(
    groups: npt.NDArray[np.int64], rows: Rows, share: float, n_left: int, rng: np.random.Generator
) -> Rows:
    """Draw whole groups by the rule that ``make_splits`` states, leaving at least ``n_left`` groups."""
    names, sizes = np.unique(groups[rows], return_counts=True)
    target = share * len(rows)
    order = rng.permutation(len(names))
    taken: list[int] = []
    drawn = 0
    for group in order:
        if len(taken) < len(names) - n_left and abs(drawn + sizes[group] - target) < abs(drawn - target):
            taken.append(group)
            drawn += sizes[group]
    if not taken:
        taken.append(order[np.argmin(sizes[order])])
    return rows[np.isin(groups[rows], names[taken])]


def _time_test(dataset: Dataset, test_seed: int) -> tuple[Rows, Rows]:
    if dataset.times is None:
        raise InputError(f"{dataset.name}: a time split needs a time column (time: NAME), but none is named")
    unknown = int((~np.isfinite(dataset.times)).sum())
    if unknown:
        raise InputError(f"{dataset.name}: a time split needs a time for every row, but {unknown} rows have none")
    order, changes = _changes(dataset.times)
    if len(changes) < 2:
        raise InputError(f"{dataset.name}: a time split needs at least 3 times, but there are {len(changes) + 1}")
    cut = _nearest(changes[1:], 0.80 * dataset.n_samples)
    return order[:cut], order[cut:]


def _time_validation(dataset: Dataset, rows: Rows, seed: int, number: int, count: int) -> Rows:
    if count > 1:
        raise InputError(
            f"{dataset.name}: nothing is drawn in a time split, so inner_splits must be 1, but got {count}"
        )
    order, changes = _changes(np.asarray(dataset.times)[rows])
    return rows[order[_nearest(changes, 0.65 * dataset.n_samples) :]]


def _changes(times: npt.NDArray[np.float64]) -> tuple[Rows, Rows]:
    """Return the rows by time, and the positions in that order at which the time changes."""
    order = np.argsort(times, kind="stable")
    return order, np.flatnonzero(np.diff(times[order])) + 1


def _nearest(positions: Rows, wanted: float) -> int:
    return int(positions[np.argmin(np.abs(positions - wanted))])


SPLITS: dict[str, SplitKind] = {
    "stratified": SplitKind(_stratified_test, _stratified_validation),
    "official": SplitKind(_no_official_test, _stratified_validation),
    "kfold": SplitKind(_stratified_test, _fold, count=5),
    "paper": SplitKind(_paper_test, _paper_validation, small_count=1),
    "group": SplitKind(_group_test, _group_validation, takes_official=False),
    "time": SplitKind(_time_test, _time_validation, takes_official=False, small_count=1),
}
"""Name -> how the rows are drawn."""
