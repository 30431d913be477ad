from __future__ import annotations

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_matrix
from sklearn.base import clone
from sklearn.datasets import make_classification
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks

from dst import InputError, SparseFeatureSelector
from dst.files.checkpoint import CheckpointError

SMALL = {"hidden": (64, 32), "epochs": 30, "n_repeats": 2, "random_state": 0}


@parametrize_with_checks(
    [
        SparseFeatureSelector(hidden=(16, 8), epochs=2, n_repeats=2),
        SparseFeatureSelector(hidden=(16, 8), epochs=2, n_repeats=2, impute="median", indicators=True),
        SparseFeatureSelector(method="random"),
    ]
)
def test_scikit_learn_estimator_checks(estimator, check):
    check(estimator)


@pytest.fixture(scope="module")
def table():
    """400 rows of 60 columns, of which the first 6 say which of 3 classes a row is of."""
    x, y = make_classification(
        400, 60, n_informative=6, n_redundant=0, n_classes=3, class_sep=2.0, shuffle=False, random_state=0
    )
    return x.astype(np.float32), y


def test_defaults_find_the_informative_columns(table):
    x, y = table
    selector = SparseFeatureSelector(6, random_state=0).fit(x, y)
    assert set(selector.order_[:6]) == set(range(6)) == set(selector.get_support(indices=True))
    np.testing.assert_array_equal(selector.transform(x), x[:, :6])
    assert selector.scores_.sum() == pytest.approx(1)
    assert (selector.stability_[:6] == 1).all()
    assert selector.selections_.sum(axis=1).tolist() == [6] * 5


def test_a_continuous_target_trains_with_the_squared_error():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((400, 40), dtype=np.float32)
    y = 1000 * (x[:, 3] + 2 * np.abs(x[:, 7])) + 5e6
    ends = []
    selector = SparseFeatureSelector(2, random_state=0, n_repeats=2).fit(x, y, on_epoch=lambda n, end: ends.append(end))
    assert set(selector.get_support(indices=True)) == {3, 7}
    assert max(end.val_accuracy for end in ends) > 0.7  # R squared
    assert not hasattr(selector, "classes_")


def test_several_outputs_and_whole_numbers_as_numbers():
    rng = np.random.default_rng(1)
    x = rng.standard_normal((300, 20), dtype=np.float32)
    both = np.stack([x[:, 2], x[:, 5]], axis=1)
    assert set(SparseFeatureSelector(2, **SMALL).fit(x, both).get_support(indices=True)) == {2, 5}
    counts = np.round(10 * x[:, 4]).astype(int)
    assert SparseFeatureSelector(1, task="regression", **{**SMALL, "n_repeats": 5}).fit(x, counts).order_[0] == 4


def test_a_sparse_table_stays_sparse():
    rng = np.random.default_rng(0)
    words = (rng.random((1000, 40)) < 0.2).astype(np.float32)
    y = (words[:, :4].sum(axis=1) > 0).astype(int)
    selector = SparseFeatureSelector(4, **SMALL).fit(csr_matrix(words), y)
    assert set(selector.get_support(indices=True)) == {0, 1, 2, 3}
    assert selector.transform(csr_matrix(words)).nnz == words[:, :4].sum()


def test_same_random_state_same_scores(table):
    x, y = table
    first, second = (SparseFeatureSelector(**SMALL).fit(x, y) for _ in range(2))
    np.testing.assert_array_equal(first.scores_, second.scores_)
    other = SparseFeatureSelector(**{**SMALL, "random_state": 1}).fit(x, y)
    assert (first.scores_ != other.scores_).any()


def test_missing_numbers_need_a_policy(table):
    x, y = table
    holes = np.where(np.random.default_rng(0).random(x.shape) < 0.1, np.nan, x)
    with pytest.raises(ValueError, match="NaN"):
        SparseFeatureSelector(**SMALL).fit(holes, y)
    selector = SparseFeatureSelector(6, impute="mean", indicators=True, **SMALL).fit(holes, y)
    assert np.isnan(selector.transform(holes)).any()  # columns as they are
    assert len(selector.scores_) == 60


