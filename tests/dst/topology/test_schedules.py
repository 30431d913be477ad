from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dst.topology.schedules import SCHEDULES, share


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("cosine", (0.3, 0.1525, 0.005)),
        ("linear", (0.3, 0.1525, 0.005)),
        ("constant", (0.3, 0.3, 0.3)),
    ],
)
def test_the_ends_and_the_middle(name, values):
    for step, value in zip((0, 50, 100), values, strict=True):
        assert share(SCHEDULES[name], step, 100, initial=0.3, final=0.005) == pytest.approx(value)


@given(st.sampled_from(sorted(SCHEDULES)), st.integers(1, 1000), st.floats(0.01, 0.9))
def test_a_share_never_rises_and_stays_between_its_ends(name, total, initial):
    shares = [share(SCHEDULES[name], step, total, initial=initial, final=0.005) for step in range(0, total + 10)]
    assert all(a >= b - 1e-12 for a, b in itertools.pairwise(shares))
    assert all(0.005 - 1e-12 <= one <= initial + 1e-12 for one in shares)
