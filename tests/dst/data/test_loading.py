from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dst.data import DATASETS, check_file, list_datasets, load_dataset
from dst.errors import InputError


def write(path: Path, n_rows: int = 12, n_features: int = 10, y: Any = None) -> Path:
    x = np.random.default_rng(0).normal(size=(n_rows, n_features))
    np.savez(path, X=x, y=np.arange(n_rows) % 3 if y is None else np.asarray(y))
    return path


@pytest.fixture
def no_data_dir(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing is cached for this user either."""
    monkeypatch.delenv("DST_DATA_DIR", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def test_a_table_of_ones_own_gets_the_defaults(tmp_path: Path) -> None:
    path = write(tmp_path / "mine.npz")
    mine = load_dataset(str(path))
    assert (mine.name, mine.kind, mine.scaling, mine.official_test) == ("mine", "tabular", "standard", None)
    assert (mine.n_samples, mine.n_features, mine.n_classes, mine.k, mine.batch_size) == (12, 10, 3, 3, 32)
    assert mine.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert mine.source == str(path)
    assert load_dataset(path, k=10, batch_size=7).k == 10
    assert load_dataset(path, k=10, batch_size=7).batch_size == 7


def test_codes_follow_the_sorted_class_names(tmp_path: Path) -> None:
    numbers = load_dataset(write(tmp_path / "numbers.npz", 6, y=[10, 9, -1, 10, 9, -1]))
    assert numbers.class_names == ("-1", "9", "10")  # by value, not by spelling
    assert numbers.y.tolist() == [2, 1, 0, 2, 1, 0]
    assert numbers.y.dtype == np.int64
    words = load_dataset(write(tmp_path / "words.npz", 4, y=["b", "a", "b", "a"]))
    assert (words.class_names, words.y.tolist()) == (("a", "b"), [1, 0, 1, 0])


@pytest.mark.parametrize(
    ("file_name", "name"),
    [
        ("plain.npz", "plain"),
        ("my data (2024).npz", "my_data_2024"),
        ("a.b-c_d.NPZ", "a.b-c_d"),
        ("...npz", "table"),
        ("für ../x.npz", "x"),
    ],
)
def test_names_are_safe_to_name_folders(file_name: str, name: str, tmp_path: Path) -> None:
    path = tmp_path / file_name
    path.parent.mkdir(parents=True, exist_ok=True)
    (path.parent / "w").mkdir()
    write(path.parent / "w" / "t.npz").rename(path)
    assert load_dataset(path).name == name


def test_the_compound_suffix_is_no_part_of_the_name(tmp_path: Path) -> None:
    path = tmp_path / "t.csv.gz"
    import pandas as pd

    pd.DataFrame({"a": [1, 2, 3, 4], "y": list("uvuv")}).to_csv(path, index=False)
    assert load_dataset(path, target="y").name == "t"


@pytest.mark.parametrize("name", ["Wine", "breast-cancer", "DIGITS", "madelon_like"])
def test_embedded_data_needs_no_folder(name: str, no_data_dir: None) -> None:
    dataset = load_dataset(name)
    entry = DATASETS[dataset.name]
    assert (dataset.k, dataset.batch_size, dataset.kind) == (entry.k, entry.batch_size, entry.kind)
    assert (dataset.scaling, dataset.source) == (entry.scaling, entry.source)
    assert len(dataset.sha256) == 64
    assert dataset.sha256 == load_dataset(name).sha256
    assert load_dataset(name, k=2).k == 2


@pytest.mark.parametrize(
    ("y", "message"),
    [
        ([7] * 12, "mine: at least two classes are needed, but every label is '7'"),
        ([0] * 6 + [1] * 5 + [2], "mine: every class needs two rows or more, but these have one: '2'"),
        ([0] * 2 + list(range(1, 11)), "these have one: '1', '2', .*'8' and 2 more"),
    ],
)
def test_classes_that_cannot_be_learnt(y: list[int], message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message):
        load_dataset(write(tmp_path / "mine.npz", y=y))


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"k": 0}, "k must be at least 1, but got 0"),
        ({"k": 11}, "mine: k must be at most the number of features, 10, but got 11"),
        ({"batch_size": 0}, "batch_size must be at least 1, but got 0"),
    ],
)
def test_numbers_out_of_range(how: dict[str, int], message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message):
        load_dataset(write(tmp_path / "mine.npz"), **how)


@pytest.mark.parametrize(
    ("ref", "how", "message"),
    [
        ("BASEHOK", {}, "unknown dataset 'BASEHOK': did you mean 'BASEHOCK'.*a path must end in one of .mat"),
        ("absent.csv", {"target": "y"}, "absent.csv: no such file"),
        ("wine", {"target": "y"}, "target names the label column of a file, but wine knows its own"),
        ("wine", {"group": "y"}, "group names columns of a file, but wine has a name, and no such columns"),
        ("wine", {"categorical": ["y"]}, "categorical names columns of a file, but wine has a name"),
        ("Yale", {}, r"Yale is read from Yale.mat, which is not in .*cache.*: `dst datasets fetch Yale` fetches it"),
        (
            "prostate-ge",
            {"data_dir": "nowhere"},
            "in nowhere: `dst datasets fetch Prostate_GE` fetches it, or set DST_DATA_DIR to",
        ),
    ],
)
def test_what_is_not_there(ref: str, how: dict[str, str], message: str, no_data_dir: None) -> None:
    with pytest.raises(InputError, match=message):
        load_dataset(ref, **how)  # type: ignore[arg-type]


def test_a_file_of_no_known_format_is_named_with_the_formats(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(InputError, match=r"notes.txt: a table's file name ends in one of \.mat"):
        load_dataset(str(tmp_path / "notes.txt"))


def test_the_folder_comes_from_the_argument_then_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DST_DATA_DIR", str(tmp_path / "environment"))
    with pytest.raises(InputError, match=r"not in .*environment"):
        load_dataset("Yale")
    with pytest.raises(InputError, match=r"not in .*argument"):
        load_dataset("Yale", data_dir=tmp_path / "argument")


def test_a_registry_name_stands_for_exact_bytes(tmp_path: Path) -> None:
    write(tmp_path / "t.npz").rename(tmp_path / "Yale.mat")
    with pytest.raises(InputError, match=r"Yale\.mat is not the registry's Yale: its SHA-256 must be cccd29abd2c5"):
        load_dataset("Yale", data_dir=tmp_path)


@pytest.mark.data
def test_known_bytes_are_recognised_under_any_name(paper_data_dir: Path, tmp_path: Path) -> None:
    path = paper_data_dir / str(DATASETS["Madelon"].file)
    if not path.is_file():
        pytest.skip(f"{path} is absent")
    shutil.copyfile(path, tmp_path / "renamed.mat")
    madelon = load_dataset(tmp_path / "renamed.mat")
    assert (madelon.name, madelon.k, madelon.batch_size, madelon.kind) == ("Madelon", 20, 64, "artificial")
    np.testing.assert_array_equal(madelon.official_test, np.arange(2000, 2600))
    assert load_dataset(tmp_path / "renamed.mat", k=50, batch_size=10).k == 50
    assert check_file(tmp_path / "renamed.mat") == {
        "name": "Madelon",
        "samples": 2600,
        "features": 500,
        "classes": 2,
        "class_counts": {"-1": 1300, "1": 1300},
        "sha256": DATASETS["Madelon"].sha256,
        "known": "Madelon",
        "problems": [],
    }


def test_the_list_says_what_is_available(tmp_path: Path, no_data_dir: None) -> None:
    (tmp_path / "Yale.mat").touch()
    rows = list_datasets(tmp_path)
    assert [row["name"] for row in rows] == list(DATASETS)
    keys = {"name", "samples", "features", "classes", "kind", "available", "sha256", "source"}
    assert all(set(row) == keys for row in rows)
    embedded = {name for name, entry in DATASETS.items() if entry.generator is not None}
    assert {row["name"] for row in rows if row["available"]} == {"Yale"} | embedded
    assert {row["name"] for row in list_datasets() if row["available"]} == embedded


def test_check_lists_the_problems_of_a_readable_file(tmp_path: Path) -> None:
    x = np.arange(20.0).reshape(5, 4)
    x[:, 1] = 3.0
    x[4] = x[0]
    x[2, 0], x[3] = -0.0, x[2]
    x[3, 0] = 0.0
    np.savez(tmp_path / "odd one.npz", X=x, y=["a", "a", "b", "c", "a"])
    found = check_file(tmp_path / "odd one.npz")
    assert (found["name"], found["known"]) == ("odd_one", None)
    assert (found["samples"], found["features"], found["classes"]) == (5, 4, 3)
    assert found["problems"] == [
        "every class needs two rows or more, but these have one: 'b', 'c'",
        "classes with fewer than 5 rows (1): 'a'",
        "constant columns (1): 'f1'",
        "rows with the features of an earlier row: 2",
    ]


def test_check_finds_nothing_wrong_with_a_good_file(tmp_path: Path) -> None:
    assert check_file(write(tmp_path / "good.npz", 15))["problems"] == []


def test_check_raises_where_there_is_nothing_to_check(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        check_file(tmp_path / "t.csv", "y")


def test_listing_loads_nothing_heavy() -> None:
    code = (
        "import sys; from dst.data import list_datasets; list_datasets(); "
        "print(sorted({'torch', 'sklearn', 'pandas', 'scipy', 'pyarrow'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_loading_and_splitting_load_no_torch() -> None:
    code = (
        "import sys; from dst.data import load_dataset, make_splits, prepare; d = load_dataset('wine'); "
        "prepare(d, make_splits(d, 'paper', seed=0, test_seed=0, count=1)[0]); print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_a_target_of_numbers_is_read_where_it_is_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "prices.csv"
    path.write_text("a,b,price\n" + "".join(f"{row % 7},{row % 5},{row / 4}\n" for row in range(60)))
    with pytest.raises(InputError, match=r"there is 0\.25: dst select"):
        load_dataset(path, target="price")
    for task in ("auto", "regression"):
        dataset = load_dataset(path, target="price", task=task)
        np.testing.assert_array_equal(dataset.y, np.arange(60) / 4)
        assert (dataset.n_classes, dataset.class_names) == (0, ())
    found = check_file(path, "price")
    assert (found["classes"], found["class_counts"]) == (0, {})
    assert "a target of numbers, 0 to 14.75: for dst select; trials and studies classify" in found["problems"]
    path.write_text("a,price\n" + "".join(f"{row % 7},{row}\n" for row in range(60)))
    with pytest.raises(InputError, match="60 different whole numbers in 60 rows"):
        load_dataset(path, target="price", task="auto")
    assert load_dataset(path, target="price", task="regression").y.tolist() == list(range(60))
    with pytest.raises(InputError, match="wine has classes"):
        load_dataset("wine", task="regression")


def test_numbers_that_may_be_identifiers_are_named(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    rows = np.random.default_rng(0).permutation(60)
    path.write_text(
        "rising,patient_id,width,y\n"
        + "".join(f"{3 * n},{100 + 7 * row},{5 * row},{'uv'[row % 2]}\n" for n, row in enumerate(rows))
    )
    (line,) = check_file(path, "y")["problems"]
    assert line == "whole numbers that all differ, 'rising', 'patient_id' (0, 3, ...): identifiers? --drop COL"
