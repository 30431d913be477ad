from __future__ import annotations

import contextlib
import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.io
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import dump_svmlight_file

from dst.data import READERS, Table, read_table
from dst.errors import InputError

X = np.array([[1.5, 0.0, -3.0], [0.0, 2.0, 0.25], [7.0, 0.0, 0.0], [1.0, 1.0, 1.0]], dtype=np.float32)
LABELS = np.array([3, -1, 3, -1])
NAMES = ("a", "b", "c")


def frame(labels: Any = LABELS) -> pd.DataFrame:
    return pd.DataFrame(X, columns=list(NAMES)).assign(label=labels)


def write_text(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


WRITERS: dict[str, Callable[[Path], object]] = {
    "dense.mat": lambda p: scipy.io.savemat(p, {"X": X, "Y": LABELS[:, None]}),
    "sparse.mat": lambda p: scipy.io.savemat(p, {"fea": scipy.sparse.csc_matrix(X.astype(float)), "gnd": LABELS}),
    "upper.npz": lambda p: np.savez(p, X=X, Y=LABELS),
    "lower.npz": lambda p: np.savez(p, x=X.astype(np.float16), y=LABELS[None, :]),
    "data.npz": lambda p: np.savez_compressed(p, data=np.asfortranarray(X.astype(np.float64)), target=LABELS),
    "fea.npz": lambda p: np.savez(p, fea=X, labels=LABELS.astype(np.float64)),
    "plain.csv": lambda p: frame().to_csv(p, index=False),
    "SHOUTING.CSV": lambda p: frame().to_csv(p, index=False),
    "spaced.csv": lambda p: write_text(p, "a, b, c, label\n1.5, 0, -3, 3\n0, 2, 0.25, -1\n7, 0, 0, 3\n1, 1, 1, -1\n"),
    "bom.csv": lambda p: write_text(p, "\ufeff" + frame().to_csv(index=False)),
    "packed.csv.gz": lambda p: frame().to_csv(p, index=False),
    "plain.parquet": lambda p: frame().to_parquet(p),
    "indexed.parquet": lambda p: frame().set_index(pd.Index(["r", "s", "t", "u"])).to_parquet(p),
    "plain.svmlight": lambda p: dump_svmlight_file(X, LABELS, str(p), zero_based=False),
}


def target_of(path: Path) -> str | None:
    return "label" if ".csv" in path.name.lower() or path.suffix == ".parquet" else None


@pytest.mark.parametrize("name", WRITERS)
def test_every_format_gives_the_same_table(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    WRITERS[name](path)
    table = read_table(path, target_of(path))
    np.testing.assert_array_equal(table.x, X)
    assert table.x.dtype == np.float32
    assert table.x.flags.c_contiguous
    np.testing.assert_array_equal(table.labels, LABELS)
    assert table.labels.dtype == np.int64
    assert table.feature_names == (NAMES if target_of(path) else ("f0", "f1", "f2"))


def test_every_registered_suffix_has_a_round_trip() -> None:
    assert {suffix for suffix in READERS if any(name.lower().endswith(suffix) for name in WRITERS)} == set(READERS)


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
        "i": pd.array([1, 2], dtype="Int64"),
        "b": [True, False],
        "f": [0.5, 1.5],
        "y": pd.array([0, 1], dtype="Int64"),
    }
    pd.DataFrame(columns).to_parquet(path)
    table = read_table(path, "y")
    np.testing.assert_array_equal(table.x, np.array([[1, 1, 0.5], [2, 0, 1.5]], dtype=np.float32))
    assert table.labels.dtype == np.int64


def test_a_folder_named_like_a_partition_adds_no_column(tmp_path: Path) -> None:
    folder = tmp_path / "year=2024"
    folder.mkdir()
    frame().to_parquet(folder / "t.parquet")
    assert read_table(folder / "t.parquet", "label").feature_names == NAMES


def test_target_names_the_labels_of_an_archive(tmp_path: Path) -> None:
    path = tmp_path / "t.npz"
    np.savez(path, X=X, y=LABELS, other=LABELS[::-1])
    np.testing.assert_array_equal(read_table(path, "other").labels, LABELS[::-1])


def save(name: str, **variables: Any) -> Callable[[Path], Path]:
    """Writes an archive of that name."""

    def write(folder: Path) -> Path:
        path = folder / name
        if path.suffix == ".npz":
            np.savez(path, **variables)
        else:
            scipy.io.savemat(path, variables)
        return path

    return write


def text(name: str, content: str) -> Callable[[Path], Path]:
    return lambda folder: write_text(folder / name, content)


def raw(name: str, content: bytes) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        (folder / name).write_bytes(content)
        return folder / name

    return write


def parquet(table: pd.DataFrame) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        table.to_parquet(folder / "t.parquet")
        return folder / "t.parquet"

    return write


def repeating_parquet(folder: Path) -> Path:
    import pyarrow as pa
    from pyarrow import parquet as pq

    pq.write_table(pa.table([[1], [2], [3]], names=["a", "a", "y"]), folder / "t.parquet")
    return folder / "t.parquet"


def folder_named_like_a_table(folder: Path) -> Path:
    (folder / "t.csv").mkdir()
    return folder / "t.csv"


ONE_NAN = X.copy()
ONE_NAN[2, 1] = np.nan
TWO_BAD = ONE_NAN.copy()
TWO_BAD[0, 2] = np.inf
WIDE = "".join(f"c{i}," for i in range(500)) + "y\n"
HDF5 = b"MATLAB 7.3 MAT-file".ljust(124, b" ") + b"\x00\x02IM" + b"\x00" * 400

ERRORS: list[tuple[str, Callable[[Path], Path], str | None, str]] = [
    ("missing", lambda f: f / "t.csv", "y", "no such file"),
    ("folder", folder_named_like_a_table, "y", "a table is a file"),
    ("suffix", text("t.xlsx", "a"), None, r"ends in one of \.mat, \.npz, \.csv, \.csv\.gz, \.parquet, \.svmlight"),
    ("corrupt mat", raw("t.mat", b"not a mat file at all" * 30), None, "cannot be read: Unknown mat file type"),
    ("empty mat", raw("t.mat", b""), None, "cannot be read"),
    ("mat 7.3", raw("t.mat", HDF5), None, "MATLAB 7.3 file cannot be read: save it with -v7"),
    ("corrupt npz", raw("t.npz", b"PK\x03\x04 broken"), None, "cannot be read"),
    ("npy as npz", lambda f: (np.save(f / "t.npy", X), (f / "t.npy").rename(f / "t.npz"))[1], None, "one bare array"),
    ("pickled npz", save("t.npz", X=X, y=np.array([{}, 1, 2, 3], dtype=object)), None, "allow_pickle=False"),
    ("corrupt gz", raw("t.csv.gz", b"a,y\n1,0\n"), "y", "cannot be read: Not a gzipped file"),
    ("cut gz", raw("t.csv.gz", gzip.compress(b"a,y\n" + b"1,0\n" * 99)[:-12]), "y", "cannot be read"),
    ("corrupt parquet", raw("t.parquet", b"PAR1 but not really"), "y", "cannot be read"),
    ("corrupt svmlight", text("t.svmlight", "1 2:x\n"), None, "cannot be read"),
    ("empty csv", raw("t.csv", b""), "y", "cannot be read: No columns"),
    ("not utf-8", raw("t.csv", b"a,y\n1,\xff\xfe\n"), "y", "cannot be read: 'utf-8'"),
    ("ragged csv", text("t.csv", "a,y\n1,0\n1,2,0\n"), "y", "cannot be read: .*Expected 2 fields in line 3, saw 3"),
    ("long rows", text("t.csv", "a,y\n9,1,0\n9,2,1\n"), "y", "more fields than the header, which names 2 columns"),
    ("no X", save("t.npz", y=LABELS), None, r"needs a variable X or x or fea or data, but holds 'y'"),
    ("no Y", save("t.mat", X=X), None, r"needs a variable Y or y or gnd or target or labels, but holds 'X'"),
    ("other Y", save("t.npz", X=X, y=LABELS), "z", r"needs a variable z, but holds 'X', 'y'"),
    ("flat X", save("t.npz", X=X[0], y=LABELS), None, r"X must be a table .* its shape is \(3,\)"),
    ("words X", save("t.npz", X=X.astype(str), y=LABELS), None, "X must be numeric, but its type is <U32"),
    ("complex X", save("t.npz", X=X * 1j, y=LABELS), None, "X must be numeric, but its type is complex"),
    ("one-hot Y", save("t.npz", X=X, y=np.eye(4)), None, r"y: labels must be one a row, but their shape is \(4, 4\)"),
    ("fewer labels", save("t.npz", X=X, y=LABELS[:3]), None, "there are 4 rows and 3 labels"),
    ("fraction", save("t.npz", X=X, y=LABELS + 0.5), None, r"y: labels must be classes.* but there is 3\.5"),
    ("NaN label", save("t.npz", X=X, y=np.array([1, np.nan, 1, np.nan])), None, "y: 2 of 4 rows have no label"),
    ("empty word", save("t.npz", X=X, y=np.array(["a", " ", "b", "a"])), None, "y: 1 of 4 rows have no label"),
    ("no target", text("t.csv", "a,b,y\n1,2,0\n"), None, r"must be named \(target\); the columns are 'a', 'b', 'y'$"),
    ("near target", text("t.csv", "a,label\n1,0\n"), "lable", "no column 'lable': did you mean 'label'"),
    ("far target", text("t.csv", "a,b\n1,0\n"), "zzz", "no column 'zzz': the columns are 'a', 'b'$"),
    ("wide", text("t.csv", WIDE), None, r"the columns are 'c0', 'c1', .*'c7' and 493 more$"),
    ("parquet no target", parquet(frame()), None, "the columns are 'a', 'b', 'c', 'label'"),
    ("parquet target", parquet(frame()), "labels", "did you mean 'label'"),
    ("svmlight target", text("t.svmlight", "1 1:2\n"), "y", "label first in each line, so no target 'y'"),
    ("repeated", text("t.csv", "a,b,a,y\n1,2,3,0\n"), "y", "its own name, but these repeat: 'a'"),
    ("repeated parquet", repeating_parquet, "y", "its own name, but these repeat: 'a'"),
    ("row index", text("t.csv", ",a,y\n0,1,0\n"), "y", "column 1 has none"),
    ("words", text("t.csv", "a,b,c,y\nx,1,2020-01-01,0\n"), "y", "numeric, but these columns are not: 'a', 'c'$"),
    ("dates", parquet(frame().assign(day=pd.Timestamp("2020"))), "label", "these columns are not: 'day'"),
    ("empty label", text("t.csv", "a,y\n1,0\n2,\n"), "y", "1 of 2 rows have no label in column 'y'"),
    ("fractions", text("t.csv", "a,y\n1,0.5\n2,1\n"), "y", r"column 'y': labels must be classes.* 0\.5"),
    ("no rows", text("t.csv", "a,y\n"), "y", "there are no rows"),
    ("no columns", text("t.csv", "y\n1\n"), "y", "there are no feature columns"),
    ("no rows npz", save("t.npz", X=X[:0], y=LABELS[:0]), None, "there are no rows"),
    ("no columns npz", save("t.npz", X=X[:, :0], y=LABELS), None, "there are no feature columns"),
    ("NaN", save("t.npz", X=ONE_NAN, y=LABELS), None, r"1 are missing \(NaN\) and 0 .*'f1'; missing data is not"),
    ("NaN and inf", save("t.npz", X=TWO_BAD, y=LABELS), None, r"1 are missing \(NaN\) and 1 inf.*first in column 'f1'"),
    ("beyond float32", save("t.npz", X=X.astype(float) * 1e300, y=LABELS), None, "and 8 infinite or beyond float32"),
    ("CSV gaps", text("t.csv", "a,b,y\n1,?,0\n2,,0\n3,NA,1\n"), "y", r"3 are missing \(NaN\) and 0 .*'b'"),
    ("CSV inf", text("t.csv", "a,b,y\n1,inf,0\n2,1,0\n"), "y", r"0 are missing \(NaN\) and 1 infinite.*'b'"),
]  # fmt: skip


@pytest.mark.parametrize(("write", "target", "message"), [case[1:] for case in ERRORS], ids=[c[0] for c in ERRORS])
def test_what_is_wrong_is_said_in_one_line(
    write: Callable[[Path], Path], target: str | None, message: str, tmp_path: Path
) -> None:
    path = write(tmp_path)
    with pytest.raises(InputError, match=message) as caught:
        read_table(path, target)
    said = str(caught.value)
    assert said.startswith(f"{path}: ")
    assert "\n" not in said
    assert len(said) < len(str(path)) + 300


@pytest.mark.filterwarnings("error")
def test_values_beyond_float32_raise_without_a_warning(tmp_path: Path) -> None:
    path = write_text(tmp_path / "t.csv", "a,y\n1e300,0\n1,1\n")
    with pytest.raises(InputError, match="1 infinite or beyond float32"):
        read_table(path, "y")


def test_an_unreadable_file_keeps_its_cause(tmp_path: Path) -> None:
    path = raw("t.csv.gz", b"plain")(tmp_path)
    with pytest.raises(InputError) as caught:
        read_table(path, "y")
    assert isinstance(caught.value.__cause__, gzip.BadGzipFile)


column_names = st.lists(
    st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "S")), min_size=1, max_size=8),
    min_size=2,
    max_size=6,
    unique=True,
)


@settings(max_examples=60, deadline=None)
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
        np.testing.assert_array_equal(got.x, x)
        assert got.feature_names == tuple(features)
        assert got.labels.tolist() == ["a", "b", "a", "c", "b"]


@settings(max_examples=150, deadline=None)
@given(
    suffix=st.sampled_from(sorted(READERS)),
    content=st.binary(max_size=400) | st.text('ay1.-e"\n,: ', max_size=60).map(str.encode),
)
def test_arbitrary_bytes_are_a_table_or_an_input_error(
    suffix: str, content: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("bytes") / f"t{suffix}"
    path.write_bytes(content)
    with contextlib.suppress(InputError):
        assert np.isfinite(read_table(path, "y").x).all()
