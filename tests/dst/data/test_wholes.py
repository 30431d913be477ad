"""Whole numbers beyond 2**53 stay apart, as categories or groups, or are refused, however they are held."""

from __future__ import annotations

import decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet as pq

from dst.data import check_file, from_frame, load_dataset, read_table
from dst.data.readers.wholes import merged_words
from dst.errors import InputError

CODES = [2**60 + code for code in range(6)]
LABELS = ["u", "v"] * 9
BESIDE = [0.5 * row for row in range(18)]
GAPS = [*CODES, None] * 2 + CODES[:4]
SAYS = "whole numbers beyond 2\\*\\*53 must differ as floats, but 1152921504606846976 and 1152921504606846977"


def csv(folder: Path, cells: list[Any], gap: str = "") -> Path:
    lines = [f"{gap if cell is None else cell},{b},{y}" for cell, b, y in zip(cells, BESIDE, LABELS, strict=True)]
    (folder / "t.csv").write_text("\n".join(["a,b,y", *lines]))
    return folder / "t.csv"


def parquet(folder: Path, cells: pa.Array) -> Path:
    pq.write_table(pa.table({"a": cells, "b": BESIDE, "y": LABELS}), folder / "t.parquet")
    return folder / "t.parquet"


def decimals(places: int) -> list[decimal.Decimal | None]:
    return [
        None if cell is None else decimal.Decimal(cell).quantize(decimal.Decimal(1).scaleb(-places)) for cell in GAPS
    ]


HELD = {
    "csv": lambda folder: csv(folder, GAPS),
    "csv with NA": lambda folder: csv(folder, GAPS, "NA"),
    "csv without gaps": lambda folder: csv(folder, CODES * 3),
    "csv with .0": lambda folder: csv(folder, [f"{code}.0" for code in CODES * 3]),
    "csv far beyond": lambda folder: csv(folder, [f"1152921504606846976{code % 6 + 10}" for code in CODES * 3]),
    "parquet": lambda folder: parquet(folder, pa.array(GAPS, pa.int64())),
    "parquet unsigned": lambda folder: parquet(folder, pa.array(GAPS, pa.uint64())),
    "parquet decimals": lambda folder: parquet(folder, pa.array(decimals(0), pa.decimal128(30, 0))),
    "parquet cents": lambda folder: parquet(folder, pa.array(decimals(2), pa.decimal128(30, 2))),
    "parquet dictionary": lambda folder: parquet(
        folder, pa.array(decimals(0), pa.decimal128(30, 0)).dictionary_encode()
    ),
    "parquet text": lambda folder: parquet(folder, pa.array([cell and str(cell) for cell in GAPS])),
}


@pytest.mark.parametrize("kind", HELD)
def test_codes_with_gaps_are_refused_or_categories(kind: str, tmp_path: Path) -> None:
    path = HELD[kind](tmp_path)
    with pytest.raises(InputError, match=r"whole numbers beyond .* become one; --categorical a"):
        load_dataset(path, target="y")
    assert len(read_table(path, "y", categorical=["a"]).categories[0]) == 6
    problems = check_file(path, "y")["problems"]
    assert any(problem.startswith("refused: whole numbers that become one, 'a'") for problem in problems)


@pytest.mark.parametrize(
    "cells",
    [
        GAPS,
        [str(cell) for cell in CODES * 3],
        [cell and decimal.Decimal(cell) for cell in GAPS],
        [-1, *(CODES * 2), *CODES[:5]],
    ],
)
def test_codes_in_a_frame(cells: list[Any]) -> None:
    frame = pd.DataFrame({"a": pd.Series(cells, dtype=object), "b": BESIDE, "y": LABELS})
    with pytest.raises(InputError, match=SAYS):
        from_frame(frame, target="y")
    assert len(from_frame(frame, target="y", categorical=["a"]).categories[0]) == len({*cells} - {None})


