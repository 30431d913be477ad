"""What a worker does with a job: one trial, or the opening of test rows. Plain data in, plain data out."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from cluster.jobs import Output, Report, Stopped
from dst.data import Dataset, Removal, TrialData, remove_values
from dst.training import EpochReport
from dst.trial import TrialResult, TrialSpec, run_trial, score_every_k_on_test
from studies.checkpoints import Checkpoint, Kept, checkpoint_of

FIRST_RUNG = 5
"""A trial reports at this epoch and at each doubling of it (5, 10, 20, ...) of every inner split."""


class NoScoreError(ArithmeticError):
    """A trial ended without a finite objective."""


def run_job(payload: Mapping[str, Any], shared: Dataset | TrialData, report: Report) -> Output:
    """Run a job of a study.

    Args:
        payload: ``kind`` (``trial`` or ``test``), ``trial`` (the fields of :class:`dst.trial.TrialSpec`) and
            ``removal`` (those of :class:`dst.data.Removal`, or None); for a trial ``metric`` and ``importance`` of the
            objective and ``checkpoint`` (see :func:`studies.checkpoints.checkpoint_of`), for a test ``ranked`` columns
            by metric, best first, and ``k``, the number of them that counts.
        shared: the table that the job names, whole; or what was removed, split and prepared already.
        report: takes ``(step, value)`` at rungs.

    Returns:
        For a trial the fields of its record that a worker knows, and an array of feature scores per metric; for a test
        ``{"importances": {metric: {"test_svm_accuracy": ..., "by_k": {k: ...}}}, "seconds": {"total": ...}}``.

    Raises:
        NoScoreError: the objective is not a finite number.
    """
    began = time.perf_counter()
    torch.set_num_threads(1)  # trials run side by side; training takes its own setting
    spec = TrialSpec(**payload["trial"])
    if isinstance(shared, Dataset) and payload["removal"] is not None:
        shared = remove_values(shared, Removal(**payload["removal"]))
    if payload["kind"] == "test":
        if not isinstance(shared, Dataset):
            raise TypeError("test rows are opened in a whole table, but got one prepared for the search")
        importances = _open_test_rows(shared, spec, payload["ranked"], payload["k"])
        return Output({"importances": importances, "seconds": {"total": time.perf_counter() - began}})
    rungs = _Rungs(int(spec.settings["epochs"]), report, maximize=payload["metric"] != "val_loss")
    result, resumption = _run(shared, spec, rungs, checkpoint_of(payload["checkpoint"]))
    value, importance = objective(result, payload["metric"], payload["importance"])
    if value is None or not math.isfinite(value):
        raise NoScoreError(f"the objective {payload['metric']} must be a finite number, but it is {value}")
    document = result.to_json()
    document["flops_ratio"] = document.pop("flops_ratio_to_dense")
    document["val_score"] = value
    document["importance"] = importance
    document["resumption"] = resumption
    document["curves"] = [
        {
            "train_loss": ranking.curves.train_loss,
            "val_loss": ranking.curves.val_loss,
            "val_accuracy": ranking.curves.val_accuracy,
        }
        for ranking in result.rankings
        if ranking.epochs
    ]
    return Output(document, {name: one.scores for name, one in result.importances.items()})


def _open_test_rows(
    dataset: Dataset, spec: TrialSpec, ranked: Mapping[str, Sequence[int]], k: int
) -> dict[str, dict[str, Any]]:
    """Open the test rows once, for every metric and every K that the trial was scored on."""
    every_k = sorted({k, *spec.k_values})
    opened = score_every_k_on_test(dataset, spec, {name: (columns, every_k) for name, columns in ranked.items()})
    return {
        name: {"test_svm_accuracy": by_k[k], "by_k": {str(one): accuracy for one, accuracy in by_k.items()}}
        for name, by_k in opened.items()
    }


def objective(result: TrialResult, metric: str, importance: str) -> tuple[float | None, str]:
    """Return a trial's objective and the importance metric that it comes from.

    Args:
        result: the trial.
        metric: ``val_svm_accuracy``, ``val_balanced_accuracy`` or ``val_loss``.
        importance: the importance metric that counts, or ``best``; a ranker without it is judged on its own best.
    """
    balanced = metric == "val_balanced_accuracy"
    at_k = {name: one.by_k[one.k] for name, one in result.importances.items()}
    accuracies = {name: one.balanced_accuracy if balanced else one.accuracy for name, one in at_k.items()}
    name = importance if importance in accuracies else max(accuracies, key=lambda metric: accuracies[metric])
    if metric == "val_loss":
        losses = [ranking.val_loss for ranking in result.rankings]
        known = [loss for loss in losses if loss is not None]
        return (float(np.mean(known)) if len(known) == len(losses) else None), name
    return accuracies[name], name


def _run(
    shared: Dataset | TrialData, spec: TrialSpec, rungs: _Rungs, checkpoint: Checkpoint | None
) -> tuple[TrialResult, dict[str, Any] | None]:
    """Run a trial from where an interrupted attempt has left it, or from its beginning.

    Returns:
        The result; and where it went on (``split``, ``epoch``, and the ``seconds`` that were saved) and the
        ``problem`` with its checkpoint, if there was any of this.
    """
    if checkpoint is None:
        return run_trial(shared, spec, rungs.on_epoch), None
    kept = checkpoint.read()
    began = time.perf_counter() - (0.0 if kept is None else kept.seconds)

    def on_epoch(split: int, end: EpochReport) -> None:
        rungs.on_epoch(split, end)
        checkpoint.offer(lambda: rungs.kept(split, end, time.perf_counter() - began))

    result = None
    if kept is not None:
        rungs.go_on_from(kept)
        try:
            result = run_trial(shared, spec, on_epoch, kept.trial)
            rungs.catch_up()
        except Exception as error:
            if rungs.caught_up or isinstance(error, Stopped):
                raise
            checkpoint.problem = f"the trial started over, its checkpoint does not fit: {error}"  # or the trial fails
            kept, began = None, time.perf_counter()
            rungs.start_over()
    if result is None:
        result = run_trial(shared, spec, on_epoch)
    if kept is None and checkpoint.problem is None:
        return result, None
    place = {} if kept is None else {"split": kept.split, "epoch": kept.epoch, "seconds": kept.seconds}
    return result, {**place, "problem": checkpoint.problem}


class _Rungs:
    """Reports the lowest validation loss so far, averaged over inner splits, in the objective's direction.

    A trial that goes on from a checkpoint first repeats the reports of the attempt before it, so that whoever decides
    about it has heard the same. It does so when its first epoch has shown that the checkpoint is good.
    """

    def __init__(self, epochs: int, report: Report, *, maximize: bool) -> None:
        self._epochs = epochs
        self._report = report
        self._sign = -1.0 if maximize else 1.0
        self._lowest: dict[int, float] = {}
        self._reports: list[tuple[int, float]] = []
        self._to_repeat: list[tuple[int, float]] = []
        self.caught_up = True
        self._rungs = set()
        rung = FIRST_RUNG
        while rung <= epochs:
            self._rungs.add(rung)
            rung *= 2

    def on_epoch(self, split: int, end: EpochReport) -> None:
        self.catch_up()
        self._lowest[split] = min(self._lowest.get(split, math.inf), end.val_loss)
        if end.epoch in self._rungs:
            mean = float(np.mean(list(self._lowest.values())))
            self._say(split * self._epochs + end.epoch, self._sign * mean)

    def kept(self, split: int, end: EpochReport, seconds: float) -> Kept:
        """Return where the trial is at the end of an epoch."""
        return Kept(end.state(), tuple(self._reports), dict(self._lowest), split, end.epoch, seconds)

    def go_on_from(self, kept: Kept) -> None:
        self._lowest = dict(kept.lowest)
        self._to_repeat = list(kept.reports)
        self.caught_up = False

    def catch_up(self) -> None:
        """Repeat the reports of the attempt before, once."""
        self.caught_up = True
        while self._to_repeat:
            self._say(*self._to_repeat.pop(0))

    def start_over(self) -> None:
        self._lowest, self._to_repeat, self.caught_up = {}, [], True

    def _say(self, step: int, value: float) -> None:
        self._reports.append((step, value))
        self._report(step, value)
