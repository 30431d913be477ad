"""What would be read silently as words or as other numbers: it is read right, refused, or named with what to do."""

from __future__ import annotations

import datetime as dt
import decimal
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet as pq

from dst.data import Table, check_file, from_frame, load_dataset, read_table
from dst.data.readers.dates import layout
from dst.data.readers.missing_words import MISSING, is_placeholder
from dst.data.readers.notes import REFUSED, note_lines
from dst.data.readers.numerals import CONVENTIONS, numeral
from dst.errors import InputError

COUNT = 12
LABELS = ["u", "v"] * (COUNT // 2)


def write(folder: Path, cells: list[str], name: str = "a") -> Path:
    """A quoted text file with one column, repeated to a dozen rows, beside a plain number."""
    cells = [cells[row % len(cells)] for row in range(COUNT)]
    lines = [f'"{cell}",{0.5 * row - 1},{label}' for row, (cell, label) in enumerate(zip(cells, LABELS, strict=True))]
    path = folder / "t.csv"
    path.write_text("\n".join([f"{name},b,y", *lines, ""]), encoding="utf-8")
    return path


def column(table: Table) -> list[float]:
    return table.x[:, 0].tolist()  # type: ignore[no-any-return]


def values(cells: list[float]) -> list[float]:
    return [cells[row % len(cells)] for row in range(COUNT)]


REFUSED_CELLS: dict[str, tuple[list[str], str]] = {
    "decimal commas": (["0,063", "1,9", "12,75"], "--decimal ,"),
    "decimal commas with exponents": (["6,3e-2", "1,9", "2"], "--decimal ,"),
    "decimal commas or thousands": (["1,234", "5,678", "9,012"], "--decimal , or --thousands ,"),
    "thousands": (["1,234,567", "999", "12,000.5"], "--thousands ,"),
    "Indian thousands": (["12,34,567", "99", "1,000"], "--thousands ,"),
    "German thousands": (["1.234,5", "2.000", "7"], "--decimal , --thousands ."),
    "Swiss thousands": (["1'234", "7'000'000", "12"], """--thousands "'\""""),
    "French thousands": (["1\u202f234,5", "12", "7\u202f000"], "--decimal , --thousands ' '"),
    "thousands as in code": (["1_000", "20", "3_000_000"], "--thousands _"),
    "several ways": (["1,5", "1.5", "2"], "write them alike"),
    "some percent": (["5%", "7", "8"], "write them alike"),
    "two currencies": (["$5", "€7", "$8"], "write them alike"),
    "percent with decimal commas": (["5,5 %", "7 %", "8,25 %"], "--decimal ,"),
    "ISO dates": (["2023-01-31", "2024-02-29", "1999-12-01"], "--dates a"),
    "ISO date-times": (["2023-01-31T10:00:00Z", "2024-02-29 11:30", "1999-12-01"], "--dates a"),
    "ISO months": (["2023-01", "2023-02", "2023-12"], "--dates a"),
    "American dates": (["12/31/2023", "1/2/2024", "3/4/24"], "write 2024-01-31"),
    "German dates": (["31.12.2023", "1.2.2024", "13.04.2024"], "write 2024-01-31"),
    "Japanese dates": (["2023/12/31", "2024/1/2", "2024/04/13"], "write 2024-01-31"),
    "months in words": (["31-Dec-2023", "1 February 2024", "Mar 3, 2024"], "write 2024-01-31"),
    "times of day": (["10:30", "11:45:10", "9:05 pm"], "write them as numbers"),
    "a dot of SAS": (["1.5", ".", "3"], "--missing-values ."),
    "a dash": (["1.5", "-", "3"], "--missing-values -"),
    "N.A.": (["1.5", "N.A.", "3"], "--missing-values N.A."),
    "not available": (["1.5", "not available", "3"], "--missing-values 'not available'"),
    "a spreadsheet's error in German": (["1.5", "#WERT!", "3"], "--missing-values '#WERT!'"),
    "numbers and words": (["1.5", "many", "3"], "--categorical a"),
    "dates and words": (["2023-01-31", "soon", "2023-02-01"], "--categorical a"),
    "dates and numbers": (["2023-01-31", "5", "2023-02-01"], "--categorical a"),
    "codes": (["01234", "1234", "777"], "--categorical a"),
    "signed codes": (["+07", "7", "-7"], "--categorical a"),
}


@pytest.mark.parametrize("kind", REFUSED_CELLS)
def test_what_cannot_be_known_is_refused_with_what_to_do_and_checked_in_one_line(kind: str, tmp_path: Path) -> None:
    cells, remedy = REFUSED_CELLS[kind]
    path = write(tmp_path, cells)
    with pytest.raises(InputError, match="column 'a'") as caught:
        load_dataset(path, target="y")
    assert remedy in str(caught.value)
    assert "identifier" not in str(caught.value)
    (line,) = [problem for problem in check_file(path, "y")["problems"] if problem.startswith(REFUSED)]
    assert "'a'" in line
    assert re.sub(r"(--\w+) a$", r"\1 COL", remedy) in line
    assert len(line) < 110


def test_many_different_cells_are_no_identifier(tmp_path: Path) -> None:
    rows = 60
    for cells in (
        [f"{row},{row:03d}" for row in range(rows)],
        [f"{row / 7:.3f} kg" for row in range(rows)],
        [f"2023-{1 + row // 28:02d}-{1 + row % 28:02d}" for row in range(rows)],
        [f"{1 + row // 28}/{1 + row % 28}/2023" for row in range(rows)],
    ):
        frame = pd.DataFrame({"a": cells, "b": np.arange(rows) % 7, "y": ["u", "v"] * (rows // 2)})
        with pytest.raises(InputError) as caught:
            from_frame(frame, target="y")
        assert "identifier" not in str(caught.value)


READ: dict[str, tuple[list[str], dict[str, Any], list[float]]] = {
    "decimal commas": (["0,063", "1,9", "2"], {"decimal": ","}, [0.063, 1.9, 2]),
    "thousands": (["1,234", "1,234,567", "2"], {"thousands": ","}, [1234, 1234567, 2]),
    "both": (["1.234,5", "2.000", "7"], {"decimal": ",", "thousands": "."}, [1234.5, 2000, 7]),
    "blanks": (["1 234", "12\u00a0000", "7"], {"thousands": " "}, [1234, 12000, 7]),
    "apostrophes": (["1'234", "12\u2019000", "7"], {"thousands": "'"}, [1234, 12000, 7]),
    "percent": (["52%", "7 %", "0.5%"], {}, [52, 7, 0.5]),
    "percent with commas": (["52,5%", "7 %", "0%"], {"decimal": ","}, [52.5, 7, 0]),
    "dollars": (["$5", "-$7.50", "$1"], {}, [5, -7.5, 1]),
    "euros": (["5 €", "-7 €", "1,5 €"], {"decimal": ","}, [5, -7, 1.5]),
    "codes of currencies": (["USD 5", "USD 7", "USD 1"], {}, [5, 7, 1]),
    "the minus of typography": (["\u22125", "7", "\u22120.5"], {}, [-5, 7, -0.5]),
    "zeros in front": (["007", "010", "100"], {}, [7, 10, 100]),
    "a word for missing": (["1", ".", "3"], {"missing_values": ["."]}, [1, np.nan, 3]),
    "two words": (["1", "-", "N.A."], {"missing_values": ["-", "N.A."]}, [1, np.nan, np.nan]),
    "one word, not in a list": (["1", "-", "3"], {"missing_values": "-"}, [1, np.nan, 3]),
    "a number for missing": (["1", "-999", "3"], {"missing_values": ["-999"]}, [1, np.nan, 3]),
    "with commas": (["1,5", "-999", "3"], {"missing_values": ["-999"], "decimal": ","}, [1.5, np.nan, 3]),
}


@pytest.mark.parametrize("kind", READ)
@pytest.mark.parametrize("held", ["csv", "parquet", "frame"])
def test_numbers_are_read_as_they_are_named(kind: str, held: str, tmp_path: Path) -> None:
    cells, options, expected = READ[kind]
    frame = pd.DataFrame({"a": [cells[row % len(cells)] for row in range(COUNT)], "b": 1.5, "y": LABELS})
    if held == "frame":
        x = from_frame(frame, target="y", **options).x
    elif held == "csv":
        x = load_dataset(write(tmp_path, cells), target="y", **options).x
    else:
        frame.to_parquet(tmp_path / "t.parquet")
        x = load_dataset(tmp_path / "t.parquet", target="y", **options).x
    np.testing.assert_array_equal(np.asarray(x)[:, 0], np.array(values(expected), dtype=np.float32))


@pytest.mark.parametrize("word", MISSING)
@pytest.mark.parametrize("held", ["csv", "text"])
def test_words_for_no_value_are_none_among_numbers(word: str, held: str, tmp_path: Path) -> None:
    cells = ["1.5", word, "3"]
    if held == "csv":
        table = read_table(write(tmp_path, cells), "y")
        assert np.isnan(column(table)[1])
        assert table.categories == {}
    else:
        frame = pd.DataFrame({"a": cells * 4, "b": 1.5, "y": LABELS})
        assert np.isnan(np.asarray(from_frame(frame, target="y").x)[1, 0])


@pytest.mark.parametrize("word", [".", "-", "unknown", "#WERT!", "n.d.", "<missing>", ".b"])
def test_words_that_may_mean_no_value_are_categories_among_words(word: str, tmp_path: Path) -> None:
    assert is_placeholder(word)
    table = read_table(write(tmp_path, ["red", word, "blue"]), "y")
    assert set(table.categories[0]) == {"red", word, "blue"}
    table = read_table(write(tmp_path, ["red", word, "blue"]), "y", missing_values=[word])
    assert table.categories[0] == ("blue", "red")
    assert np.isnan(column(table)[1])


@pytest.mark.parametrize("cells", [["red", "red ", "blue"], ["red", " red", "blue"], ["red", "red\u00a0", "blue"]])
@pytest.mark.parametrize("held", ["csv", "parquet"])
def test_spaces_around_a_word_make_no_category(cells: list[str], held: str, tmp_path: Path) -> None:
    path = write(tmp_path, cells)
    if held == "parquet":
        frame = pd.DataFrame({"a": [cells[row % 3] for row in range(COUNT)], "b": 1.5, "y": LABELS})
        path = tmp_path / "t.parquet"
        frame.to_parquet(path)
    table = read_table(path, "y")
    assert table.categories[0] == ("blue", "red")
    if held == "parquet" or not cells[1].startswith(" "):  # blanks before a field are no part of it
        assert any("spaces around words, 'a'" in line for line in note_lines(table.notes))


@pytest.mark.parametrize("pair", [("New York", "New\u00a0York"), ("a b", "a  b"), ("x\ty", "x y")])
def test_spaces_within_words_are_named(pair: tuple[str, str], tmp_path: Path) -> None:
    table = read_table(write(tmp_path, list(pair)), "y")
    assert len(table.categories[0]) == 2
    assert any("words that differ in spaces, 'a'" in line for line in note_lines(table.notes))


# labels


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        (["01", "1", "2"], ("01", "1", "2")),
        (["007", "7"], ("007", "7")),
        (["1E1", "2E1"], ("1E1", "2E1")),
        (["1e1", "10"], ("10", "1e1")),
        (["1_000", "1000"], ("1000", "1_000")),
        (["0x10", "16"], ("0x10", "16")),
        (["infinity", "nan"], ("infinity", "nan")),
        (["NA", "nan", "x"], ("NA", "nan", "x")),
        (["+1", "-1"], ("-1", "1")),
        (["1", "0"], ("0", "1")),
        (["10.0", "9.0"], ("9", "10")),
        (["a ", "a", "b"], ("a", "b")),
        (["a\u00a0", "a", "b"], ("a", "b")),
    ],
)
def test_class_names_are_what_is_written(labels: list[str], classes: tuple[str, ...], tmp_path: Path) -> None:
    lines = [f'{row},"{labels[row % len(labels)]}"' for row in range(COUNT)]
    (tmp_path / "t.csv").write_text("\n".join(["a,y", *lines]), encoding="utf-8")
    assert load_dataset(tmp_path / "t.csv", target="y").class_names == classes


@pytest.mark.parametrize("labels", [["1", "1.0", "2"], ["+1", "1", "0"], ["0", "-0", "1"]])
def test_one_number_in_two_spellings_is_no_label(labels: list[str], tmp_path: Path) -> None:
    lines = [f"{row},{labels[row % 3]}" for row in range(COUNT)]
    (tmp_path / "t.csv").write_text("\n".join(["a,y", *lines]))
    with pytest.raises(InputError, match=r"labels that are one number in two spellings: .* write them alike"):
        load_dataset(tmp_path / "t.csv", target="y")
    assert any("labels in two spellings" in problem for problem in check_file(tmp_path / "t.csv", "y")["problems"])


def test_labels_of_one_value_are_named(tmp_path: Path) -> None:
    lines = [f"{row},{['01', '1'][row % 2]}" for row in range(COUNT)]
    (tmp_path / "t.csv").write_text("\n".join(["a,y", *lines]))
    assert any("'01' and '1'" in note for note in load_dataset(tmp_path / "t.csv", target="y").notes)


def test_groups_are_told_apart_as_they_are_written(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a,g,y\n" + "1,01,u\n2,1,v\n3,1E0,u\n4,1,v\n")
    groups = read_table(tmp_path / "t.csv", "y", group="g").groups
    assert groups is not None
    assert len(set(groups.tolist())) == 3


@given(numbers=st.lists(st.integers(-(10**6), 10**6), min_size=2, max_size=6, unique=True))
def test_whole_numbers_stay_the_classes_that_they_are(
    numbers: list[int], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("labels") / "t.csv"
    path.write_text("a,y\n" + "".join(f"{row},{number}\n" for row, number in enumerate(numbers * 2)))
    assert load_dataset(path, target="y").class_names == tuple(map(str, sorted(numbers)))


@pytest.mark.parametrize(
    ("cells", "categories"),
    [
        (["01234", "1234"], ("01234", "1234")),
        (["1E1", "10"], ("10", "1E1")),
        (["+5", "5"], ("+5", "5")),
        (["30", "4"], ("4", "30")),
        (["3.0", "3", "20"], ("3", "20")),
        (["0.5", "-2"], ("-2", "0.5")),
        (["1", "2", "x"], ("1", "2", "x")),
        (["2023-01-31", "2023-02-01"], ("2023-01-31", "2023-02-01")),
        (["5%", "10%"], ("10%", "5%")),
    ],
)
def test_named_categories_are_what_is_written(cells: list[str], categories: tuple[str, ...], tmp_path: Path) -> None:
    assert read_table(write(tmp_path, cells), "y", categorical=["a"]).categories == {0: categories}


# dates


def test_dates_become_days_and_the_parts_that_differ(tmp_path: Path) -> None:
    cells = ["2024-03-01", "2024-02-28", ""]
    table = read_table(write(tmp_path, cells, "when"), "y", dates=["when"])
    assert table.feature_names == ("when: days", "when: month", "when: weekday", "b")
    first, second, third = table.x[:3, :3].tolist()
    assert first == [2, 3, 5]
    assert second == [0, 2, 3]
    assert np.isnan(third).all()


@pytest.mark.parametrize(
    ("cells", "names", "row"),
    [
        (["2024-03-01T06:00Z", "2024-03-01T18:30Z"], ("days", "hour"), [(12.5 / 24), 18]),
        (["2024-03-01T00:00+02:00", "2024-03-01T00:00Z"], ("days", "month", "weekday", "hour"), [2 / 24, 3, 5, 0]),
        (["20240229", "20240307"], ("days", "month"), [7, 3]),
        (["2024-01", "2024-03"], ("days", "month", "weekday"), [60, 3, 5]),
    ],
)
def test_dates_in_utc(cells: list[str], names: tuple[str, ...], row: list[float], tmp_path: Path) -> None:
    table = read_table(write(tmp_path, cells), "y", dates="a")
    assert table.feature_names == (*(f"a: {name}" for name in names), "b")
    np.testing.assert_allclose(table.x[1, : len(row)], row, rtol=1e-6)


@pytest.mark.parametrize(
    "cells", [["31.01.2024", "01.02.2024"], ["2024-02-31", "2024-02-01"], ["red", "blue"], ["5", "7"]]
)
def test_dates_that_are_none_are_refused(cells: list[str], tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"column 'a' is named as dates, which are written as in ISO 8601"):
        read_table(write(tmp_path, cells), "y", dates=["a"])


def test_parts_take_no_other_columns_name(tmp_path: Path) -> None:
    frame = pd.DataFrame({"a": ["2024-01-31", "2024-02-01"] * 6, "a: days": 1.5, "y": LABELS})
    with pytest.raises(InputError, match="these repeat: 'a: days'"):
        from_frame(frame, target="y", dates=["a"])


@given(stamps=st.lists(st.datetimes(dt.datetime(1950, 1, 1), dt.datetime(2090, 1, 1)), min_size=2, max_size=8))
def test_days_keep_differences_and_lie_about_nothing(stamps: list[dt.datetime]) -> None:
    frame = pd.DataFrame({"a": [stamp.isoformat() for stamp in stamps] * 2, "b": 1.5})
    frame["y"] = ["u", "v"] * len(stamps)
    x = np.asarray(from_frame(frame, target="y", dates=["a"]).x)
    expected = [(stamp - min(stamps)) / dt.timedelta(days=1) for stamp in stamps]
    np.testing.assert_allclose(x[: len(stamps), 0], expected, rtol=1e-6, atol=1e-6)


@given(st.dates(dt.date(1600, 1, 1), dt.date(2400, 1, 1)))
def test_layouts_of_dates(date: dt.date) -> None:
    assert layout(date.isoformat()) == "iso"
    for form in ("%d.%m.%Y", "%m/%d/%Y", "%Y/%m/%d", "%d-%b-%Y", "%B %d, %Y", "%a, %d %b %Y 10:30:00 GMT"):
        assert layout(date.strftime(form)) == "other"


@pytest.mark.parametrize(
    "word", ["", "5", "1.5", "10-19", "Marker-1", "mayor", "2012-13", "1.2.3.4", "a:b", "99.99.2023", "-"]
)
def test_words_that_are_no_dates(word: str) -> None:
    assert layout(word) is None


# numbers


@given(
    number=st.decimals(-(10**9), 10**9, places=3, allow_nan=False, allow_infinity=False),
    convention=st.sampled_from(CONVENTIONS),
)
def test_a_number_is_read_back_in_the_convention_it_was_written_in(
    number: decimal.Decimal, convention: tuple[str, str | None]
) -> None:
    point, mark = convention
    whole, _, fraction = f"{number:,.3f}".partition(".")
    written = whole.replace(",", mark or "") + point + fraction
    found = numeral(written, convention)
    assert found is not None
    assert convention in found.conventions
    assert found.value(convention) == float(number)


@pytest.mark.parametrize(
    "word", ["", "abc", "%", "$", "5 kg", "1,23,4", "0,063,1", "1..5", "5%%", "--5", "1e", "w1001", "٣"]
)
def test_words_that_are_no_numbers(word: str) -> None:
    assert numeral(word, (".", None)) is None


# columns that are none


@pytest.mark.parametrize(
    ("name", "cells"),
    [
        ("Unnamed: 0", [str(row) for row in range(COUNT)]),
        ("id", [str(row + 1) for row in range(COUNT)]),
        ("customer", [str(row + 1000) for row in range(COUNT)]),
        ("shuffled", [str((5 * row) % COUNT) for row in range(COUNT)]),
        ("index", [str(row * row) for row in range(COUNT)]),
    ],
)
def test_row_numbers_are_named_and_left_out_where_that_is_said(name: str, cells: list[str], tmp_path: Path) -> None:
    path = write(tmp_path, cells, name)
    assert any(f"row numbers, {name!r}" in note for note in load_dataset(path, target="y").notes)
    assert any(f"row numbers, {name!r}" in problem for problem in check_file(path, "y")["problems"])
    for how in ({"index_column": name}, {"drop": [name]}, {"drop": name}):
        dropped = load_dataset(path, target="y", **how)  # type: ignore[arg-type]
        assert dropped.feature_names == ("b",)
        assert dropped.notes == ()


def test_ordinary_columns_are_not_named(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(40, 3)), columns=list("pqr"))
    frame["count"], frame["year"], frame["word"] = rng.integers(0, 40, 40), 1990 + np.arange(40) % 7, ["s", "t"] * 20
    frame["seconds"] = 1_700_000_000 + 3600 * np.arange(40)
    frame["y"] = ["u", "v"] * 20
    frame.to_csv(tmp_path / "t.csv", index=False)
    assert load_dataset(tmp_path / "t.csv", target="y").notes == ()
    assert check_file(tmp_path / "t.csv", "y")["problems"] == []


def test_numbers_that_look_like_dates_are_named(tmp_path: Path) -> None:
    path = write(tmp_path, ["20240115", "20231231", "20240229"])
    assert any("numbers that look like dates, 'a' (20240115)" in note for note in load_dataset(path, target="y").notes)
    assert load_dataset(write(tmp_path, ["20240115", "20231299", "5"]), target="y").notes == ()


# around the table

LINES = {
    "sep": "sep=,\na,b,y\n1,2,u\n3,4,v\n",
    "quoted sep": '"sep=,"\r\na,b,y\r\n1,2,u\r\n3,4,v\r\n',
    "sep with a mark": "\ufeffSEP=,\na,b,y\n1,2,u\n3,4,v\n",
    "sep of semicolons": "sep=;\na;b;y\n1;2;u\n3;4;v\n",
    "sep of tabs": "sep=\t\na\tb\ty\n1\t2\tu\n3\t4\tv\n",
    "commas in all lines": "a,b,y,\n1,2,u,\n3,4,v,\n",
    "commas in the rows": "a,b,y\n1,2,u,\n3,4,v,\n",
    "commas in the header": "a,b,y,\n1,2,u\n3,4,v\n",
    "several commas": "a,b,y,,\n1,2,u,,\n3,4,v,,\n",
    "R's row names": '"a","b","y"\n"r1",1,2,"u"\n"r2",3,4,"v"\n',
    "R's numbers": '"a","b","y"\n"1",1,2,"u"\n"2",3,4,"v"\n',
    "unquoted row numbers": "a,b,y\n1,1,2,u\n2,3,4,v\n",
}


@pytest.mark.parametrize("kind", LINES)
def test_what_stands_around_a_table_is_no_part_of_it(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text(LINES[kind], encoding="utf-8", newline="")
    table = read_table(path, "y")
    assert table.feature_names == ("a", "b")
    assert table.x.tolist() == [[1, 2], [3, 4]]
    assert table.labels.tolist() == ["u", "v"]
    assert len(note_lines(table.notes)) == 1


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("a,b,y\n3,1,2,u\n9,3,4,v\n", "as many fields as the header, 3, but line 2 has 4"),
        ('a,b,y\n"r",1,2,u\n"r",3,4,v\n', "as many fields as the header, 3, but all lines have 4"),
        ("a,y,\n1,u,5\n2,v,\n", "every column needs a name, but column 3 has none"),
        ("a,y\n1,u,\n2,v,7\n", "as many fields as the header, 2, but line 3 has 3"),
        (",a,y\n0,1,u\n1,2,v\n", r"column 1 has none \(a saved row index\?\); --index-column 'Unnamed: 0'"),
        ("sep=,\na,y\n1,u\n1,v,2\n", "as many fields as the header, 2, but line 4 has 3"),
        ("a;y\n1,5;u\n2;v\n", "separated by commas, but 'a;y' seems separated by ';': .*--separator ';'"),
    ],
)
def test_lines_that_are_no_table_are_refused(content: str, says: str, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(content)
    with pytest.raises(InputError, match=says):
        read_table(tmp_path / "t.csv", "y")


@pytest.mark.parametrize("name", ["", "Unnamed: 0"])
def test_a_first_column_without_a_name_is_left_out_where_that_is_said(name: str, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text('"","a","y"\n"p",1,u\n"q",2,v\n')
    assert read_table(tmp_path / "t.csv", "y", index_column=name).feature_names == ("a",)
    assert any("column without a name" in line for line in check_file(tmp_path / "t.csv", "y")["problems"])


@pytest.mark.parametrize("separator", [";", "\t", "|"])
def test_another_separator_and_a_decimal_comma(separator: str, tmp_path: Path) -> None:
    lines = [["a", "b", "y"], ["1,5", "2", "u"], ["-3,25", "4,0", "v"]]
    (tmp_path / "t.csv").write_text("\n".join(separator.join(line) for line in lines))
    table = read_table(tmp_path / "t.csv", "y", separator=separator, decimal=",")
    assert table.x.tolist() == [[1.5, 2], [-3.25, 4]]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"decimal": ";"}, "decimal must be '.' or ',', but got ';'"),
        ({"thousands": "."}, "thousands must be one of .* beside decimal '.', but got '.'"),
        ({"thousands": "x"}, "thousands must be one of .* but got 'x'"),
        ({"separator": "::"}, "separator must be one of .* but got '::'"),
        ({"drop": ["zz"]}, "no column 'zz'"),
        ({"dates": ["bb"]}, "no column 'bb': did you mean 'b'"),
        ({"index_column": "i"}, "no column 'i'"),
        ({"drop": ["a"], "dates": ["a"]}, "one role .*, but 'a' has two"),
        ({"drop": ["y"]}, "one role .*, but 'y' has two"),
    ],
)
def test_wrong_options_are_refused(options: dict[str, Any], says: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=says):
        load_dataset(write(tmp_path, ["1", "2"]), target="y", **options)


