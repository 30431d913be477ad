"""Who has no home, or none that is known, can do everything but keep things there."""

from __future__ import annotations

import os
import pwd
from pathlib import Path
from typing import NoReturn

import pooch
import pytest

from studies.cli.main import main
from studies.surroundings import NOWHERE, stated_home


@pytest.fixture
def unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    """A user whom the system knows by number alone, without ``HOME``."""

    def nobody(number: int) -> NoReturn:
        raise KeyError(number)

    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(pwd, "getpwuid", nobody)


@pytest.mark.usefixtures("unknown")
def test_where_no_home_is_known_one_is_stated_meanwhile() -> None:
    with pytest.raises(RuntimeError):
        Path.home()
    with stated_home():
        assert Path.home() == Path(NOWHERE)
        assert Path(pooch.os_cache("dst")).is_absolute()
    assert "HOME" not in os.environ


@pytest.mark.parametrize("home", ["/somewhere", "/proc/none", "/"])
def test_a_home_that_is_known_stays(home: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", home)
    with stated_home():
        assert os.environ["HOME"] == home
    assert os.environ["HOME"] == home


@pytest.mark.usefixtures("unknown")
@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["datasets", "list"], 0, "synthetic_10000"),
        (["trial", "--data", "gisette"], 2, "set DST_DATA_DIR"),
        (["trial", "--data", "wine", "--method", "random"], 0, "best of 4 columns"),
    ],
)
def test_commands_need_no_home(
    arguments: list[str], status: int, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("DST_DATA_DIR", raising=False)
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    printed = capsys.readouterr()
    assert ended.value.code == status
    assert said in printed.out + printed.err