def test_category_codes_count_as_one_column():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((400, 12), dtype=np.float32)
    x[:, 5] = rng.permutation(np.arange(400) % 8)
    y = np.isin(x[:, 5], [0, 3, 6]).astype(int)  # no order of the codes says this
    selector = SparseFeatureSelector(1, categorical=[5], **SMALL).fit(x, y)
    assert selector.get_support(indices=True).tolist() == [5]
    assert selector.scores_.shape == (12,)


def test_in_a_pipeline_under_a_grid_search(table):
    x, y = table
    frame = pd.DataFrame(x, columns=[f"gene{i}" for i in range(60)])
    pipeline = make_pipeline(SparseFeatureSelector(**SMALL), LogisticRegression())
    grid = {
        "sparsefeatureselector__n_features_to_select": np.array([1, 6]),
        "sparsefeatureselector__importance": ["neuron_strength", "neuron_attribution"],
    }
    folds = StratifiedKFold(2, shuffle=True, random_state=0)  # the table lies in the order of its clusters
    search = GridSearchCV(clone(pipeline), grid, cv=folds, error_score="raise").fit(frame, y)
    assert search.best_params_["sparsefeatureselector__n_features_to_select"] == 6
    names = search.best_estimator_[0].set_output(transform="pandas").transform(frame).columns
    assert list(names) == list(search.best_estimator_[0].get_feature_names_out())
    assert all(name.startswith("gene") for name in names)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"n_features_to_select": 0}, "n_features_to_select must be"),
        ({"n_features_to_select": 61}, "60 columns"),
        ({"n_features_to_select": 1.0}, "a share in"),
        ({"n_repeats": 0}, "n_repeats must be a whole number of 1 or more"),
        ({"n_repeats": 2.5}, "n_repeats must be a whole number"),
        ({"hidden": 100}, "hidden must be a list of layer sizes"),
        ({"categorical": 3}, "categorical must be a list of column numbers"),
        ({"categorical": [1.7]}, "categorical must be a list of column numbers"),
        ({"method": "sett"}, "did you mean 'set'"),
        ({"importance": "neuron_strenght"}, "did you mean 'neuron_strength'"),
        ({"impute": "men"}, "did you mean 'mean'"),
        ({"task": "regresion"}, "did you mean 'regression'"),
        ({"sparsity": 1.0}, "0 <= sparsity < 1"),
        ({"categorical": [60]}, "from 0 to 59"),
    ],
)
def test_wrong_parameters_are_refused(table, given, message):
    with pytest.raises(InputError, match=message):
        SparseFeatureSelector(**{**SMALL, **given}).fit(*table)


def test_wrong_targets_are_refused(table):
    x, y = table
    with pytest.raises(InputError, match="two classes or more"):
        SparseFeatureSelector(**SMALL).fit(x, np.zeros(400, int))
    with pytest.raises(InputError, match="multilabel-indicator"):
        SparseFeatureSelector(**SMALL).fit(x, np.stack([y > 0, y > 1], axis=1).astype(int))
    prices = np.round(100 * x[:, 0])
    with pytest.raises(InputError, match="say task='regression'"):
        SparseFeatureSelector(**SMALL).fit(x, prices)
    with pytest.raises(InputError, match="ranks for numbers"):
        SparseFeatureSelector(method="l1_logistic").fit(x, x[:, 0])


