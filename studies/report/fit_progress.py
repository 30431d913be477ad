"""The progress of a selector's fit, shown on stderr."""

from __future__ import annotations

from types import TracebackType
from typing import Self

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from dst.training.epochs import EpochReport


class FitProgress:
    """Shows on stderr how far a selector's fit is: a bar on a terminal, a line per network anywhere else.

    Args:
        repeats: networks that are trained.
        epochs: the most epochs of each, all rounds together.
        numbers: whether the target holds numbers.
    """

    def __init__(self, repeats: int, epochs: int, *, numbers: bool = False) -> None:
        self._numbers = numbers
        self._repeats = repeats
        self._epochs = epochs
        self._accuracies: dict[int, float] = {}
        self._last: dict[int, int] = {}
        self._best: dict[int, int] = {}
        self._console = Console(stderr=True)
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TimeElapsedColumn(),
            console=self._console,
            transient=True,
            disable=not self._console.is_terminal,
        )
        self._task = self._bar.add_task("preparing", total=repeats * epochs)

    @property
    def accuracy(self) -> float | None:
        """Mean accuracy of the networks on held-out rows at their best epochs; None where none was trained."""
        return float(np.mean(list(self._accuracies.values()))) if self._accuracies else None

    def __enter__(self) -> Self:
        """Begin."""
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Say what became of the last network, and take the bar away."""
        if kind is None and self._last:
            self._say(max(self._last))
        self._bar.stop()

    def on_epoch(self, repeat: int, end: EpochReport) -> None:
        """Take the end of an epoch, as :meth:`dst.SparseFeatureSelector.fit` reports it."""
        if repeat not in self._last and repeat:
            self._say(repeat - 1)
        if repeat in self._last and end.epoch == 1:  # once more, with smaller steps
            self._say(repeat)
        if end.improved:
            self._best[repeat] = end.epoch
        self._last[repeat] = end.epoch
        if end.improved and end.first_training:  # later ones may have some of the columns only
            self._accuracies[repeat] = end.val_accuracy
        self._bar.update(
            self._task,
            completed=repeat * self._epochs + end.epoch,
            description=f"network {repeat + 1} of {self._repeats}, epoch {end.epoch}",
        )

    def _say(self, repeat: int) -> None:
        if not self._console.is_terminal:
            epochs = f"{self._last[repeat]} epochs, the best {self._best[repeat]}"
            accuracy = self._accuracies[repeat]
            score = f"R2 {accuracy:.3f}" if self._numbers else f"accuracy {100 * accuracy:.1f} %"
            line = f"network {repeat + 1} of {self._repeats}: {epochs}, held-out {score}"
            self._console.print(line, highlight=False)
