"""Reports of a trial on its way, for a pruner to compare: a loss, an accuracy, or a cheap look at its ranking."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from cluster.jobs import Report
from dst.data import TrialData
from dst.scoring import capped, rank_columns, score_columns
from dst.training.epochs import EpochReport
from dst.training.result import EpochEnd
from dst.trial.spec import TrialSpec
from studies.spec.search import Reported
from studies.store.checkpoints import Kept

FIRST_RUNG = 5
"""A trial reports at this epoch and at each doubling of it (5, 10, 20, ...) of every inner split."""

Measure = Callable[[int, EpochReport], float | None]
"""``measure(inner_split, end)``: how good a model is at the end of an epoch, None where that cannot be said."""


class CheapScore:
    """The scorer's accuracy on the K inputs that leave the network's first layer strongest, from few rows.

    The rows (:data:`ROWS` to fit on, as many to judge on, drawn by class) are the same for all trials of a dataset.

    Args:
        data: the trial's parts.
        spec: of the trial whose networks are scored on the way.
    """

    ROWS = 200

    def __init__(self, data: TrialData, spec: TrialSpec) -> None:
        self._k = data.k if spec.k is None else spec.k
        self._scorer = spec.scorer
        self._seed = spec.design.seed
        self._parts = []
        for split, (train, validation) in enumerate(data.parts):
            to_draw = np.random.default_rng([self._seed, split])
            self._parts.append((capped(train, self.ROWS, to_draw), capped(validation, self.ROWS, to_draw)))

    def __call__(self, split: int, end: EpochReport) -> float | None:
        """Rank by the strength of the network as it is now, and score; None for a ranker without such a network."""
        if not isinstance(end, EpochEnd):
            return None
        seen, judged = self._parts[split]
        columns = rank_columns(end.strength(), np.random.default_rng([self._seed, split, end.epoch]))
        return score_columns(seen, judged, columns[: self._k], self._scorer, seed=self._seed).accuracy


def val_loss(split: int, end: EpochReport) -> float:
    """Return the loss on the validation rows."""
    return end.val_loss


def val_accuracy(split: int, end: EpochReport) -> float:
    """Return the model's accuracy on the validation rows."""
    return end.val_accuracy


def nothing(split: int, end: EpochReport) -> None:
    """Return None: there is nothing to compare."""


class Rungs:
    """Reports the best value so far, averaged over inner splits, in the objective's direction.

    A trial that goes on from a checkpoint first repeats the reports of the attempt before it, so that whoever decides
    about it has heard the same. It does so when its first epoch has shown that the checkpoint is good.

    Args:
        epochs: of an inner split at most.
        report: takes ``(step, value)``.
        on: the value that is measured, see :class:`studies.spec.search.PrunerSpec`; None: nothing is reported.
        cheap: the measure of ``val_score``; needed for it alone.
        maximize: True if larger values of the objective are better.

    Attributes:
        caught_up: True if nothing is left to repeat.
    """

    def __init__(
        self,
        epochs: int,
        report: Report,
        *,
        on: Reported | None = "val_loss",
        cheap: Measure | None = None,
        maximize: bool,
    ) -> None:
        self._epochs = epochs
        self._report = report
        self._at_rungs_only = on == "val_score"
        measures = {"val_loss": val_loss, "val_accuracy": val_accuracy, "val_score": cheap, None: nothing}
        measure = measures[on]
        if measure is None:
            raise ValueError("reports of val_score need a measure of it")
        self._measure = measure
        self._falls = on == "val_loss"
        self._sign = 1.0 if maximize != self._falls else -1.0
        self._best: dict[int, float] = {}
        self._reports: list[tuple[int, float]] = []
        self._to_repeat: list[tuple[int, float]] = []
        self.caught_up = True
        self._rungs = set()
        rung = FIRST_RUNG
        while rung <= epochs:
            self._rungs.add(rung)
            rung *= 2

    def on_epoch(self, split: int, end: EpochReport) -> None:
        """Take the end of an epoch, and report where it is a rung.

        Of several trainings that make one ranking the first alone is compared, which every trial has: a loss on fewer
        columns, or the lowest of five networks', would be compared with what it is not.
        """
        self.catch_up()
        if not end.first_training:
            return
        at_rung = end.epoch in self._rungs
        if at_rung or not self._at_rungs_only:
            value = self._measure(split, end)
            if value is None:
                return
            best = self._best.get(split, math.inf if self._falls else -math.inf)
            self._best[split] = min(best, value) if self._falls else max(best, value)
        if at_rung:
            mean = float(np.mean(list(self._best.values())))
            self._say(split * self._epochs + end.epoch, self._sign * mean)

    def kept(self, split: int, end: EpochReport, seconds: float) -> Kept:
        """Return where the trial is at the end of an epoch."""
        return Kept(end.state(), tuple(self._reports), dict(self._best), split, end.epoch, seconds)

    def go_on_from(self, kept: Kept) -> None:
        """Take up where an attempt before has ended, its reports still to be repeated."""
        self._best = dict(kept.best)
        self._to_repeat = list(kept.reports)
        self.caught_up = False

    def catch_up(self) -> None:
        """Repeat the reports of the attempt before, once."""
        self.caught_up = True
        while self._to_repeat:
            self._say(*self._to_repeat.pop(0))

    def start_over(self) -> None:
        """Forget the attempt before."""
        self._best, self._to_repeat, self.caught_up = {}, [], True

    def _say(self, step: int, value: float) -> None:
        self._reports.append((step, value))
        self._report(step, value)
