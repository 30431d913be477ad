"""A user without a home, as a container's that is known by its number alone."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

NOWHERE = "/nonexistent"
"""What Debian calls the home of users who have none."""


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
