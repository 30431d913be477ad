"""Labels, groups, times and named dates are read alike in text, Parquet and frames."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from dst.data import Table, read_table
from dst.data.readers import Roles
from dst.data.readers.columns import from_frame_columns, to_groups
from dst.errors import InputError

HELD = ("csv", "parquet", "frame")


def read(held: str, columns: dict[str, Any], folder: Path, **options: Any) -> Table:
    size = len(next(iter(columns.values())))
    frame = pd.DataFrame({"x": np.arange(size) % 4, "y": (["u", "v"] * size)[:size], **columns})
    if held == "frame":
        return from_frame_columns(frame, Roles.of("y", **options))
    path = folder / f"t.{held}"
    if held == "csv":
        frame.to_csv(path, index=False)
    else:
        frame.to_parquet(path)
    return read_table(path, "y", **options)


@pytest.mark.parametrize("held", HELD)
@pytest.mark.parametrize(
    ("groups", "codes"),
    [
        (["p1", "p1 ", " p2", "p2"], [0, 0, 1, 1]),
        (["p1\u00a0", "p1", "p2\t", "p2"], [0, 0, 1, 1]),
        (["1 ", "1", "2", "x"], [0, 0, 1, 2]),
    ],
)
def test_spaces_around_a_group_make_no_other_one(
    groups: list[str], codes: list[int], held: str, tmp_path: Path
) -> None:
    table = read(held, {"g": groups}, tmp_path, group="g")
    assert table.groups is not None
    assert table.groups.tolist() == codes


def test_groups_of_arrays() -> None:
    assert to_groups("g", pd.Series(np.array(["b", "a ", "a"]))).tolist() == [1, 0, 0]
    assert to_groups("g", pd.Series(["b", "a ", "a"], dtype="category")).tolist() == [1, 0, 0]
    assert to_groups("g", pd.Series([2**60, 2**60 + 1, 2**60])).tolist() == [0, 1, 0]


@pytest.mark.parametrize("held", HELD)
@pytest.mark.parametrize("empty", ["", " ", "\u00a0 "])
def test_a_group_without_a_name_is_none(empty: str, held: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="1 of 4 rows have no group in column 'g'"):
        read(held, {"g": ["p", empty, "q", "q"]}, tmp_path, group="g")


@pytest.mark.parametrize("held", HELD)
@pytest.mark.parametrize(
    ("cells", "word"), [(["u", "?", "v", "v"], "?"), ([0, -9, 1, 1], "-9"), (["u", "n/a ", "v", "u"], "n/a")]
)
def test_words_for_missing_are_no_labels_groups_or_times(
    cells: list[Any], word: str, held: str, tmp_path: Path
) -> None:
    options = {"missing_values": [word]}
    with pytest.raises(InputError, match="1 of 4 rows have no label in column 'y'"):
        read(held, {"y": cells}, tmp_path, **options)
    with pytest.raises(InputError, match="1 of 4 rows have no group in column 'g'"):
        read(held, {"g": cells}, tmp_path, group="g", **options)
    if -9 in cells:
        with pytest.raises(InputError, match="every row needs a time"):
            read(held, {"t": cells}, tmp_path, time="t", **options)


@pytest.mark.parametrize("held", HELD)
@pytest.mark.parametrize("gap", ["-", "- ", " -", "1900-01-01"])
def test_named_dates_take_words_for_missing(gap: str, held: str, tmp_path: Path) -> None:
    columns = {"d": ["2024-01-01", gap, "2024-01-03", "2024-01-31"]}
    table = read(held, columns, tmp_path, dates=["d"], missing_values=["-", "1900-01-01"])
    days = table.x[:, table.feature_names.index("d: days")]
    np.testing.assert_array_equal(days, [0, np.nan, 2, 30])


@pytest.mark.parametrize("thousands", [False, True])
def test_large_groups_are_told_apart(thousands: bool, tmp_path: Path) -> None:
    for base in (2**60, 2**70, -(2**61)):
        numbers = [base, base + 1, base, base + 2]
        groups = [f"{number:,}".replace(",", ".") if thousands else str(number) for number in numbers]
        options = {"decimal": ",", "thousands": "."} if thousands else {}
        table = read("csv", {"g": groups}, tmp_path, group="g", **options)
        assert table.groups is not None
        assert len(set(table.groups.tolist())) == 3
        assert table.groups[0] == table.groups[2]
