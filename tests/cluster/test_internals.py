"""Private modules of Optuna, Ray and W&B are imported in one place a library; ruff's SLF001 looks at attributes."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PLACES = {"optuna": "cluster/ledger/internals.py", "ray": "cluster/tune/internals.py", "wandb": None}


def imports(path: Path) -> set[str]:
    """The dotted names that a module imports, those inside functions too."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
    return found


@pytest.mark.parametrize("library", PLACES)
def test_private_modules_are_imported_in_one_place(library: str) -> None:
    sources = [
        path for package in ("cluster", "dst", "search_spaces", "studies") for path in (ROOT / package).rglob("*.py")
    ]
    private = {
        (path.relative_to(ROOT).as_posix(), name)
        for path in sources
        for name in imports(path)
        if name.split(".")[0] == library and any(part.startswith("_") for part in name.split("."))
    }
    assert len(sources) > 100
    assert {path for path, _ in private} <= {PLACES[library]}, private
