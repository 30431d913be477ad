from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dst.stability import as_selected, expected_false, jaccard, kuncheva, nogueira


@st.composite
def selections(draw, same_size=False):
    """M >= 2 selections of d columns, none of them empty or everything where they have one size."""
    m, d = draw(st.integers(2, 8)), draw(st.integers(2, 30))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    size = draw(st.integers(1, d - 1))
    sizes = [size] * m if same_size else rng.integers(1, d, m)
    return as_selected([rng.choice(d, k, replace=False) for k in sizes], d)


def test_by_hand():
    # d = 4, selections {0, 1}, {0, 2}, {0, 1}: p = (1, 2/3, 1/3, 0), k = 2, chance = 1/2 * 1/2.
    # Variances with M/(M-1) = 3/2: 0, 1/3, 1/3, 0; their mean 1/6; 1 - (1/6) / (1/4) = 1/3.
    selected = as_selected([[0, 1], [0, 2], [0, 1]], 4)
    assert nogueira(selected).value == pytest.approx(1 / 3)
    # Pairs share 1, 2, 1 columns: (r * 4 - 4) / (2 * 2) = 0, 1, 0.
    assert kuncheva(selected) == pytest.approx(1 / 3)
    assert jaccard(selected) == pytest.approx((1 / 3 + 1 + 1 / 3) / 3)
    # phi_i: mean z p = 5/12, 4/12, 5/12; k_i k / d^2 = 1/4; last term 1/6 * (1/2 - 1/2 - 1/2 + 1) = 1/12;
    # (5/12 - 3/12 + 1/12) * 4 = 1, (4/12 - 3/12 + 1/12) * 4 = 2/3, 1: mean 8/9, squares 1/81 + 4/81 + 1/81.
    margin = 1.959964 * math.sqrt(4 / 9 * 6 / 81)
    assert nogueira(selected).low == pytest.approx(1 / 3 - margin)
    assert nogueira(selected).high == pytest.approx(1 / 3 + margin)


def test_disjoint_halves_are_as_unstable_as_can_be():
    selected = as_selected([[0, 1], [2, 3]], 4)
    assert nogueira(selected).value == pytest.approx(-1) == pytest.approx(kuncheva(selected))
    assert jaccard(selected) == 0


@given(selections())
def test_equal_selections_are_stable_and_certain(selected):
    same = np.repeat(selected[:1], 4, axis=0)
    stability = nogueira(same)
    assert (stability.value, stability.low, stability.high) == pytest.approx((1, 1, 1))
    assert kuncheva(same) == jaccard(same) == 1


@given(selections(same_size=True))
def test_kuncheva_is_nogueira_for_selections_of_one_size(selected):
    assert kuncheva(selected) == pytest.approx(nogueira(selected).value)


@given(selections(), st.randoms())
def test_order_of_selections_and_columns_plays_no_part(selected, random):
    rows, columns = list(range(selected.shape[0])), list(range(selected.shape[1]))
    random.shuffle(rows)
    random.shuffle(columns)
    other = selected[rows][:, columns]
    assert nogueira(other).value == pytest.approx(nogueira(selected).value)
    assert jaccard(other) == pytest.approx(jaccard(selected))
    assert nogueira(selected).value <= 1 + 1e-12
    assert nogueira(selected).low <= nogueira(selected).value <= nogueira(selected).high


def test_random_selections_are_near_zero_and_their_interval_covers_it():
    rng = np.random.default_rng(0)
    draws = [nogueira(as_selected([rng.choice(200, 20, replace=False) for _ in range(10)], 200)) for _ in range(200)]
    assert np.mean([one.value for one in draws]) == pytest.approx(0, abs=0.005)
    assert np.mean([one.low <= 0 <= one.high for one in draws]) > 0.85


@pytest.mark.parametrize("columns", [[], [0, 1, 2]])
def test_nothing_to_choose_has_no_stability(columns):
    selected = as_selected([columns, columns], 3)
    assert math.isnan(nogueira(selected).value)
    assert math.isnan(kuncheva(selected))


def test_what_cannot_be_compared_is_refused():
    with pytest.raises(ValueError, match="two selections or more"):
        nogueira(as_selected([[0]], 3))
    with pytest.raises(ValueError, match="of one size"):
        kuncheva(as_selected([[0], [1, 2]], 3))
    with pytest.raises(ValueError, match="0 < confidence < 1"):
        nogueira(as_selected([[0], [1]], 3), confidence=1.0)


def test_the_bound_on_false_columns_by_hand():
    # 20 of 1,000 columns a ranking, 90% of rankings: 400 / (0.8 * 1000) = 0.5.
    assert expected_false(20, 1000, 0.9) == pytest.approx(0.5)
    assert expected_false(20, 1000, 1.0) == pytest.approx(0.4)
    assert expected_false(0, 10, 0.9) == 0
    # Everything, always: no more than there is.
    assert expected_false(10, 10, 1.0) == 10


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ((5, 4, 0.9), "0 <= q <= p"),
        ((-1, 4, 0.9), "0 <= q <= p"),
        ((0, 0, 0.9), "p >= 1"),
        ((2, 4, 0.5), "1/2 < threshold <= 1"),
        ((2, 4, 1.1), "1/2 < threshold <= 1"),
    ],
)
def test_a_bound_without_its_rules_is_refused(values, message):
    with pytest.raises(ValueError, match=message):
        expected_false(*values)
