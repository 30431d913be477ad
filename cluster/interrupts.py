"""Ctrl-C and SIGTERM between two steps of a run, not in the middle of one."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType

_ENDING = (signal.SIGINT, signal.SIGTERM)
_REPLACED = (*_ENDING, signal.SIGUSR1)  # by Ray or Tune


class Interrupts:
    """Notes that the process was asked to end, until the run looks for it."""

    def __init__(self) -> None:
        self._arrived = threading.Event()

    def hold(self) -> None:
        """Hold signals back from now on; to be called again after Ray has started, which takes SIGTERM for itself.

        Elsewhere than in the main thread, and where a signal is ignored, nothing is held.
        """
        if threading.current_thread() is threading.main_thread():
            for number in _ENDING:
                if signal.getsignal(number) is not signal.SIG_IGN:
                    signal.signal(number, self._note)

    def check(self) -> None:
        """Raise KeyboardInterrupt once a signal has arrived."""
        if self._arrived.is_set():
            raise KeyboardInterrupt

    def _note(self, number: int, frame: FrameType | None) -> None:
        """Remember the first signal; let the second act at once."""
        self._arrived.set()
        for ending in _ENDING:
            signal.signal(ending, signal.default_int_handler)


@contextlib.contextmanager
def held_interrupts() -> Iterator[Interrupts]:
    """Hold SIGINT and SIGTERM back, and put all handlers back at the end that Ray and Tune replace."""
    interrupts = Interrupts()
    if threading.current_thread() is not threading.main_thread():
        yield interrupts
        return
    before = {number: signal.getsignal(number) for number in _REPLACED}
    interrupts.hold()
    try:
        yield interrupts
    finally:
        for number, handler in before.items():
            if handler is not None:
                signal.signal(number, handler)
