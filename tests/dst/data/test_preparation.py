"""Encoding, imputing and scaling: by hand, and that nothing is learnt from the rows that are judged."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array

from dst.data import Dataset, Split, prepare, prepare_test
from dst.data.encoding import one_hot
from dst.data.imputing import POLICIES, check_policy, impute
from dst.data.preparation import encoded_columns
from dst.data.readers.table import missing_counts
from dst.errors import InputError
from tests.support.prepared_tables import dense, prepared_cases, table, values

NAN = np.nan


def spoil(dataset: Dataset, rows: np.ndarray, seed: int) -> Dataset:
    """Put other numbers, other codes and other gaps into some rows, and other labels beside them."""
    rng = np.random.default_rng(seed)
    x = dense(dataset.x).copy()
    categories = tuple(dataset.categories)
    x[rows] = values(rng, len(rows), categories, 0.3) * (1 if len(categories) == 5 else 100)
    for column in categories:
        x[rows, column] = rng.integers(0, 3, len(rows))
    y = dataset.y.copy()
    y[rows] = 1 - y[rows]
    return replace(dataset, x=x if isinstance(dataset.x, np.ndarray) else csr_array(x), y=y)


def as_numbers(part) -> tuple:
    return dense(part.x), part.y, () if part.origin is None else tuple(part.origin)


@settings(max_examples=150, deadline=None)
@given(case=prepared_cases(), seed=st.integers(0, 99))
def test_the_training_part_never_reads_validation_or_test_rows(
    case: tuple[Dataset, Split, str, bool], seed: int
) -> None:
    dataset, split, policy, indicators = case
    how = {"policy": policy, "indicators": indicators}
    for prepared, judged in ((prepare, split.validation), (prepare_test, split.test)):
        fitted, scored = prepared(dataset, split, **how)
        others = np.concatenate([split.validation, split.test]) if prepared is prepare else split.test
        spoilt, _ = prepared(spoil(dataset, others, seed), split, **how)
        for ours, theirs in zip(as_numbers(fitted), as_numbers(spoilt), strict=True):
            np.testing.assert_array_equal(ours, theirs)
        # A judged row depends on itself and the fitted rows: not on the other judged rows.
        _, changed = prepared(spoil(dataset, judged[1:], seed), split, **how)
        np.testing.assert_allclose(dense(scored.x)[0], dense(changed.x)[0], rtol=1e-6)


@settings(max_examples=150, deadline=None)
@given(case=prepared_cases())
def test_parts_are_finite_and_know_where_their_columns_come_from(case: tuple[Dataset, Split, str, bool]) -> None:
    dataset, split, policy, indicators = case
    train, validation = prepare(dataset, split, policy=policy, indicators=indicators)
    origin = np.arange(dataset.n_features) if train.origin is None else train.origin
    assert set(origin) == set(range(dataset.n_features))
    for part, rows in ((train, split.train), (validation, split.validation)):
        assert part.x.shape == (len(rows), len(origin))
        assert part.x.dtype == np.float32
        assert np.isfinite(dense(part.x)).all()
        assert isinstance(part.x, np.ndarray) == isinstance(dataset.x, np.ndarray)
        np.testing.assert_array_equal(part.y, dataset.y[rows])
    added = dense(train.x)[:, dataset.n_features - len(dataset.categories) :]
    assert np.isin(added, (0, 1)).all(), "indicators and encodings stay 0 or 1"
    for column in dataset.categories:  # each training row has exactly one of its categories, "missing" among them
        assert (dense(train.x)[:, origin == column].sum(axis=1) == 1).all()
        assert (dense(validation.x)[:, origin == column].sum(axis=1) <= 1).all()


@settings(max_examples=100, deadline=None)
@given(case=prepared_cases())
def test_a_sparse_table_is_prepared_as_its_dense_twin(case: tuple[Dataset, Split, str, bool]) -> None:
    dataset, split, policy, indicators = case
    if policy == "knn":
        return
    twins = [replace(dataset, x=x, scaling="maxabs") for x in (dense(dataset.x), csr_array(dense(dataset.x)))]
    ours, theirs = (prepare(twin, split, policy=policy, indicators=indicators) for twin in twins)
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(one.x, dense(other.x), rtol=1e-5, atol=1e-6)


def test_policies_by_hand() -> None:
    fit = np.array([[1, NAN], [2, NAN], [6, NAN], [NAN, NAN]], dtype=np.float32)
    other = np.array([[NAN, 5], [7, NAN]], dtype=np.float32)
    for policy, stand_in in (("mean", 3), ("median", 2), ("zero", 0)):
        fitted, filled = impute(policy, fit, other)
        np.testing.assert_array_equal(fitted, [[1, 0], [2, 0], [6, 0], [stand_in, 0]])
        np.testing.assert_array_equal(filled, [[stand_in, 5], [7, 0]])


def test_nearest_neighbours_by_hand() -> None:
    # The second column is a thousand times as wide: distances by standard deviations see the first one all the same.
    fit = np.array([[i, 1000 * i, i] for i in (0, 1, 2, 3, 4, 50, 51, 52, 53, 54)], dtype=np.float32)
    near, far = np.array([[2, 2000, NAN]]), np.array([[52, 52000, NAN]])
    for row, mean in ((near, 2), (far, 52)):
        np.testing.assert_allclose(impute("knn", fit, row.astype(np.float32))[1], [[row[0, 0], row[0, 1], mean]])
    missing_in_fit = fit.copy()
    missing_in_fit[2, 2] = NAN  # its own five nearest that have it: 0, 1, 3, 4 and 50
    np.testing.assert_allclose(impute("knn", missing_in_fit)[0][2, 2], (0 + 1 + 3 + 4 + 50) / 5, rtol=1e-5)


@pytest.mark.parametrize("policy", POLICIES)
def test_a_complete_table_is_passed_through(policy: str) -> None:
    x = np.ones((3, 2), dtype=np.float32)
    assert impute(policy, x)[0] is x


def test_one_hot_by_hand() -> None:
    codes = np.array([2, 0, NAN, 2], dtype=np.float32)
    fitted, judged = one_hot(codes, np.array([0, 1, NAN], dtype=np.float32))
    np.testing.assert_array_equal(fitted, [[0, 1, 0], [1, 0, 0], [0, 0, 1], [0, 1, 0]])  # categories 0, 2, missing
    np.testing.assert_array_equal(judged, [[1, 0, 0], [0, 0, 0], [0, 0, 1]])  # 1 is unknown
    (whole, unknown) = one_hot(np.array([0, 1], dtype=np.float32), np.array([NAN], dtype=np.float32))
    np.testing.assert_array_equal(whole, [[1, 0], [0, 1]])
    np.testing.assert_array_equal(unknown, [[0, 0]])


def test_selections_spread_to_the_encoded_columns() -> None:
    origin = np.array([0, 2, 2, 1, 1, 1])
    np.testing.assert_array_equal(encoded_columns(np.array([2, 0]), origin), [0, 1, 2])
    np.testing.assert_array_equal(encoded_columns(np.array([1, 0]), None), [1, 0])


def test_what_is_missing_is_counted_and_named() -> None:
    x = np.array([[1, NAN, NAN, 0], [NAN, NAN, 2, NAN]], dtype=np.float32)
    for given_x in (x, csr_array(x)):
        np.testing.assert_array_equal(missing_counts(given_x), [1, 2, 1, 1])
    dataset = table(x, categories=(3,))
    with pytest.raises(
        InputError, match=r"made: 4 values are missing, in 3 columns \('f0', 'f1', 'f2'\), .*policy .*is"
    ):
        check_policy(dataset, None)
    check_policy(dataset, "knn")
    check_policy(replace(dataset, x=np.array([[1, 2, 3, NAN]], dtype=np.float32)), None)
    with pytest.raises(InputError, match="unknown missing-data policy 'means': did you mean 'mean'"):
        check_policy(dataset, "means")
    with pytest.raises(InputError, match="unknown missing-data policy 'means': did you mean 'mean'"):
        impute("means", x)


def test_what_does_not_go_with_a_sparse_table() -> None:
    sparse = csr_array(np.array([[1, NAN], [0, 2], [3, 0], [0, 4]], dtype=np.float32))
    split = Split(np.array([0, 1]), np.array([2]), np.array([3]))
    with pytest.raises(InputError, match="'knn' needs a dense table: choose mean, median or zero"):
        prepare(table(sparse, scaling="maxabs"), split, policy="knn")
    with pytest.raises(InputError, match=r"a sparse table must be scaled by 'maxabs', .* got scaling 'standard'"):
        prepare(table(sparse), split, policy="mean")


def test_training_rows_of_one_class_are_refused() -> None:
    dataset = table(np.ones((6, 2), dtype=np.float32))
    split = Split(np.array([0, 2]), np.array([1, 3]), np.array([4, 5]))
    with pytest.raises(InputError, match="the 2 training rows must hold two classes or more, but all are 'a'"):
        prepare(dataset, split)
