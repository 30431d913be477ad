"""Nodes of a Ray cluster, as ``ray start`` makes them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def start_node(running: list[subprocess.Popen[str]], *arguments: str) -> str:
    """Start ``ray start`` with one core; add its process to those running and return what it prints until it runs."""
    command = [str(Path(sys.executable).with_name("ray")), "start", "--block", "--num-cpus=1", *arguments]
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