def test_archives_and_known_names_take_no_options_of_columns(tmp_path: Path) -> None:
    np.savez(tmp_path / "t.npz", X=np.arange(12.0).reshape(4, 3), y=[0, 1, 0, 1])
    assert load_dataset(tmp_path / "t.npz", drop=["f1"]).feature_names == ("f0", "f2")
    with pytest.raises(InputError, match=r"decimal is for files of named columns .*, but this one holds a matrix"):
        load_dataset(tmp_path / "t.npz", decimal=",")
    with pytest.raises(InputError, match="decimal says how a file is read, but wine has a name"):
        load_dataset("wine", decimal=",")
    with pytest.raises(InputError, match="drop names columns of a file, but wine has a name"):
        load_dataset("wine", drop=["alcohol"])


# kinds of Parquet


def arrow(values: list[Any], kind: Any, dictionary: bool = False) -> Any:
    array = pa.array(values * (COUNT // len(values)), kind)
    return array.dictionary_encode() if dictionary else array


DAYS = [dt.date(2024, 1, 31), dt.date(2024, 2, 29), None]
FEATURES: dict[str, tuple[Any, dict[str, Any], list[float], Any]] = {
    "decimals": (
        arrow([decimal.Decimal("1.25"), None, decimal.Decimal("-3")], pa.decimal128(9, 2)),
        {},
        [1.25, np.nan, -3],
        None,
    ),
    "wide decimals": (arrow([decimal.Decimal("0.1"), decimal.Decimal("2")], pa.decimal256(50, 4)), {}, [0.1, 2], None),
    "binary": (arrow([b"red", b"blue", None], pa.binary()), {}, [1, 0, np.nan], ("blue", "red")),
    "large binary": (arrow([b"red", b"blue"], pa.large_binary()), {}, [1, 0], ("blue", "red")),
    "binary numbers": (arrow([b"1.5", b"2", None], pa.binary()), {}, [1.5, 2, np.nan], None),
    "fixed binary": (arrow([b"ab\0", b"cde"], pa.binary(3)), {}, [0, 1], ("ab", "cde")),
    "text numbers": (arrow(["1.5", "NA", ""], pa.string()), {}, [1.5, np.nan, np.nan], None),
    "dictionary of binary": (arrow([b"red", b"blue"], pa.binary(), True), {}, [1, 0], ("blue", "red")),
    "durations": (arrow([1500, 2000, None], pa.duration("ms")), {}, [1.5, 2, np.nan], None),
    "dates": (arrow(DAYS, pa.date32()), {"dates": ["a"]}, [0, 29, np.nan], None),
    "dates of 64 bits": (arrow(DAYS, pa.date64()), {"dates": ["a"]}, [0, 29, np.nan], None),
    "stamps": (arrow([0, 86_400, None], pa.timestamp("s")), {"dates": ["a"]}, [0, 1, np.nan], None),
    "stamps of a zone": (arrow([0, 86_400], pa.timestamp("s", "Asia/Tokyo")), {"dates": ["a"]}, [0, 1], None),
    "dictionary of dates": (arrow(DAYS, pa.date32(), True), {"dates": ["a"]}, [0, 29, np.nan], None),
}


def put_parquet(path: Path, column: Any, labels: Any = None) -> Path:
    pq.write_table(
        pa.table({"a": column, "b": np.linspace(0, 1, COUNT), "y": LABELS if labels is None else labels}), path
    )
    return path


@pytest.mark.parametrize("kind", FEATURES)
def test_every_kind_of_parquet_is_a_number_or_a_word(kind: str, tmp_path: Path) -> None:
    column, options, expected, categories = FEATURES[kind]
    table = read_table(put_parquet(tmp_path / "t.parquet", column), "y", **options)
    np.testing.assert_array_equal(table.x[:, 0], np.array(values(expected), dtype=np.float32))
    assert table.categories.get(0) == categories


@pytest.mark.parametrize(
    ("column", "says"),
    [
        (arrow(DAYS, pa.date32()), "column 'a' holds dates; --dates a"),
        (arrow(DAYS, pa.date32(), True), "column 'a' holds dates; --dates a"),
        (arrow([0, 1], pa.timestamp("s")), "column 'a' holds dates; --dates a"),
        (arrow([1, 2], pa.time32("s")), "column 'a' holds 'time', where a column holds numbers or words; --drop a"),
        (arrow([b"\xff", b"\xfe"], pa.binary()), "column 'a' holds 'bytes'"),
        (arrow([bytes(range(200, 216))], pa.binary(16)), "column 'a' holds 'bytes'"),
    ],
)
def test_kinds_of_parquet_that_are_neither_are_refused(column: Any, says: str, tmp_path: Path) -> None:
    path = put_parquet(tmp_path / "t.parquet", column)
    with pytest.raises(InputError, match=says):
        read_table(path, "y")
    assert any("'a'" in problem for problem in check_file(path, "y")["problems"])


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        (arrow([b"p", b"q"], pa.binary()), ("p", "q")),
        (arrow([b"p\0", b"q\0"], pa.binary(2)), ("p", "q")),
        (arrow([b"p", b"q"], pa.large_binary(), True), ("p", "q")),
        (arrow([decimal.Decimal("10"), decimal.Decimal("9")], pa.decimal128(9, 0)), ("9", "10")),
        (arrow([decimal.Decimal("1"), decimal.Decimal("2")], pa.decimal128(9, 2)), ("1", "2")),
    ],
)
def test_labels_of_every_kind_are_words_or_numbers(labels: Any, classes: tuple[str, ...], tmp_path: Path) -> None:
    path = put_parquet(tmp_path / "t.parquet", arrow([1.5, 2.5, 0.5], pa.float64()), labels)
    assert load_dataset(path, target="y").class_names == classes


