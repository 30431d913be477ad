"""Fronts and their spread: hand-computed, and against the definition."""

from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from studies.choice.selection import confirmed, to_confirm
from studies.choice.trade_offs import by_spread, crowding, fronts, to_minimize, trade_offs
from studies.spec.objective import ObjectiveSpec

TWO = ObjectiveSpec(metric=["val_svm_accuracy", "k"])
THREE = ObjectiveSpec(metric=["val_svm_accuracy", "flops", "k"])


def beats(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    return all(a <= b for a, b in zip(one, other, strict=True)) and one != other


few = st.integers(0, 4).map(float)
points = st.integers(1, 3).flatmap(lambda n: st.lists(st.tuples(*[few] * n), min_size=1, max_size=12))


@given(points)
def test_fronts_are_what_their_definition_says(points):
    found = fronts(points)
    assert sorted(itertools.chain(*found)) == list(range(len(points)))
    for number, front in enumerate(found):
        for place in front:
            rivals = [points[other] for later in found[number:] for other in later]
            assert not any(beats(rival, points[place]) for rival in rivals)
            if number:
                assert any(beats(points[other], points[place]) for other in found[number - 1])


def test_no_points_have_no_fronts():
    assert fronts([]) == []


def test_fronts_and_crowding_by_hand():
    # a staircase of four with one point inside it, one far behind, and one that repeats a corner
    staircase = [(0.0, 10.0), (1.0, 4.0), (2.0, 2.0), (10.0, 0.0), (3.0, 3.0), (11.0, 11.0), (1.0, 4.0)]
    assert fronts(staircase) == [[0, 1, 2, 3, 6], [4], [5]]
    # neighbours of (1, 4): x from 0 to 2 of 10, y from 2 to 10 of 10; of (2, 2): x from 1 to 10, y from 0 to 4
    assert crowding(staircase[:4]) == [math.inf, pytest.approx(1.0), pytest.approx(1.3), math.inf]
    assert crowding([(5.0, 1.0), (5.0, 3.0), (5.0, 2.0)]) == [math.inf, math.inf, pytest.approx(1.0)]
    assert crowding([(5.0, 5.0)]) == [0.0]
    # the best in x, the other end, the freest, the rest; what repeats another last of its front
    assert by_spread(staircase) == [0, 3, 2, 1, 6, 4, 5]


@given(points)
def test_what_is_confirmed_first_is_the_best_in_the_first_objective(points):
    order = by_spread(points)
    assert sorted(order) == list(range(len(points)))
    assert points[order[0]] == min(points)


def search(number, accuracy, k, method="set", state="finished", flops=1.0):
    return {
        "dataset": "d",
        "number": number,
        "state": state,
        "method": method,
        "params": {"method": method, "k": k, "id": number},
        "val_score": accuracy,
        "val_scores": {"k": k, "val_svm_accuracy": accuracy, "flops": flops},  # a file sorts its keys
        "val_loss": 1.0,
        "flops": flops,
    }


def confirm(source, seed_index, accuracy, k, method="set", flops=1.0):
    return {
        **search(100 + 10 * source + seed_index, accuracy, k, method, flops=flops),
        "source": source,
        "seed_index": seed_index,
        "k": k,
        "importances": {"a": {"val_svm_accuracy": accuracy}, "b": {"val_svm_accuracy": accuracy - 0.1}},
    }


SEARCHED = [
    search(0, 0.90, 50),
    search(1, 0.80, 10),
    search(2, 0.85, 20),
    search(3, 0.70, 5),
    search(4, 0.85, 30),  # beaten by 2
    search(5, 0.99, 1, state="stopped"),
    search(6, 0.60, 60, "rigl"),  # beaten by all, the only one of its method
]


@pytest.mark.parametrize(
    ("top", "expected"), [(1, [0, 6]), (2, [0, 3, 6]), (4, [0, 3, 2, 1, 6]), (5, [0, 3, 2, 1, 4, 6])]
)
def test_the_ends_of_the_front_are_confirmed_first_and_each_method_once(top, expected):
    assert to_confirm(SEARCHED, top=top, objective=TWO) == expected


def test_the_first_objective_decides_among_the_confirmed_and_the_next_breaks_ties():
    records = [
        *(confirm(0, seed, 0.9, 50) for seed in range(2)),
        *(confirm(1, seed, 0.9, 10, flops=7.0) for seed in range(2)),
        *(confirm(2, seed, 0.9, 10, flops=3.0) for seed in range(2)),
        *(confirm(3, seed, 0.8, 5) for seed in range(2)),
        confirm(4, 0, 0.99, 1),  # a seed has failed
    ]
    found = confirmed(records, seeds=2, objective=TWO)
    assert [one.number for one in found] == [2, 1, 0, 3, 4]
    assert found[0].scores == (pytest.approx(0.9), 10.0)
    assert [one.number for one in confirmed(records, seeds=2, objective=THREE)] == [0, 2, 1, 3, 4]
    points = [to_minimize(one.scores, TWO.directions) for one in found if one.complete]
    assert 0 in fronts(points)[0], "none of the confirmed beats the winner"


def test_trade_offs_are_all_finished_trials_and_say_which_are_best():
    rows = trade_offs(SEARCHED, {0: (0.88, 50.0)}, TWO)
    assert [(one.number, one.best) for one in rows] == [
        (0, True), (2, True), (4, False), (1, True), (3, True), (6, False),
    ]  # fmt: skip
    assert rows[0].objectives == {"val_svm_accuracy": 0.90, "k": 50}
    assert [one.confirmed for one in rows[:2]] == [{"val_svm_accuracy": 0.88, "k": 50.0}, {}]
    assert trade_offs([], {}, TWO) == []
