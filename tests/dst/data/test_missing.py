"""Removing values: how many go, which, and that the mechanisms are what they are called."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array

from dst.data import MECHANISMS, Removal, remove_values
from dst.errors import InputError
from tests.support.prepared_tables import table


def correlated(n: int, rng: np.random.Generator) -> np.ndarray:
    """Two columns with a correlation of 0.8."""
    first = rng.normal(size=n)
    return np.stack([first, 0.8 * first + 0.6 * rng.normal(size=n)], axis=1).astype(np.float32)


@settings(max_examples=200, deadline=None)
@given(
    mechanism=st.sampled_from(sorted(MECHANISMS)),
    rate=st.floats(0, 0.999),
    shape=st.tuples(st.integers(1, 30), st.integers(2, 6)),
    gaps=st.sampled_from([0.0, 0.3]),
    seed=st.integers(0, 2**40),
)
def test_exactly_the_rate_is_removed_reproducibly_and_nothing_else_changes(
    mechanism: str, rate: float, shape: tuple[int, int], gaps: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    x = rng.integers(0, 4, size=shape).astype(np.float32)  # with ties, and with constant columns
    x[rng.random(shape) < gaps] = np.nan
    dataset, before = table(x), x.copy()
    removal = Removal(rate, mechanism, seed)
    removed, again = remove_values(dataset, removal), remove_values(dataset, removal)
    np.testing.assert_array_equal(removed.x, again.x)
    np.testing.assert_array_equal(dataset.x, before)
    present = int((~np.isnan(x)).sum())
    assert int(np.isnan(removed.x).sum()) == x.size - present + round(rate * present)
    left = ~np.isnan(removed.x)
    np.testing.assert_array_equal(removed.x[left], x[left])
    by_column = (~np.isnan(x)).sum(axis=0) * rate - (np.isnan(removed.x) & ~np.isnan(x)).sum(axis=0)
    assert (np.abs(by_column) < 1 + 1e-9).all(), "every column loses the same share, within one value"


@pytest.mark.parametrize("mechanism", ["mcar", "mnar"])
def test_a_higher_rate_removes_what_a_lower_one_does(mechanism: str) -> None:
    dataset = table(np.random.default_rng(0).normal(size=(200, 4)).astype(np.float32))
    gone = [np.isnan(remove_values(dataset, Removal(rate, mechanism)).x) for rate in (0.1, 0.3, 0.8)]
    assert (gone[0] <= gone[1]).all()
    assert (gone[1] <= gone[2]).all()


@pytest.mark.parametrize("mechanism", ["mcar", "mnar"])
def test_so_it_does_where_all_columns_lack_as_many_values(mechanism: str) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(40, 4)).astype(np.float32)
    for column in range(4):
        x[rng.permutation(40)[:7], column] = np.nan
    gone = [np.isnan(remove_values(table(x), Removal(rate, mechanism)).x) for rate in np.linspace(0.01, 0.95, 60)]
    assert all((lower <= higher).all() for lower, higher in itertools.pairwise(gone))


def test_another_seed_removes_other_values() -> None:
    dataset = table(np.random.default_rng(0).normal(size=(200, 4)).astype(np.float32))
    gone = {np.isnan(remove_values(dataset, Removal(0.3, seed=seed)).x).tobytes() for seed in range(5)}
    assert len(gone) == 5


def odds_of_high_values(x: np.ndarray, gone: np.ndarray, by: np.ndarray) -> float:
    """The share of rows with a high value in ``by`` among those whose value is gone, less that among the others."""
    return float((by[gone] > 0).mean() - (by[~gone] > 0).mean())


def test_what_absence_depends_on() -> None:
    """20,000 rows: the standard error of a difference of shares is about 0.01."""
    rng = np.random.default_rng(1)
    x = np.stack([rng.normal(size=20_000), rng.normal(size=20_000)], axis=1).astype(np.float32)  # independent columns
    for mechanism in MECHANISMS:
        removed = remove_values(table(x), Removal(0.3, mechanism, seed=3)).x
        gone = np.isnan(removed)
        on_itself = [odds_of_high_values(x, gone[:, c], x[:, c]) for c in (0, 1)]
        if mechanism == "mcar":
            assert max(map(abs, on_itself)) < 0.04
        elif mechanism == "mnar":
            assert min(on_itself) > 0.3
        else:
            assert max(map(abs, on_itself)) < 0.04  # not on what is gone: the columns are independent
            first, second = (0, 1) if abs(odds_of_high_values(x, gone[:, 0], x[:, 1])) < 0.04 else (1, 0)
            assert abs(odds_of_high_values(x, gone[:, first], x[:, second])) < 0.04  # the first of the order: by chance
            there = ~gone[:, first]
            assert odds_of_high_values(x[there], gone[there, second], x[there, first]) > 0.3
            # Where the driver is gone itself, its value plays no part: that would be missing not at random.
            assert abs(odds_of_high_values(x[~there], gone[~there, second], x[~there, first])) < 0.06


def test_changing_a_value_that_goes_changes_no_pattern_that_is_at_random() -> None:
    """What goes completely at random is drawn before anybody looks; what goes by its own value is not."""
    rng = np.random.default_rng(2)
    x = correlated(300, rng)
    for mechanism, same in (("mcar", True), ("mnar", False)):
        gone = np.isnan(remove_values(table(x), Removal(0.3, mechanism)).x)
        flipped = np.where(gone, -x, x).astype(np.float32)
        again = np.isnan(remove_values(table(flipped), Removal(0.3, mechanism)).x)
        assert np.array_equal(gone, again) == same


def test_rate_zero_changes_nothing_and_labels_stay() -> None:
    dataset = table(np.ones((4, 2), dtype=np.float32))
    assert remove_values(dataset, Removal(0.0, "mar")) is dataset
    removed = remove_values(dataset, Removal(0.5))
    assert removed.y is dataset.y
    assert removed.name == dataset.name


def test_what_was_removed_is_part_of_the_contents_hash() -> None:
    dataset = table(np.random.default_rng(0).normal(size=(50, 3)).astype(np.float32))
    removals = [Removal(0.2), Removal(0.2, seed=1), Removal(0.3), Removal(0.2, "mar"), Removal(0.2, "mnar")]
    hashes = {remove_values(dataset, removal).content_sha256 for removal in removals}
    assert len(hashes | {dataset.content_sha256}) == 6
    assert remove_values(dataset, removals[0]).content_sha256 in hashes
    for change in ({"y": 1 - dataset.y}, {"scaling": "minmax"}, {"groups": dataset.y}, {"categories": {0: ("a",)}}):
        assert replace(dataset, **change).content_sha256 not in hashes | {dataset.content_sha256}


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"rate": 1.0}, "0 <= rate < 1 must hold, but got rate=1.0"),
        ({"rate": -0.1}, "0 <= rate < 1 must hold, but got rate=-0.1"),
        ({"rate": 0.1, "mechanism": "mcr"}, "unknown missing-data mechanism 'mcr': did you mean 'mcar'"),
        ({"rate": 0.1, "seed": -1}, "seed >= 0 must hold, but got seed=-1"),
    ],
)
def test_removals_that_cannot_be(how: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Removal(**how)


def test_tables_that_nothing_can_be_removed_from() -> None:
    with pytest.raises(InputError, match="from a dense table only, but this one is sparse"):
        remove_values(table(csr_array(np.eye(4, dtype=np.float32))), Removal(0.1))
    with pytest.raises(InputError, match="mechanism 'mar' needs two columns or more, but there is one"):
        remove_values(table(np.ones((4, 1), dtype=np.float32)), Removal(0.1, "mar"))
