"""How a table is read: one screen of ``dst datasets check``, warnings of ``select`` and ``trial``, keys of a spec."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from studies.cli.main import main
from studies.spec.dataset import DatasetSpec
from studies.spec.errors import SpecError
from studies.spec.loading import load_spec, parse_spec

ROWS = 60


def call(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[object, str, str]:
    with pytest.raises(SystemExit) as ended:
        main([str(argument) for argument in arguments])
    printed = capsys.readouterr()
    return ended.value.code, printed.out, printed.err


def columns() -> dict[str, list[str]]:
    rng = np.random.default_rng(0)
    days = [f"2023-{rng.integers(1, 13):02d}-{rng.integers(1, 29):02d}" for _ in range(ROWS)]
    numbers = [f"{value:.4f}" for value in rng.normal(size=ROWS)]
    return {
        "Unnamed: 0": [str(row) for row in range(ROWS)],
        "price": [f"{rng.uniform(0, 3):.3f}".replace(".", ",") for _ in range(ROWS)],
        "income": [f"1,{rng.integers(100, 999)},{rng.integers(100, 999)}" for _ in range(ROWS)],
        "share": [f"{rng.integers(0, 99)}%" for _ in range(ROWS)],
        "cost": [f"${rng.integers(0, 99)}.50" for _ in range(ROWS)],
        "when": days,
        "born": ["/".join((day[5:7], day[8:], day[:4])) for day in days],
        "clock": [f"{rng.integers(0, 24):02d}:{rng.integers(0, 59):02d}" for _ in range(ROWS)],
        "stamp": [day.replace("-", "") for day in days],
        "zip": [("01234", "1234", "02000")[row % 3] for row in range(ROWS)],
        "padded": [f"{row % 20:03d}" for row in range(ROWS)],
        "sas": [".", *numbers[1:]],
        "mixed": ["abc", *numbers[1:]],
        "ratio": ["#DIV/0!", *numbers[1:]],
        "colour": [("red", "red ", "blue")[row % 3] for row in range(ROWS)],
        "city": [("New York", "New\u00a0York")[row % 2] for row in range(ROWS)],
        "customer": [f"customer {row}" for row in range(ROWS)],
        "fine": numbers,
        "y": [("01", "1", "2")[row % 3] for row in range(ROWS)],
    }


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """A table with all that would be read silently as something else."""
    path = tmp_path / "all.csv"
    cells = columns()
    with path.open("w", newline="", encoding="utf-8") as file:
        file.write("sep=,\n")
        writer = csv.writer(file)
        writer.writerow(cells)
        writer.writerows([*row, ""] for row in zip(*cells.values(), strict=True))
    return path


NAMED = {
    "decimal commas, 'price'": "--decimal ,",
    "thousands separators, 'income'": "--thousands ,",
    "percent signs, 'share'": "without the sign",
    "currency signs, 'cost'": "without the sign",
    "dates, 'when'": "--dates COL",
    "dates not in ISO 8601, 'born'": "--drop COL",
    "times of day, 'clock'": "--drop COL",
    "numbers that look like dates, 'stamp'": "--dates COL",
    "leading zeros that differ, 'zip'": "--categorical COL",
    "numbers that begin with 0, 'padded'": "--categorical COL",
    "words for missing, 'sas'": "--missing-values .",
    "numbers and words, 'mixed'": "--missing-values",
    "missing values: 1": "'ratio'",
    "spaces around words, 'colour'": "without them",
    "words that differ in spaces, 'city'": "write them alike",
    "like an identifier, 'customer'": "--drop COL",
    "row numbers, 'Unnamed: 0'": "--index-column COL",
    "labels of one value, 'y'": "'01' and '1'",
    "first line names the separator": "left out",
    "empty fields at the ends of lines": "left out",
}


def test_check_names_all_kinds_in_one_screen(capsys: pytest.CaptureFixture[str], table: Path) -> None:
    status, out, err = call(capsys, "datasets", "check", table, "--target", "y")
    lines = [*out.splitlines(), *err.splitlines()]
    assert status == 0
    assert len(lines) <= 24
    assert max(map(len, lines)) <= 118
    assert out.startswith("all: 60 rows, 18 columns, 3 classes\n")
    for what, remedy in NAMED.items():
        (line,) = [line for line in lines if what in line]
        assert remedy in line
    assert err == "refused as it is: decimal commas, thousands separators, dates, dates not in ISO 8601 and 5 more\n"
    status, out, _ = call(capsys, "datasets", "check", table, "--target", "y", "--json")
    assert status == 0
    assert [f"problem: {problem}" for problem in json.loads(out)["problems"]] == lines[2 : 2 + len(NAMED)]


OPTIONS = ("--index-column", "Unnamed: 0", "--decimal", ".", "--thousands", ",", "--dates", "when", "--dates", "stamp")
MORE = ("--categorical", "zip", "--categorical", "padded", "--missing-values", ".", "--missing-values", "abc")
DROPPED = ("--drop", "price", "--drop", "born", "--drop", "clock", "--drop", "customer")


def test_what_check_says_makes_the_table_a_table(capsys: pytest.CaptureFixture[str], table: Path) -> None:
    status, out, err = call(capsys, "datasets", "check", table, "--target", "y", *OPTIONS, *MORE, *DROPPED)
    assert (status, err) == (0, "")
    assert "refused" not in out
    target = ("--target", "y", "--impute", "mean", "--method", "f_score", "--k", "2", "--json")
    folder = table.parent
    out_file = ("--out", folder / "ranked.csv")
    status, out, err = call(capsys, "select", table, *target, *OPTIONS, *MORE, *DROPPED, *out_file)
    assert status == 0
    assert json.loads(out)["features"] == 18 - 1 - 4 + 2 * 2  # two columns of dates become days, month and weekday
    warned = [line for line in err.splitlines() if line.startswith("warning: ")]
    assert any("percent signs, 'share'" in line for line in warned)
    assert any("labels of one value, 'y'" in line for line in warned)
    status, out, err = call(capsys, "select", table, *target, *out_file)
    assert (status, out) == (2, "")
    assert err.count("\n") == 1
    assert "column 'price'" in err
    assert "column 'when'" in err


def test_trial_reads_by_the_same_options(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    rows = [f'"{row},5";{row % 7};{"uv"[row % 2]}' for row in range(40)]
    (tmp_path / "t.csv").write_text("\n".join(["a;b;y", *rows]))
    options = ("--separator", ";", "--decimal", ",", "--method", "f_score", "--json")
    status, out, _ = call(capsys, "trial", "--data", tmp_path / "t.csv", "--target", "y", *options)
    assert status == 0
    assert json.loads(out)["dataset"] == "t"


def test_the_help_names_the_options(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    for command in (("select",), ("trial",), ("datasets", "check")):
        _, out, _ = call(capsys, *command, "--help")
        for option in ("drop", "index-column", "dates", "decimal", "thousands", "missing-values", "separator"):
            assert f"--{option} " in out


SPEC: dict[str, Any] = {
    "path": "t.csv",
    "target": "y",
    "drop": ["id"],
    "index_column": "row",
    "dates": ["when"],
    "decimal": ",",
    "thousands": ".",
    "missing_values": [-999, "."],
    "separator": ";",
}


def test_a_spec_has_the_same_keys(tmp_path: Path) -> None:
    rows = [
        f"{row};x{row};2024-01-{1 + row % 28:02d};{'-999' if row == 3 else f'1.0{row:02d},5'};{'uv'[row % 2]}"
        for row in range(40)
    ]
    (tmp_path / "t.csv").write_text("\n".join(["row;id;when;a;y", *rows]))
    (tmp_path / "s.yaml").write_text(yaml.safe_dump({"name": "s", "datasets": [SPEC]}))
    (use,) = load_spec(tmp_path / "s.yaml").datasets
    dataset = use.load_table()
    assert dataset.feature_names == ("when: days", "when: weekday", "a")
    x = np.asarray(dataset.x)
    assert x[0, 2] == 1000.5
    assert np.isnan(x[3, 2])
    assert use.missing_values == ("-999", ".")
    assert parse_spec({"name": "s", "datasets": [use.model_dump(mode="json")]}).datasets == (use,)
    other = use.model_copy(update={"drop": None})
    assert other.table_key != use.table_key


def test_a_spec_without_the_keys_is_what_it_was() -> None:
    """Folders of studies from before them go on."""
    dumped = DatasetSpec(path="t.csv", target="y").model_dump(mode="json")
    keys = [
        "path",
        "target",
        "split",
        "inner_splits",
        "k",
        "batch_size",
        "group",
        "time",
        "categorical",
        "missing",
        "scaling",
    ]
    assert list(dumped) == keys
    assert "decimal" in DatasetSpec(path="t.csv", decimal=",").model_dump(mode="json")


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        ({"decimal": ";"}, "decimal must be '.' or ','"),
        ({"thousands": "."}, "thousands must be one of"),
        ({"drop": ["y"]}, "'y' has two"),
        ({"dates": ["a"], "time": "a"}, "'a' has two"),
        ({"missing_value": ["."]}, "did you mean 'missing_values'"),
        ({"drop": [["a"]]}, "valid string"),
    ],
)
def test_a_wrong_key_is_refused_before_anything_runs(keys: dict[str, Any], says: str) -> None:
    with pytest.raises(SpecError, match=says):
        parse_spec({"name": "s", "datasets": [{"path": "t.csv", "target": "y", **keys}]})
