"""A study's progress on standard error: a live table on a terminal, plain lines anywhere else."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self, TextIO

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text


@dataclass(frozen=True)
class DatasetProgress:
    """The progress of one dataset.

    Attributes:
        name: the dataset's name, as it is shown.
        finished: trials that ran to their end.
        running: trials at work.
        stopped: trials stopped early.
        failed: trials that failed.
        waiting: trials handed out again, or not yet.
        total: trials there will be, as far as is known.
        best: the best objective value so far, or None.
        stage: the present stage, e.g. ``search``.
    """

    name: str
    finished: int
    running: int
    stopped: int
    failed: int
    waiting: int
    total: int
    best: float | None
    stage: str

    @property
    def ended(self) -> int:
        """Trials with nothing left to do."""
        return self.finished + self.stopped + self.failed


class Progress(Protocol):
    """Shows how far a study is. A context manager: what it shows ends when the block ends.

    Where it cannot be shown any more (a terminal that is gone, a full disk), the study goes on without.
    """

    def __enter__(self) -> Self:
        """Begin."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Show the last state and end."""

    def update(self, datasets: Sequence[DatasetProgress], elapsed: float | None = None) -> None:
        """Take the present state.

        Args:
            datasets: every dataset of the study, always in the same order.
            elapsed: seconds since the study was started or resumed; None: since this object was made.
        """


class TimeLeft:
    """Estimates the seconds that are left from the trials that end while this run works.

    Ended trials that a resumed study finds cost this run nothing, and its own first ones have waited for workers to
    start and kernels to be compiled. So time counts from when as many trials have ended as there are workers, and an
    estimate is given once as many again have.
    """

    def __init__(self, workers: int) -> None:
        self._workers = workers
        self._found: int | None = None  # ended trials at the first look
        self._start: tuple[int, float] | None = None  # ended trials and seconds where time begins to count

    def estimate(self, datasets: Sequence[DatasetProgress], elapsed: float) -> float | None:
        """Return the seconds left, or None while too little has ended.

        The mean cost of a trial is the workers' time over the trials that ended; the trials left take as many rounds of
        it as they fill the workers, and one round at least.
        """
        ended = sum(dataset.ended for dataset in datasets)
        left = sum(max(dataset.total - dataset.ended, 0) for dataset in datasets)
        if self._found is None:
            self._found = ended
        if left == 0:
            return 0.0
        if self._start is None and ended - self._found >= self._workers:
            self._start = ended, elapsed
        if self._start is None or ended - self._start[0] < self._workers:
            return None
        before, start = self._start
        mean = (elapsed - start) * self._workers / (ended - before)
        return mean * max(left / self._workers, 1.0)


class LiveProgress:
    """A table on a terminal that is redrawn in place: a row per dataset, then the whole.

    Args:
        stream: the terminal, usually ``sys.stderr``.
        workers: trials that run at once.
    """

    def __init__(self, stream: TextIO, workers: int = 1) -> None:
        self._start = time.monotonic()
        self._time_left = TimeLeft(workers)
        console = Console(file=stream, force_terminal=True)
        # Prints of other code go above the table if they go to standard error; standard output is not ours.
        self._live = Live(console=console, auto_refresh=False, redirect_stdout=False, redirect_stderr=True)

    def __enter__(self) -> Self:
        with suppress(OSError):
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(OSError):
            self._live.stop()

    def update(self, datasets: Sequence[DatasetProgress], elapsed: float | None = None) -> None:
        """Redraw the table."""
        elapsed = time.monotonic() - self._start if elapsed is None else elapsed
        left = self._time_left.estimate(datasets, elapsed)
        shown = Group(_table(datasets), Text(_overall(datasets, elapsed, left), style="dim"))
        with suppress(OSError):
            self._live.update(shown, refresh=True)


_SHARE = 0.05


