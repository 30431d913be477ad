from __future__ import annotations

import re
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.sparse

import dst
from dst.data import from_arrays, from_frame, load_dataset
from dst.errors import InputError
from tests.support.table_files import LABELS, X, frame


def typed() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "size": [1.5, np.nan, 3.0, 4.0],
            "colour": pd.Categorical(["red", "blue", None, "red"], categories=["red", "green", "blue"]),
            "word": ["x", "y", "x", "y"],
            7: pd.array([1, 2, None, 4], dtype="Int64"),
            "truth": [True, False, None, True],
            "who": ["ann", "bob", "ann", "bob"],
            "when": pd.to_datetime(["2024-01-02", "2024-01-01", "2024-01-03", "2024-01-01"]),
            "y": ["u", "v", "u", "v"],
        },
        index=["p", "p", "q", "r"],
    )


def test_a_frame_becomes_a_dataset_whatever_its_index() -> None:
    data = from_frame(typed(), target="y", name="mine", group="who", time="when", k=2, batch_size=8)
    assert data.feature_names == ("size", "colour", "word", "7", "truth")
    assert data.categories == {1: ("blue", "red"), 2: ("x", "y")}  # sorted, and only those that occur
    nan = np.nan
    expected = [[1.5, 1, 0, 1, 1], [nan, 0, 1, 2, 0], [3, nan, 0, nan, nan], [4, 1, 1, 4, 1]]
    np.testing.assert_array_equal(data.x, np.array(expected, dtype=np.float32))
    assert (data.name, data.class_names, data.y.tolist()) == ("mine", ("u", "v"), [0, 1, 0, 1])
    assert (data.k, data.batch_size, data.kind, data.source) == (2, 8, "tabular", "a pandas DataFrame")
    assert data.groups is not None
    assert data.groups.tolist() == [0, 1, 0, 1]
    assert data.times is not None
    assert (data.times - data.times[1]).tolist() == [86400, 0, 2 * 86400, 0]


def test_a_frame_and_its_file_give_the_same_table(tmp_path: Any) -> None:
    table = typed().rename(columns={7: "7"}).drop(columns="truth")
    table.to_parquet(tmp_path / "t.parquet")
    how: dict[str, Any] = {"target": "y", "group": "who", "time": "when"}
    read, held = load_dataset(tmp_path / "t.parquet", **how), from_frame(table, **how)
    np.testing.assert_array_equal(read.x, held.x)
    for attribute in ("feature_names", "categories", "class_names", "k", "batch_size"):
        assert getattr(read, attribute) == getattr(held, attribute)


def test_arrays_become_a_dataset_and_are_not_touched() -> None:
    x = X.astype(np.float64)
    x.setflags(write=False)
    data = from_arrays(
        x, ["b", "a", "b", "a"], ["p", "q", "r"], groups=[1, 1, 2, 3], times=[4, 3, 2, 1], categorical=["q"]
    )
    assert data.feature_names == ("p", "q", "r")
    assert data.categories == {1: ("0", "1", "2")}
    assert data.x.tolist() == [[1.5, 0, -3], [0, 2, 0.25], [7, 0, 0], [1, 1, 1]]
    assert data.class_names == ("a", "b")
    assert data.groups is not None
    assert data.groups.tolist() == [0, 0, 1, 2]


def test_lists_will_do() -> None:
    assert from_arrays([[1, 2], [3, 4], [5, 6], [7, 8]], ["u", "v", "v", "u"], k=1).x.shape == (4, 2)


@pytest.mark.parametrize("kind", ["csr_array", "csc_array", "coo_array", "csr_matrix"])
def test_a_sparse_matrix_stays_sparse(kind: str) -> None:
    data = from_arrays(getattr(scipy.sparse, kind)(X.astype(np.float64)), LABELS)
    assert isinstance(data.x, scipy.sparse.csr_array)
    assert data.x.dtype == np.float32
    np.testing.assert_array_equal(data.x.toarray(), X)


