"""What a trial reports on its way, for a pruner to compare: a loss, an accuracy, or a cheap look at its ranking."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal

import numpy as np

from cluster.jobs import Report
from dst.data import TrialData
from dst.data.preparation import raw_scores
from dst.scoring import capped, rank_columns, score_columns
from dst.training import EpochEnd
from dst.trial import TrialSpec

FIRST_RUNG = 5
"""A trial reports at this epoch and at each doubling of it (5, 10, 20, ...) of every inner split."""

Measure = Callable[[int, EpochEnd], float]
"""``measure(inner_split, end)``: how good a network is at the end of an epoch."""


class CheapScore:
    """The scorer's accuracy on the K inputs that leave the network's first layer strongest, from few rows.

    The rows (:data:`ROWS` to fit on, as many to judge on, drawn by class) are the same for all trials of a dataset.

    Args:
        data: the trial's parts.
        spec: the trial.
    """

    ROWS = 200

    def __init__(self, data: TrialData, spec: TrialSpec) -> None:
        self._k = data.k if spec.k is None else spec.k
        self._n_features = data.n_features
        self._scorer = spec.scorer
        self._seed = spec.design.seed
        self._parts = []
        for split, (train, validation) in enumerate(data.parts):
            to_draw = np.random.default_rng([self._seed, split])
            self._parts.append((capped(train, self.ROWS, to_draw), capped(validation, self.ROWS, to_draw)))

    def __call__(self, split: int, end: EpochEnd) -> float:
        """Rank by the strength of the network as it is now, and score."""
        seen, judged = self._parts[split]
        strength = raw_scores(end.model.linears[0].input_strength(), seen.origin, self._n_features)
        columns = rank_columns(strength, np.random.default_rng([self._seed, split, end.epoch]))
        return score_columns(seen, judged, columns[: self._k], self._scorer, seed=self._seed).accuracy


def val_loss(split: int, end: EpochEnd) -> float:
    """Return the loss on the validation rows."""
    return end.val_loss


def val_accuracy(split: int, end: EpochEnd) -> float:
    """Return the network's accuracy on the validation rows."""
    return end.val_accuracy


class Rungs:
    """Reports the best value so far, averaged over inner splits, in the objective's direction.

    Args:
        epochs: of an inner split at most.
        report: takes ``(step, value)``.
        on: what is measured, see :class:`studies.spec.PrunerSpec`.
        cheap: the measure of ``val_score``; needed for it alone.
        maximize: whether larger values of the objective are better.
    """

    def __init__(
        self,
        epochs: int,
        report: Report,
        *,
        on: Literal["val_loss", "val_accuracy", "val_score"] = "val_loss",
        cheap: Measure | None = None,
        maximize: bool,
    ) -> None:
        self._epochs = epochs
        self._report = report
        self._at_rungs_only = on == "val_score"
        measures = {"val_loss": val_loss, "val_accuracy": val_accuracy, "val_score": cheap}
        measure = measures[on]
        if measure is None:
            raise ValueError("reports of val_score need a measure of it")
        self._measure = measure
        self._falls = on == "val_loss"
        self._sign = 1.0 if maximize != self._falls else -1.0
        self._best: dict[int, float] = {}
        self._rungs = set()
        rung = FIRST_RUNG
        while rung <= epochs:
            self._rungs.add(rung)
            rung *= 2

    def on_epoch(self, split: int, end: EpochEnd) -> None:
        """Take the end of an epoch, and report where it is a rung."""
        at_rung = end.epoch in self._rungs
        if at_rung or not self._at_rungs_only:
            value = self._measure(split, end)
            best = self._best.get(split, math.inf if self._falls else -math.inf)
            self._best[split] = min(best, value) if self._falls else max(best, value)
        if at_rung:
            mean = float(np.mean(list(self._best.values())))
            self._report(split * self._epochs + end.epoch, self._sign * mean)
