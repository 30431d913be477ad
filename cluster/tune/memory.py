"""A worker's watch over its own memory."""

from __future__ import annotations

import threading
from collections.abc import Callable

import psutil

LOOK_SECONDS = 0.2


def own_bytes(process: psutil.Process) -> int:
    """Return the bytes of a process's own memory; pages that it shares, like the object store's, do not count."""
    info = process.memory_info()
    return int(info.rss - getattr(info, "shared", 0))  # elsewhere than on Linux nobody says what is shared


class MemoryWatch:
    """A thread that measures the memory of this process five times a second, until it is stopped or finds too much.

    Args:
        limit: in bytes.
        exceeded: called once, in that thread, with one line that says the limit and what was held.
    """

    def __init__(self, limit: int, exceeded: Callable[[str], None]) -> None:
        self._limit = limit
        self._exceeded = exceeded
        self._stopped = threading.Event()
        self._deciding = threading.Lock()
        threading.Thread(target=self._watch, name="memory", daemon=True).start()

    def stop(self) -> None:
        """Stop measuring; ``exceeded`` is not called any more."""
        with self._deciding:
            self._stopped.set()

    def _watch(self) -> None:
        process = psutil.Process()
        while not self._stopped.wait(LOOK_SECONDS):
            held = own_bytes(process)
            if held > self._limit:
                with self._deciding:
                    if not self._stopped.is_set():
                        reason = f"the job ran past its limit of {_mib(self._limit)} of memory: it held {_mib(held)}"
                        self._exceeded(reason)
                return


def _mib(size: int) -> str:
    return f"{size / 2**20:.0f} MiB"
