"""What every selection rule must keep: each joins by being registered."""

from __future__ import annotations

import dataclasses
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dst.data.dataset import Part
from dst.errors import InputError
from dst.selection.columns import TrainingColumns
from dst.selection.order import rank_columns
from dst.selection.registry import SELECTION_RULES, check_selection
from dst.selection.select import CANDIDATES, FIRST_CANDIDATES, select_columns
from tests.support.coded_table import CONSTANT, COPIED, COPY, as_sparse, coded_table

every = pytest.mark.parametrize("rule", sorted(SELECTION_RULES))
repetition = pytest.mark.parametrize("rule", sorted(set(SELECTION_RULES) - {"top"}))
SCORES = np.array([0.9, 0.8, 0.75, 0.2, 0.5, 0.1, 0.3, 0.85, 0.05, 0.6])


def selected(rule, train, scores=SCORES, k=None, strength=None, seed=0, **more):
    k = len(scores) if k is None else k
    return select_columns(scores, train, k, rule, strength, rng=np.random.default_rng(seed), **more).tolist()


def drawn_table(n_columns, n_rows=40, seed=0, n_classes=3):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n_rows, n_columns)).astype(np.float32)
    return Part(x, rng.integers(0, n_classes, n_rows), n_classes), rng.random(n_columns)


@every
@given(seed=st.integers(0, 2**16), ties=st.booleans())
def test_strength_zero_is_the_order_of_scores(rule, seed, ties):
    rng = np.random.default_rng(seed)
    scores = rng.integers(-1, 3, 10).astype(float) if ties else rng.standard_normal(10)
    assert selected(rule, coded_table(), scores, strength=0) == rank_columns(scores, np.random.default_rng(0)).tolist()


@every
def test_the_weights_of_strength_zero_are_one(rule):
    train = coded_table()
    columns = TrainingColumns(train.x, train.origin, 10).centred(np.arange(10))
    followed = SELECTION_RULES[rule].follow(columns, train)
    for position in (0, 9, CONSTANT):
        assert (SELECTION_RULES[rule].weigh(followed, 0.0) == 1).all()
        weights = SELECTION_RULES[rule].weigh(followed, SELECTION_RULES[rule].strength)
        assert ((weights >= 0) & (weights <= 1)).all()
        followed.enter(columns.block(position))


@pytest.mark.parametrize("rule", [name for name, rule in SELECTION_RULES.items() if rule.zero_is_final])
@given(seed=st.integers(0, 2**16), entering=st.permutations(range(10)))
def test_a_weight_of_zero_that_is_final_stays(rule, seed, entering):
    train, entry = coded_table(seed), SELECTION_RULES[rule]
    columns = TrainingColumns(train.x, train.origin, 10).centred(np.arange(10))
    followed, strength = entry.follow(columns, train), entry.strength
    for position in entering:
        before = entry.weigh(followed, strength)
        followed.enter(columns.block(position))
        assert (entry.weigh(followed, strength)[before == 0] == 0).all()


@every
@pytest.mark.parametrize("make", [coded_table, lambda: as_sparse(coded_table())], ids=["dense", "sparse"])
def test_all_columns_enter_once_and_the_first_of_many_are_the_few(rule, make):
    train = make()
    whole = selected(rule, train)
    assert sorted(whole) == list(range(10))
    for k in range(1, 10):
        assert selected(rule, train, k=k) == whole[:k]


@every
def test_candidates_depend_on_how_many_have_entered_not_on_k(rule):
    train, scores = drawn_table(3 * FIRST_CANDIDATES)
    many = FIRST_CANDIDATES // CANDIDATES + 5
    whole = selected(rule, train, scores, k=many)
    assert whole[: many - 8] == selected(rule, train, scores, k=many - 8)
    assert len(set(whole)) == many
    first = FIRST_CANDIDATES // CANDIDATES
    assert set(whole[:first]) <= set(np.argsort(-scores)[:FIRST_CANDIDATES].tolist())


@every
def test_sparse_and_dense_tables_have_one_answer(rule):
    assert selected(rule, coded_table()) == selected(rule, as_sparse(coded_table()))


@every
def test_the_order_of_columns_does_not_matter(rule):
    train = coded_table()
    order = np.random.default_rng(1).permutation(10)  # new column i is the old order[i]
    encoded = np.concatenate([np.flatnonzero(train.origin == column) for column in order])
    moved = dataclasses.replace(train, x=train.x[:, encoded], origin=np.argsort(order)[train.origin[encoded]])
    assert [order[column] for column in selected(rule, moved, SCORES[order])] == selected(rule, train)


