"""Columns that are selected together or not at all."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from dst import InputError, SparseFeatureSelector
from dst.selector.feature_groups import group_codes, large_enough

FAST: dict[str, Any] = {"method": "f_score", "random_state": 0, "n_repeats": 2}


@pytest.fixture(scope="module")
def table() -> tuple[Any, Any]:
    """Columns 2 and 7 say the class, 2 more clearly; the others are noise."""
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1], 60)
    x = rng.standard_normal((120, 10))
    x[:, 2] += 4 * y
    x[:, 7] += 2 * y
    return x, y


@pytest.mark.parametrize("selection", ["top", "greedy"])
def test_a_group_enters_as_a_whole_where_its_first_column_would(table: Any, selection: str) -> None:
    groups = [[2, 5, 0], [9, 8]]
    selector = SparseFeatureSelector(4, selection=selection, feature_groups=groups, **FAST).fit(*table)
    assert selector.order_[0] == 2
    assert set(selector.order_[:3]) == {2, 5, 0}
    assert selector.get_support(indices=True).tolist() == [0, 2, 5, 7]
    assert (selector.selections_[:, [0, 2, 5]].all(axis=1)).all()


def test_columns_of_a_group_are_not_exchangeable_so_no_bound_on_false_ones_is_given(table: Any) -> None:
    for groups, bounded in (((), True), ([[2, 5]], False)):
        selector = SparseFeatureSelector(3, feature_groups=groups, resampling="halves", **FAST).fit(*table)
        assert (selector.expected_false_ is not None) == bounded


def test_a_group_that_does_not_fit_is_passed_over(table: Any) -> None:
    selector = SparseFeatureSelector(2, feature_groups=[[2, 5, 0]], **FAST).fit(*table)
    assert 7 in selector.get_support(indices=True)
    assert not selector.support_[[0, 2, 5]].any()
    pairs = [[0, 1], [2, 3], [4, 5], [6, 7], [8, 9]]
    selector = SparseFeatureSelector(3, feature_groups=pairs, **FAST).fit(*table)
    assert selector.n_features_selected_ == 2
    assert selector.transform(table[0]).shape == (120, 2)


def test_auto_scores_whole_groups_only(table: Any) -> None:
    pairs = [[0, 1], [2, 3], [4, 5], [6, 7], [8, 9]]
    selector = SparseFeatureSelector("auto", feature_groups=pairs, **FAST).fit(*table)
    assert min(point.k for point in selector.k_curve_) == 2
    for first, second in pairs:
        assert selector.support_[first] == selector.support_[second]
        assert (selector.selections_[:, first] == selector.selections_[:, second]).all()
    assert selector.support_[2]


def test_no_groups_change_nothing_and_a_saved_selector_has_them(table: Any, tmp_path: Any) -> None:
    plain, alone = (SparseFeatureSelector(3, feature_groups=given, **FAST).fit(*table) for given in ((), [[4]]))
    np.testing.assert_array_equal(plain.order_, alone.order_)
    grouped = SparseFeatureSelector(3, feature_groups=((2, 5),), **FAST).fit(*table)
    grouped.save(tmp_path / "selector.npz")
    loaded = SparseFeatureSelector.load(tmp_path / "selector.npz")
    assert loaded.feature_groups == [[2, 5]]
    np.testing.assert_array_equal(loaded.fit(*table).order_, grouped.order_)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([2, 5], "feature_groups must be lists of one column number or more, but got"),
        ([[]], "feature_groups must be lists of one column number or more, but got"),
        ("ab", "feature_groups must be lists of one column number or more, but got"),
        ([[2, 10]], "feature_groups takes column numbers from 0 to 9, but got 10"),
        ([[2, True]], "feature_groups takes column numbers from 0 to 9, but got True"),
        ([[2, 5], [5]], "a column is in one of feature_groups at most, once, but column 5 is named again"),
        ([list(range(5)), list(range(5, 10))], "at least one of feature_groups must fit .* has 5, and 3 are to be"),
    ],
)
def test_wrong_groups_are_refused(table: Any, given: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        SparseFeatureSelector(3, feature_groups=given, **FAST).fit(*table)


def test_codes_and_numbers_of_columns() -> None:
    codes = group_codes([[3, 1], np.array([2])], 5)
    assert codes is not None
    assert codes.tolist() == [-1, 0, 1, 0, -1]
    assert group_codes([], 5) is None
    assert large_enough((1, 2, 3), codes) == (1, 2, 3)
    assert large_enough((1, 2, 3), np.array([0, 0, 1, 1, 1])) == (2, 3)
