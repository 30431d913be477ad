"""Interrupts (Ctrl-C, SIGTERM) that are answered between two steps of a run, not in the middle of one."""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections.abc import Iterator
from contextvars import ContextVar
from types import FrameType

_ENDING = (signal.SIGINT, signal.SIGTERM)
_REPLACED = (*_ENDING, signal.SIGUSR1)  # by Ray or Tune
_LOOK_SECONDS = 0.2


class Interrupts:
    """A note that the process was asked to end, which the run looks at between its steps."""

    def __init__(self) -> None:
        self._arrived = threading.Event()
        self._answered = False

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
            self._answered = True
            raise KeyboardInterrupt

    def check_the_last(self) -> None:
        """Raise KeyboardInterrupt for a signal that :meth:`check` has not answered yet."""
        if not self._answered:
            self.check()

    def _note(self, number: int, frame: FrameType | None) -> None:
        """Remember the first signal; let the second act at once."""
        self._arrived.set()
        for ending in _ENDING:
            signal.signal(ending, signal.default_int_handler)


_holding: ContextVar[Interrupts | None] = ContextVar("_holding", default=None)


def sleep(seconds: float) -> None:
    """Sleep, but not past a signal that :func:`held_interrupts` holds back around the call.

    Raises:
        KeyboardInterrupt: SIGINT or SIGTERM has arrived.
    """
    interrupts = _holding.get()
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        if interrupts is not None:
            interrupts.check()
        time.sleep(min(left, _LOOK_SECONDS))


@contextlib.contextmanager
def held_interrupts() -> Iterator[Interrupts]:
    """Hold SIGINT and SIGTERM back, and put all handlers back at the end that Ray and Tune replace."""
    interrupts = Interrupts()
    if threading.current_thread() is not threading.main_thread():
        yield interrupts
        return
    before = {number: signal.getsignal(number) for number in _REPLACED}
    interrupts.hold()
    token = _holding.set(interrupts)
    try:
        yield interrupts
    finally:
        _holding.reset(token)
        for number, handler in before.items():
            if handler is not None:
                signal.signal(number, handler)
    interrupts.check_the_last()
