"""Stand-ins of chosen columns against numpy.corrcoef."""

from __future__ import annotations

import numpy as np
import pytest

from dst.data.dataset import Part
from dst.errors import InputError
from dst.selection import columns as selection_columns
from dst.selection.columns import TrainingColumns
from dst.selection.correlations import correlations
from dst.selection.represented import StandIn, stand_ins
from tests.support.coded_table import CATEGORY, COPIED, COPY, as_sparse, coded_table


def repeating_table(n_columns=60, n_rows=50, seed=0):
    rng = np.random.default_rng(seed)
    hidden = rng.standard_normal((n_rows, 5))
    signs = rng.choice([-1, 1], n_columns)
    x = signs * hidden[:, rng.integers(0, 5, n_columns)] + rng.uniform(0, 1.5, n_columns) * rng.standard_normal(
        (n_rows, n_columns)
    )
    return Part(x.astype(np.float32), rng.integers(0, 2, n_rows), 2)


@pytest.mark.parametrize("sparse", [False, True], ids=["dense", "sparse"])
@pytest.mark.parametrize("numbers", [2**22, 60 * 7], ids=["one block", "many blocks"])
def test_each_column_goes_to_the_chosen_one_it_correlates_with_the_most(sparse, numbers, monkeypatch):
    monkeypatch.setattr(selection_columns, "_BLOCK", numbers)
    train = repeating_table()
    chosen = np.array([31, 4, 17, 50])
    found = stand_ins(as_sparse(train) if sparse else train, chosen, at_least=0.6)
    r = np.abs(np.corrcoef(train.x.astype(np.float64).T))[:, chosen]
    assert list(found) == chosen.tolist()
    for number, column in enumerate(chosen.tolist()):
        own = [
            other
            for other in range(60)
            if other not in chosen and r[other].argmax() == number and r[other, number] >= 0.6
        ]
        assert [other.column for other in found[column]] == sorted(own, key=lambda other: -r[other, number])
        np.testing.assert_allclose([other.r for other in found[column]], -np.sort(-r[own, number]), rtol=1e-9)
    assert sum(map(len, found.values())) > 10


@pytest.mark.parametrize("change", [lambda part: part, as_sparse], ids=["dense", "sparse"])
def test_columns_with_encodings_have_and_are_stand_ins(change):
    train = change(coded_table())
    found = stand_ins(train, np.array([CATEGORY, COPY]), at_least=0.05)
    assert found[COPY][0] == StandIn(COPIED, pytest.approx(1.0))
    columns = TrainingColumns(train.x, train.origin, 10).centred(np.arange(10))
    r = correlations(columns, columns.block(CATEGORY))
    assert found[CATEGORY]
    assert all(other.r == pytest.approx(r[other.column]) for other in found[CATEGORY])


def test_the_closest_are_the_first_of_all():
    train, chosen = repeating_table(), np.array([31, 4, 17, 50])
    found, few = (stand_ins(train, chosen, at_least=0.5, most=most) for most in (None, 2))
    assert few == {column: others[:2] for column, others in found.items()}
    assert max(map(len, found.values())) > 2
    with pytest.raises(InputError, match="most >= 1 must hold, but got most=0"):
        stand_ins(train, chosen, most=0)


def test_a_copy_goes_to_the_first_of_two_copies_that_were_chosen():
    x = np.repeat(repeating_table().x[:, :1], 4, axis=1)
    train = Part(x, np.arange(50) % 2, 2)
    found = stand_ins(train, np.array([2, 0]))
    assert [other.column for other in found[2]] == [1, 3]
    assert found[0] == ()


def test_nothing_stands_in_where_nothing_correlates_or_is_left():
    train = coded_table()
    assert stand_ins(train, np.array([], dtype=np.int64)) == {}
    assert stand_ins(train, np.arange(10), at_least=0.1) == dict.fromkeys(range(10), ())
    constant = Part(np.ones((5, 3), dtype=np.float32), np.zeros(5, dtype=np.int64), 1)
    assert stand_ins(constant, np.array([1])) == {1: ()}
    with pytest.raises(InputError, match="0 < at_least <= 1 must hold, but got at_least=0"):
        stand_ins(train, np.array([1]), at_least=0)
