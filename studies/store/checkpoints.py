"""Checkpoints of trials: a file in the study's folder that a worker writes now and then, to go on from.

A worker on a machine that does not see this folder writes nothing, and its trials start over. So do trials whose file
is damaged, or is of another trial: a checkpoint can save time, and change nothing else.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from dst.files.checkpoint import CheckpointError, State, read_state, save_state

SHARE = 0.05
"""The most of a trial's time that saving may take, as a share: large networks are saved less often."""


@dataclass(frozen=True)
class Kept:
    """A trial at the end of an epoch.

    Attributes:
        trial: its state, for :func:`dst.trial.run.run_trial`.
        reports: its reports until then, ``(step, value)`` in order.
        best: its best value so far by inner split, as :class:`studies.worker.rungs.Rungs` measures it.
        split: the inner split that runs.
        epoch: the epoch of it that ended.
        seconds: that the trial had taken.
    """

    trial: State
    reports: tuple[tuple[int, float], ...]
    best: Mapping[int, float]
    split: int
    epoch: int
    seconds: float


def read_kept(path: Path) -> Kept | None:
    """Read a trial's checkpoint; None where there is none. Nothing is unpickled.

    Raises:
        CheckpointError: the file is damaged or something else.
    """
    if not path.exists():
        return None
    state = read_state(path)
    try:
        study = state.part("study").progress
        return Kept(
            trial=state.part("trial"),
            reports=tuple((int(step), float(value)) for step, value in study["reports"]),
            best={int(split): float(value) for split, value in study["best"].items()},
            split=int(study["split"]),
            epoch=int(study["epoch"]),
            seconds=float(study["seconds"]),
        )
    except (ArithmeticError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{path}: is not the checkpoint of a study's trial ({error!r})") from error


def kept_seconds(path: Path) -> float:
    """Return the seconds of a trial that its checkpoint saves; 0 without a readable one."""
    try:
        kept = read_kept(path)
    except CheckpointError:
        return 0.0
    return 0.0 if kept is None else kept.seconds


class Checkpoint:
    """A trial's checkpoint, as its worker keeps it.

    Args:
        path: of the file, which need not exist yet.
        every: seconds from one writing to the next, and to the first: shorter trials write nothing.
        clock: returns seconds that only grow.

    Attributes:
        problem: why it could not be read or written, or None.
    """

    def __init__(self, path: Path, every: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._path = path
        self._every = every
        self._clock = clock
        self._due = clock() + every
        self.problem: str | None = None

    def read(self) -> Kept | None:
        """Return where the trial goes on from; None where it starts over: without a file, or with a ``problem``."""
        try:
            return read_kept(self._path)
        except CheckpointError as error:
            self.problem = str(error)
            return None

    def offer(self, kept: Callable[[], Kept]) -> None:
        """Write where the trial is, if it is time to.

        Args:
            kept: says where the trial is; called only then.
        """
        began = self._clock()
        if began < self._due:
            return
        progress = kept()
        study = {
            "reports": progress.reports,
            "best": dict(progress.best),
            "split": progress.split,
            "epoch": progress.epoch,
            "seconds": progress.seconds,
        }
        try:
            save_state(self._path, State.of({"trial": progress.trial, "study": State({}, study)}))
        except OSError as error:
            self.problem = f"{self._path}: cannot be written ({error.strerror})"
        now = self._clock()
        self._due = now + max(self._every, (now - began) / SHARE)
