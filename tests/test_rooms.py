"""Tests stand in the rooms of what they test, and take from each other through ``tests/support`` alone."""

from __future__ import annotations

import re
from pathlib import Path

TESTS = Path(__file__).parent
ROOT = TESTS.parent


def test_no_test_module_is_imported():
    pattern = re.compile(r"^\s*(?:from tests[\w.]*\.test_\w+ import|from tests[\w.]* import test_)", re.MULTILINE)
    imported = {str(path.relative_to(ROOT)) for path in TESTS.rglob("*.py") if pattern.search(path.read_text())}
    assert not imported


def test_every_folder_of_tests_is_a_room_of_a_package():
    folders = {path.parent.relative_to(TESTS) for path in TESTS.rglob("test_*.py")} - {Path()}
    assert not [str(folder) for folder in folders if not (ROOT / folder).is_dir()]


def test_helpers_are_in_support():
    elsewhere = [path for path in TESTS.rglob("*.py") if "support" not in path.parts]
    assert not [path.name for path in elsewhere if not path.name.startswith(("test_", "conftest"))]
