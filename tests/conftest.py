from __future__ import annotations

import os
from pathlib import Path

import pytest


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
