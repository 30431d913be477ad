"""What is read as categories or labels though it may mean something else is named, or refused."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from dst.data import check_file, from_frame, read_table
from dst.data.readers import Roles, Table
from dst.data.readers.columns import from_frame_columns
from dst.data.readers.dates import layout
from dst.data.readers.notes import note_lines
from dst.data.readers.units import are_amounts, are_quarters
from dst.errors import InputError


def read(held: str, frame: pd.DataFrame, folder: Path) -> Table:
    if held == "frame":
        return from_frame_columns(frame, Roles.of("y"))
    path = folder / f"t.{held}"
    if held == "csv":
        frame.to_csv(path, index=False)
    else:
        frame.to_parquet(path)
    return read_table(path, "y")


def of(cells: list[str]) -> pd.DataFrame:
    return pd.DataFrame({"a": cells * 4, "y": ["u", "v"] * (2 * len(cells))})


HELD = ("csv", "parquet", "frame")


@pytest.mark.parametrize("held", HELD)
@pytest.mark.parametrize("word", ["NA", "nan", ".", "#DIV/0!", "-", "unknown"])
def test_a_word_for_missing_among_numeric_labels_is_no_class(word: str, held: str, tmp_path: Path) -> None:
    frame = pd.DataFrame({"x": range(8), "y": ["0", "1", word, "1"] * 2})
    with pytest.raises(
        InputError, match="column 'y' mixes labels that are numbers and words that seem to mean no value"
    ):
        read(held, frame, tmp_path)
    words = frame.replace({"0": "low", "1": "high"})
    assert set(read(held, words, tmp_path).labels.tolist()) == {"low", "high", word}


@pytest.mark.parametrize("held", HELD)
def test_labels_that_differ_in_spaces_are_named(held: str, tmp_path: Path) -> None:
    table = read(held, pd.DataFrame({"x": range(4), "y": ["a b", "a  b", "c", "c"]}), tmp_path)
    assert any("words that differ in spaces, 'y'" in line for line in note_lines(table.notes))


@pytest.mark.parametrize("held", HELD)
@pytest.mark.parametrize(
    ("cells", "kind"),
    [
        (["alive", "alive", "alive", "2023-01-05", "2023-02-05"], "words and some dates"),
        (["kein Wert", "kein Wert", "kein Wert", "1,5", "2,7"], "words and some numbers"),
        (["low", "mid", "high", "5%"], "words and some numbers"),
        (["5 kg", "7 kg", "12.5 kg"], "numbers with units or limits"),
        (["<5", "<10", ">100"], "numbers with units or limits"),
        (["1.2k", "4M", "3.1M"], "numbers with units or limits"),
        (["0x1F", "0x2A", "0xFF"], "numbers with units or limits"),
        (["2024Q1", "2024Q2", "2023Q4"], "quarters"),
    ],
)
def test_categories_that_look_like_something_else_are_named(
    cells: list[str], kind: str, held: str, tmp_path: Path
) -> None:
    table = read(held, of(cells), tmp_path)
    assert len(table.categories[0]) == len(set(cells))
    assert any(line.startswith(f"{kind}, 'a'") for line in note_lines(table.notes))
    assert not from_frame(of(cells).astype({"a": "category"}), target="y").notes


@pytest.mark.parametrize("unit", ["kg", "mg/dl", "°C", "m²"])
def test_many_numbers_with_a_unit_are_no_identifier(unit: str) -> None:
    with pytest.raises(InputError, match=f"numbers with units or limits: '0 {unit}' in row 1.*write the numbers alone"):
        from_frame(pd.DataFrame({"a": [f"{row} {unit}" for row in range(40)], "y": ["u", "v"] * 20}), target="y")


@pytest.mark.parametrize(
    "words", [["a1", "a2"], ["5"], ["5 kg", "7 m"], ["18-24", "25-34"], ["red", "5 kg"], ["x", "y"]]
)
def test_words_that_are_no_amounts(words: list[str]) -> None:
    assert not are_amounts(words)
    assert not are_quarters(words)


@pytest.mark.parametrize("held", HELD)
@pytest.mark.parametrize("gap", ["-", ".", "unknown"])
def test_truth_values_with_a_word_for_missing_are_refused(gap: str, held: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=f"column 'a' mixes truth values and words .*--missing-values {gap}"):
        read(held, of(["True", "False", gap]), tmp_path)


@pytest.mark.parametrize(
    "cell",
    ["24-Jan", "3 Mar", "12/2023", "01-2024", "Mon Jan 29 10:00:00 2024", "Mon Jan 29 10:00:00 UTC 2024", "2024-031"],
)
def test_more_layouts_of_dates(cell: str) -> None:
    assert layout(cell) == "other"


@pytest.mark.parametrize("cell", ["20240131T101500Z", "20240131T1015", "20240131T10"])
def test_compact_date_times_are_dates(cell: str) -> None:
    assert layout(cell) == "iso"
    table = from_frame(of([cell, "2024-02-01"]), target="y", dates=["a"])
    assert table.feature_names[0] == "a: days"


@pytest.mark.parametrize(
    "cell", ["13/2023", "2024-367", "2024-000", "1/2", "5-1234", "24-Marker", "3may5", "20241331T10"]
)
def test_what_is_no_date(cell: str) -> None:
    assert layout(cell) is None


@pytest.mark.parametrize(
    ("name", "values", "named"),
    [
        ("Unnamed: 0", [0, 1, 2, 3, 0, 1, 2, 3], True),
        ("Unnamed: 0", [4, 9, 9, 2, 0, 1, 2, 3], True),
        ("Unnamed: 0", [0.5, 1, 2, 3, 0, 1, 2, 3], False),
        ("index", [0, 1, 2, 3, 0, 1, 2, 3], False),
        ("index", [5, 1, 2, 3, 0, 9, 7, 4], True),
    ],
)
def test_a_saved_index_is_named_though_it_repeats(name: str, values: list[float], named: bool) -> None:
    dataset = from_frame(pd.DataFrame({name: values, "y": ["u", "v"] * 4}), target="y")
    assert any("row numbers" in note for note in dataset.notes) == named


@pytest.mark.parametrize("first", ["sep=,,", '"sep=,",,', "sep=,,,,", "sep=, "])
def test_a_line_that_names_the_separator_may_have_empty_fields(first: str, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(f"{first}\na,b,y\n1,2,u\n3,4,v\n")
    table = read_table(tmp_path / "t.csv", "y")
    assert table.x.tolist() == [[1, 2], [3, 4]]
    assert any(
        "first line names the separator" in problem for problem in check_file(tmp_path / "t.csv", "y")["problems"]
    )
