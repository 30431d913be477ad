from __future__ import annotations

import pytest

from tests.support.local_run import LocalRun, watched_local_run


@pytest.fixture(scope="session")
def local_run(tmp_path_factory: pytest.TempPathFactory) -> LocalRun:
    """The one run on a Ray that is started here, for all modules that ask what it did."""
    return watched_local_run(tmp_path_factory.mktemp("work") / "diary")
