"""Temporary folders of Ray: gone with their process, or at the next start after it was killed."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from cluster.jobs import ClusterError
from cluster.tune.scratch import OWNER, SOCKET_ROOM, place_for_ray, scratch_folder

KILLED = """
import os, pathlib, signal, sys
from cluster.tune.scratch import scratch_folder
with scratch_folder() as folder:
    pathlib.Path(folder, "session", "logs").mkdir(parents=True)
    pathlib.Path(folder, "session", "logs", "raylet.out").write_text("x")
    pathlib.Path(folder, "latest").symlink_to(pathlib.Path(folder, "session"))
    pathlib.Path(folder, "home").symlink_to(sys.argv[1])
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_only_what_dead_processes_have_left_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    home = tmp_path / "home"
    home.mkdir()
    (home / "letter").touch()
    foreign = tmp_path / "ray-somebody-else's"
    foreign.mkdir()
    (tmp_path / "ray-link").symlink_to(home)
    (home / OWNER).touch()
    died = subprocess.run(
        [sys.executable, "-c", KILLED, home], env={**os.environ, "TMPDIR": str(tmp_path)}, check=False
    )
    assert died.returncode == -signal.SIGKILL
    assert len(list(tmp_path.glob("ray-????????"))) == 1
    with scratch_folder() as first:
        assert list(tmp_path.glob("ray-????????")) == [Path(first)]
        with scratch_folder() as second:
            assert Path(first, OWNER).exists()
            assert Path(second).exists()
        assert Path(first).exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["home", "ray-link", "ray-somebody-else's"]
    assert (home / "letter").exists()


@pytest.mark.parametrize(
    ("name", "joined", "started"),
    [
        ("k-1", True, True),
        ("a b", True, True),
        ("x" * 60, True, False),
        ("ä", False, False),
        ("中", False, False),
        ("50%", False, False),
        ("what?", False, False),
        ("a#b", False, False),
        ("{a}", False, False),
    ],
)
def test_ray_gets_a_place_whose_path_it_takes(
    name: str, joined: bool, started: bool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delenv("RAY_TMPDIR", raising=False)
    with tempfile.TemporaryDirectory(dir="/tmp") as outer:  # short
        wanted = Path(outer, name)
        wanted.mkdir()
        monkeypatch.setattr(tempfile, "tempdir", str(wanted))
        for sockets, fits in ((False, joined), (True, started)):
            caplog.clear()
            caplog.set_level(logging.INFO)
            assert place_for_ray(sockets=sockets) == (str(wanted) if fits else "/tmp")  # noqa: S108
            assert [str(wanted) in record.getMessage() for record in caplog.records] == ([] if fits else [True])
            expected = logging.INFO if name.isascii() and name.isalpha() else logging.WARNING
            assert all(record.levelno == expected for record in caplog.records), "length is not the user's to mend"


def test_a_place_that_the_user_names_for_ray_comes_before_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with tempfile.TemporaryDirectory(prefix="r-", dir="/tmp") as named:
        monkeypatch.setenv("RAY_TMPDIR", named)
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
        assert place_for_ray(sockets=True) == named
    assert not caplog.records


def test_without_a_place_a_run_is_refused_before_ray_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAY_TMPDIR", raising=False)
    monkeypatch.setattr("cluster.tune.scratch._OTHER_PLACES", ("/nowhere",))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / ("x" * 60)))
    with pytest.raises(ClusterError, match=r"at most 25 characters, .* set TMPDIR to another one") as caught:
        place_for_ray(sockets=True)
    assert "\n" not in str(caught.value)


def test_the_longest_place_leaves_room_for_the_longest_socket() -> None:
    session = "/session_2026-01-01_00-00-00_000000_4194304"  # the date, and the largest number of a process
    assert SOCKET_ROOM + len(session) + len("/sockets/plasma_store") <= 104
