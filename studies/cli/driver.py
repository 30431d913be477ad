"""The driver of a run in a process of its own, whose end is explained also where a library ends it without a word.

When the Ray that a driver is connected with ends (its node was stopped or pre-empted, its head is gone), Ray's own code
leaves the process: with status 1, without a word, and past all of Python. So the command that the user sees waits for a
child that drives the run.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

from studies.surroundings import say

LOST = 75
"""Exit status when Ray ended under the run: EX_TEMPFAIL of sysexits.h, by which batch systems try again."""

INTERRUPTED = 130
"""Exit status after Ctrl+C or SIGTERM, as shells have it; Typer turns a KeyboardInterrupt into it."""

_PASSED_ON = (signal.SIGINT, signal.SIGTERM)
_PR_SET_PDEATHSIG = 1


@contextmanager
def explained_end() -> Iterator[None]:
    """Go on in a child process; the caller's process waits for it, passes signals on, and exits with its status.

    The child has a process group of its own, so that Ctrl+C reaches it once, from here. On Linux it is killed when its
    parent is. Where the child ends without leaving this block, the exit status is :data:`LOST`; where it was asked to
    end before that, :data:`INTERRUPTED`.
    """
    heard, told = os.pipe()
    parent = os.getpid()
    signal.pthread_sigmask(signal.SIG_BLOCK, _PASSED_ON)  # until somebody is there who knows what to do
    child = os.fork()
    if child:
        os.close(told)
        sys.exit(_status_of(child, heard))
    os.close(heard)
    os.setpgid(0, 0)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _PASSED_ON)
    _die_with(parent)
    try:
        yield
    finally:
        os.write(told, b".")


def say_interrupted() -> None:
    """Say that the run was asked to end."""
    say("interrupted; the same command goes on from here")


def say_lost(why: str = "") -> None:
    """Say that Ray ended under the run.

    Args:
        why: what is known, or nothing.
    """
    reason = f" ({why})" if why else ""
    say(f"error: the Ray that this run was connected with has ended{reason}; the same command goes on from here")


def _status_of(child: int, heard: int) -> int:
    """Wait for the child; return the status to exit with, or end by the signal that ended the child."""
    asked = False

    def pass_on(number: int, frame: FrameType | None) -> None:
        nonlocal asked
        asked = True
        with suppress(ProcessLookupError):
            os.kill(child, number)

    for held in _PASSED_ON:
        if signal.getsignal(held) is not signal.SIG_IGN:  # as shells have SIGINT in the background
            signal.signal(held, pass_on)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _PASSED_ON)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        if number != signal.SIGKILL:
            signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
    os.set_blocking(heard, False)
    with suppress(BlockingIOError):  # a process that the child has left behind may hold the other end
        if os.read(heard, 1):
            return os.WEXITSTATUS(status)
    if asked:
        say_interrupted()
        return INTERRUPTED
    say_lost()
    return LOST


def _die_with(parent: int) -> None:
    """Let this process be killed when its parent dies."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)
