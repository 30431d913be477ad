"""Columns that have several encodings get one score each, and their shadows show what no effect would give."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_array

from dst.data.dataset import Part, as_array
from dst.data.preparation import encode
from dst.data.shadows import NUMBER_SHADOWS, Columns, columns_of, with_shadows


def mixed(n_rows: int = 40, n_numbers: int = 3, sparse: bool = False) -> Part:
    """Numbers, of which column 1 has an indicator, then column ``n_numbers`` of categories a, b, c."""
    rng = np.random.default_rng(0)
    numbers = rng.normal(size=(n_rows, n_numbers))
    missing = (rng.random(n_rows) < 0.25)[:, None]
    categories = np.eye(3)[rng.integers(3, size=n_rows)]
    x = np.hstack([numbers, missing, categories]).astype(np.float32)
    origin = np.array([*range(n_numbers), 1, *[n_numbers] * 3])
    return Part(csr_array(x) if sparse else x, rng.integers(2, size=n_rows), 2, origin, n_numbers)


def test_scores_are_pooled_by_hand() -> None:
    x = np.array([[0.5, -1, 1, 0], [0.1, 2, 0, 1], [-0.3, 0, 0, 1], [2, 1, 0, 1]], np.float32)
    columns = columns_of(Part(x, np.zeros(4, np.int64), 2, np.array([0, 2, 1, 1]), 2), 3)
    assert columns.share.tolist() == [1, 1, 0.25, 0.75]
    assert columns.plain.tolist() == [True, False, True]
    scores = np.array([3.0, 5.0, 4.0, 8.0])
    np.testing.assert_allclose(columns.pooled(scores, "root_mean_square"), [3, np.sqrt(4 + 48), 5])
    np.testing.assert_allclose(columns.pooled(scores, "mean"), [3, 1 + 6, 5])
    np.testing.assert_allclose(columns.pooled(scores, "sum"), [3, 12, 5])
    np.testing.assert_allclose(columns.pooled(scores, "root_sum"), [3, 12 / np.sqrt(2), 5])


def test_what_shadows_get_is_taken_off_by_hand() -> None:
    columns = Columns(
        n_features=4,
        origin=np.arange(8),
        share=np.ones(8),
        copied=np.array([0, 1, 2, 3]),
        plain=np.array([True, False, True, True]),
    )
    pooled = np.array([9.0, 9.0, 8.0, 1.0, 2.0, 4.0, 3.0, 7.0])
    np.testing.assert_allclose(columns.above_chance(pooled), [6, 5, 5, -2])  # the median of 2, 3 and 7; 4 for column 1


@given(
    st.lists(st.just(0.0) | st.floats(1e-9, 1e6), min_size=1, max_size=6),
    st.lists(st.integers(1, 50), min_size=6, max_size=6),
)
def test_more_categories_are_not_more(magnitudes: list[float], rows: list[int]) -> None:
    """Between the least and the largest of its categories; to split one in two of the same score changes nothing."""
    n = len(magnitudes)

    def score(counts: list[int], values: list[float]) -> float:
        x = np.repeat(np.eye(len(counts)), counts, axis=0).astype(np.float32)
        part = Part(x, np.zeros(len(x), np.int64), 2, np.zeros(len(counts), np.int64), 0)
        return float(columns_of(part, 1).pooled(np.array(values), "root_mean_square")[0])

    counts = [2 * one for one in rows[:n]]
    whole = score(counts, magnitudes)
    assert min(magnitudes) * (1 - 1e-6) <= whole <= max(magnitudes) * (1 + 1e-6)
    halves = score([rows[0], rows[0], *counts[1:]], [magnitudes[0], *magnitudes])
    assert halves == pytest.approx(whole, rel=1e-6)


@pytest.mark.parametrize("sparse", [False, True])
def test_a_shadow_is_the_column_with_its_rows_dealt_out_anew(sparse: bool) -> None:
    part = mixed(sparse=sparse)
    train, validation, columns = with_shadows(part, part, 4, np.random.default_rng(1))
    assert isinstance(train.x, csr_array) == sparse
    assert columns.copied.tolist() == [0, 1, 2, 3]
    assert columns.plain.tolist() == [True, False, True, False]
    x, origin = as_array(part.x), part.origin
    assert origin is not None
    assert not np.array_equal(as_array(train.x), as_array(validation.x)), "the parts are dealt out apart"
    for shadowed in (train, validation):
        assert shadowed.n_numbers == part.n_numbers
        assert shadowed.origin is columns.origin
        whole = as_array(shadowed.x)
        np.testing.assert_array_equal(whole[:, : x.shape[1]], x)
        np.testing.assert_array_equal(shadowed.y, part.y)
        for shadow, column in enumerate(columns.copied):
            mine, copy = x[:, origin == column], whole[:, columns.origin == 4 + shadow]
            assert not np.array_equal(mine, copy)
            np.testing.assert_array_equal(np.unique(mine, axis=0), np.unique(copy, axis=0))  # whole rows move
            np.testing.assert_array_equal(
                columns.share[: x.shape[1]][origin == column], columns.share[columns.origin == 4 + shadow]
            )


def test_of_many_numbers_some_have_shadows_and_every_other_column_has_one() -> None:
    part = mixed(n_numbers=60)
    _, _, columns = with_shadows(part, part, 61, np.random.default_rng(1))
    assert {1, 60} <= set(columns.copied.tolist())
    assert columns.plain[columns.copied].sum() == NUMBER_SHADOWS
    assert len(columns.copied) == NUMBER_SHADOWS + 2


def test_a_table_of_categories_alone_has_shadows() -> None:
    codes = np.random.default_rng(0).integers(4, size=(50, 2)).astype(np.float32)
    x, _, origin, n_numbers = encode(
        codes, codes, categorical=[0, 1], scaling="standard", policy=None, indicators=False
    )
    assert n_numbers == 0
    _, _, columns = with_shadows(*[Part(x, np.zeros(50, np.int64), 2, origin, 0)] * 2, 2, np.random.default_rng(0))
    assert columns.copied.tolist() == [0, 1]
    assert not columns.plain.any()
    np.testing.assert_allclose(columns.share[columns.origin == 0].sum(), 1)
