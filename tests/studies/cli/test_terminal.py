"""Tables on a terminal: as wide as it is, with no word and no figure broken or left out."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from studies.cli.main import app
from studies.cli.terminal import print_table, print_wrapped

LONG = ", ".join(f"setting_{number}=0.{number}" for number in range(9))
HEAD = ["dataset", "method", "validation", "test accuracy", "list: balanced accuracy", "settings"]
ROWS = [
    ["Prostate_GE", "l1_logistic", "0.9373", "85.7 ± 10.0 %", "97.3 %", LONG],
    ["two\nlines", "set", "0.8", "not opened", "not measured", "lr=0.002053"],
]
WORDS = " ".join(cell.replace("\n", "\\n") for line in (HEAD, *ROWS) for cell in line).split()


@pytest.mark.parametrize("columns", [40, 80, 100, 120])
def test_a_table_fits_and_has_every_word(
    columns: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    print_table(HEAD, ROWS)
    printed = capsys.readouterr().out
    assert max(map(len, printed.splitlines())) <= columns
    assert set(WORDS) <= set(printed.split())
    for row in ROWS:
        for cell in row[2:5]:
            assert cell in printed, "figures stay in one piece"


def test_a_file_gets_one_line_a_row(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    print_table(HEAD, ROWS)
    print_wrapped("word " * 100)
    assert len(capsys.readouterr().out.splitlines()) == 1 + len(ROWS) + 1


def test_a_shell_completes_commands() -> None:
    asked = {"_DST_COMPLETE": "complete_bash", "COMP_WORDS": "dst st", "COMP_CWORD": "1"}
    assert CliRunner().invoke(app, [], prog_name="dst", env=asked).output.split() == ["status"]