def test_the_hash_is_of_the_content() -> None:
    def hashed(**changes: Any) -> str:
        arguments: dict[str, Any] = {"x": X, "y": LABELS, "groups": None, "categorical": (), **changes}
        return from_arrays(**arguments).sha256

    assert hashed() == hashed(x=X.astype(np.float64), name="other")
    changes: list[dict[str, Any]] = [{"x": X + 1}, {"y": -LABELS}, {"groups": [1, 2, 3, 4]}, {"categorical": ["f1"]}]
    assert len({hashed(), *(hashed(**change) for change in changes)}) == 5
    sparse, other = (from_arrays(scipy.sparse.csr_array(x), LABELS).sha256 for x in (X, X[:, ::-1]))
    assert sparse != other


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: from_frame(frame(), target="lable"), "frame: no column 'lable': did you mean 'label'"),
        (lambda: from_frame(frame().iloc[:0], target="label"), "frame: there are no rows"),
        (lambda: from_frame(frame()[["a", "a", "label"]], target="label"), "frame: .* these repeat: 'a'"),
        (lambda: from_frame(frame().assign(a=[1, "x", 2, 3]), target="label"), "mixes numbers and words: 'x' in row 2"),
        (lambda: from_frame(frame().assign(a=[[1], [2], [3], [4]]), target="label"), "column 'a' holds 'list'"),
        (lambda: from_frame(frame().assign(a=[1j] * 4), target="label"), "column 'a' holds 'complex'"),
        (lambda: from_frame(frame().assign(a=np.inf), target="label"), "finite and within float32, .*'a'"),
        (lambda: from_frame(frame().assign(a=None), target="label"), "a value in some row, .* none: 'a'"),
        (lambda: from_frame(frame([1, 1, 1, None]), target="label"), "1 of 4 rows have no label"),
        (lambda: from_frame(frame(), target="label", name="../x"), r"as 'x', but got '\.\./x'"),
        (lambda: from_frame(frame(), target="label", name=""), "as 'table', but got ''"),
        (lambda: from_frame(frame(), target="label", k=4), "frame: k must be at most .* 3, but got 4"),
        (lambda: from_arrays(X[0], LABELS), r"arrays: x must be a table .* its shape is \(3,\)"),
        (lambda: from_arrays(X, LABELS[:3]), "arrays: .* 4 rows and 3 labels"),
        (lambda: from_arrays(X, [[1, 2], [3, 4]]), r"arrays: y: .* one a row, but their shape is \(2, 2\)"),
        (lambda: from_arrays(X, LABELS, ["a", "b"]), "there are 3 columns and 2 names"),
        (lambda: from_arrays(X, LABELS, ["a", "b", "a"]), "these repeat: 'a'"),
        (lambda: from_arrays(X, LABELS, ["a", "b", ""]), "column 3 has none"),
        (lambda: from_arrays(X.astype(str), LABELS), "x must be numeric"),
        (lambda: from_arrays(X, LABELS, categorical=["a"]), "no column 'a'"),
        (lambda: from_arrays(X, LABELS, groups=[1, 2]), "4 rows and 2 groups"),
        (lambda: from_arrays(X, LABELS, groups=[1, np.nan, 2, 3]), "1 of 4 rows have no group"),
        (lambda: from_arrays(X, LABELS, times=["soon"] * 4), "4 of 4 rows have none"),
        (lambda: from_arrays(X, [1, 1, 1, 1]), "arrays: at least two classes are needed"),
        (lambda: from_arrays(X, [0.5, 1, 1, 1]), "labels must be classes"),
        (lambda: from_arrays(X, pd.Series(["a", None, "b", np.nan])), "arrays: y: 2 of 4 rows have no label"),
        (lambda: from_arrays(X, np.array(["a", pd.NA, "b", pd.NaT], dtype=object)), "2 of 4 rows have no label"),
        (lambda: from_arrays(X, ["a", "b", np.nan, "a"]), "y: 1 of 4 rows have no label"),
        (lambda: from_arrays(X, pd.array([1, 2, None, 1], dtype="Int64")), "y: 1 of 4 rows have no label"),
        (lambda: from_arrays(X, LABELS, groups=["a", None, "b", np.nan]), "2 of 4 rows have no group"),
        (lambda: from_arrays(X, LABELS, times=["2024-01-01", None, "2024-01-02", "2024-01-03"]), "1 of 4 rows have"),
        (lambda: from_frame(X.tolist(), target="label"), "frame: frame must be a pandas DataFrame, but is a list"),
        (lambda: from_arrays([[1, 2], [3]], [0, 1]), "arrays: x must be an array, or lists of equal length, but"),
        (lambda: from_arrays(X, [1, [2, 3], 1, 1]), "arrays: y must be an array, or lists of equal length, but"),
        (lambda: from_arrays(X, LABELS, groups=[1, [2, 3], 1, 1]), "arrays: groups must be an array"),
    ],
)
def test_what_is_wrong_is_said_as_for_files(make: Any, says: str) -> None:
    with pytest.raises(InputError, match=says) as caught:
        make()
    assert re.match(r"^(frame|arrays|a dataset's name)", str(caught.value))
    assert "\n" not in str(caught.value)


def test_a_trial_runs_on_a_frame() -> None:
    rng = np.random.default_rng(0)
    table = pd.DataFrame(rng.normal(size=(60, 5)), columns=list("abcde")).assign(y=["u", "v"] * 30)
    data = dst.from_frame(table, target="y", k=2)
    result = dst.run_trial(data, dst.TrialSpec("l1_logistic", {}, inner_splits=1))
    assert all(len(one.selected) == 2 for one in result.importances.values())