@every
def test_the_order_of_rows_does_not_matter(rule):
    train = coded_table()
    rows = np.random.default_rng(1).permutation(len(train.y))
    assert selected(rule, dataclasses.replace(train, x=train.x[rows], y=train.y[rows])) == selected(rule, train)


@every
def test_units_do_not_matter(rule):
    train, scores = drawn_table(12)
    units = np.random.default_rng(1).uniform(0.01, 100, 12).astype(np.float32)
    assert selected(rule, dataclasses.replace(train, x=train.x * units), scores) == selected(rule, train, scores)


@every
def test_the_scale_of_scores_does_not_matter(rule):
    for scale in (1e-200, 1e200):
        assert selected(rule, coded_table(), scale * SCORES) == selected(rule, coded_table())


@every
def test_columns_that_say_no_more_than_chance_come_last_by_score(rule):
    scores = np.array([0.9, -0.1, 0.75, 0.0, 0.5, -3.0, 0.3, 0.85, 0.05, 0.6])
    answer = selected(rule, coded_table(), scores)
    assert answer[-3:] == [3, 1, 5]
    assert selected(rule, coded_table(), scores - 1) == np.argsort(-scores, kind="stable").tolist()


@every
def test_constant_columns_divide_nothing_by_zero(rule):
    x = np.ones((6, 4), dtype=np.float32)
    with np.errstate(all="raise"):
        for train in (Part(x, np.array([0, 1] * 3), 2), as_sparse(Part(x, np.array([0, 1] * 3), 2))):
            assert selected(rule, train, np.array([0.1, 0.4, 0.3, 0.2])) == [1, 2, 3, 0]


@every
def test_labels_of_one_class_are_no_error(rule):
    train = dataclasses.replace(coded_table(), y=np.zeros(90, dtype=np.int64))
    assert sorted(selected(rule, train)) == list(range(10))


@every
def test_more_columns_than_rows(rule):
    train, scores = drawn_table(30, n_rows=6)
    assert sorted(selected(rule, train, scores)) == list(range(30))


@repetition
@pytest.mark.parametrize("make", [coded_table, lambda: as_sparse(coded_table())], ids=["dense", "sparse"])
def test_a_copy_comes_after_what_is_not_repeated(rule, make):
    answer = selected(rule, make())
    second = max(answer.index(COPIED), answer.index(COPY))
    assert all(answer.index(informative) < second for informative in (1, 2, 9))


@repetition
def test_which_of_two_equal_columns_enters_is_drawn(rule):
    scores = np.where(np.isin(np.arange(10), [COPIED, COPY]), 1.0, 0.1 * SCORES)
    firsts = {selected(rule, coded_table(), scores, seed=seed, k=1)[0] for seed in range(20)}
    assert firsts == {COPIED, COPY}


@every
def test_a_rule_answers_alike_and_changes_nothing(rule):
    train, scores = coded_table(), SCORES.copy()
    arrays = [train.x, train.y, train.origin, scores]
    before = [array.copy() for array in arrays]
    for array in arrays:
        array.setflags(write=False)
    assert selected(rule, train, scores) == selected(rule, train, scores)
    assert all((array == kept).all() for array, kept in zip(arrays, before, strict=True))


@every
def test_only_a_rule_that_says_so_reads_labels(rule):
    train = coded_table()
    others = dataclasses.replace(train, y=np.random.default_rng(2).permutation(train.y))
    assert (selected(rule, train) == selected(rule, others)) != SELECTION_RULES[rule].reads_labels


@every
def test_the_defaults_and_their_words_are_valid(rule):
    entry = SELECTION_RULES[rule]
    check_selection(rule)
    check_selection(rule, entry.strength)
    assert entry.meaning
    assert selected(rule, coded_table()) == selected(rule, coded_table(), strength=entry.strength)


def test_rules_are_read_without_heavy_libraries():
    heavy = {"torch", "numba", "sklearn", "scipy", "pandas"}
    program = f"import sys, dst.selection.select; print({heavy} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


@pytest.mark.parametrize(
    ("rule", "strength", "message"),
    [
        ("gredy", None, "unknown selection rule 'gredy': did you mean 'greedy'"),
        ("greedy", -1, "0 <= strength of the rule 'greedy' must hold, but got strength=-1"),
        ("greedy", float("nan"), "strength=nan"),
        ("greedy", float("inf"), "strength=inf"),
        ("greedy", True, "must be a number, but got True"),
        ("mrmr", "1", "must be a number, but got '1'"),
        ("threshold", 1.5, "0 <= strength <= 1 of the rule 'threshold'"),
        ("top", 0.5, "0 <= strength <= 0 of the rule 'top'"),
    ],
)
def test_wrong_rules_are_refused(rule, strength, message):
    with pytest.raises(InputError, match=message.replace("(", r"\(")):
        check_selection(rule, strength)
