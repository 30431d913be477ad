"""Tables are read as float64, and kept as float32 only where that loses nothing that scaling could show."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.io
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_array
from sklearn.datasets import dump_svmlight_file, load_breast_cancer, load_iris, load_wine

from dst.data import DATASETS, check_file, load_dataset, prepare, remove_values
from dst.data.dataset import Dataset
from dst.data.imputing import POLICIES
from dst.data.in_memory import from_arrays, from_frame
from dst.data.missing import MECHANISMS, Removal
from dst.data.precision import NEGLIGIBLE, narrowed
from dst.data.scaling import scale
from dst.data.splits import make_splits
from dst.errors import InputError
from dst.rankers import RANKERS
from dst.selector.selector import SparseFeatureSelector

ROWS = 60
LABELS = np.arange(ROWS) % 2
FAR = {
    "Unix seconds": 1_700_000_000 + np.arange(ROWS),
    "milliseconds since 1970": 1_700_000_000_000 + 7 * np.arange(ROWS),
    "UTM metres with centimetres": 5_333_111.07 + 0.01 * np.arange(ROWS),
    "Unix seconds, 0 where unknown": np.where(np.arange(ROWS) % 30, 1_700_000_000 + np.arange(ROWS), 0),
    "date codes": 20_240_101 + np.arange(ROWS),
    "identifiers": 9_000_000_000_001 + np.arange(ROWS),
    "air pressure": 1013.25 + 0.0001 * np.arange(ROWS),
    "smaller than float32 can be": 1e-60 * (1 + np.arange(ROWS)),
}


def _csv(x: np.ndarray, folder: Path) -> Dataset:
    pd.DataFrame({"a": x, "b": LABELS, "y": LABELS}).to_csv(folder / "t.csv", index=False)
    return load_dataset(folder / "t.csv", target="y")


def _parquet(x: np.ndarray, folder: Path) -> Dataset:
    pd.DataFrame({"a": x, "b": LABELS, "y": LABELS}).to_parquet(folder / "t.parquet")
    return load_dataset(folder / "t.parquet", target="y")


def _npz(x: np.ndarray, folder: Path) -> Dataset:
    np.savez(folder / "t.npz", X=np.column_stack([x, LABELS]), y=LABELS)
    return load_dataset(folder / "t.npz")


def _mat(x: np.ndarray, folder: Path) -> Dataset:
    scipy.io.savemat(folder / "t.mat", {"X": np.column_stack([x, LABELS]), "Y": LABELS})
    return load_dataset(folder / "t.mat")


def _svmlight(x: np.ndarray, folder: Path) -> Dataset:
    dump_svmlight_file(np.column_stack([x, LABELS]), LABELS, str(folder / "t.svmlight"))
    return load_dataset(folder / "t.svmlight")


def _frame(x: np.ndarray, folder: Path) -> Dataset:
    return from_frame(pd.DataFrame({"a": x, "b": LABELS, "y": LABELS}), target="y")


def _arrays(x: np.ndarray, folder: Path) -> Dataset:
    return from_arrays(np.column_stack([x, LABELS]), LABELS)


def _sparse(x: np.ndarray, folder: Path) -> Dataset:
    return from_arrays(csr_array(np.column_stack([x, LABELS])), LABELS)


WAYS = {way.__name__[1:]: way for way in (_csv, _parquet, _npz, _mat, _svmlight, _frame, _arrays, _sparse)}


@pytest.mark.parametrize("kind", FAR)
@pytest.mark.parametrize("way", WAYS)
def test_different_values_stay_different_however_they_are_read(way: str, kind: str, tmp_path: Path) -> None:
    data = WAYS[way](FAR[kind], tmp_path)
    x = data.x if isinstance(data.x, np.ndarray) else data.x.toarray()
    assert x.dtype == np.float64
    np.testing.assert_allclose(x[:, 0], FAR[kind], rtol=1e-15)
    assert len(np.unique(x[:, 0])) == len(np.unique(FAR[kind]))


@pytest.mark.parametrize("kind", [kind for kind in FAR if "unknown" not in kind])
def test_parts_show_what_is_far_from_zero_as_if_it_were_near(kind: str, tmp_path: Path) -> None:
    data = _arrays(FAR[kind], tmp_path)
    (split,) = make_splits(data, "stratified", seed=0, test_seed=0, count=1)
    train, validation = prepare(data, split)
    assert train.x.dtype == validation.x.dtype == np.float32
    assert len(np.unique(train.x[:, 0])) == len(np.unique(FAR[kind][split.train]))


def test_a_column_of_seconds_is_not_called_constant(tmp_path: Path) -> None:
    _csv(FAR["Unix seconds"], tmp_path)
    assert not any("constant" in line for line in check_file(tmp_path / "t.csv", "y")["problems"])


@given(
    offset=st.floats(-1e10, 1e10),  # in the steps between two values
    spread=st.floats(1e-3, 1e6),
    kind=st.sampled_from(["standard", "minmax"]),
    seed=st.integers(0, 99),
)
def test_an_offset_changes_nothing_after_scaling(offset: float, spread: float, kind: str, seed: int) -> None:
    steps = np.random.default_rng(seed).integers(0, 1000, (40, 1))
    far = spread * (offset + steps)
    near = far - far.min()  # what float64 holds of it
    parts = [narrowed(x) for x in (far, near)]
    (shifted,), (plain,) = (scale(kind, x) for x in parts)
    np.testing.assert_allclose(shifted, plain, atol=4 * NEGLIGIBLE)
    assert shifted.dtype == np.float32


@given(base=st.integers(-(2**53) + 2000, 2**53 - 2000), steps=st.lists(st.integers(0, 1000), min_size=2, unique=True))
def test_no_two_whole_numbers_become_one(base: int, steps: list[int]) -> None:
    column = np.array([[base + step] for step in steps], dtype=np.float64)
    assert len(np.unique(narrowed(column))) == len(steps)
    sparse = narrowed(csr_array(column))
    assert len(np.unique(sparse.toarray())) == len(steps)


@given(
    centre=st.floats(-1e6, 1e6),
    spread=st.floats(1e-3, 1e3),
    gaps=st.booleans(),
    seed=st.integers(0, 99),
)
def test_what_is_kept_as_float32_lies_within_the_limit(centre: float, spread: float, gaps: bool, seed: int) -> None:
    rng = np.random.default_rng(seed)
    x = rng.normal(centre, spread, (50, 3))
    if gaps:
        x[rng.random(x.shape) < 0.3] = np.nan
    kept = narrowed(x)
    error = np.nanmax(np.abs(x - x.astype(np.float32)), axis=0) / np.nanstd(x, axis=0)
    assert (kept.dtype == np.float32) == bool((error <= NEGLIGIBLE).all())
    np.testing.assert_array_equal(kept, x.astype(kept.dtype))


@pytest.mark.parametrize(
    "column",
    [
        np.full(50, 0.1),
        np.full(50, 1013.2),
        0.1 * np.arange(50),
        np.array([0.1 + 0.2, 0.3] * 25) * (1 + np.arange(50) % 5),  # differ by the rounding of float64
        np.where(np.arange(50) % 2, 0.1, 0.0),
        np.arange(50) + 2**24 - 50,
        np.append(np.arange(49) / 7, 1e12),
        1e8 * (1 + np.arange(50)) + 1,  # rounded, but all of them beside the spread of them all
        np.exp(np.random.default_rng(0).normal(0, 3, 50)),
    ],
)
def test_columns_that_lose_nothing_stay_float32(column: np.ndarray) -> None:
    assert narrowed(column[:, None]).dtype == np.float32
    assert narrowed(csr_array(column[:, None])).dtype == np.float32


def test_a_smooth_column_of_many_rows_stays_float32_though_values_meet_by_chance() -> None:
    column = np.random.default_rng(0).normal(10, 1, (200_000, 1))
    assert len(np.unique(column.astype(np.float32))) < len(np.unique(column))
    assert narrowed(column).dtype == np.float32


def test_one_column_decides_for_the_table() -> None:
    x = np.random.default_rng(0).normal(size=(60, 3))
    x[:, 1] = FAR["Unix seconds"]
    x[5, 0] = np.nan
    assert from_arrays(x, LABELS).x.dtype == np.float64
    assert from_arrays(x[:, [0, 2]], LABELS).x.dtype == np.float32


@pytest.mark.parametrize("load", [load_breast_cancer, load_iris, load_wine])
def test_the_tables_that_come_along_stay_float32(load) -> None:
    assert narrowed(load().data).dtype == np.float32


CONTENT = {  # of the version before tables could be float64
    "breast_cancer": "7d9030d0918c62b1",
    "digits": "56e369809c6c0310",
    "iris": "bf2f4236f70afb2f",
    "wine": "fb81de1ed7a9cbdd",
    "madelon_like": "6c61e5c259d5f047",
    "synthetic_1000": "5f70e7133542970c",
    "BASEHOCK": "7028ded18cbd4b49",
    "COIL20": "0e60817c7f707454",
    "Isolet": "5f9ad7642382801e",
    "Prostate_GE": "90b4a5d02722ed1c",
    "Arcene": "42ed7026a12c5c37",
    "Madelon": "48c77a7fae629a79",
}


@pytest.mark.parametrize("name", CONTENT)
def test_tables_that_were_studied_are_the_same_bytes(name: str) -> None:
    try:
        data = load_dataset(name)
    except InputError:
        pytest.skip(f"{DATASETS[name].file} is absent")
    assert data.content_sha256.startswith(CONTENT[name])


@pytest.mark.parametrize("way", ["csv", "parquet", "npz", "mat", "arrays", "frame"])
def test_categories_are_numbered_from_what_was_read(way: str, tmp_path: Path) -> None:
    codes = 20_240_100 + np.arange(ROWS) % 15
    x = np.column_stack([codes, np.arange(ROWS)])
    frame = pd.DataFrame({"f0": codes, "f1": np.arange(ROWS), "y": LABELS})
    frame.to_csv(tmp_path / "t.csv", index=False)
    frame.to_parquet(tmp_path / "t.parquet")
    np.savez(tmp_path / "t.npz", X=x, y=LABELS)
    scipy.io.savemat(tmp_path / "t.mat", {"X": x, "Y": LABELS})
    if way == "arrays":
        data = from_arrays(x, LABELS, categorical=["f0"])
    elif way == "frame":
        data = from_frame(frame, target="y", categorical=["f0"])
    else:
        named = {"target": "y"} if way in ("csv", "parquet") else {}
        data = load_dataset(tmp_path / f"t.{way}", categorical=["f0"], **named)
    assert data.categories == {0: tuple(str(20_240_100 + code) for code in range(15))}


def test_integers_that_float64_merges_are_categories_or_refused() -> None:
    large = 2**60 + np.arange(ROWS) % 15
    x = np.column_stack([large, np.arange(ROWS)])
    assert len(from_arrays(x, LABELS, categorical=["f0"]).categories[0]) == 15
    frame = pd.DataFrame({"f0": large, "y": LABELS})
    assert len(from_frame(frame, target="y", categorical=["f0"]).categories[0]) == 15
    says = "whole numbers beyond 2\\*\\*53 must differ as floats, but 1152921504606846976 and"
    for make in (
        lambda: from_arrays(x, LABELS),
        lambda: from_arrays(csr_array(x), LABELS),
        lambda: from_frame(frame, target="y"),
        lambda: from_frame(frame.astype({"f0": "Int64"}), target="y"),
    ):
        with pytest.raises(InputError, match=says):
            make()
    assert from_arrays(x * 1000, LABELS).n_features == 2  # far beyond, but apart


@pytest.mark.parametrize("value", [3.5e38, -1e39, np.inf])
def test_what_is_beyond_float32_is_refused(value: float) -> None:
    x = np.random.default_rng(0).normal(size=(ROWS, 2))
    x[3, 1] = value
    with pytest.raises(InputError, match="finite and within float32, but these columns have others: 'f1'"):
        from_arrays(x, LABELS)
    with pytest.raises(InputError, match="finite and within float32, but these columns have others: 'f1'"):
        from_arrays(csr_array(x), LABELS)
    with pytest.raises(ValueError, match=r"within float32|infinity"):
        SparseFeatureSelector(1, epochs=1).fit(x, LABELS)


@pytest.mark.parametrize("policy", POLICIES)
def test_imputing_keeps_what_a_float64_table_holds(policy: str) -> None:
    x = np.column_stack([FAR["Unix seconds"], np.arange(ROWS) / 7]).astype(np.float64)
    x[::7, 0] = np.nan
    data = from_arrays(x, LABELS)
    (split,) = make_splits(data, "stratified", seed=0, test_seed=0, count=1)
    train, _ = prepare(data, split, policy=policy)
    present = ~np.isnan(x[split.train, 0])
    if policy != "zero":  # whose zeros lie 1.7e9 below the others
        assert len(np.unique(train.x[present, 0])) == present.sum()
    assert np.isfinite(train.x).all()


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_values_are_removed_from_a_float64_table(mechanism: str) -> None:
    x = np.column_stack([FAR["Unix seconds"], np.full(ROWS, 1.7e9 + 1), np.arange(ROWS)])
    removed = remove_values(from_arrays(x, LABELS), Removal(0.25, mechanism))
    assert removed.x.dtype == np.float64
    assert np.isnan(removed.x).sum() == 45
    np.testing.assert_array_equal(removed.x[~np.isnan(removed.x)], x[~np.isnan(removed.x)])


@pytest.mark.parametrize("kind", ["Unix seconds", "milliseconds since 1970", "UTM metres with centimetres"])
def test_the_selector_sees_what_is_far_from_zero(kind: str) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(240, 6))
    y = rng.integers(0, 2, 240)
    x[:, 2] = FAR[kind][rng.integers(0, 20, 240) + 30 * y]
    selector = SparseFeatureSelector(1, method="f_score", n_repeats=1, random_state=0).fit(x, y)
    assert selector.order_[0] == 2
    np.testing.assert_array_equal(selector.transform(x)[:, 0], x[:, 2])


@pytest.mark.parametrize("method", sorted(RANKERS.keys() - {"lassonet", "quickselection"}))
def test_every_ranker_gets_float32(method: str) -> None:
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 90)
    x = np.column_stack([1.7e9 + 40 * y + rng.integers(0, 20, 90), rng.normal(size=(90, 3))])
    options = {"hidden": (8,), "epochs": 2} if method not in ("extra_trees", "f_score") else {}
    fitted = SparseFeatureSelector(1, method=method, n_repeats=1, random_state=0, **options).fit(x, y)
    assert np.isfinite(fitted.scores_).all()


@pytest.mark.parametrize(("values", "named"), [(FAR["Unix seconds"], True), (np.arange(60) % 7 + 1.0, False)])
def test_a_sparse_column_that_scaling_cannot_keep_is_named(values: np.ndarray, named: bool) -> None:
    """Scaling by the maximum leaves Unix seconds far from zero, where float32 makes some of them equal."""
    values = np.asarray(values, dtype=np.float64)
    x = csr_array(np.column_stack([values, np.arange(len(values)) % 3]))
    dataset = from_arrays(x, np.arange(len(values)) % 2, ["when", "count"])
    assert [note for note in dataset.notes if "far from zero" in note and "when" in note] == list(dataset.notes)
    assert bool(dataset.notes) == named
