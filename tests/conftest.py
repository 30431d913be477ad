from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest
import sqlalchemy
from alembic.config import Config
from alembic.script import ScriptDirectory
from numba.core import event

os.environ.pop("COLUMNS", None)  # which pytest-xdist sets: what a test prints is as wide as in a file

hypothesis.settings.register_profile("quick", max_examples=20, deadline=None)
hypothesis.settings.register_profile("ci", max_examples=30, deadline=None)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "quick")  # --hypothesis-profile goes before this


_COMPILED = event.TimingListener()
"""The time for which Numba has compiled in this process."""
event.register("numba:compile", _COMPILED)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addini("quick_seconds", "processor seconds that a test without the mark slow may take", default="5")


LONG = ("tests/studies/", "tests/cluster/tune/", "tests/dst/rankers/")
"""Rooms whose modules take long: studies, what starts Ray, and trainings of many kinds."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let long modules come first: what is left at the end of a run is then shared out evenly between processes."""
    items.sort(key=lambda item: not item.nodeid.startswith(LONG))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """Fail a test that passes, is not marked ``slow`` and takes more than ``quick_seconds`` of processor time.

    Processor time, so that other work on the machine fails no test; of this process, since how much a Ray, a server or
    a command that a test starts takes depends on the machine. Fixtures are not counted, nor what Numba compiles, which
    falls to whichever test is the first. In CI there is no limit: twice as many examples are drawn there.
    """
    began = _processor_seconds()
    result = yield
    took, limit = _processor_seconds() - began, float(item.config.getini("quick_seconds"))
    if took > limit and item.get_closest_marker("slow") is None and not os.environ.get("CI"):
        pytest.fail(f"a test without the mark slow may take {limit:g} s of processor time, but it took {took:.1f} s")
    return result


def _processor_seconds() -> float:
    """Return the processor time of this process without compiling."""
    return time.process_time() - (_COMPILED.duration if _COMPILED.done else 0.0)


@pytest.fixture(scope="session", autouse=True)
def _no_wait_for_the_disk() -> Iterator[None]:
    """Force nothing to the disk in this process: half of a small study's time, and no test cuts the power.

    What a process wrote survives its death. The product sets SQLite's ``synchronous`` when the tables are made.
    """

    def leave_to_the_system(connection: object, _: object) -> None:
        if isinstance(connection, sqlite3.Connection):
            connection.execute("PRAGMA synchronous=OFF")

    sqlalchemy.event.listen(sqlalchemy.Engine, "connect", leave_to_the_system)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda descriptor: None)
        yield
    sqlalchemy.event.remove(sqlalchemy.Engine, "connect", leave_to_the_system)


@pytest.fixture(scope="session", autouse=True)
def _one_reading_of_migrations() -> Iterator[None]:
    """Read Optuna's migrations, which are ten modules, once in this process and not three times a storage."""
    from_config = ScriptDirectory.from_config
    by_place: dict[str | None, ScriptDirectory] = {}

    def kept(config: Config) -> ScriptDirectory:
        place = config.get_main_option("script_location")
        if place not in by_place:
            by_place[place] = from_config(config)
        return by_place[place]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ScriptDirectory, "from_config", kept)
        yield


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


@pytest.fixture
def scratch() -> Iterator[Path]:
    """A folder for temporary files with a name short enough for sockets."""
    folder = Path(tempfile.mkdtemp(prefix="k-"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)
