"""A Ray that is started here: every port on loopback, a token asked for, and the token shown to nobody."""

from __future__ import annotations

import ipaddress
import os
from pathlib import Path

import pytest

from tests.support.local_run import TOKEN, LocalRun


def on_loopback(address: str) -> bool:
    parsed = ipaddress.ip_address(address)
    mapped = getattr(parsed, "ipv4_mapped", None)
    return bool((mapped or parsed).is_loopback)


@pytest.mark.slow
def test_every_port_is_on_loopback_and_the_token_is_shown_to_nobody(local_run: LocalRun) -> None:
    assert {"gcs_server", "raylet"} <= set(local_run.listening)
    assert any(name.startswith("ray::") for name in local_run.listening)
    outside = {name: ports for name, ports in local_run.listening.items() if not all(map(on_loopback, ports))}
    assert outside == {}
    services = {Path(word).name for command in local_run.commands for word in command.split() if word.endswith(".py")}
    assert services.isdisjoint({"dashboard.py", "monitor.py", "log_monitor.py"}), "see few_services"
    assert not any(TOKEN in command for command in local_run.commands)
    assert local_run.leaks == []
    assert local_run.modes == {"0o0"}, "nobody else may look into the folder"
    assert os.environ.get("RAY_AUTH_TOKEN") != TOKEN


def test_loopback_is_told_from_other_addresses() -> None:
    assert all(map(on_loopback, ["127.0.0.1", "::1", "::ffff:127.0.0.1"]))
    assert not any(map(on_loopback, ["0.0.0.0", "::", "192.0.2.2", "::ffff:192.0.2.2"]))  # noqa: S104