class LineProgress:
    """Plain lines, one for each change but at most one every ``interval`` seconds, and one for the end.

    As a run grows long, lines grow rare: the next one comes when a twentieth of the time so far has passed again.

    Args:
        stream: where the lines go, usually ``sys.stderr``.
        workers: trials that run at once.
        interval: seconds between two lines at least.
    """

    def __init__(self, stream: TextIO, workers: int = 1, interval: float = 2.0) -> None:
        self._start = time.monotonic()
        self._stream = stream
        self._time_left = TimeLeft(workers)
        self._interval = interval
        self._printed: tuple[DatasetProgress, ...] = ()
        self._printed_at = -math.inf
        self._unprinted: tuple[tuple[DatasetProgress, ...], float] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._unprinted is not None:
            self._print(*self._unprinted)

    def update(self, datasets: Sequence[DatasetProgress], elapsed: float | None = None) -> None:
        """Print a line, if something has changed and the last line is old enough."""
        elapsed = time.monotonic() - self._start if elapsed is None else elapsed
        state = tuple(datasets)
        self._time_left.estimate(state, elapsed)
        self._unprinted = None if state == self._printed else (state, elapsed)
        if self._unprinted is not None and elapsed - self._printed_at >= max(self._interval, _SHARE * elapsed):
            self._print(state, elapsed)

    def _print(self, state: tuple[DatasetProgress, ...], elapsed: float) -> None:
        changed = [dataset for dataset in state if dataset not in self._printed]
        left = self._time_left.estimate(state, elapsed)
        with suppress(OSError):
            self._stream.write("; ".join([_overall(state, elapsed, left), *map(_brief, changed)]) + "\n")
            self._stream.flush()
        self._printed, self._printed_at, self._unprinted = state, elapsed, None


def make_progress(stream: TextIO, workers: int = 1) -> LiveProgress | LineProgress:
    """Return the live table where the stream is a terminal that can redraw, else plain lines.

    Args:
        stream: where progress goes, usually ``sys.stderr``; never standard output.
        workers: trials that run at once.
    """
    live = stream.isatty() and os.environ.get("TERM") != "dumb"
    return LiveProgress(stream, workers) if live else LineProgress(stream, workers)


def _table(datasets: Sequence[DatasetProgress]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("dataset", no_wrap=True)
    table.add_column("", width=16)
    for name in ("done", "running", "stopped", "failed", "best"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("stage", no_wrap=True)
    for dataset in datasets:
        table.add_row(
            Text(dataset.name, style="bold"),
            ProgressBar(max(dataset.total, 1), dataset.ended, width=16, complete_style="cyan", finished_style="green"),
            f"{dataset.ended}/{dataset.total}",
            str(dataset.running or ""),
            str(dataset.stopped or ""),
            Text(str(dataset.failed or ""), style="red"),
            "" if dataset.best is None else f"{dataset.best:.4f}",
            Text(dataset.stage),
        )
    return table


def _overall(datasets: Sequence[DatasetProgress], elapsed: float, left: float | None) -> str:
    ended, total = sum(dataset.ended for dataset in datasets), sum(dataset.total for dataset in datasets)
    states = {state: sum(getattr(dataset, state) for dataset in datasets) for state in ("running", "stopped", "failed")}
    counts = ", ".join(f"{count} {state}" for state, count in states.items() if count)
    ends = "" if not left else f", about {_roughly(left)} left"
    return f"{ended}/{total} trials{f' ({counts})' if counts else ''} in {_clock(elapsed)}{ends}"


def _brief(dataset: DatasetProgress) -> str:
    best = "" if dataset.best is None else f" best {dataset.best:.4f}"
    return f"{dataset.name} {dataset.ended}/{dataset.total} {dataset.stage}{best}"


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def _roughly(seconds: float) -> str:
    """Return seconds to ten of them, above a minute and a half to minutes, above an hour and a half to ten."""
    if seconds < 90:
        return f"{max(10, 10 * round(seconds / 10))} s"
    if seconds < 5400:
        return f"{round(seconds / 60)} min"
    hours, tens = divmod(round(seconds / 600), 6)
    return f"{hours} h {10 * tens} min" if tens else f"{hours} h"
