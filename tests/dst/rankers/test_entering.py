"""Rankers by an order of entering: greedy selection without scores, and mRMR, against loops that say what they are."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from scipy.linalg import hadamard
from scipy.sparse import csr_array
from sklearn.feature_selection import f_classif

from dst import SparseFeatureSelector, TrialSpec, run_trial
from dst.data.dataset import Part
from dst.data.preparation import column_numbers
from dst.errors import InputError
from dst.rankers import RANKERS, make_config
from dst.rankers.mrmr import SCHEMES, f_statistics
from dst.selection.columns import CentredColumns, TrainingColumns, centred_labels
from dst.selection.correlations import Correlations
from dst.selection.residuals import RIDGE, LabelResiduals
from dst.selection.select import select_columns
from tests.support.coded_table import coded_table
from tests.support.informative_table import informative

AXES = hadamard(8).astype(np.float64)[1:]
"""Seven orthogonal columns of eight rows, each of mean 0 and variance 1."""


def rows(n: int = 60, n_features: int = 14, seed: int = 0) -> Part:
    """Three classes; columns 6 to 9 repeat the first ones, with noise."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, n_features))
    x[:, 6:10] = x[:, :4] + 0.4 * rng.normal(size=(n, 4))
    y = np.argmax(x[:, :3] + 0.5 * rng.normal(size=(n, 3)), axis=1)
    return Part(x.astype(np.float32), y.astype(np.int64), 3)


def order(method: str, train: Part, seed: int = 0, **settings: object) -> list[int]:
    """Return the columns that entered, in their order."""
    config = make_config(method, settings)
    found = RANKERS[method].rank(train, train, config, np.random.default_rng(seed), lambda end: None)
    (scores,) = found.scores.values()
    entered = np.argsort(-scores, kind="stable")[: np.count_nonzero(scores)]
    np.testing.assert_allclose(scores[entered], 1 / (1 + np.arange(len(entered))))
    return entered.tolist()


def greedy_by_hand(train: Part, ridge: float) -> list[int]:
    """All that has entered is projected out of the labels and the columns anew, by least squares."""
    x = train.x.astype(np.float64) - train.x.mean(axis=0, dtype=np.float64)
    y = np.eye(train.n_classes)[train.y]
    y -= y.mean(axis=0)
    entered: list[int] = []
    while len(entered) < x.shape[1]:
        both = np.hstack([x, y])
        both = both - x[:, entered] @ np.linalg.lstsq(x[:, entered], both, rcond=None)[0]
        left, labels = both[:, : x.shape[1]], both[:, x.shape[1] :]
        gains = np.square(left.T @ labels).sum(axis=1) / (
            np.square(left).sum(axis=0) + ridge * np.square(x).sum(axis=0)
        )
        gains[entered] = -1
        entered.append(int(np.argmax(gains)))
    return entered


@pytest.mark.parametrize("ridge", [0.05, 1.0, 1e-6])
def test_greedy_is_an_explicit_loop(ridge: float) -> None:
    train = rows()
    assert order("greedy", train, ridge=ridge) == greedy_by_hand(train, ridge)
    assert order("greedy", train, ridge=ridge, depth=5) == greedy_by_hand(train, ridge)[:5]


def test_greedy_is_the_selection_rule_with_equal_scores() -> None:
    train = rows(seed=1)
    by_rule = select_columns(np.ones(14), train, 14, "greedy", rng=np.random.default_rng(0))
    assert order("greedy", train) == by_rule.tolist()
    sparse = dataclasses.replace(train, x=csr_array(train.x))
    assert order("greedy", sparse) == by_rule.tolist()


def test_nothing_enters_when_nothing_is_left_of_the_labels() -> None:
    wide = rows(n=12, n_features=40)
    entered = order("greedy", wide)
    assert 2 <= len(entered) <= 11, "eleven directions are all that twelve centred rows have"
    found = order("greedy", Part(np.zeros_like(wide.x), wide.y, 3))
    assert found == []


def test_equal_columns_enter_in_an_order_that_the_seed_draws() -> None:
    train = rows()
    copied = dataclasses.replace(train, x=np.tile(train.x, 2))
    firsts = {order("greedy", copied, seed)[0] for seed in range(20)}
    assert firsts == {greedy_by_hand(train, 0.05)[0] + number for number in (0, 14)}


