from __future__ import annotations

import dataclasses
import functools
import json

import numpy as np
import pytest
from scipy.sparse import csr_array

from dst.data import Design, Removal, from_arrays, load_dataset, make_splits, remove_values, split_sha256, trial_data
from dst.data.dataset import Dataset, Part
from dst.data.trial_data import prepared_bytes, table_bytes
from dst.errors import InputError
from dst.rankers import RANKERS, make_config, parameters
from dst.scoring import rank_columns
from dst.trial.result import TrialResult
from dst.trial.run import run_trial, score_on_test
from dst.trial.spec import TrialSpec
from tests.support.informative_table import FAST, informative
from tests.support.table_files import SPARSE, sparse_writers

UNSUPERVISED = {name for name, entry in RANKERS.items() if not entry.reads_labels}


@functools.cache
def fast_trial(method: str, seed: int) -> TrialResult:
    """The trial of a method with quick settings that several tests look at."""
    return run_trial(informative(), TrialSpec(method, FAST, seed=seed))


@pytest.mark.parametrize("method", sorted(set(RANKERS) - UNSUPERVISED))
def test_every_ranker_finds_the_columns_that_decide(method):
    data = informative()
    spec = TrialSpec(method, FAST | {"epochs": 60, "lr": 3e-3})
    result = run_trial(data, spec)
    best = max(result.importances.values(), key=lambda one: one.val_svm_accuracy)
    assert set(best.selected) == {3, 11, 29}
    tested = score_on_test(data, spec, {"it": best.selected})
    assert tested["it"] > 0.85
    json.dumps(result.to_json(), allow_nan=False)


def test_a_random_order_is_no_better_than_chance():
    result = run_trial(informative(), TrialSpec("random", seed=3))
    assert result.importances["random"].val_svm_accuracy < 0.6


@pytest.mark.parametrize("method", sorted(RANKERS))
def test_a_trial_repeats_and_follows_its_seed(method):
    first, other = (fast_trial(method, seed) for seed in (1, 2))
    again = run_trial(informative(), TrialSpec(method, FAST, seed=1))
    for name, one in first.importances.items():
        np.testing.assert_array_equal(one.scores, again.importances[name].scores)
        assert one.val_svm_accuracy == again.importances[name].val_svm_accuracy
        assert not np.array_equal(one.scores, other.importances[name].scores)


@pytest.mark.parametrize("method", sorted(RANKERS))
def test_permuting_test_labels_changes_nothing_before_the_test(method):
    data = informative()
    y = data.y.copy()
    y[-100:] = np.random.default_rng(0).permutation(y[-100:])
    assert (y != data.y).any()
    spec = TrialSpec(method, FAST, seed=1)
    result, permuted = fast_trial(method, 1), run_trial(dataclasses.replace(data, y=y), spec)
    for name, importance in result.importances.items():
        np.testing.assert_array_equal(importance.scores, permuted.importances[name].scores)
        assert importance.val_svm_accuracy == permuted.importances[name].val_svm_accuracy
    for ours, theirs in zip(result.rankings, permuted.rankings, strict=True):
        assert ours.curves == theirs.curves
    opened = [score_on_test(one, spec, {"it": (3, 11, 29)})["it"] for one in (data, dataclasses.replace(data, y=y))]
    assert opened[0] > opened[1] + 0.2, "the labels that were permuted must be those that are opened"


def test_changing_test_features_changes_nothing_before_the_test():
    data = informative()
    x = data.x.copy()
    x[-100:] *= 100
    ours = fast_trial("set", 1)
    theirs = run_trial(dataclasses.replace(data, x=x), TrialSpec("set", FAST, seed=1))
    assert ours.importances.keys() == theirs.importances.keys()
    for name, one in ours.importances.items():
        np.testing.assert_array_equal(one.scores, theirs.importances[name].scores)


def test_small_data_is_judged_on_five_inner_splits():
    wine = load_dataset("wine")
    result = run_trial(wine, TrialSpec("set", FAST))
    assert len(result.rankings) == 5
    document = result.to_json()
    assert document["epochs"] == sum(ranking.epochs for ranking in result.rankings)
    assert document["val_loss"] == pytest.approx(np.mean([ranking.val_loss for ranking in result.rankings]))
    for name, one in result.importances.items():
        mean = np.mean([r.scores[name] / r.scores[name].sum() for r in result.rankings], axis=0)
        np.testing.assert_allclose(one.scores, mean)
        assert one.selected == tuple(np.argsort(-mean)[: wine.k])
    assert len(run_trial(wine, TrialSpec("set", FAST, inner_splits=1)).rankings) == 1


