"""The child that drives a run: each way in which it ends has a status and, where nobody else speaks, a line."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys

import psutil
import pytest

PROGRAM = """
import os, signal, sys, time
from studies.cli.driver import explained_end

signal.signal(signal.SIGINT, signal.default_int_handler)  # which shells ignore in the background
for body in sys.argv[1:]:
    command = os.fork()
    if not command:
        parent = os.getpid()
        with explained_end():
            print(os.getpid(), os.getppid() == parent, flush=True)
            exec(body)
        sys.exit()
    print("ended", os.waitstatus_to_exitcode(os.waitpid(command, 0)[1]), flush=True)
    print(file=sys.stderr, flush=True)
"""

IN_RAY = "os._exit(1)"
"""The way in which Ray's own code leaves the process."""

GOES_ON = "the same command goes on from here"

ENDS = [
    ("sys.exit(0)", 0, ""),
    ("sys.exit(2)", 2, ""),
    ("pass", 0, ""),
    ("raise ValueError('as asked')", 1, "ValueError: as asked"),
    (IN_RAY, 75, f"error: the Ray that this run was connected with has ended; {GOES_ON}"),
    ("os.kill(os.getpid(), signal.SIGKILL)", -signal.SIGKILL, ""),
]
"""What a driver does, its status, and the last line of its errors."""


def start(*bodies: str) -> subprocess.Popen[str]:
    """Start a process that drives one body after the other."""
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *bodies],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def test_a_driver_ends_as_its_child_does() -> None:
    printed, errors = start(*(body for body, *_ in ENDS)).communicate(timeout=60)
    told = printed.splitlines()
    assert all(line.endswith(" True") for line in told[::2]), "each is driven by a child of its own"
    assert told[1::2] == [f"ended {status}" for _, status, _ in ENDS]
    lines = errors.splitlines()
    for _, _, says in ENDS:
        end = lines.index("")
        assert lines[:end][-1:] == ([says] if says else [])
        del lines[: end + 1]


def test_a_signal_reaches_the_child_once_also_when_ray_ends_meanwhile() -> None:
    process = start(
        "got = []; signal.signal(signal.SIGINT, lambda *_: got.append(1)); print('ready', flush=True)\n"
        f"while not got: time.sleep(0.01)\ntime.sleep(0.2); print(got, flush=True); {IN_RAY}"
    )
    assert process.stdout is not None
    command_of = psutil.Process(process.pid).children
    process.stdout.readline()
    assert process.stdout.readline() == "ready\n"
    (command,) = command_of()
    os.kill(command.pid, signal.SIGINT)
    printed, errors = process.communicate(timeout=60)
    assert printed == "[1]\nended 130\n"
    assert errors == f"interrupted; {GOES_ON}\n\n"


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a child with its parent")
def test_a_killed_driver_takes_its_child_along() -> None:
    process = start("time.sleep(60)")
    assert process.stdout is not None
    child = int(process.stdout.readline().split()[0])
    ended = os.pidfd_open(child)
    (command,) = psutil.Process(process.pid).children()
    command.kill()
    readable, _, _ = select.select([ended], [], [], 30)
    os.close(ended)
    assert readable == [ended]
    assert process.communicate(timeout=60)[0] == "ended -9\n"