def test_chance_is_what_shuffled_labels_give() -> None:
    """The mean gain of columns of categories over shuffled labels, above that of a number; numbers have none."""
    train = coded_table()
    numbers = column_numbers(train)
    columns = TrainingColumns(train.x, numbers, int(numbers.max()) + 1).centred(np.arange(int(numbers.max()) + 1))
    rng = np.random.default_rng(0)
    labels = centred_labels(train)
    gains = [LabelResiduals(columns, rng.permutation(labels)).gain() for _ in range(600)]
    chance = LabelResiduals(columns, labels).gain_by_chance()
    several = columns.counts > 1
    assert several.sum() == 2
    assert not chance[~several].any()
    of_a_number = 1 / (1 + RIDGE) / (len(labels) - 1)
    np.testing.assert_allclose(chance[several], np.mean(gains, axis=0)[several] - of_a_number, rtol=0.1, atol=1e-3)


def mrmr_by_hand(train: Part, scheme: str) -> list[int]:
    relevance = f_classif(train.x.astype(np.float64), train.y)[0]
    r = np.abs(np.corrcoef(train.x.T.astype(np.float64)))
    chance = np.sqrt(2 / (np.pi * len(train.y)))
    entered: list[int] = []
    while len(entered) < len(relevance):
        redundancy = r[:, entered].mean(axis=1) if entered else np.zeros(len(relevance))
        values = relevance - redundancy if scheme == "difference" else relevance / np.maximum(redundancy, chance)
        values[entered] = -np.inf
        entered.append(int(np.argmax(values)))
    return entered


@pytest.mark.parametrize("scheme", SCHEMES)
def test_mrmr_is_an_explicit_loop(scheme: str) -> None:
    train = rows()
    assert order("mrmr", train, scheme=scheme) == mrmr_by_hand(train, scheme)
    sparse = dataclasses.replace(train, x=csr_array(train.x))
    assert order("mrmr", sparse, scheme=scheme, depth=4) == mrmr_by_hand(train, scheme)[:4]


def test_schemes_by_hand() -> None:
    """After a has entered: 0.6 a + 0.8 b correlates by 0.6, c by 0; chance is sqrt(2 / 8 pi) = 0.282."""
    a, b, c = AXES[:3]
    x = np.column_stack([a, 0.6 * a + 0.8 * b, c]).astype(np.float32)
    columns = CentredColumns(x, np.ones(3, dtype=np.int64))
    followed = Correlations(columns, 8)
    relevance = np.array([3.0, 2.0, 0.0])
    np.testing.assert_allclose(SCHEMES["difference"](relevance, followed), [4, 3, 0])
    followed.enter(columns.block(0))
    np.testing.assert_allclose(SCHEMES["difference"](relevance, followed), [3, 2.4, 0], rtol=1e-6)
    np.testing.assert_allclose(
        SCHEMES["quotient"](relevance, followed) / np.sqrt(2 / (8 * np.pi)), [3, 2 / 0.6, 0], rtol=1e-6
    )


def test_relevance_is_the_f_statistic() -> None:
    train = rows()
    expected = f_classif(train.x.astype(np.float64), train.y)[0]
    np.testing.assert_allclose(f_statistics(train, np.random.default_rng(0)), expected, rtol=1e-6)
    exact = Part(np.array([[0, 1], [0, 2], [1, 1], [1, 2]], np.float32), np.array([0, 0, 1, 1]), 2)
    first, second = f_statistics(exact, np.random.default_rng(0))
    assert np.isfinite(first)
    assert first > 1e15
    assert second == 0


def test_a_column_of_several_encodings_enters_once() -> None:
    train = coded_table()
    for method in ("greedy", "mrmr"):
        firsts = np.unique(column_numbers(train), return_index=True)[1]
        assert set(order(method, train)) <= set(firsts.tolist())


@pytest.mark.parametrize("method", ["greedy", "mrmr"])
def test_no_more_columns_are_selected_than_enter(method: str) -> None:
    data = informative()
    rule = "k <= depth must hold, but got k=3, depth=2"
    with pytest.raises(InputError, match=rule):
        run_trial(data, TrialSpec(method, {"depth": 2}))
    with pytest.raises(InputError, match=rule):
        SparseFeatureSelector(3, method=method, settings={"depth": 2}).fit(data.x, data.y)


@pytest.mark.parametrize(
    ("method", "settings", "rule"),
    [
        ("greedy", {"depth": 0}, "depth >= 1 must hold, but got depth=0"),
        ("greedy", {"ridge": 0.0}, r"0 < ridge < inf must hold, but got ridge=0\.0"),
        ("mrmr", {"relevance": "f"}, "unknown relevance 'f': .*valid are f_score, mutual_info"),
        ("mrmr", {"scheme": "ratio"}, "unknown scheme 'ratio': .*valid are difference, quotient"),
    ],
)
def test_settings_are_checked(method: str, settings: dict, rule: str) -> None:
    with pytest.raises(InputError, match=rule):
        make_config(method, settings)
