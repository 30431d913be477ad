"""A selector that finds the number of columns, and one that ranks by halves of the rows."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import r2_score
from sklearn.svm import SVC, SVR

from dst import InputError, SparseFeatureSelector
from dst.data.dataset import Part
from dst.selector.auto_k import MAX_ROWS, held_out_scores, k_grid
from dst.selector.parts import Target, make_parts
from dst.selector.selector import THRESHOLDS
from tests.support.informative_table import informative

SMALL = {"hidden": (32, 16), "epochs": 60, "n_repeats": 3, "sparsity": 0.6}


@pytest.fixture(scope="module")
def table():
    """400 rows of 30 columns, three of which decide the class."""
    data = informative(400, 30)
    return data.x, data.y


@pytest.fixture(scope="module")
def found(table):
    return SparseFeatureSelector("auto", random_state=0, **SMALL).fit(*table)


def test_the_grid():
    assert k_grid(1000) == (1, 2, 3, 5, 7, 10, 14, 20, 28, 40, 57, 80, 113, 160, 200)
    assert k_grid(200) == k_grid(10**6)
    assert k_grid(14) == (1, 2, 3, 5, 7, 10, 14)
    assert k_grid(6) == (1, 2, 3, 5, 6)
    assert k_grid(1) == (1,)


def test_it_finds_how_many_columns_matter(found):
    assert 3 <= found.n_features_selected_ <= 5
    assert set(found.get_support(indices=True)) >= {3, 11, 29}
    assert found.n_features_selected_ == found.support_.sum() == len(found.get_feature_names_out())
    assert found.selections_.sum(axis=1).tolist() == [found.n_features_selected_] * 3
    assert [point.k for point in found.k_curve_] == list(k_grid(30))
    assert all(point.low <= point.mean <= point.high for point in found.k_curve_)
    assert found.expected_false_ is None


def test_all_but_the_number_is_as_with_that_number_given(table, found):
    given = SparseFeatureSelector(found.n_features_selected_, random_state=0, **SMALL).fit(*table)
    np.testing.assert_array_equal(given.scores_, found.scores_)
    np.testing.assert_array_equal(given.support_, found.support_)
    np.testing.assert_array_equal(given.selections_, found.selections_)
    assert given.k_curve_ == ()


@pytest.mark.parametrize("seed", range(4))
def test_it_does_so_whatever_the_seed(seed):
    data = informative(400, 30, seed=seed)
    selector = SparseFeatureSelector("auto", method="f_score", n_repeats=5, random_state=seed).fit(data.x, data.y)
    assert 3 <= selector.n_features_selected_ <= 5
    assert set(selector.get_support(indices=True)) >= {3, 11, 29}


def test_it_is_saved_with_its_curve(found, tmp_path):
    found.save(tmp_path / "selector.npz")
    loaded = SparseFeatureSelector.load(tmp_path / "selector.npz")
    assert loaded.k_curve_ == found.k_curve_
    assert loaded.n_features_selected_ == found.n_features_selected_
    assert loaded.n_features_to_select == "auto"


def test_numbers_are_judged_by_r_squared():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((300, 12), dtype=np.float32)
    y = 1000 * (x[:, 3] + 2 * np.abs(x[:, 7]))
    selector = SparseFeatureSelector("auto", random_state=0, **SMALL).fit(x, y)
    assert 2 <= selector.n_features_selected_ <= 3
    assert set(selector.get_support(indices=True)) >= {3, 7}
    assert max(point.mean for point in selector.k_curve_) > 0.7


def test_scores_are_those_of_support_vector_machines():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((90, 6), dtype=np.float32)
    classes = (x[:, 0] + x[:, 1] > 0).astype(np.int64)
    numbers = np.stack([x[:, 2], x[:, 3] ** 2], axis=1)
    columns = np.array([2, 0, 3, 1, 5, 4])
    scores = held_out_scores(
        Part(x[:60], classes[:60], 2), Part(x[60:], classes[60:], 2), {k: columns[:k] for k in (1, 4)}, rng
    )
    seen = x[:, [2, 0, 3, 1]]
    assert scores[4] == SVC().fit(seen[:60], classes[:60]).score(seen[60:], classes[60:])
    scores = held_out_scores(
        Part(x[:60], numbers[:60], 0), Part(x[60:], numbers[60:], 0), {k: columns[:k] for k in (1, 4)}, rng
    )
    predicted = [SVR().fit(seen[:60], output[:60]).predict(seen[60:]) for output in numbers.T]
    each = [r2_score(output[60:], guess) for output, guess in zip(numbers.T, predicted, strict=True)]
    assert scores[4] == pytest.approx(np.mean(each))
    assert scores[1] < scores[4]


@pytest.mark.parametrize("classes", [0, 3])
def test_a_scorer_sees_no_more_rows_than_it_can_take(monkeypatch, classes):
    seen = []
    for machine in (SVC, SVR):
        fit = machine.fit
        monkeypatch.setattr(machine, "fit", lambda self, x, y, fit=fit: (seen.append(len(x)), fit(self, x, y))[1])
    rng = np.random.default_rng(0)
    x = rng.standard_normal((MAX_ROWS + 500, 2), dtype=np.float32)
    y = np.arange(len(x)) % 3 if classes else x[:, 0]
    held_out_scores(Part(x, y, classes), Part(x[:50], y[:50], classes), {1: np.array([0])}, rng)
    assert seen == [MAX_ROWS]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"n_features_to_select": "many"}, "'auto' or None, but got 'many'"),
        ({"n_features_to_select": "auto", "n_repeats": 1}, "n_repeats >= 2"),
        ({"resampling": "half"}, "did you mean 'halves'"),
    ],
)
def test_wrong_parameters_are_refused(table, given, message):
    with pytest.raises(InputError, match=message):
        SparseFeatureSelector(**{**SMALL, **given}).fit(*table)


def test_too_few_rows_are_refused():
    x = np.random.default_rng(0).standard_normal((4, 3), dtype=np.float32)
    with pytest.raises(InputError, match="of one class"):
        SparseFeatureSelector("auto", method="random").fit(x[:2], [0, 1])
    with pytest.raises(InputError, match="two held-out rows"):
        SparseFeatureSelector("auto", method="random").fit(x, x[:, 0])
    with pytest.raises(InputError, match="two rows or more"):
        SparseFeatureSelector(1, method="random", resampling="halves").fit(x, [0, 1, 2, 3])


def test_a_table_in_rounds_has_no_more_columns_than_its_last(table):
    selector = SparseFeatureSelector("auto", settings={"rounds": 3}, random_state=0, **SMALL).fit(*table)
    assert selector.k_curve_[-1].k == 8  # 30, 15, 7.5 rounded


def drawn_halves(y, repeats=4, classes=True):
    """The rows of each half, by their numbers, as a selector would rank by them."""
    target = Target(np.asarray(y), np.unique(y)) if classes else Target(np.asarray(y), None)
    x = np.arange(len(y), dtype=np.float32)[:, None]
    parts = make_parts(
        x,
        target,
        np.random.default_rng(0),
        lambda train, held_out: (train, held_out, None, None),
        repeats=repeats,
        resampling="halves",
    )
    return [np.concatenate([train.x[:, 0], held_out.x[:, 0]]).astype(int) for train, held_out in parts]


@pytest.mark.parametrize("classes", [True, False])
def test_halves_are_complementary_pairs(classes):
    y = np.repeat([0, 1, 2], [21, 40, 8])
    halves = drawn_halves(y, classes=classes)
    assert len(halves) == 8
    for first, second in zip(halves[::2], halves[1::2], strict=True):
        assert not set(first) & set(second)
        assert len(set(first)) == len(first) == len(second) == 34
        if classes:
            assert np.bincount(y[first]).tolist() == np.bincount(y[second]).tolist() == [10, 20, 4]
    assert len({tuple(sorted(half)) for half in halves}) == 8


def test_columns_that_say_nothing_are_as_rarely_stable_as_the_bound_says():
    """Twenty tables of noise, ten pairs of halves each, 6 of 40 columns a ranking."""
    rng = np.random.default_rng(0)
    stable = []
    for seed in range(20):
        x, y = rng.standard_normal((100, 40), dtype=np.float32), np.arange(100) % 2
        selector = SparseFeatureSelector(6, method="f_score", resampling="halves", n_repeats=10, random_state=seed)
        selector.fit(x, y)
        assert selector.selections_.shape == (20, 40)
        stable.append([(selector.stability_ >= threshold).sum() for threshold in THRESHOLDS])
    bound = selector.expected_false_
    assert bound == pytest.approx({0.6: 36 / (0.2 * 40), 0.75: 36 / (0.5 * 40), 0.9: 36 / (0.8 * 40)})
    assert (np.mean(stable, axis=0) + stats.sem(stable, axis=0) < list(bound.values())).all()


def test_columns_that_matter_are_stable_in_halves(table):
    selector = SparseFeatureSelector(3, method="f_score", resampling="halves", n_repeats=5, random_state=0).fit(*table)
    assert set(np.flatnonzero(selector.stability_ >= 0.9)) == {3, 11, 29}
    assert selector.expected_false_[0.9] == pytest.approx(9 / (0.8 * 30))
    auto = SparseFeatureSelector("auto", method="f_score", resampling="halves", n_repeats=1, random_state=0)
    assert auto.fit(*table).expected_false_ is None
    assert len(auto.selections_) == 2
