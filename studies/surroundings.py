"""Stand-ins for what a process may lack where a study runs: standard streams, a home.

A service closes its descriptors, ``pythonw`` has none to begin with, and a container's user may be known by a number
alone.
"""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

import typer

NOWHERE = "/nonexistent"
"""The home that Debian notes for users who have none."""


@contextmanager
def stated_home() -> Iterator[None]:
    """Say in ``HOME`` that there is no home, meanwhile, where neither ``HOME`` nor the system's list of users has one.

    Ray, W&B and pooch raise there at their import or first call, and Numba makes a folder named ``~``; with a home that
    does not exist, all of them do without.
    """
    unknown = os.path.expanduser("~") == "~"
    if unknown:
        os.environ["HOME"] = NOWHERE
    try:
        yield
    finally:
        if unknown:
            os.environ.pop("HOME", None)


_NAMES = ("stdout", "stderr")


@contextmanager
def standard_streams() -> Iterator[None]:
    """Let ``sys.stdout`` and ``sys.stderr`` be there meanwhile: where one is None or closed, what is written is lost.

    Much of what a study calls (Ray, W&B, rich, logging) takes for granted that they are there. Descriptors 0 to 2 that
    are closed are opened on the null device, and stay so: the next file that is opened would get their number, e.g. the
    study's database, and with it whatever a library in C writes to its standard error.
    """
    _fill_descriptors()
    missing = {name: stream for name in _NAMES if _is_gone(stream := getattr(sys, name))}
    for name in missing:
        setattr(sys, name, _nowhere())
    try:
        yield
    finally:
        for name, stream in missing.items():
            setattr(sys, name, stream)


def _is_gone(stream: TextIO | None) -> bool:
    return stream is None or bool(getattr(stream, "closed", False))


def _fill_descriptors() -> None:
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:  # closed, so that the lowest free number is its own
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)


@functools.cache
def _nowhere() -> TextIO:
    """Return a stream that loses what is written; it stays open, as logging may keep it."""
    return open(os.devnull, "w", encoding="utf-8")


def say(message: str) -> None:
    """Write a line to stderr; one that cannot be written (a full disk, a terminal that is gone) changes nothing."""
    with suppress(OSError):
        typer.echo(message, err=True)


def child_environment() -> dict[str, str]:
    """Return the environment of a Python process that imports the packages from where this one has them.

    With ``python -P``, which keeps the working directory out of the search path.
    """
    home = str(Path(__file__).parents[1])
    path = os.pathsep.join(part for part in (home, os.environ.get("PYTHONPATH")) if part)
    return {**os.environ, "PYTHONPATH": path}


def give_way(niceness: int) -> None:
    """Let this process stand back behind others, those of other sessions included.

    Where Linux shares its cores out among sessions first (``sched_autogroup``, on by default), niceness counts within a
    session alone: a process that leads one gives way for the session too.

    Args:
        niceness: 0 to 19.
    """
    os.nice(niceness)
    if os.getsid(0) == os.getpid():
        with suppress(OSError):  # not Linux, or without groups
            Path("/proc/self/autogroup").write_text(str(niceness), encoding="ascii")
