"""What a caller has set in scikit-learn, torch and NumPy changes no result."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pandas as pd
import pytest
import sklearn
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_array

from dst import SparseFeatureSelector, TrainingConfig, TrialSpec, fit, load_dataset, make_splits, prepare, run_trial
from dst.data import Design, Removal
from dst.data.imputing import POLICIES, impute
from dst.data.in_memory import from_arrays, from_frame
from dst.data.scaling import scale
from dst.errors import InputError
from dst.files.plain import plain
from dst.rankers import make_config
from dst.training.engines.choice import torch_defaults

SMALL = {"hidden": (8,), "epochs": 2, "units": 4, "batch_size": 64, "trees": 5, "dae_epochs": 1} | {
    "dense_iterations": 5,
    "path_iterations": 2,
    "path_multiplier": 4.0,
}


def _trial(method: str, **settings: Any) -> str:
    spec = TrialSpec(method, {**SMALL, **settings}, inner_splits=1)
    result = run_trial(load_dataset("wine"), spec).to_json()
    return json.dumps([result["importances"], result["val_loss"], result["nnz"]])


def _table() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 4))
    return x, (x[:, 1] > 0).astype(int)


@pytest.mark.parametrize("kind", ["standard", "minmax", "maxabs"])
def test_scalers_return_arrays_under_any_output(kind: Any) -> None:
    x = _table()[0].astype(np.float32)
    tables = [x, x.astype(np.float64)] + ([csr_array(x)] if kind == "maxabs" else [])
    for table in tables:
        with sklearn.config_context(transform_output="pandas"):
            (scaled,) = scale(kind, table)
        (expected,) = scale(kind, table)
        assert type(scaled) is type(expected)
        assert abs(scaled - expected).max() == 0


@pytest.mark.parametrize("policy", POLICIES)
def test_imputers_return_arrays_under_any_output(policy: str) -> None:
    x = _table()[0]
    x[::5, 2] = np.nan
    with sklearn.config_context(transform_output="pandas"):
        (filled,) = impute(policy, x)
    np.testing.assert_array_equal(filled, impute(policy, x)[0], strict=True)


@pytest.mark.parametrize("output", ["pandas", "polars"])
def test_trials_and_selectors_do_not_mind_the_output(output: str) -> None:
    x, y = _table()
    x[3, 2] = np.nan
    make = lambda: SparseFeatureSelector(1, method="l1_logistic", impute="median", random_state=0, n_repeats=2)  # noqa: E731
    expected = make().fit(x, y).scores_, _trial("l1_logistic")
    with sklearn.config_context(transform_output=output):
        np.testing.assert_array_equal(make().fit(x, y).scores_, expected[0])
        assert _trial("l1_logistic") == expected[1]


def test_a_selector_gives_the_frame_that_is_asked_for() -> None:
    x, y = _table()
    frame = pd.DataFrame(x, columns=list("abcd"))
    selector = SparseFeatureSelector(1, method="f_score", random_state=0).fit(frame, y)
    with sklearn.config_context(transform_output="pandas"):
        pd.testing.assert_frame_equal(selector.transform(frame), frame[["b"]])


@contextlib.contextmanager
def _default_dtype(dtype: torch.dtype) -> Iterator[None]:
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


@contextlib.contextmanager
def _default_device(device: str) -> Iterator[None]:
    torch.set_default_device(device)
    try:
        yield
    finally:
        torch.set_default_device(None)


MODES: dict[str, Callable[[], Any]] = {
    "float64": lambda: _default_dtype(torch.float64),
    "bfloat16": lambda: _default_dtype(torch.bfloat16),
    "float16": lambda: _default_dtype(torch.float16),
    "another device": lambda: _default_device("meta"),
    "no_grad": torch.no_grad,
    "inference_mode": torch.inference_mode,
}
TRAININGS: dict[str, dict[str, Any]] = {
    "set": {"importances": ("neuron_attribution", "integrated_gradients", "loss_gradient", "permutation")},
    "rigl": {"engine": "dense", "optimizer": "sgd", "dropout": 0.2, "sparsity": 0.5, "group_penalty": 0.1},
    "mest": {"engine": "dense"},
    "dense": {},
    "stg": {},
    "sequential_attention": {},
    "lassonet": {},
    "quickselection": {},
    "wast": {},
    "neurofs": {},
}


@pytest.fixture(scope="module")
def untouched() -> dict[str, str]:
    return {method: _trial(method, **settings) for method, settings in TRAININGS.items()}


@pytest.mark.parametrize("mode", MODES)
def test_a_callers_torch_changes_no_training(mode: str, untouched: dict[str, str]) -> None:
    for method, settings in TRAININGS.items():
        with MODES[mode]():
            assert _trial(method, **settings) == untouched[method], method


@pytest.mark.parametrize("mode", ["no_grad", "inference_mode"])
def test_a_network_trained_in_such_a_mode_can_be_trained_on(mode: str) -> None:
    data = load_dataset("iris")
    train, validation = prepare(data, make_splits(data, "stratified", seed=0, test_seed=0, count=1)[0])
    with MODES[mode]():
        model = fit(train, validation, TrainingConfig(hidden=(8,), epochs=2), np.random.default_rng(0)).model
        assert not torch.is_grad_enabled()
    model(torch.from_numpy(train.x)).sum().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


def test_defaults_come_back_as_they_were() -> None:
    with _default_dtype(torch.float64), _default_device("meta"), torch.no_grad():
        with torch_defaults():
            made = torch.zeros(2)
            assert (made.dtype, made.device.type, torch.is_grad_enabled()) == (torch.float32, "cpu", True)
        assert (torch.zeros(2).dtype, torch.zeros(2).device.type) == (torch.float64, "meta")
        assert not torch.is_grad_enabled()


@pytest.mark.parametrize(
    ("method", "given", "expected"),
    [
        ("set", {"sparsity": np.float32(0.5), "epochs": np.int64(2), "hidden": np.array([8])}, {"sparsity": 0.5}),
        (
            "set",
            {"lr": np.array(0.25), "patience": np.uint8(3), "engine": np.str_("dense")},
            {"lr": 0.25, "patience": 3},
        ),
        ("extra_trees", {"trees": np.int32(3), "max_features": np.longdouble(0.5)}, {"trees": 3, "max_features": 0.5}),
        ("l1_logistic", {"C": np.float64(0.5)}, {"C": 0.5}),
        ("stg", {"hidden": [np.int16(8), np.int64(4)]}, {"hidden": (8, 4)}),
    ],
)
def test_numbers_of_numpy_are_settings(method: str, given: dict[str, Any], expected: dict[str, Any]) -> None:
    config = make_config(method, given)
    for name, value in expected.items():
        assert getattr(config, name) == value
        assert type(getattr(config, name)) is type(value)


@pytest.mark.parametrize("given", [{"epochs": np.bool_(True)}, {"epochs": np.float32(2.5)}, {"sparsity": np.str_("a")}])
def test_what_is_no_number_of_numpy_is_refused_as_pythons_is(given: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=r"must be a (whole )?number, but got (True|2\.5|'a')"):
        make_config("set", given)


def test_a_trial_of_numpys_numbers_is_the_trial_of_pythons() -> None:
    mine = TrialSpec(
        "l1_logistic", {"C": np.float64(0.5)}, seed=np.int64(3), test_seed=np.uint32(1), k=np.int8(2),
        max_rows=np.array(50), k_values=np.array([1, 3]), inner_splits=np.int64(2),
        indicators=np.bool_(True), impute=np.str_("mean"),
    )  # fmt: skip
    theirs = TrialSpec(
        "l1_logistic", {"C": 0.5}, seed=3, test_seed=1, k=2, max_rows=50, k_values=(1, 3), inner_splits=2,
        indicators=True, impute="mean",
    )  # fmt: skip
    results = [run_trial(load_dataset("wine", k=np.int64(5), batch_size=np.int16(32)), spec) for spec in (mine, theirs)]
    documents = [json.loads(json.dumps(result.to_json()["importances"])) for result in results]
    assert documents[0] == documents[1]
    assert results[0].data_sha256 == results[1].data_sha256


def test_a_state_of_a_training_with_numpys_numbers_is_taken_again() -> None:
    states = []
    spec = TrialSpec("set", {**SMALL, "epochs": np.int64(2), "sparsity": np.float32(0.5)}, inner_splits=np.int64(1))
    data = load_dataset("iris")
    whole = run_trial(data, spec, lambda split, end: states.append(end.state()))
    again = run_trial(data, TrialSpec("set", {**SMALL, "sparsity": 0.5}, inner_splits=1), state=states[0])
    assert again.to_json()["importances"] == whole.to_json()["importances"]


@pytest.mark.parametrize("given", [2.5, "3", True, np.bool_(True), np.float64(2.0)])
def test_k_is_a_whole_number(given: Any) -> None:
    with pytest.raises(InputError, match="k must be a whole number"):
        load_dataset("iris", k=given)


def test_other_settings_become_plain() -> None:
    assert type(Removal(np.float32(0.5)).rate) is float
    assert type(Design(seed=np.int64(1)).seed) is int
    assert type(TrainingConfig(epochs=np.int64(1)).epochs) is int


numbers = st.integers(-100, 100).map(np.int64) | st.floats(width=32, allow_nan=False).map(np.float32)
leaves = numbers | st.booleans().map(np.bool_) | st.text()


@given(st.recursive(leaves, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=8))
def test_what_is_plain_is_json(value: Any) -> None:
    assert json.loads(json.dumps(plain(value))) == value


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int64, np.uint8, np.bool_, object])
def test_what_is_masked_is_missing(dtype: Any) -> None:
    x, y = _table()
    numbers = np.ma.MaskedArray(np.abs(10 * x).astype(dtype), mask=x > 1.5)
    gaps = int((x > 1.5).sum())
    assert np.isnan(from_arrays(numbers if dtype is not object else numbers.astype(float), y).x).sum() == gaps
    with pytest.raises(ValueError, match="NaN"):
        SparseFeatureSelector(1, method="f_score").fit(numbers, y)
    selector = SparseFeatureSelector(1, method="f_score", impute="mean", random_state=0).fit(numbers, y)
    assert np.isnan(selector.transform(numbers).astype(float)).sum() == (x > 1.5)[:, selector.support_].sum()
    assert not np.isnan(from_arrays(np.ma.MaskedArray(x), y).x).any()


def test_labels_groups_and_times_may_not_be_masked() -> None:
    x, y = _table()
    masked = np.ma.MaskedArray(y, mask=np.arange(60) == 3)
    words = np.ma.MaskedArray(np.where(y, "a", "b"), mask=np.arange(60) < 2)
    for columns, says in (
        ({"y": masked}, "1 of 60 rows have no label"),
        ({"y": words}, "2 of 60 rows have no label"),
        ({"y": y, "groups": masked}, "1 of 60 rows have no group"),
        ({"y": y, "times": masked}, "1 of 60 rows have none"),
    ):
        with pytest.raises(InputError, match=says):
            from_arrays(x, **columns)
    for target in (masked, masked.astype(float)):
        with pytest.raises(InputError, match="y must be known in every row, but 1 of 60 are masked"):
            SparseFeatureSelector(1, method="f_score").fit(x, target)


@pytest.mark.parametrize("matrix", [np.asarray, csr_array, np.asfortranarray])
def test_a_table_of_features_by_samples_is_asked_about(matrix: Any) -> None:
    x, y = _table()
    says = r"there are 4 rows and 60 labels: is X transposed \(features x samples\)\?"
    with pytest.raises(InputError, match=says):
        from_arrays(matrix(x.T), y)
    with pytest.raises(InputError, match=says):
        SparseFeatureSelector(1, method="f_score").fit(matrix(x.T), y)
    with pytest.raises(InputError, match=r"60 rows and 59 labels$"):
        from_arrays(matrix(x), y[:59])


@pytest.mark.parametrize(
    ("values", "names"),
    [
        (pd.Categorical([1, 2, None] * 20), ("1", "2")),
        (pd.Categorical([30, 4, None] * 20, categories=[30, 99, 4]), ("4", "30")),
        (pd.Categorical([0.5, 2.0, None] * 20), ("0.5", "2")),
        (pd.Categorical([True, False, None] * 20), ("0", "1")),
        (pd.Categorical(["b", "a", None] * 20), ("a", "b")),
        (pd.Categorical([2**60, 2**60 + 1, None] * 20), (str(2**60), str(2**60 + 1))),
        (pd.Series([1, 2, None] * 20, dtype="Int64").astype("category"), ("1", "2")),
        (pd.Series(["b", "a", None] * 20, dtype="string").astype("category"), ("a", "b")),
        (pd.cut(pd.Series([1.0, 7.0, np.nan] * 20), [0, 5, 10]), ("(0, 5]", "(5, 10]")),
        (pd.Categorical(pd.to_timedelta([2, 1, None] * 20, unit="D")), ("1 days 00:00:00", "2 days 00:00:00")),
    ],
)  # fmt: skip
def test_pandas_categories_of_any_type_may_have_gaps(values: Any, names: tuple[str, ...]) -> None:
    data = from_frame(pd.DataFrame({"c": values, "a": range(60), "y": np.arange(60) % 2}), target="y")
    assert data.categories == {0: names}
    assert np.isnan(data.x[:, 0]).sum() == 20
    assert set(data.x[~np.isnan(data.x[:, 0]), 0]) == {0.0, 1.0}
