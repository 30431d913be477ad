"""What a command loads: packages that take seconds are for the commands that use them."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.two_classes import write_two_classes

FINISHED = Path(__file__).parents[1] / "earlier" / "finished"

PROGRAM = """
import contextlib, io, json, sys
from studies.cli.main import main

loaded = []
for arguments in json.loads(sys.argv[1]):
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        try:
            main(arguments)
        except SystemExit as ended:
            loaded.append([ended.code, len(printed.getvalue()), sorted(sys.modules)])
print(json.dumps(loaded))
"""


def modules_after(*commands: list[str]) -> list[set[str]]:
    """Return the modules that one new process holds after each command; all of them must have printed and succeeded."""
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM, json.dumps(commands)], capture_output=True, text=True, check=True
    )
    found = json.loads(ended.stdout)
    assert [code for code, _, _ in found] == [0] * len(commands), ended.stderr
    assert all(length for _, length, _ in found)
    return [set(modules) for *_, modules in found]


def test_what_shows_a_study_or_a_list_loads_nothing_that_trains(tmp_path: Path) -> None:
    folder = tmp_path / "study"
    shutil.copytree(FINISHED, folder)
    commands = [
        ["--help"],
        ["datasets", "list"],
        ["datasets", "list", "--json"],
        ["best", str(folder)],
        ["best", str(folder), "--json"],
        ["status", str(folder)],
        ["status", str(folder), "--json"],
    ]
    for command, modules in zip(commands, modules_after(*commands), strict=True):
        assert not modules & {"torch", "numba", "sklearn", "ray", "wandb", "scipy.stats", "optuna"}, command


@pytest.mark.slow
def test_a_ranking_of_a_table_loads_nothing_that_it_does_not_use(tmp_path: Path) -> None:
    """scikit-learn itself loads scipy.stats; a selector cannot be one of its estimators without."""
    table = write_two_classes(tmp_path / "table.csv", 0, rows=40, columns=6, decided_by=(0, 1))
    out = tmp_path / "ranked.csv"
    (modules,) = modules_after(["select", str(table), "--target", "label", "--epochs", "2", "--out", str(out)])
    assert not modules & {"ray", "optuna", "wandb", "lassonet", "captum", "cluster.ledger.ledger"}