def test_a_number_for_missing_makes_no_floats_of_codes(tmp_path: Path) -> None:
    cells = [-999 if cell is None else cell for cell in GAPS]
    frame = pd.DataFrame({"a": cells, "b": BESIDE, "y": LABELS})
    frame.to_parquet(tmp_path / "t.parquet")
    for path in (tmp_path / "t.parquet", csv(tmp_path, cells)):
        with pytest.raises(InputError, match=SAYS):
            load_dataset(path, target="y", missing_values=["-999"])
        table = read_table(path, "y", missing_values=["-999"], categorical=["a"])
        assert table.categories[0] == tuple(map(str, CODES))


def test_large_numbers_that_differ_as_floats_are_numbers(tmp_path: Path) -> None:
    cells = [None if cell is None else 4096 * cell for cell in range(2**50, 2**50 + 17)] + [None]
    for path in (csv(tmp_path, cells), parquet(tmp_path, pa.array(cells, pa.int64()))):
        x = np.asarray(read_table(path, "y").x)
        assert len(np.unique(x[:17, 0])) == 17
        assert np.isnan(x[17, 0])
    assert read_table(csv(tmp_path, ["1e300", "1.5"] * 9), "y", drop=["a"]).feature_names == ("b",)


@pytest.mark.parametrize(
    ("cells", "options"),
    [
        ([f"{code:,}".replace(",", ".") for code in CODES * 3], {"decimal": ",", "thousands": "."}),
        ([f"{code},0" for code in CODES * 3], {"decimal": ","}),
        ([f"{code:,}".replace(",", " ") for code in CODES * 3], {"thousands": " "}),
    ],
)
def test_codes_in_another_convention_are_refused(cells: list[str], options: dict[str, str], tmp_path: Path) -> None:
    with pytest.raises(InputError, match=SAYS):
        read_table(csv(tmp_path, [f'"{cell}"' for cell in cells]), "y", **options)
    with pytest.raises(InputError, match=SAYS):
        from_frame(pd.DataFrame({"a": cells, "b": BESIDE, "y": LABELS}), target="y", **options)


@pytest.mark.parametrize(
    ("cells", "categories"),
    [
        (["1.10", "1.1", "1.2"], ("1.1", "1.10", "1.2")),
        (["2.50", "2.5", "10"], ("10", "2.5", "2.50")),
        (["1e-5", "0.00001", "7"], ("0.00001", "1e-5", "7")),
        (["3.0", "3", "20"], ("3", "20")),
    ],
)
def test_categories_are_numbers_where_no_two_spellings_merge(
    cells: list[str], categories: tuple[str, ...], tmp_path: Path
) -> None:
    assert read_table(csv(tmp_path, cells * 6), "y", categorical=["a"]).categories == {0: categories}


@given(numbers=st.lists(st.integers(-(2**70), 2**70), max_size=8, unique=True))
def test_merged_words_are_those_that_a_float_merges(numbers: list[int]) -> None:
    assert (merged_words(map(str, numbers)) is None) == (len({float(number) for number in numbers}) == len(numbers))


def test_check_goes_on_after_columns_that_are_refused_late(tmp_path: Path) -> None:
    frame = pd.DataFrame({"a": CODES * 10, "b": np.arange(60) / 7, "c": np.arange(60), "d": "x"})
    frame["y"] = LABELS[:2] * 30
    frame.to_parquet(tmp_path / "t.parquet")
    problems = check_file(tmp_path / "t.parquet", "y", categorical=["b", "c"])["problems"]
    assert any("whole numbers that become one, 'a'" in problem for problem in problems)
    assert any("like an identifier, 'b', 'c'" in problem for problem in problems)
    with pytest.raises(InputError, match=r"column 'a' become one.*column 'b' has 60 categories.*column 'c' has"):
        read_table(tmp_path / "t.parquet", "y", categorical=["b", "c"])
