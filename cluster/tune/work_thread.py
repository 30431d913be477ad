"""A thread in which a work function runs, and whose events are read one at a time.

Ray Tune drives its trials from outside, one step after the other, while a work function runs through and reports when
it likes. The thread stands still in ``report`` until the next step, so what a stopped job has done depends on its own
reports only, not on how fast the news travelled. Work that nobody may stop goes on, and what it reports is held back
for a while: a step takes Ray Tune about a millisecond, and may be longer than an epoch.
"""

from __future__ import annotations

import queue
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

from cluster.jobs import Output, Report, Stopped, traceback_of

HOLD_SECONDS = 0.5
"""The time for which reports are held back where the work may not be stopped."""

Held: TypeAlias = tuple[tuple[int, float], ...]
"""Steps and values, in order, that were reported before an event and not passed on."""


@dataclass(frozen=True)
class Reported:
    """The work has come to a step, and waits there.

    Attributes:
        step: as the work counts its steps.
        value: the objective at the step.
        held: the reports before it that were not passed on.
        host: the name of the machine.
    """

    step: int
    value: float
    held: Held = ()
    host: str = field(default_factory=socket.gethostname)


@dataclass(frozen=True)
class Finished:
    """The work is done.

    Attributes:
        output: what the work returned.
        held: the reports before it that were not passed on.
        host: the name of the machine.
    """

    output: Output
    held: Held = ()
    host: str = field(default_factory=socket.gethostname)


@dataclass(frozen=True)
class Failed:
    """The work raised.

    Attributes:
        error: the formatted traceback of its exception.
        held: the reports before it that were not passed on.
        host: the name of the machine.
    """

    error: str
    held: Held = ()
    host: str = field(default_factory=socket.gethostname)


@dataclass(frozen=True)
class Overrun:
    """The work took more time or memory than it may; only the end of its process stops it.

    Attributes:
        reason: the limit that was passed, in one line.
    """

    reason: str


Event: TypeAlias = Reported | Finished | Failed | Overrun


def past_time_limit(seconds: float) -> str:
    """Return the reason of a job that took too long."""
    return f"the job ran past its limit of {seconds:g} s"


class WorkThread:
    """Runs one piece of work.

    Args:
        work: the work, given ``report``.
        stoppable: True to let the work wait at each report, to be stopped there.
    """

    def __init__(self, work: Callable[[Report], Output], *, stoppable: bool = True) -> None:
        self._work = work
        self._stoppable = stoppable
        self._held: list[tuple[int, float]] = []
        self._told = time.monotonic()
        self._events: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self._go_on: queue.SimpleQueue[bool] = queue.SimpleQueue()
        self._waits = False  # the work, in report
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="work", daemon=True)
        self._thread.start()

    def next_event(self, seconds: float | None = None) -> Event:
        """Let the work go on, and wait for its next event. Not to be called after it has ended.

        Args:
            seconds: how long to wait; None: for ever.

        Raises:
            TimeoutError: there was no event by then.
        """
        if self._waits:
            self._go_on.put(True)
            self._waits = False
        try:
            event = self._events.get(timeout=seconds)
        except queue.Empty:
            raise TimeoutError from None
        self._waits = isinstance(event, Reported)
        return event

    def overrun(self, reason: str) -> None:
        """Let :meth:`next_event` return an :class:`Overrun` now, whatever the work does. For any thread."""
        self._events.put(Overrun(reason))

    def stop(self) -> None:
        """Raise :class:`~cluster.jobs.Stopped` where the work reports, and wait until it has ended."""
        self._stopping = True
        if self._waits:
            self._go_on.put(False)
            self._waits = False
        self._thread.join()

    def _run(self) -> None:
        event: Event
        try:
            output = self._work(self._report)
            if not isinstance(output, Output):
                raise TypeError(f"a work function must return an Output, got {type(output).__name__}")
            event = Finished(output, self._release())
        except BaseException as error:  # SystemExit too: whatever the work does, the process lives on for the next job
            event = Failed(traceback_of(error), self._release())
        self._events.put(event)

    def _report(self, step: int, value: float) -> None:
        if not self._stopping:
            if not self._stoppable and time.monotonic() - self._told < HOLD_SECONDS:
                self._held.append((int(step), float(value)))
                return
            self._events.put(Reported(int(step), float(value), self._release()))
            if self._go_on.get():
                return
        raise Stopped

    def _release(self) -> Held:
        held, self._held, self._told = tuple(self._held), [], time.monotonic()
        return held
