"""What the readers make of good files: the same table from every format, and nothing lost on the way."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.io
import scipy.sparse
from hypothesis import given
from hypothesis import strategies as st

from dst.data import READERS, Table, read_table
from dst.data.readers.table import to_labels
from dst.errors import InputError
from tests.support.table_files import (
    DENSE,
    LABELS,
    NAMES,
    SPARSE,
    X,
    frame,
    mat73,
    put,
    put_cells,
    put_sparse,
    target_of,
)


@pytest.mark.parametrize("name", DENSE)
def test_every_dense_format_gives_the_same_table(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    DENSE[name](path)
    table = read_table(path, target_of(path))
    np.testing.assert_array_equal(table.x, X)
    assert table.x.dtype == np.float32
    assert table.x.flags.c_contiguous
    np.testing.assert_array_equal(table.labels, LABELS)
    assert table.labels.dtype == np.int64
    assert table.feature_names == (NAMES if target_of(path) else ("f0", "f1", "f2"))
    assert (table.categories, table.groups, table.times) == ({}, None, None)


@pytest.mark.parametrize("name", SPARSE)
def test_every_sparse_format_gives_the_same_sparse_table(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    SPARSE[name](path)
    table = read_table(path)
    assert isinstance(table.x, scipy.sparse.csr_array)
    assert table.x.dtype == np.float32
    assert table.x.has_canonical_format
    assert table.x.nnz == np.count_nonzero(X)
    np.testing.assert_array_equal(table.x.toarray(), X)
    np.testing.assert_array_equal(table.labels, LABELS)
    assert table.feature_names == ("f0", "f1", "f2")


@pytest.mark.parametrize(
    ("labels", "says"),
    [
        (["a", None, "b", "a"], "1 of 4 rows have no label"),
        (["a", float("nan"), None, "a"], "2 of 4 rows have no label"),
        ([1, 2, float("nan"), 1], "1 of 4 rows have no label"),
    ],
)
def test_a_missing_label_is_no_class(labels: list[Any], says: str) -> None:
    with pytest.raises(InputError, match=says):
        to_labels(np.array(labels, dtype=object))


def test_a_sparse_table_that_would_be_huge_as_an_array_is_read(tmp_path: Path) -> None:
    rows, columns = 20_000, 100_000  # 8 GB as float32
    x = scipy.sparse.random_array((rows, columns), density=1e-6, format="csr", rng=np.random.default_rng(0))
    parts = {name: getattr(x, name) for name in ("data", "indices", "indptr", "shape")}
    np.savez(tmp_path / "wide.npz", **parts, y=np.arange(rows) % 2)
    table = read_table(tmp_path / "wide.npz")
    assert table.x.shape == (rows, columns)
    assert table.x.nnz == x.nnz


def test_every_registered_suffix_has_a_round_trip() -> None:
    names = [*DENSE, *SPARSE]
    assert {suffix for suffix in READERS if any(name.lower().endswith(suffix) for name in names)} == set(READERS)


def cells73(words: list[str]) -> Any:
    def fill(file: Any) -> None:
        put(file, "X", X)
        put_cells(file, "Y", words)

    return mat73(fill)


def chars73(words: list[str]) -> Any:
    width = max(map(len, words))

    def fill(file: Any) -> None:
        put(file, "X", X)
        put(file, "Y", np.array([[ord(letter) for letter in word.ljust(width)] for word in words], np.uint16), "char")

    return mat73(fill)


@pytest.mark.parametrize(
    ("name", "write", "target"),
    [
        ("words.csv", lambda p, words: frame(words).to_csv(p, index=False), "label"),
        ("words.parquet", lambda p, words: frame(words).to_parquet(p), "label"),
        ("category.parquet", lambda p, words: frame(pd.Categorical(words)).to_parquet(p), "label"),
        ("words.npz", lambda p, words: np.savez(p, X=X, y=np.array(words)), None),
        ("bytes.npz", lambda p, words: np.savez(p, X=X, y=np.array(words, dtype="S")), None),
        ("cells.mat", lambda p, words: scipy.io.savemat(p, {"X": X, "Y": np.array(words, dtype=object)}), None),
        ("chars.mat", lambda p, words: scipy.io.savemat(p, {"X": X, "Y": np.array(words)}), None),
        ("cells73.mat", lambda p, words: cells73(words)(p), None),
        ("chars73.mat", lambda p, words: chars73(words)(p), None),
    ],
)
def test_words_are_labels_even_none_and_na(name: str, write: Any, target: str | None, tmp_path: Path) -> None:
    words = ["None", "NA", "mild", "NA"]
    write(tmp_path / name, words)
    assert read_table(tmp_path / name, target).labels.tolist() == words


@pytest.mark.parametrize("name", ["truth.csv", "truth.parquet", "truth.npz"])
def test_booleans_are_words(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    truth = np.array([True, False, True, False])
    if path.suffix == ".npz":
        np.savez(path, X=X, y=truth)
    else:
        getattr(frame(truth), f"to_{path.suffix[1:]}")(path, index=False)
    assert read_table(path, target_of(path)).labels.tolist() == ["True", "False", "True", "False"]


def test_parquet_reads_nullable_and_boolean_columns(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    columns = {
        "i": pd.array([1, None], dtype="Int64"),
        "b": pd.array([True, None], dtype="boolean"),
        "f": [0.5, np.nan],
        "y": pd.array([0, 1], dtype="Int64"),
    }
    pd.DataFrame(columns).to_parquet(path)
    table = read_table(path, "y")
    np.testing.assert_array_equal(table.x, np.array([[1, 1, 0.5], [np.nan] * 3], dtype=np.float32))
    assert table.labels.dtype == np.int64
    assert table.categories == {}


def test_a_folder_named_like_a_partition_adds_no_column(tmp_path: Path) -> None:
    folder = tmp_path / "year=2024"
    folder.mkdir()
    frame().to_parquet(folder / "t.parquet")
    assert read_table(folder / "t.parquet", "label").feature_names == NAMES


def test_target_names_the_labels_of_an_archive(tmp_path: Path) -> None:
    path = tmp_path / "t.npz"
    np.savez(path, X=X, y=LABELS, other=LABELS[::-1])
    np.testing.assert_array_equal(read_table(path, "other").labels, LABELS[::-1])


TYPED = pd.DataFrame(
    {
        "size": [1.5, np.nan, 3.0, 4.0, 5.0, 6.0],
        "colour": ["red", "blue", None, "red", "green", "blue"],
        "code": [30, 4, 30, 4, 4, 30],
        "flag": [True, False, True, True, False, False],
        "who": ["ann", "bob", "ann", "cy", "cy", "bob"],
        "when": ["2024-01-02", "2024-01-01", "2024-01-03", "2024-01-01", "2024-01-01T12:00", "2024-02-01"],
        "y": ["u", "v", "u", "v", "u", "v"],
    }
)


@pytest.mark.parametrize("name", ["t.csv", "t.csv.gz", "t.parquet"])
def test_columns_by_what_they_hold_and_what_they_are_called(name: str, tmp_path: Path) -> None:
    getattr(TYPED, "to_parquet" if name.endswith("parquet") else "to_csv")(tmp_path / name, index=False)
    table = read_table(tmp_path / name, "y", group="who", time="when", categorical=["code"])
    nan = np.nan
    assert table.feature_names == ("size", "colour", "code", "flag")
    assert table.categories == {1: ("blue", "green", "red"), 2: ("4", "30")}  # numbers by value, words by spelling
    expected = [[1.5, 2, 1, 1], [nan, 0, 0, 0], [3, nan, 1, 1], [4, 2, 0, 1], [5, 1, 0, 0], [6, 0, 1, 0]]
    np.testing.assert_array_equal(table.x, np.array(expected, dtype=np.float32))
    assert table.groups is not None
    assert table.groups.tolist() == [0, 1, 0, 2, 2, 1]
    assert table.times is not None
    day = 86400.0
    assert (table.times - table.times[1]).tolist() == [day, 0, 2 * day, 0, day / 2, 31 * day]


def test_groups_times_and_categories_of_an_archive(tmp_path: Path) -> None:
    np.savez(tmp_path / "t.npz", X=X, y=LABELS, who=[7, 7, 2, 9], when=[0.5, 1.5, 2.5, 3.5])
    table = read_table(tmp_path / "t.npz", group="who", time="when", categorical=["f0"])
    assert table.categories == {0: ("0", "1", "1.5", "7")}
    assert table.x[:, 0].tolist() == [2, 0, 3, 1]
    np.testing.assert_array_equal(table.x[:, 1:], X[:, 1:])
    assert table.groups is not None
    assert table.groups.tolist() == [1, 1, 0, 2]
    assert table.times is not None
    assert table.times.tolist() == [0.5, 1.5, 2.5, 3.5]


@pytest.mark.parametrize("written", [["1", "2", "x", "?"], ["1", "2", "x", None]])
def test_a_mixed_column_is_categorical_where_it_is_called_so(written: list[Any], tmp_path: Path) -> None:
    pd.DataFrame({"a": written, "b": range(4), "y": list("uvuv")}).to_csv(tmp_path / "t.csv", index=False)
    table = read_table(tmp_path / "t.csv", "y", categorical=["a"])
    assert table.categories == {0: ("1", "2", "x")}
    np.testing.assert_array_equal(table.x[:, 0], np.array([0, 1, 2, np.nan], dtype=np.float32))


@pytest.mark.parametrize("word", ["", "?", "NA", "N/A", "nan", "NaN", "null", "NULL", "None", "<NA>"])
def test_whatever_stands_for_a_missing_value_in_a_csv_file(word: str, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(f"a,b,y\n1,{word},u\n{word},red,v\n3,blue,u\n")
    table = read_table(tmp_path / "t.csv", "y")
    np.testing.assert_array_equal(np.isnan(table.x), [[False, True], [True, False], [False, False]])
    assert table.categories == {1: ("blue", "red")}


def test_missing_values_of_a_sparse_table_are_those_it_stores(tmp_path: Path) -> None:
    (tmp_path / "t.svmlight").write_text("1 1:nan 2:1\n0 2:2\n1 1:3\n")
    table = read_table(tmp_path / "t.svmlight")
    np.testing.assert_array_equal(table.x.toarray(), np.array([[np.nan, 1], [0, 2], [3, 0]], dtype=np.float32))


def test_an_empty_matrix_of_matlab_73_has_no_entries(tmp_path: Path) -> None:
    def fill(file: Any) -> None:
        group = put_sparse(file, "X", np.zeros((4, 3)))
        del group["data"], group["ir"]
        put(file, "Y", LABELS)

    mat73(fill)(tmp_path / "t.mat")
    assert read_table(tmp_path / "t.mat").x.nnz == 0


def test_names_in_an_archive_never_become_paths(tmp_path: Path) -> None:
    outside = tmp_path / "outside.npy"
    (tmp_path / "in").mkdir()
    np.savez(tmp_path / "in" / "t.npz", **{"X": X, "y": LABELS, "../outside": X})
    assert read_table(tmp_path / "in" / "t.npz").x.shape == X.shape
    assert not outside.exists()


@pytest.mark.slow
def test_a_wide_table_is_read_in_seconds(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(100, 6_000)).astype(np.float32)
    wide = pd.DataFrame(x, columns=[f"gene {column}" for column in range(6_000)])
    wide["word"] = ["a", "b"] * 50
    wide["y"] = ["u", "v"] * 50
    wide.to_csv(tmp_path / "wide.csv", index=False)
    started = time.process_time()
    table = read_table(tmp_path / "wide.csv", "y")
    assert time.process_time() - started < 10  # some 1 s
    np.testing.assert_array_equal(table.x[:, :-1], x)
    assert table.categories == {6_000: ("a", "b")}


column_names = st.lists(
    st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "S")), min_size=1, max_size=8),
    min_size=2,
    max_size=6,
    unique=True,
)


@given(
    names=column_names,
    values=st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1, max_size=6),
    seed=st.integers(0, 99),
)
def test_csv_and_parquet_agree_on_any_names_and_values(
    names: list[str], values: list[float], seed: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    rng = np.random.default_rng(seed)
    x = rng.choice(np.array(values, dtype=np.float32), size=(5, len(names) - 1))
    target, features = names[0], names[1:]
    table = pd.DataFrame(x, columns=features)
    table.insert(int(rng.integers(len(names))), target, ["a", "b", "a", "c", "b"])
    folder = tmp_path_factory.mktemp("tables")
    table.to_csv(folder / "t.csv", index=False)
    table.to_parquet(folder / "t.parquet")
    read: list[Table] = [read_table(folder / name, target) for name in ("t.csv", "t.parquet")]
    for got in read:
        np.testing.assert_array_equal(got.x.astype(np.float32), x)  # a text of a float32 names another float64
        assert got.feature_names == tuple(features)
        assert got.labels.tolist() == ["a", "b", "a", "c", "b"]


words = st.text(st.characters(codec="utf-8", categories=("L", "P", "S")), min_size=1, max_size=6)


@given(cells=st.lists(words | st.none(), min_size=4, max_size=12))
def test_codes_lead_back_to_the_words(cells: list[str | None], tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("words") / "t.parquet"
    table = pd.DataFrame({"w": pd.array(cells, dtype="string"), "x": range(len(cells)), "y": "u"})
    table.to_parquet(path)
    numeric = pd.to_numeric(table["w"], errors="coerce").notna()
    try:
        read = read_table(path, "y")
    except InputError:
        assert numeric.any() or all(cell is None for cell in cells)  # such as "∞" never, "inf" and "nan" as numbers
        return
    if 0 in read.categories:
        codes = read.x[:, 0]
        back = [None if np.isnan(code) else read.categories[0][int(code)] for code in codes]
        assert back == cells
        assert list(read.categories[0]) == sorted(set(cells) - {None})  # type: ignore[type-var]
    else:
        assert numeric.any()
