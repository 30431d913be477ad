from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from dst.data import Dataset, Split, load_dataset, make_splits, prepare, prepare_test, scale
from dst.data.dataset import Scaling
from dst.errors import InputError

KINDS: tuple[Scaling, ...] = ("standard", "minmax")


@pytest.fixture(scope="module")
def wine() -> Dataset:
    return load_dataset("wine")


@pytest.fixture(scope="module")
def split(wine: Dataset) -> Split:
    return make_splits(wine, "stratified", seed=0, test_seed=0, count=1)[0]


def spoil(dataset: Dataset, rows: np.ndarray) -> Dataset:
    x = dataset.x.copy()
    x[rows] = x[rows] * -50 + 1000
    return replace(dataset, x=x)


def test_by_hand() -> None:
    fit = np.array([[0, 5], [4, 5]], dtype=np.float32)
    other = np.array([[2, 6], [8, 5]], dtype=np.float32)
    standard = scale("standard", fit, other)
    np.testing.assert_allclose(standard[0], [[-1, 0], [1, 0]])
    np.testing.assert_allclose(standard[1], [[0, 1], [3, 0]])
    minmax = scale("minmax", fit, other)
    np.testing.assert_allclose(minmax[0], [[0, 0], [1, 0]])
    np.testing.assert_allclose(minmax[1], [[0.5, 1], [2, 0]])


matrices = hnp.arrays(
    np.float32,
    st.tuples(st.integers(1, 6), st.just(3)),
    elements=st.floats(-1e6, 1e6, width=32) | st.sampled_from([0.0, 0.1, 7.0]),
)


@given(kind=st.sampled_from(KINDS), fit=matrices, others=st.lists(matrices, max_size=2))
def test_tables_stay_finite_float32_c_order_and_apart(kind: Scaling, fit: np.ndarray, others: list[np.ndarray]) -> None:
    given_x = [np.asfortranarray(x) for x in (fit, *others)]
    before = [x.copy() for x in given_x]
    scaled = scale(kind, given_x[0], *given_x[1:])
    for got, x, was in zip(scaled, given_x, before, strict=True):
        assert got.shape == x.shape
        assert got.dtype == np.float32
        assert got.flags.c_contiguous
        assert np.isfinite(got).all()
        assert not np.shares_memory(got, x)
        np.testing.assert_array_equal(x, was)
    constant = (fit == fit[0]).all(axis=0)
    assert np.abs(scaled[0][:, constant]).max(initial=0) <= 1e-6 * np.abs(fit).max()


def test_read_only_tables_are_scaled(wine: Dataset, split: Split) -> None:
    x = wine.x.copy()
    x.flags.writeable = False
    train, _ = prepare(replace(wine, x=x), split)
    assert train.x.flags.writeable


def test_unknown_scaling() -> None:
    with pytest.raises(InputError, match=r"unknown scaling 'standart': did you mean 'standard'.*minmax, standard"):
        scale("standart", np.ones((2, 2), dtype=np.float32))  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", KINDS)
def test_the_training_part_knows_neither_validation_nor_test_rows(kind: Scaling, wine: Dataset, split: Split) -> None:
    wine = replace(wine, scaling=kind)
    train, validation = prepare(wine, split)
    for rows in (split.validation, split.test):
        np.testing.assert_array_equal(prepare(spoil(wine, rows), split)[0].x, train.x)
    np.testing.assert_array_equal(prepare(spoil(wine, split.test), split)[1].x, validation.x)
    assert not np.array_equal(prepare(spoil(wine, split.train), split)[1].x, validation.x)


@pytest.mark.parametrize("kind", KINDS)
def test_the_development_part_knows_no_test_rows(kind: Scaling, wine: Dataset, split: Split) -> None:
    wine = replace(wine, scaling=kind)
    development, test = prepare_test(wine, split)
    np.testing.assert_array_equal(prepare_test(spoil(wine, split.test), split)[0].x, development.x)
    for rows in (split.train, split.validation):
        assert not np.array_equal(prepare_test(spoil(wine, rows), split)[1].x, test.x)


def test_parts_hold_their_rows_in_the_tables_order(wine: Dataset, split: Split) -> None:
    train, validation = prepare(wine, split)
    development, test = prepare_test(wine, split)
    np.testing.assert_array_equal(train.y, wine.y[split.train])
    np.testing.assert_array_equal(validation.y, wine.y[split.validation])
    np.testing.assert_array_equal(development.y, wine.y[np.sort(np.concatenate([split.train, split.validation]))])
    np.testing.assert_array_equal(test.y, wine.y[split.test])
    for part in (train, validation, development, test):
        assert part.x.shape == (len(part.y), wine.n_features)
        assert part.n_classes == wine.n_classes == 3
    np.testing.assert_allclose(train.x.mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(development.x.std(axis=0), 1, atol=1e-4)
