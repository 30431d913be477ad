"""Nodes of a Ray cluster, as ``ray start`` makes them."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest


def start_node(running: list[subprocess.Popen[str]], *arguments: str, inside: Sequence[str] = ()) -> str:
    """Start ``ray start`` with one core; add its process to those running and return what it prints until it runs.

    Args:
        running: takes the process.
        *arguments: of ``ray start``.
        inside: a command that runs the command that follows it, e.g. elsewhere in the network.
    """
    command = [*inside, str(Path(sys.executable).with_name("ray")), "start", "--block", "--num-cpus=1", *arguments]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )
    running.append(process)
    printed = ""
    assert process.stdout is not None
    while "This command will now block" not in printed:
        line = process.stdout.readline()
        assert line, printed
        printed += line
    return printed


@dataclass(frozen=True)
class Wire:
    """Between this machine and a network namespace, which has no other way out.

    Attributes:
        here: the address of this end.
        there: the address of the other end.
        inside: a command that runs the command that follows it in the namespace.
    """

    here: str
    there: str
    inside: tuple[str, ...]

    def cut(self) -> None:
        """Let nothing through any more; neither end is told."""
        self._set("down")

    def mend(self) -> None:
        """Let all through again."""
        self._set("up")

    def _set(self, state: str) -> None:
        subprocess.run([*self.inside, "ip", "link", "set", "dst-there", state], check=True)


@contextlib.contextmanager
def wire() -> Iterator[Wire]:
    """Make a network namespace and a wire to it; skips the test where this process may not."""
    name = "dst-there"
    inside = ("ip", "netns", "exec", name)
    drawn = Wire("10.213.77.1", "10.213.77.2", inside)
    steps = (
        ("ip", "netns", "add", name),
        ("ip", "link", "add", "dst-here", "type", "veth", "peer", "name", "dst-there", "netns", name),
        ("ip", "addr", "add", f"{drawn.here}/30", "dev", "dst-here"),
        ("ip", "link", "set", "dst-here", "up"),
        (*inside, "ip", "addr", "add", f"{drawn.there}/30", "dev", "dst-there"),
        (*inside, "ip", "link", "set", "lo", "up"),
        (*inside, "ip", "link", "set", "dst-there", "up"),
    )
    try:
        for step in steps:
            try:
                subprocess.run(step, check=True, capture_output=True, text=True)
            except (OSError, subprocess.CalledProcessError) as error:
                pytest.skip(f"no network namespaces here: {getattr(error, 'stderr', error)}".strip())
        yield drawn
    finally:
        with contextlib.suppress(OSError):
            subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)
