"""Temporary folders of Ray: gone with their process, or at the next start after it was killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from cluster.scratch import OWNER, scratch_folder

KILLED = """
import os, pathlib, signal, sys
from cluster.scratch import scratch_folder
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
