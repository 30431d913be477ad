"""What users and other programs rely on: exported names, commands and their options, keys of a spec, files of a study.

``contract.json`` was written once. A name may come, which is a line there; one that goes or is renamed breaks somebody.
"""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from typing import Any

import pytest
import torch  # noqa: F401  here, since no test is to be charged with the time that it takes
import typer

import dst
import studies
from studies.cli.main import app
from studies.spec.study import StudySpec
from studies.store.folder import StudyFolder

CONTRACT = json.loads((Path(__file__).parent / "contract.json").read_text(encoding="utf-8"))


def options(command: Any, name: str = "") -> dict[str, set[str]]:
    """Options and arguments of each command below ``command``, by its name."""
    if hasattr(command, "commands"):
        return {
            whole: found
            for part, below in command.commands.items()
            for whole, found in options(below, f"{name} {part}".strip()).items()
        }
    return {name: {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}}


@pytest.mark.parametrize("package", [dst, studies])
def test_a_package_exports_what_it_did(package) -> None:
    for name in CONTRACT[package.__name__]:
        assert getattr(package, name) is not None


def test_every_command_takes_the_options_that_it_took() -> None:
    found = options(typer.main.get_command(app))
    for command, taken in CONTRACT["commands"].items():
        assert set(taken) <= found[command], command


def test_a_spec_has_the_keys_that_it_had() -> None:
    schema = StudySpec.model_json_schema()
    found = {name: set(section.get("properties", {})) for name, section in schema["$defs"].items()}
    found["StudySpec"] = set(schema["properties"])
    for section, keys in CONTRACT["spec"].items():
        assert set(keys) <= found[section], section


def test_a_folder_has_the_files_that_it_had() -> None:
    folder = StudyFolder(Path("DIR"))
    properties = [name for name, value in inspect.getmembers(StudyFolder) if isinstance(value, property)]
    assert set(CONTRACT["folder"]) <= {str(getattr(folder, name)) for name in properties}
    assert [
        str(path)
        for path in (
            folder.record("wine", 3),
            folder.scores("wine", 3),
            folder.test("wine", 3),
            folder.features("wine"),
            folder.best_spec("wine"),
        )
    ] == [
        "DIR/records/wine/3.json",
        "DIR/records/wine/3.npz",
        "DIR/records/wine/3.test.json",
        "DIR/features/wine.csv",
        "DIR/best/wine.yaml",
    ]
