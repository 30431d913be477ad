from __future__ import annotations

import os
from pathlib import Path

import pytest

MACHINES = {
    "cluster": "brief_trials here loopback memory postgres ray_contract ray_run scratch search_on_workers work_thread",
    "studies": (
        "bench_cli bench_scheduler bench_study checkpoints cli cores faults foreign_folders kills no_home "
        "postgres_study reproducible secrets several_objectives spent standard_streams study tracking_online"
    ),
}
"""Modules whose tests start Ray, servers and whole commands, and look at the processes of the machine."""


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep these in one of the two processes of ``make test``, one test after another."""
    for item in items:
        if item.path.stem.removeprefix("test_") in MACHINES.get(item.path.parent.name, "").split():
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
