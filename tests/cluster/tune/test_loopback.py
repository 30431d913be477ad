"""A Ray that is started here: every port on loopback, a token asked for, and the token shown to nobody."""

from __future__ import annotations

import ipaddress
import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from cluster.tune.run import run_jobs
from tests.support.job_script import Script
from tests.support.job_work import act

TOKEN = "feed" * 16


def on_loopback(address: str) -> bool:
    parsed = ipaddress.ip_address(address)
    mapped = getattr(parsed, "ipv4_mapped", None)
    return bool((mapped or parsed).is_loopback)


def test_every_port_is_on_loopback_and_the_token_is_shown_to_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cluster.tune.session.secrets.token_hex", lambda size: TOKEN)
    listening: dict[str, list[str]] = {}
    commands: list[str] = []
    leaks: list[str] = []
    with tempfile.TemporaryDirectory(prefix="l-", dir="/tmp") as folder:
        monkeypatch.setattr(tempfile, "tempdir", folder)

        def look() -> None:
            me = psutil.Process()
            for process in [me, *me.children(recursive=True)]:
                try:
                    ports = [one.laddr for one in process.net_connections("inet") if one.status == "LISTEN"]
                    listening.setdefault(process.name(), []).extend(address.ip for address in ports)
                    commands.append(" ".join(process.cmdline()))
                except psutil.Error:  # it has ended meanwhile
                    continue
            files = [path for path in Path(folder).rglob("*") if path.is_file() and path.stat().st_size < 2**24]
            leaks.extend(str(path) for path in files if TOKEN.encode() in path.read_bytes())
            modes = {oct(path.stat().st_mode & 0o077) for path in Path(folder).glob("ray-*")}
            assert modes == {"0o0"}, "nobody else may look into the folder"

        work: list[dict[str, Any]] = [{"sleep": 1.5}, {"sleep": 1.5}]
        run_jobs(Script(work), act, {"ones": np.ones(1000)}, workers=2, on_tick=look)
    assert {"gcs_server", "raylet"} <= set(listening)
    assert any(name.startswith("ray::") for name in listening)
    outside = {name: ports for name, ports in listening.items() if not all(map(on_loopback, ports))}
    assert outside == {}
    assert not any(TOKEN in command for command in commands)
    assert leaks == []
    assert os.environ.get("RAY_AUTH_TOKEN") != TOKEN


def test_loopback_is_told_from_other_addresses() -> None:
    assert all(map(on_loopback, ["127.0.0.1", "::1", "::ffff:127.0.0.1"]))
    assert not any(map(on_loopback, ["0.0.0.0", "::", "192.0.2.2", "::ffff:192.0.2.2"]))  # noqa: S104
