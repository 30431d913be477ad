from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).parent


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep what starts Ray, databases and W&B in one of the processes of pytest-xdist, one test after another."""
    for item in items:
        if item.path.relative_to(ROOT).parts[0] in ("cluster", "studies"):
            item.add_marker(pytest.mark.xdist_group("machines"))


@pytest.fixture(scope="session")
def paper_data_dir() -> Path:
    """The folder with the paper's datasets; skips where there is none."""
    given = os.environ.get("DST_DATA_DIR", "")
    if not given:
        pytest.skip("DST_DATA_DIR is not set: it names the folder with the paper's datasets")
    folder = Path(given).expanduser()
    if not folder.is_dir():
        pytest.skip(f"DST_DATA_DIR names {folder}, which is no folder")
    return folder
