"""Compiled kernels are kept where that is possible and safe; where it is not, they are compiled, and nothing fails."""

from __future__ import annotations

import logging
import os
import resource
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numba
import pytest
from numba.core import caching

from dst.kernels import code_cache
from dst.kernels.code_cache import CodeCache, keep_code, own_temporary_folder


def double(x: int) -> int:
    return 2 * x


@pytest.fixture(autouse=True)
def anew() -> Iterator[None]:
    own_temporary_folder.cache_clear()
    code_cache._say_once.cache_clear()
    yield
    own_temporary_folder.cache_clear()
    code_cache._say_once.cache_clear()


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder for temporary files, on a machine whose other places for a cache cannot be written to."""
    monkeypatch.setattr(caching.CacheImpl, "_locator_classes", [caching.UserProvidedCacheLocator])
    monkeypatch.setattr(numba.config, "CACHE_DIR", "")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def compiled() -> Any:
    dispatcher = numba.njit(double)
    keep_code(dispatcher)
    return dispatcher


def hits(dispatcher: Any) -> int:
    return sum(dispatcher.stats.cache_hits.values())


def test_without_another_place_a_folder_of_this_user_among_the_temporary_ones_serves(
    temporary: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(RuntimeError, match="no locator available"):
        numba.njit(cache=True)(double)
    first = compiled()
    assert first(21) == 42
    folder = temporary / f"dst-numba-{os.getuid()}"
    assert folder.stat().st_mode & 0o777 == 0o700
    assert list(folder.rglob("*.nbc"))
    assert numba.config.CACHE_DIR == "", "other libraries keep their own rule"
    second = compiled()
    assert (second(4), hits(first), hits(second)) == (8, 0, 1)
    assert not caplog.records


def test_the_folder_that_the_variable_names_comes_first(temporary: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path / "named"))
    assert compiled()(1) == 2
    assert list((tmp_path / "named").rglob("*.nbc"))
    assert not (temporary / f"dst-numba-{os.getuid()}").exists()


def make_link(path: Path) -> None:
    path.with_name("elsewhere").mkdir(mode=0o700)
    path.symlink_to("elsewhere")


def make_open(path: Path) -> None:
    path.mkdir()
    path.chmod(0o770)


def make_foreign(path: Path) -> None:
    if os.getuid() != 0:
        pytest.skip("only root can make another user's folder")
    path.mkdir(mode=0o700)
    os.chown(path, 12345, 12345)


@pytest.mark.parametrize("make", [make_link, make_open, make_foreign, Path.touch])
def test_a_folder_that_others_may_change_is_not_taken(
    make: Callable[[Path], None], temporary: Path, caplog: pytest.LogCaptureFixture
) -> None:
    make(temporary / f"dst-numba-{os.getuid()}")
    assert own_temporary_folder() is None
    assert [compiled()(x) for x in (1, 2)] == [2, 4]
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert "set NUMBA_CACHE_DIR to a folder that can be written to" in record.getMessage()
    assert "\n" not in record.getMessage()


def test_the_users_own_folder_is_not_taken_where_there_is_no_temporary_one(temporary: Path, monkeypatch) -> None:
    monkeypatch.chdir(temporary)  # Python falls back on it
    assert own_temporary_folder() is None


def test_a_disk_that_is_full_costs_compiling_only(temporary: Path, caplog: pytest.LogCaptureFixture) -> None:
    kernels = [compiled(), compiled()]
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (16, hard))  # bytes that a file may have
    try:
        assert [kernel(21) for kernel in kernels] == [42, 42]
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    (record,) = caplog.records
    assert "File too large" in record.getMessage()
    again = compiled()
    assert (again(3), hits(again)) == (6, 0)
    last = compiled()
    assert (last(3), hits(last)) == (6, 1), "the next process with room keeps it"


def test_a_folder_that_is_gone_or_replaced_meanwhile_costs_compiling_only(temporary: Path, caplog) -> None:
    gone = compiled()
    folder = temporary / f"dst-numba-{os.getuid()}"
    shutil.rmtree(folder)
    assert gone(1) == 2
    assert list(folder.rglob("*.nbc")), "made again"
    blocked = compiled()
    shutil.rmtree(folder)
    folder.touch()
    assert blocked(1) == 2
    assert any("NUMBA_CACHE_DIR" in record.getMessage() for record in caplog.records)


@pytest.mark.parametrize("suffix", [".nbi", ".nbc"])
@pytest.mark.parametrize("content", [b"", b"\x80\x04", b"nonsense"])
def test_a_file_that_a_crash_has_cut_short_is_written_anew(suffix: str, content: bytes, temporary: Path) -> None:
    compiled()(1)
    (damaged,) = temporary.rglob(f"*{suffix}")
    damaged.write_bytes(content)
    second = compiled()
    assert (second(2), hits(second)) == (4, 0)
    third = compiled()
    assert (third(2), hits(third)) == (4, 1)


def test_every_kernel_is_kept_so() -> None:
    from dst.kernels import connections, linear, optimizers

    for module in (connections, linear, optimizers):
        kernels = [value for value in vars(module).values() if isinstance(value, numba.core.dispatcher.Dispatcher)]
        assert kernels
        assert all(isinstance(kernel._cache, CodeCache) for kernel in kernels)
