"""The statistics of whole columns: against other ways to compute them, and uniform where there is no effect."""

from __future__ import annotations

import itertools

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from dst.data.dataset import Part
from dst.rankers.column_tests import _log_tail, encoded_blocks, information, share_of_variance
from dst.rankers.filters import FScoreConfig, rank_by_f_score
from dst.rankers.mutual_information import corrected_information, counted_information, mutual_information


def ones(codes: np.ndarray) -> np.ndarray:
    return np.eye(codes.max() + 1)[codes]


def draw(levels: int, seed: int, n: int = 300, classes: int = 2) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng([levels, seed])
    return rng.integers(levels, size=n), rng.integers(classes, size=n)


@pytest.mark.parametrize("levels", [3, 20, 60])
def test_the_share_has_the_p_value_of_a_regression_on_all_categories(levels: int) -> None:
    """Two classes: the F test of a regression of the class on the categories, by least squares."""
    codes, labels = draw(levels, 0)
    labels = np.where(codes == 1, labels | (codes % 2), labels)
    n = len(labels)
    fitted = ones(codes) @ np.linalg.lstsq(ones(codes), labels.astype(float), rcond=None)[0]
    r2 = ((fitted - labels.mean()) ** 2).sum() / ((labels - labels.mean()) ** 2).sum()
    d1, d2 = levels - 1, n - levels
    expected = stats.f.sf(r2 / d1 / ((1 - r2) / d2), d1, d2)
    share = share_of_variance(None, ones(codes), labels)
    assert stats.f.sf(share / ((1 - share) / (n - 2)), 1, n - 2) == pytest.approx(expected, rel=1e-9)


def test_two_categories_are_tested_as_the_number_that_tells_them_apart() -> None:
    codes, labels = draw(2, 1, classes=3)
    x = codes[:, None].astype(np.float32)
    part = Part(x, labels, 3)
    by_number = rank_by_f_score(part, part, FScoreConfig(), np.random.default_rng(0), lambda end: None)
    assert share_of_variance(None, ones(codes), labels) == pytest.approx(by_number.scores["f_score"][0], rel=1e-9)


def test_a_number_with_an_indicator_is_tested_with_two_degrees_of_freedom() -> None:
    rng = np.random.default_rng(3)
    labels = rng.integers(2, size=200)
    missing = rng.random(200) < np.where(labels == 1, 0.4, 0.1)
    number = np.where(missing, 0.0, rng.normal(size=200) + 0.3 * labels)
    design = np.column_stack([np.ones(200), number, missing])
    fitted = design @ np.linalg.lstsq(design, labels.astype(float), rcond=None)[0]
    r2 = ((fitted - labels.mean()) ** 2).sum() / ((labels - labels.mean()) ** 2).sum()
    expected = stats.f.sf(r2 / 2 / ((1 - r2) / 197), 2, 197)
    share = share_of_variance(number, missing[:, None].astype(float), labels)
    assert stats.f.sf(share / ((1 - share) / 198), 1, 198) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(("levels", "classes"), [(2, 2), (5, 2), (50, 2), (120, 2), (5, 4), (50, 4)])
def test_without_effect_the_share_is_distributed_as_a_numbers(levels: int, classes: int) -> None:
    found = []
    for seed in range(150):
        codes, labels = draw(levels, seed, classes=classes)
        found.append(share_of_variance(None, ones(codes), labels))
    beta = stats.beta((classes - 1) / 2, (300 - classes) / 2)
    assert stats.kstest(found, beta.cdf).pvalue > 0.01


def test_columns_that_decide_all_or_nothing() -> None:
    codes, labels = draw(30, 5)
    assert share_of_variance(None, ones(codes), codes % 2) == 1.0
    assert share_of_variance(None, np.ones((300, 1)), labels) == 0.0
    unique = np.eye(300)
    assert share_of_variance(None, unique, labels) == 0.0, "as many categories as rows: nothing is left to judge by"


def test_shares_rise_where_probabilities_are_below_every_float() -> None:
    """20,000 rows: p values of 1e-700 and less, in the order of the effect."""
    rng = np.random.default_rng(0)
    codes = rng.integers(10, size=20_000)
    shares = []
    for flipped in (0.30, 0.25, 0.2, 0.15, 0.1, 0.05):
        labels = (codes % 2) ^ (rng.random(20_000) < flipped)
        shares.append(share_of_variance(None, ones(codes), labels.astype(np.int64)))
    assert all(low < high for low, high in itertools.pairwise(shares))
    np.testing.assert_allclose(shares, (1 - 2 * np.array([0.30, 0.25, 0.2, 0.15, 0.1, 0.05])) ** 2, atol=0.03)


@settings(max_examples=40, deadline=None)
@given(st.floats(0.05, 0.95), st.floats(0.5, 100), st.floats(10, 3000))
def test_the_logarithm_of_the_tail(x: float, a: float, b: float) -> None:
    expected = float(mpmath.log(mpmath.betainc(b, a, 0, 1 - x, regularized=True)))
    if expected < -1:  # it is used far below
        assert _log_tail(x, a, b) == pytest.approx(expected, rel=1e-9)


def test_the_corrected_information_is_without_effect_zero_on_average() -> None:
    """Over all orders of five labels, by hand: the mean of the counted information is what is taken off."""
    values, labels = np.array([0, 0, 1, 2, 2]), np.array([0, 0, 1, 1, 1])
    counted = [counted_information(values, np.array(order)) for order in itertools.permutations(labels)]
    expected = counted_information(values, labels) - np.mean(counted)
    assert corrected_information(values, labels) == pytest.approx(expected, rel=1e-9)
    assert corrected_information(np.arange(5), labels) == 0.0, "a category a row tells nothing"


def test_the_information_of_a_number_with_an_indicator_by_the_chain_rule() -> None:
    rng = np.random.default_rng(2)
    labels = rng.integers(2, size=400)
    missing = rng.random(400) < np.where(labels == 1, 0.5, 0.1)
    number = np.where(missing, 0.0, rng.normal(size=400) + 2 * labels)
    found = information(number, missing[:, None].astype(float), labels, 3, np.random.default_rng(0))
    rest = mutual_information(number[~missing], labels[~missing], 3, np.random.default_rng(0))
    assert found == pytest.approx(corrected_information(missing.astype(int), labels) + (~missing).mean() * rest)
    whole = np.ones((400, 1))
    assert information(number, whole, labels, 3, np.random.default_rng(0)) == 0.0, "no row has the number"


def test_blocks_are_the_columns_that_are_no_plain_numbers() -> None:
    x = np.arange(12, dtype=np.float32).reshape(2, 6)
    blocks = list(encoded_blocks(Part(x, np.zeros(2, np.int64), 2, np.array([0, 2, 2, 1, 1, 1]), 2)))
    assert [encoded.tolist() for encoded, _, _ in blocks] == [[3, 4, 5], [1, 2]]
    assert blocks[0][1] is None
    np.testing.assert_array_equal(blocks[1][1], [1, 7])
    np.testing.assert_array_equal(blocks[1][2], [[2], [8]])
    assert not list(encoded_blocks(Part(x, np.zeros(2, np.int64), 2)))
