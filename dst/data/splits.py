"""Which rows train, which choose and which are only opened at the end.

A split's test rows depend on the table and ``test_seed`` alone, so every trial of a study has the same; its validation
rows are drawn from the others by ``(seed, number of the split)``. Once the test rows are fixed, their labels influence
nothing: train and validation rows are functions of the other rows' labels.
"""

from __future__ import annotations

from collections.abc import Callable
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
        test: ``test(y, test_seed)`` draws test rows from all rows; not asked where the table has an official test part.
            It returns the other rows, in the order in which ``validation`` takes them, and the test rows.
        validation: ``validation(y, rows, seed, number)`` draws the validation rows of the split with that number from
            ``rows``, and returns them.
        small_count: how many splits a table below 500 rows is judged on.
    """

    test: Callable[[npt.NDArray[np.int64], int], tuple[Rows, Rows]]
    validation: Callable[[npt.NDArray[np.int64], Rows, int, int], Rows]
    small_count: int


def make_splits(dataset: Dataset, kind: str, *, seed: int, test_seed: int, count: int) -> tuple[Split, ...]:
    """Split a table ``count`` times, with the same test rows each time.

    ``paper`` follows Atashgahi et al. (ECAI 2024) and their code: 20% of the rows test, drawn with
    ``train_test_split(random_state=42)`` whatever the seeds; 20% of the others validate, drawn with
    ``train_test_split(random_state=seed)``, or with a seed derived from ``(seed, number)`` after the first split.
    Labels play no part, so a class may be absent from the training rows.

    ``stratified`` draws 65 / 15 / 20 of 100 rows by class. Test rows come first, as 20/100 of all rows; validation
    rows are 15/80 of the others. Each of the two draws allots rows to classes by largest remainder:

    1. a class of ``c`` rows gives ``floor(share * c)``;
    2. what is missing from ``share * rows``, rounded to a whole number (at least one), is given one by one by the
       classes with the largest remainder; ties are broken by the seed;
    3. but a class with a single row left gives none, and no class gives more than its share rounded up.

    So every class keeps at least one training row if it has a row outside an official test part, no part is empty, and
    sizes are exact unless so many classes are down to a single row that rule 3 leaves some of the total undrawn.

    Both kinds take an official test part, where there is one, for the test rows.

    Args:
        dataset: the table.
        kind: a name in ``SPLITS``.
        seed: of the validation rows, ``0 .. 2**32 - 1``.
        test_seed: of the test rows, ``0 .. 2**32 - 1``.
        count: number of splits, at least 1.

    Raises:
        InputError: the kind is unknown, a number is out of range, or there are too few rows to fill three parts.
    """
    scheme = _kind(kind)
    if count < 1:
        raise InputError(f"the number of splits must be at least 1, but got {count}")
    for name, value in (("seed", seed), ("test_seed", test_seed)):
        if not 0 <= value <= _MAX_SEED:
            raise InputError(f"{name} must be between 0 and {_MAX_SEED}, but got {value}")
    if dataset.official_test is not None:
        test = dataset.official_test
        others = np.setdiff1d(np.arange(dataset.n_samples, dtype=np.int64), test)
    elif dataset.n_samples >= 3:
        others, test = scheme.test(dataset.y, test_seed)
    else:
        raise InputError(f"{dataset.name}: three parts need at least 3 rows, but there are {dataset.n_samples}")
    if len(others) < 2:
        raise InputError(f"{dataset.name}: training and validation need at least 2 rows, but {len(others)} are left")
    splits = []
    for number in range(count):
        validation = scheme.validation(dataset.y, others, seed, number)
        if not len(validation):
            raise InputError(
                f"{dataset.name}: a {kind} split needs a class with two rows outside the test part, but there is none"
            )
        train = np.setdiff1d(others, validation)
        splits.append(Split(train=train, validation=np.sort(validation), test=np.sort(test)))
    return tuple(splits)


def default_count(dataset: Dataset, kind: str) -> int:
    """How many splits a trial's objective is the mean of: 5 for ``stratified`` below 500 rows, else 1.

    Raises:
        InputError: the kind is unknown.
    """
    scheme = _kind(kind)
    return scheme.small_count if dataset.n_samples < _SMALL else 1


def _kind(kind: str) -> SplitKind:
    if kind not in SPLITS:
        raise InputError(unknown_name("split", kind, SPLITS))
    return SPLITS[kind]


def _paper_test(y: npt.NDArray[np.int64], test_seed: int) -> tuple[Rows, Rows]:
    from sklearn.model_selection import train_test_split

    others, test = train_test_split(np.arange(len(y), dtype=np.int64), test_size=0.2, random_state=42)
    return others, test  # the others in scikit-learn's order, which the next draw goes by


def _paper_validation(y: npt.NDArray[np.int64], rows: Rows, seed: int, number: int) -> Rows:
    from sklearn.model_selection import train_test_split

    state = seed if number == 0 else int(np.random.SeedSequence([seed, number]).generate_state(1)[0])
    validation: Rows = train_test_split(rows, test_size=0.2, random_state=state)[1]
    return validation


# The first number keeps the two streams apart when test_seed == seed: a seed sequence ignores trailing zeros.
def _stratified_test(y: npt.NDArray[np.int64], test_seed: int) -> tuple[Rows, Rows]:
    rows = np.arange(len(y), dtype=np.int64)
    test = _draw(y, rows, 20, 100, np.random.default_rng([1, test_seed]))
    return np.setdiff1d(rows, test), test


def _stratified_validation(y: npt.NDArray[np.int64], rows: Rows, seed: int, number: int) -> Rows:
    return _draw(y, rows, 15, 80, np.random.default_rng([2, seed, number]))


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


SPLITS: dict[str, SplitKind] = {
    "paper": SplitKind(test=_paper_test, validation=_paper_validation, small_count=1),
    "stratified": SplitKind(test=_stratified_test, validation=_stratified_validation, small_count=5),
}
"""Name -> how the rows are drawn."""