def test_objects_in_a_frame_are_what_they_are_in_parquet() -> None:
    cells = {
        "decimals": [decimal.Decimal("1.25"), None],
        "bytes": [b"red", b"blue"],
        "days": [dt.date(2024, 1, 31), dt.date(2024, 2, 1)],
        "spans": [dt.timedelta(seconds=3), dt.timedelta(days=1)],
    }
    frame = pd.DataFrame({name: pd.Series(two * 6, dtype=object) for name, two in cells.items()} | {"y": LABELS})
    data = from_frame(frame, target="y", dates=["days"])
    assert data.feature_names == ("decimals", "bytes", "days: days", "days: month", "days: weekday", "spans")
    assert data.categories == {1: ("blue", "red")}
    np.testing.assert_array_equal(
        np.asarray(data.x)[:2], np.array([[1.25, 1, 0, 1, 3, 3], [np.nan, 0, 1, 2, 4, 86400]])
    )


# all at once


def test_one_error_names_all_columns_that_are_refused(tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {"p": ["1,5", "2,5"] * 6, "q": ["2024-01-31", "2024-02-01"] * 6, "r": [1, "x"] * 6, "y": LABELS}
    )
    with pytest.raises(InputError) as caught:
        from_frame(frame, target="y")
    assert all(f"column {name!r}" in str(caught.value) for name in "pqr")
    many = pd.DataFrame({f"c{number}": ["1,5", "2,5"] * 6 for number in range(40)} | {"y": LABELS})
    with pytest.raises(InputError, match=r"And 34 more columns \(decimal commas\)"):
        from_frame(many, target="y")
    assert from_frame(many, target="y", decimal=",").n_features == 40


