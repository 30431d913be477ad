"""What a worker does with a job: one trial, or the opening of test rows. Plain data in, plain data out."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from cluster.jobs import Output, Report
from dst.data import Dataset, Removal, TrialData, remove_values
from dst.training import EpochReport
from dst.trial import TrialResult, TrialSpec, run_trial, score_every_k_on_test

FIRST_RUNG = 5
"""A trial reports at this epoch and at each doubling of it (5, 10, 20, ...) of every inner split."""


class NoScoreError(ArithmeticError):
    """A trial ended without a finite objective."""


def run_job(payload: Mapping[str, Any], shared: Dataset | TrialData, report: Report) -> Output:
    """Run a job of a study.

    Args:
        payload: ``kind`` (``trial`` or ``test``), ``trial`` (the fields of :class:`dst.trial.TrialSpec`) and
            ``removal`` (those of :class:`dst.data.Removal`, or None); for a trial ``metric`` and ``importance`` of the
            objective, for a test ``ranked`` columns by metric, best first, and ``k``, the number of them that counts.
        shared: the table that the job names, whole; or what was removed, split and prepared already.
        report: takes ``(step, value)`` at rungs.

    Returns:
        For a trial the fields of its record that a worker knows, and an array of feature scores per metric; for a test
        ``{"importances": {metric: {"test_svm_accuracy": ..., "by_k": {k: ...}}}}``.

    Raises:
        NoScoreError: the objective is not a finite number.
    """
    torch.set_num_threads(1)  # trials run side by side; training takes its own setting
    spec = TrialSpec(**payload["trial"])
    if isinstance(shared, Dataset) and payload["removal"] is not None:
        shared = remove_values(shared, Removal(**payload["removal"]))
    if payload["kind"] == "test":
        if not isinstance(shared, Dataset):
            raise TypeError("test rows are opened in a whole table, but got one prepared for the search")
        return Output({"importances": _open_test_rows(shared, spec, payload["ranked"], payload["k"])})
    rungs = _Rungs(int(spec.settings["epochs"]), report, maximize=payload["metric"] != "val_loss")
    result = run_trial(shared, spec, rungs.on_epoch)
    value, importance = objective(result, payload["metric"], payload["importance"])
    if value is None or not math.isfinite(value):
        raise NoScoreError(f"the objective {payload['metric']} must be a finite number, but it is {value}")
    document = result.to_json()
    document["flops_ratio"] = document.pop("flops_ratio_to_dense")
    document["val_score"] = value
    document["importance"] = importance
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


class _Rungs:
    """Reports the lowest validation loss so far, averaged over inner splits, in the objective's direction."""

    def __init__(self, epochs: int, report: Report, *, maximize: bool) -> None:
        self._epochs = epochs
        self._report = report
        self._sign = -1.0 if maximize else 1.0
        self._lowest: dict[int, float] = {}
        self._rungs = set()
        rung = FIRST_RUNG
        while rung <= epochs:
            self._rungs.add(rung)
            rung *= 2

    def on_epoch(self, split: int, end: EpochReport) -> None:
        self._lowest[split] = min(self._lowest.get(split, math.inf), end.val_loss)
        if end.epoch in self._rungs:
            mean = float(np.mean(list(self._lowest.values())))
            self._report(split * self._epochs + end.epoch, self._sign * mean)