@pytest.mark.slow
def test_a_fresh_process_loads_and_transforms(table, tmp_path):
    x, y = table
    frame = pd.DataFrame(x, columns=[f"gene{i}" for i in range(60)])
    selector = SparseFeatureSelector(4, **SMALL).fit(frame, np.array(["a", "b", "c"])[y])
    path = tmp_path / "selector.npz"
    selector.save(path)
    np.save(tmp_path / "x.npy", x)
    code = (
        "import sys, numpy, dst\n"
        "selector = dst.SparseFeatureSelector.load(sys.argv[1])\n"
        "import pandas\n"
        "x = pandas.DataFrame(numpy.load(sys.argv[2]), columns=selector.feature_names_in_)\n"
        "print(selector.transform(x)[:2].tolist(), list(selector.get_feature_names_out()), selector.classes_.tolist())"
    )
    run = [sys.executable, "-c", code, str(path), str(tmp_path / "x.npy")]
    printed = subprocess.run(run, capture_output=True, text=True, check=True).stdout.strip()
    expected = x[:2, selector.get_support()].tolist(), list(selector.get_feature_names_out()), ["a", "b", "c"]
    assert printed == " ".join(map(str, expected))
    assert SparseFeatureSelector.load(path).get_params() == {
        **selector.get_params(),
        "hidden": [64, 32],
        "categorical": [],
        "feature_groups": [],
    }
    assert [file.name for file in tmp_path.iterdir() if file.suffix == ".tmp"] == []


def test_what_is_no_saved_selector_is_refused(table, tmp_path):
    (tmp_path / "junk.npz").write_bytes(b"PK\x03\x04 no archive")
    for name in ("junk.npz", "absent.npz"):
        with pytest.raises(CheckpointError, match=name):
            SparseFeatureSelector.load(tmp_path / name)
    generator = np.random.RandomState(0)
    fitted = SparseFeatureSelector(**{**SMALL, "random_state": generator}).fit(*table)
    with pytest.raises(InputError, match="random_state must be a whole number"):
        fitted.save(tmp_path / "selector.npz")
    assert not (tmp_path / "selector.npz").exists()


def test_further_settings_of_the_method(table):
    x, y = table
    plain, dropped = (SparseFeatureSelector(settings=given, **SMALL).fit(x, y) for given in (None, {"dropout": 0.5}))
    assert (plain.scores_ != dropped.scores_).any()
    minmax = SparseFeatureSelector(scaling="minmax", **SMALL).fit(100 * x, y)
    assert (minmax.scores_ != plain.scores_).any()
    for wrong in ({"dropuot": 0.5}, {"sparsity": 0.5}):
        with pytest.raises(InputError, match="unknown setting"):
            SparseFeatureSelector(settings=wrong, **SMALL).fit(x, y)


def test_a_missing_category_needs_no_policy_but_a_missing_number_does():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((300, 4), dtype=np.float32)
    x[:, 2] = np.where(rng.random(300) < 0.5, np.nan, 0)
    y = np.isnan(x[:, 2]).astype(int)
    assert SparseFeatureSelector(1, categorical=[2], **SMALL).fit(x, y).order_[0] == 2
    x[0, 1] = np.nan
    with pytest.raises(InputError, match="NaN in 1 columns"):
        SparseFeatureSelector(1, categorical=[2], **SMALL).fit(x, y)


def test_names_for_a_table_without(table):
    selector = SparseFeatureSelector(method="random", random_state=0).fit(*table)
    selector.set_feature_names([f"p{i}" for i in range(60)])
    assert list(selector.get_feature_names_out()) == [f"p{i}" for i in selector.get_support(indices=True)]
    with pytest.raises(InputError, match="one name a column"):
        selector.set_feature_names(["p0"])


@pytest.mark.parametrize(("method", "rule"), [("set", "greedy"), ("f_score", "top")])
def test_networks_select_greedily_and_rivals_as_their_authors_do(table, method, rule):
    x, y = table
    fitted = [
        SparseFeatureSelector(6, method=method, selection=given, **{**SMALL, "n_repeats": 1}).fit(x, y)
        for given in (None, rule)
    ]
    np.testing.assert_array_equal(fitted[0].order_, fitted[1].order_)