@pytest.mark.parametrize("separator", [";", "\t", "|"])
def test_check_looks_into_files_with_another_separator(separator: str, tmp_path: Path) -> None:
    lines = [["a", "b", "y"], *([f"{row},5", f"{row % 5}", "uv"[row % 2]] for row in range(COUNT))]
    (tmp_path / "t.csv").write_text("\n".join(separator.join(line) for line in lines))
    problems = check_file(tmp_path / "t.csv", "y")["problems"]
    assert any(f"--separator {separator!r}" in problem for problem in problems)
    assert any("decimal commas, 'a'" in problem for problem in problems)


@pytest.mark.parametrize("cell", ["1,5", "2024-01-31", "10:30"])
def test_check_of_a_table_whose_columns_are_all_refused(cell: str, tmp_path: Path) -> None:
    pd.DataFrame({"a": [cell] * COUNT, "y": LABELS}).to_csv(tmp_path / "t.csv", index=False)
    found = check_file(tmp_path / "t.csv", "y")
    assert (found["samples"], found["features"], found["classes"]) == (COUNT, 1, 2)
    assert [problem.startswith(REFUSED) for problem in found["problems"]] == [True]


def test_check_looks_at_the_rows_that_have_a_label(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(
        "a,y\n" + "".join(f"{row * row},{'' if row == 3 else 'uv'[row % 2]}\n" for row in range(24))
    )
    found = check_file(tmp_path / "t.csv", "y")
    assert found["samples"] == 23
    assert found["problems"] == ["refused: rows without a label, 'y' (1): --drop-unlabelled leaves them out"]
    assert found["class_counts"] == {"u": 12, "v": 11}
    with pytest.raises(InputError, match="--drop-unlabelled leaves them out"):
        load_dataset(tmp_path / "t.csv", target="y")
    labelled = load_dataset(tmp_path / "t.csv", target="y", drop_unlabelled=True)
    assert labelled.n_samples == 23
    assert labelled.notes == ("rows without a label, 'y' (1): left out",)