def test_the_seed_of_validation_rows_can_be_fixed():
    data = load_dataset("breast_cancer")
    fixed = [run_trial(data, TrialSpec("l1_logistic", seed=seed, split_seed=7)) for seed in (1, 2)]
    drawn = [run_trial(data, TrialSpec("l1_logistic", seed=seed)) for seed in (1, 2)]
    assert fixed[0].to_json()["val_loss"] == pytest.approx(fixed[1].to_json()["val_loss"], rel=1e-3)
    assert drawn[0].to_json()["val_loss"] != pytest.approx(drawn[1].to_json()["val_loss"], rel=1e-3)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (TrialSpec("sett"), "unknown method 'sett': did you mean 'set'?"),
        (TrialSpec("set", split="strat"), "unknown split 'strat': did you mean 'stratified'?"),
        (TrialSpec("set", {"sparsity": 1.0}), "0 <= sparsity < 1 must hold, but got sparsity=1.0"),
        (TrialSpec("l1_logistic", {"C": 0.0}), "C > 0 must hold, but got C=0.0"),
        (TrialSpec("set", k=41), "1 <= k <= number of columns must hold, but got k=41, 40 columns"),
        (TrialSpec("set", k=0), "1 <= k <= number of columns must hold, but got k=0"),
    ],
)
def test_impossible_trials_are_refused(spec, message):
    with pytest.raises(InputError, match=message):
        run_trial(informative(), spec)


def test_equal_scores_come_in_random_order():
    scores = np.array([0.0, 2.0, 0.0, 2.0, 1.0])
    orders = {tuple(rank_columns(scores, np.random.default_rng(seed)).tolist()) for seed in range(100)}
    assert orders == {(*first, 4, *last) for first in ((1, 3), (3, 1)) for last in ((0, 2), (2, 0))}


def test_a_model_that_says_nothing_selects_at_random():
    """An L1 penalty that leaves no coefficient: the selection follows the seed, not the order of columns."""
    data = informative()
    results = [run_trial(data, TrialSpec("l1_logistic", {"C": 1e-6}, seed=seed)) for seed in range(5)]
    assert all(not one.importances["l1_coefficient"].scores.any() for one in results)
    assert len({one.importances["l1_coefficient"].selected for one in results}) == 5


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"batch_size": 16.5}, "batch_size must be a whole number, but got 16.5"),
        ({"epochs": True}, "epochs must be a whole number, but got True"),
        ({"lr": "fast"}, "lr must be a number, but got 'fast'"),
        ({"schedule": 3}, "schedule must be a name, but got 3"),
        ({"hidden": [10, "x"]}, "hidden must be a list of whole numbers"),
    ],
)
def test_settings_of_a_wrong_type_are_refused(settings, message):
    with pytest.raises(InputError, match=message):
        make_config("set", settings)


def test_a_ranker_takes_its_own_settings_only():
    assert parameters("l1_logistic") == {"C"}
    config = make_config("rigl", {"sparsity": 0.3, "C": 5.0})
    assert (config.method, config.sparsity) == ("rigl", 0.3)


