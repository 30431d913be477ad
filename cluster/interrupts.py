"""Ctrl-C between two steps of a run, not in the middle of one."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType


@contextlib.contextmanager
def held_interrupts() -> Iterator[Callable[[], None]]:
    """Hold SIGINT back until the run looks for it, and put all handlers back at the end that Ray and Tune replace.

    The second SIGINT acts at once. Elsewhere than in the main thread, and where SIGINT is ignored, nothing is held.

    Yields:
        A function that raises KeyboardInterrupt once SIGINT has arrived.
    """
    arrived = threading.Event()

    def check() -> None:
        if arrived.is_set():
            raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield check
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)}

    def hold(number: int, frame: FrameType | None) -> None:
        arrived.set()
        signal.signal(signal.SIGINT, before[signal.SIGINT])

    if before[signal.SIGINT] is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, hold)
    try:
        yield check
    finally:
        for number, handler in before.items():
            if handler is not None:
                signal.signal(number, handler)
