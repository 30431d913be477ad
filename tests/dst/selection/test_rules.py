"""Selection rules against answers by hand, and against definitions that project every column out anew."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.linalg import hadamard
from sklearn.linear_model import orthogonal_mp

from dst.data.dataset import Part
from dst.selection.columns import TrainingColumns, centred_labels
from dst.selection.correlations import Correlations, correlations, decorrelated, mrmr, threshold
from dst.selection.order import first_of_largest
from dst.selection.residuals import RIDGE, LabelResiduals, Residuals, determinantal, greedy
from dst.selection.select import select_columns
from tests.support.coded_table import COPIED, COPY, as_sparse, coded_table

AXES = hadamard(8).astype(np.float64)[1:]
"""Seven orthogonal columns of eight rows, each of mean 0 and variance 1."""


def numbers(columns, y=None):
    """Training rows of such columns; labels, of a regression."""
    y = np.zeros(8, dtype=np.float32) if y is None else np.asarray(y, dtype=np.float32)
    return Part(np.column_stack(columns).astype(np.float32), y, 0)


def selected(scores, train, rule, strength=None):
    scores = np.asarray(scores, dtype=np.float64)
    return select_columns(scores, train, len(scores), rule, strength, rng=np.random.default_rng(0)).tolist()


a, b, c, d = AXES[:4]
NEARLY_A = 0.6 * a + 0.8 * b  # r = 0.6 with a, 0.8 with b
TABLE = numbers([a, NEARLY_A, c, a])  # the last repeats the first
SCORES = [1.0, 0.9, 0.5, 0.95]


def test_threshold_by_hand():
    assert selected(SCORES, TABLE, "threshold", 0.1) == [0, 1, 2, 3]  # only the copy is above 0.9
    assert selected(SCORES, TABLE, "threshold", 0.5) == [0, 2, 3, 1]  # 0.6 is above 0.5; left out ones by score
    assert selected(SCORES, TABLE, "threshold", 0.4) == [0, 1, 2, 3]  # 0.6 does not exceed 0.6
    assert selected(SCORES, TABLE, "threshold", 1.0) == [0, 2, 3, 1]


def test_decorrelated_by_hand():
    # After a: 0.9 * 0.4 = 0.36 against 0.5 * 1; of strength 0.5: 0.9 * 0.632 = 0.569.
    assert selected(SCORES, TABLE, "decorrelated", 1.0) == [0, 2, 1, 3]
    assert selected(SCORES, TABLE, "decorrelated", 0.5) == [0, 1, 2, 3]


def test_determinantal_by_hand():
    # After a: 0.81 * 0.64 = 0.52 against 0.25; of strength 4: 0.81 * 0.168 = 0.136.
    assert selected(SCORES, TABLE, "determinantal", 1.0) == [0, 1, 2, 3]
    assert selected(SCORES, TABLE, "determinantal", 4.0) == [0, 2, 1, 3]


def test_mrmr_by_hand():
    # Chance is sqrt(2 / 8 pi) = 0.282. After a: 0.9 * 0.282 / 0.6 = 0.42, the copy 0.95 * 0.282 = 0.27, against 0.5.
    # Then the means are 0.3 and 0.5: 0.9 * 0.282 / 0.3 = 0.85 against 0.95 * 0.282 / 0.5 = 0.54.
    assert selected(SCORES, TABLE, "mrmr", 1.0) == [0, 2, 1, 3]
    train = numbers([a, NEARLY_A, c])
    columns = TrainingColumns(train.x, None, 3).centred(np.arange(3))
    followed = Correlations(columns, 8)
    followed.enter(columns.block(0))
    chance = math.sqrt(2 / (8 * math.pi))
    np.testing.assert_allclose(mrmr(followed, 1.0), [chance, chance / 0.6, 1.0], rtol=1e-6)
    np.testing.assert_allclose(decorrelated(followed, 1.0), [0.0, 0.4, 1.0], atol=1e-6)
    np.testing.assert_allclose(threshold(followed, 0.5), [0.0, 0.0, 1.0])


def test_greedy_by_hand():
    # y = 2 a + b + c, of square 6 n. The gain of an axis with coefficient w is w^2 n / 1.05 n, a share w^2 / 6.3;
    # 0.6 a + 0.8 b has (1.2 + 0.8)^2 / 6.3.
    train = numbers([a, NEARLY_A, c, a, d], 2 * a + b + c)
    columns = TrainingColumns(train.x, None, 5).centred(np.arange(5))
    followed = LabelResiduals(columns, centred_labels(train))
    np.testing.assert_allclose(greedy(followed, 1.0), np.array([4, 4, 1, 4, 0]) / 6.3, rtol=1e-6)
    # Without a: of 0.6 a + 0.8 b is left 0.8 b: (0.8)^2 / (0.64 + 0.05).
    followed.enter(columns.block(0))
    np.testing.assert_allclose(greedy(followed, 1.0), np.array([0, 0.64 / 0.69, 1 / 1.05, 0, 0]) / 6, rtol=1e-6)
    np.testing.assert_allclose(determinantal(followed, 2.0), [0, 0.64, 1, 0, 1], atol=1e-6)
    assert selected([1, 0.99, 1, 0.9, 1], train, "greedy") == [0, 2, 1, 4, 3]
    assert selected([1, 0.99, 0.9, 0.9, 1], train, "greedy") == [0, 1, 2, 4, 3]
    assert selected([0.3, 0.1, 1, 0.1, 0.5], train, "greedy") == [0, 2, 1, 4, 3]  # 0.3 * 4 against 1 * 1
    assert selected([0.3, 0.1, 1, 0.1, 0.5], train, "greedy", 0.5) == [2, 0, 1, 4, 3]  # 0.3 * 2 against 1


def test_greedy_on_classes_and_on_several_outputs():
    # Three classes in 8 rows, coded and centred, are the outputs of the same regression.
    y = np.array([0, 0, 0, 1, 1, 1, 2, 2])
    x = np.column_stack(AXES).astype(np.float32)
    outputs = (y[:, None] == np.arange(3)).astype(np.float32)
    answers = [selected(np.ones(7), part, "greedy") for part in (Part(x, y, 3), Part(x, outputs, 0))]
    assert answers[0] == answers[1]
    gains = np.square(x.T @ (outputs - outputs.mean(axis=0))).sum(axis=1)
    assert gains[answers[0]].tolist() == sorted(gains, reverse=True)
    # One output that a column explains, and another that another one does: the second comes before what adds less.
    assert selected(np.ones(4), numbers([d, a, b, a + 0.9 * d], np.column_stack([a, b])), "greedy")[:2] in (
        [1, 2],
        [2, 1],
    )
    assert selected(np.ones(3), numbers([a, b, c], a[:, None]), "greedy")[0] == 0


@pytest.mark.parametrize("make", [coded_table, lambda: as_sparse(coded_table())], ids=["dense", "sparse"])
def test_correlation_is_pearsons_and_of_encodings_the_rv_coefficient(make):
    train, dense = make(), coded_table().x.astype(np.float64)
    columns = TrainingColumns(train.x, train.origin, 10).centred(np.arange(10))
    with np.errstate(invalid="ignore"):
        expected = np.nan_to_num(np.abs(np.corrcoef(dense[:, [*range(4), *range(5, 9)]].T)))
    plain = [*range(4), *range(5, 9)]
    for row, column in enumerate(plain):
        np.testing.assert_allclose(correlations(columns, columns.block(column))[plain], expected[row], atol=1e-9)
    left, right = (
        (block - block.mean(axis=0)) @ (block - block.mean(axis=0)).T for block in (dense[:, [4, 9]], dense[:, 10:])
    )
    rv = np.trace(left @ right) / math.sqrt(np.trace(left @ left) * np.trace(right @ right))
    assert correlations(columns, columns.block(9))[4] == pytest.approx(math.sqrt(rv), rel=1e-9)
    assert correlations(columns, columns.block(4))[9] == pytest.approx(math.sqrt(rv), rel=1e-9)


def test_a_category_of_two_levels_is_a_number():
    rng = np.random.default_rng(0)
    level, other = rng.integers(0, 2, (2, 40))
    y = rng.integers(0, 3, 40)
    coded = Part(np.column_stack([level == 0, level == 1, other]).astype(np.float32), y, 3, np.array([0, 0, 1]), 0)
    plain = Part(np.column_stack([level, other]).astype(np.float32), y, 3)
    weights = []
    for part in (coded, plain):
        columns = TrainingColumns(part.x, part.origin, 2).centred(np.arange(2))
        followed = LabelResiduals(columns, centred_labels(part))
        first = followed.gain()
        followed.enter(columns.block(1))
        weights.append([first, followed.gain(), followed.share_left(), correlations(columns, columns.block(1))])
    np.testing.assert_allclose(weights[0], weights[1], rtol=1e-6, atol=1e-12)


def test_a_category_of_five_levels_is_seen_as_a_whole():
    # Classes follow the levels, but no single encoding; the number follows one class.
    levels = np.repeat(np.arange(5), 8)
    y = np.array([0, 1, 2, 0, 1])[levels]
    number = (y == 0) + 0.5 * np.random.default_rng(0).standard_normal(40)
    x = np.column_stack([number, levels[:, None] == np.arange(5)]).astype(np.float32)
    train = Part(x, y, 3, np.array([0, *[1] * 5]), 1)
    assert selected([1.0, 1.0], train, "greedy") == [1, 0]
    columns = TrainingColumns(train.x, train.origin, 2).centred(np.arange(2))
    followed = LabelResiduals(columns, centred_labels(train))
    # Eigenvalues of the centred codes: n / 5, four times; the ridge is 5% of their sum, 4 n / 5.
    assert followed.gain()[1] == pytest.approx(0.2 / (0.2 + RIDGE * 0.8))
    followed.enter(columns.block(1))
    assert followed.gain()[0] == 0  # nothing is left of the labels
    assert followed.share_left()[1] == 0
    assert 0 < followed.share_left()[0] < 1


def projected(blocks, entered):
    """What is left of centred blocks by least squares on those that have entered."""
    if not entered:
        return blocks
    basis = np.hstack([blocks[position] for position in entered])
    return [block - basis @ np.linalg.lstsq(basis, block, rcond=1e-9)[0] for block in blocks]


@pytest.mark.parametrize("make", [coded_table, lambda part: as_sparse(coded_table(part))], ids=["dense", "sparse"])
@given(seed=st.integers(0, 2**16), entered=st.permutations(range(10)))
def test_what_is_left_is_what_least_squares_leaves(make, seed, entered):
    train = make(seed)
    columns = TrainingColumns(train.x, train.origin, 10).centred(np.arange(10))
    blocks, labels = [columns.block(position) for position in range(10)], centred_labels(train)
    followed, alone = LabelResiduals(columns, labels), Residuals(columns, 90)
    for count in range(5):
        left = projected([*blocks, labels], entered[:count])
        rest = left.pop()
        for position, (block, whole) in enumerate(zip(left, blocks, strict=True)):
            variance = float(np.square(whole).sum())
            share = float(np.square(block).sum()) / variance if variance else 0.0
            assert followed.share_left()[position] == pytest.approx(share, abs=1e-9)
            ridge = RIDGE * variance * np.eye(block.shape[1])
            gain = np.sum((block.T @ rest) * np.linalg.lstsq(block.T @ block + ridge, block.T @ rest)[0])
            assert followed.gain()[position] == pytest.approx(float(gain) / np.square(labels).sum(), abs=1e-9)
        assert (alone.share_left() == followed.share_left()).all()
        followed.enter(blocks[entered[count]])
        alone.enter(blocks[entered[count]])


def matching_pursuit(train, count, ridge):
    columns = TrainingColumns(train.x, None, train.x.shape[1]).centred(np.arange(train.x.shape[1]))
    followed, chosen = LabelResiduals(columns, centred_labels(train), ridge), []
    for _ in range(count):
        gains = followed.gain()
        gains[chosen] = -1
        chosen.append(first_of_largest(gains))
        followed.enter(columns.block(chosen[-1]))
    return chosen


@pytest.mark.parametrize("seed", range(5))
def test_a_large_ridge_is_scikit_learns_matching_pursuit(seed):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((60, 30)) @ (np.eye(30) + 0.2 * rng.standard_normal((30, 30)))
    x = ((x - x.mean(axis=0)) / x.std(axis=0)).astype(np.float32)
    y = (x[:, :6] @ rng.standard_normal(6) + rng.standard_normal(60)).astype(np.float32)
    chosen = matching_pursuit(Part(x, y, 0), 6, ridge=1e4)
    lengths = np.linalg.norm(x.astype(np.float64), axis=0)
    assert set(chosen) == set(np.flatnonzero(orthogonal_mp(x / lengths, y - y.mean(), n_nonzero_coefs=6)).tolist())


@pytest.mark.parametrize("seed", range(5))
def test_no_ridge_is_forward_selection_by_least_squares(seed):
    rng = np.random.default_rng(seed)
    x = (rng.standard_normal((40, 12)) @ rng.standard_normal((12, 12))).astype(np.float32)
    y = (x[:, :4] @ rng.standard_normal(4) + 3 * rng.standard_normal(40)).astype(np.float32)
    chosen: list[int] = []
    for _ in range(5):
        errors = {}
        for column in set(range(12)) - set(chosen):
            design = np.column_stack([np.ones(40), x[:, [*chosen, column]]])
            errors[column] = np.linalg.lstsq(design, y)[1][0]
        chosen.append(min(errors, key=errors.__getitem__))
    assert matching_pursuit(Part(x, y, 0), 5, ridge=0.0) == chosen


def test_determinants_grow_the_most():
    train, scores = coded_table(3), np.array([0.9, 0.8, 0.75, 0.7, 0.5, 0.65, 0.6])
    numbers_only = Part(train.x[:, [0, 1, 2, 3, 5, 6, COPY]], train.y, 3)
    kernel = np.outer(scores, scores) * np.corrcoef(numbers_only.x.astype(np.float64).T)
    chosen: list[int] = []
    for _ in range(6):
        left = [column for column in range(7) if column not in chosen]
        chosen.append(max(left, key=lambda column: np.linalg.det(kernel[np.ix_([*chosen, column], [*chosen, column])])))
    assert selected(scores, numbers_only, "determinantal")[:6] == chosen
    assert {COPIED, 6} - set(chosen)  # one of the two equal columns is left