def mixed(n: int = 600, seed: int = 0) -> Dataset:
    """Eight columns; the classes are decided by column 5, of six categories in no order, and some of it is missing."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 8)).astype(np.float32)
    x[:, 5] = rng.integers(0, 6, n)
    y = np.isin(x[:, 5], (0, 3, 4)).astype(np.int64)
    x[rng.random(n) < 0.1, 5] = np.nan
    x[rng.random(n) < 0.2, 2] = np.nan
    return dataclasses.replace(
        informative(n),
        x=x,
        feature_names=tuple(f"c{i}" for i in range(8)),
        y=y,
        class_names=("no", "yes"),
        k=1,
        categories={5: tuple("abcdef")},
        official_test=None,
    )


@pytest.mark.parametrize("method", sorted(set(RANKERS) - {"random"}))
def test_importance_of_categories_reaches_the_tables_column(method):
    data = mixed()
    spec = TrialSpec(method, FAST | {"epochs": 60, "lr": 3e-3}, impute="mean", indicators=True)
    result = run_trial(data, spec)
    assert all(one.scores.shape == (8,) for one in result.importances.values())
    best = max(result.importances.values(), key=lambda one: one.val_svm_accuracy)
    if method in UNSUPERVISED:
        return
    assert best.selected == (5,)
    assert best.val_svm_accuracy > 0.85, "the scorer must see all encodings of the column"
    assert score_on_test(data, spec, {"it": (5,)})["it"] > 0.85


def test_a_random_order_favours_no_column_for_its_encodings():
    data = mixed()
    firsts = [
        run_trial(data, TrialSpec("random", seed=seed, impute="mean")).importances["random"].selected[0]
        for seed in range(40)
    ]
    assert firsts.count(5) < 13, "40 / 8 columns are 5 expected; six encodings out of thirteen would be 18"


def test_missing_numbers_need_a_policy():
    with pytest.raises(InputError, match=r"values are missing, in 1 columns \('c2'\), and nothing says .* knn"):
        run_trial(mixed(), TrialSpec("set", FAST))


@pytest.mark.parametrize("method", ["set", "rigl", "dense", "l1_logistic"])
def test_a_sparse_table_gives_what_its_dense_twin_gives(method):
    rng = np.random.default_rng(0)
    x = np.where(rng.random((600, 40)) < 0.2, rng.normal(size=(600, 40)), 0).astype(np.float32)
    data = dataclasses.replace(informative(), x=x, y=(x[:, 3] > x[:, 9]).astype(np.int64), scaling="maxabs")
    results = [run_trial(one, TrialSpec(method, FAST)) for one in (data, dataclasses.replace(data, x=csr_array(x)))]
    for name, ours in results[0].importances.items():
        theirs = results[1].importances[name]
        np.testing.assert_allclose(ours.scores, theirs.scores, rtol=1e-3)
        assert ours.val_svm_accuracy == theirs.val_svm_accuracy
    losses = [one.to_json()["val_loss"] for one in results]
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


@pytest.mark.parametrize("name", [*SPARSE, "arrays"])
def test_every_sparse_format_is_ranked(name, tmp_path):
    """Readers leave indices of 64 bits, which liblinear refuses."""
    rng = np.random.default_rng(0)
    x = np.where(rng.random((60, 12)) < 0.4, rng.normal(size=(60, 12)), 0).astype(np.float32)
    y = np.arange(60) % 2
    if name == "arrays":
        wide = csr_array(x)
        wide.indices, wide.indptr = wide.indices.astype(np.int64), wide.indptr.astype(np.int64)
        data = from_arrays(wide, y)
        assert wide.indices.dtype == np.int64, "what was given is not changed"
    else:
        sparse_writers(x, y)[name](tmp_path / name)
        data = load_dataset(tmp_path / name)
    assert (data.x.indices.dtype, data.x.indptr.dtype) == (np.int32, np.int32)
    np.testing.assert_array_equal(data.x.toarray(), x)
    gaps = dataclasses.replace(data, x=data.x.copy())
    gaps.x.data[::7] = np.nan
    for method in ("l1_logistic", "set", "random"):
        for one, how in ((data, {}), (gaps, {"impute": "median", "indicators": True})):
            spec = TrialSpec(method, FAST | {"epochs": 2}, inner_splits=1, **how)
            result = run_trial(one, spec)
            assert all(np.isfinite(each.scores).all() for each in result.importances.values())


@pytest.mark.parametrize("method", ["set", "rigl", "dense", "l1_logistic"])
@pytest.mark.parametrize("sparse", [False, True])
def test_prepared_data_may_be_read_only(method, sparse):
    """As it is in the object store, from which workers read it."""
    data = informative()
    data = dataclasses.replace(data, x=csr_array(data.x), scaling="maxabs") if sparse else data
    spec = TrialSpec(method, FAST | {"epochs": 2})
    shared = trial_data(data, spec.design, keep=True)
    for part in next(iter(shared.parts)):
        for array in [part.y, *((part.x.data, part.x.indices, part.x.indptr) if sparse else (part.x,))]:
            array.flags.writeable = False
    run_trial(shared, spec)


def test_a_trial_names_what_it_read():
    data = remove_values(load_dataset("wine"), Removal(0.1))
    spec = TrialSpec("l1_logistic", impute="mean")
    result = run_trial(data, spec)
    splits = make_splits(data, "stratified", seed=0, test_seed=0, count=5)
    assert result.split_sha256 == split_sha256(splits)
    assert run_trial(data, dataclasses.replace(spec, method="random")).data_sha256 == result.data_sha256
    x = data.x.copy()
    x[0, 0] = 1.0
    others = [
        (data, {"impute": "median"}),
        (data, {"indicators": True}),
        (data, {"split_seed": 1}),
        (data, {"split": "kfold"}),
        (dataclasses.replace(data, x=x), {}),
    ]
    hashes = {run_trial(one, dataclasses.replace(spec, **change)).data_sha256 for one, change in others}
    assert len(hashes | {result.data_sha256}) == 6


@pytest.mark.parametrize("method", ["set", "l1_logistic"])
def test_data_that_was_prepared_once_serves_many_trials(method):
    wine = load_dataset("wine")
    specs = [TrialSpec(method, FAST, seed=seed, split_seed=7) for seed in (1, 2)]
    shared = trial_data(wine, specs[0].design, keep=True)
    for spec in specs:
        ours, theirs = run_trial(shared, spec), run_trial(wine, spec)
        assert ours.data_sha256 == theirs.data_sha256
        for name, one in ours.importances.items():
            np.testing.assert_array_equal(one.scores, theirs.importances[name].scores)
    with pytest.raises(ValueError, match=r"was prepared by .* but the trial's design is"):
        run_trial(shared, dataclasses.replace(specs[0], split_seed=8))


def test_data_that_is_not_kept_is_prepared_each_time_it_is_read():
    wine = load_dataset("wine")
    spec = TrialSpec("l1_logistic")
    shared = trial_data(wine, spec.design, keep=False)
    first, second = run_trial(shared, spec), run_trial(shared, spec)
    for name, one in first.importances.items():
        np.testing.assert_array_equal(one.scores, second.importances[name].scores)
    once, again = list(shared.parts), list(shared.parts)
    assert len(once) == len(again) == 5
    assert all(a.x is not b.x for (a, _), (b, _) in zip(once, again, strict=True)), "nothing is kept"
    lacking = trial_data(remove_values(wine, Removal(0.1)), spec.design, keep=False)
    with pytest.raises(InputError, match="values are missing"):
        next(iter(lacking.parts))


def bytes_of(*holders: Dataset | Part) -> int:
    held = [value for holder in holders for value in vars(holder).values()]
    tables = [array for x in held if isinstance(x, csr_array) for array in (x.data, x.indices, x.indptr)]
    return sum(array.nbytes for array in [*tables, *(array for array in held if isinstance(array, np.ndarray))])


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("categories", [0, 2])
@pytest.mark.parametrize(("rate", "indicators"), [(0.0, False), (0.0, True), (0.4, False), (0.4, True)])
def test_the_bytes_of_what_will_be_prepared_are_bounded(sparse, categories, rate, indicators):
    rng = np.random.default_rng(0)
    data = informative(200)
    x = data.x * (rng.random(data.x.shape) < (0.3 if sparse else 1))
    x[:, categories:][(rng.random((200, 40 - categories)) < rate) & (x[:, categories:] != 0)] = np.nan
    x[:, :categories] = rng.integers(0, 4, size=(200, categories))
    names = dict.fromkeys(range(categories), ("a", "b", "c", "d"))
    data = dataclasses.replace(data, x=csr_array(x) if sparse else x, categories=names, official_test=None)
    data = dataclasses.replace(data, scaling="maxabs" if sparse else "standard")
    design = Design(count=3, policy="mean", indicators=indicators)
    held = bytes_of(*(part for parts in trial_data(data, design, keep=True).parts for part in parts))
    bound = prepared_bytes(data, design)
    assert held <= bound <= 2.5 * held
    assert table_bytes(data) == bytes_of(data)


def with_a_rare_class() -> Dataset:
    """Two rows of the third class, one of them an official test row."""
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1, 2], [58, 60, 2]).astype(np.int64)
    x = (rng.normal(size=(120, 6)) + y[:, None]).astype(np.float32)
    names = {"feature_names": tuple("abcdef"), "class_names": ("one", "two", "rare")}
    return dataclasses.replace(informative(), x=x, y=y, official_test=np.arange(100, 119), **names)


@pytest.fixture(scope="module")
def seeds_by_absent_classes() -> dict[tuple[str, ...], int]:
    """By the classes that training rows lack, the last of twelve seeds of which they are."""
    data = with_a_rare_class()
    specs = (TrialSpec("random", split="paper", split_seed=seed) for seed in range(12))
    return {run_trial(data, spec).absent_classes: seed for seed, spec in enumerate(specs)}


@pytest.mark.parametrize("method", sorted(RANKERS))
def test_a_class_absent_from_training_rows_is_reported(method, seeds_by_absent_classes):
    assert set(seeds_by_absent_classes) == {(), ("rare",)}, (
        "the one row outside the test part is drawn for validation now and then"
    )
    for absent, seed in seeds_by_absent_classes.items():
        result = run_trial(with_a_rare_class(), TrialSpec(method, FAST, split="paper", split_seed=seed))
        assert result.absent_classes == absent
        assert result.to_json()["absent_classes"] == list(absent)
