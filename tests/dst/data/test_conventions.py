"""Cells that are numbers in two conventions are read in the named one, or refused; never in the other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from dst.data import from_frame, load_dataset
from dst.errors import InputError

GERMAN = {"decimal": ",", "thousands": "."}


def read(held: str, cells: list[str], folder: Path, **options: Any) -> list[float]:
    """The first column as it is read out of text, Parquet or a frame."""
    frame = pd.DataFrame({"a": cells * 4, "b": "1", "y": ["u", "v"] * (2 * len(cells))})
    if held == "frame":
        return np.asarray(from_frame(frame, target="y", **options).x)[: len(cells), 0].tolist()
    path = folder / f"t.{held}"
    if held == "csv":
        frame.to_csv(path, sep=";", index=False)
        options["separator"] = ";"
    else:
        frame.to_parquet(path)
    return np.asarray(load_dataset(path, target="y", **options).x)[: len(cells), 0].tolist()


@pytest.mark.parametrize("held", ["csv", "parquet", "frame"])
@pytest.mark.parametrize(
    ("cells", "options", "expected"),
    [
        (["1.234", "12.500", "7.001"], GERMAN, [1234, 12500, 7001]),
        (["1.000", "-2.000", "3.500"], GERMAN, [1000, -2000, 3500]),
        (["1.234", "0", "7"], GERMAN, [1234, 0, 7]),
        (["1.5", "2.25", "7.001"], {"decimal": ","}, [1.5, 2.25, np.float32(7.001)]),
        (["0.063", "1.234", "3"], GERMAN, [np.float32(0.063), np.float32(1.234), 3]),
        (["1.5", "2.25", "7.001"], {"thousands": ","}, [1.5, 2.25, np.float32(7.001)]),
        (["1.5", "2.25", "1e3"], {"thousands": " "}, [1.5, 2.25, 1000]),
    ],
)
def test_cells_that_are_numbers_in_two_ways(
    cells: list[str], options: dict[str, str], expected: list[float], held: str, tmp_path: Path
) -> None:
    assert read(held, cells, tmp_path, **options) == expected


@pytest.mark.parametrize("held", ["csv", "parquet", "frame"])
@pytest.mark.parametrize(
    ("cells", "remedy"),
    [
        (["1.234", "12.500", "7.001"], r"--decimal \. or --decimal , --thousands \."),
        (["1.234", "12", "7"], r"decimal points or thousands separators: .*--decimal \. or --decimal , --thousands \."),
        (["-1.000", "-2.500", "0"], r"--decimal \. or --decimal , --thousands \."),
    ],
)
def test_points_are_no_decimal_marks_where_commas_are(cells: list[str], remedy: str, held: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=f"column 'a' holds what look like numbers with .*{remedy}"):
        read(held, cells, tmp_path, decimal=",")
