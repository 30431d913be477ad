"""What a worker does with a job: one trial, or the opening of test rows. Plain data in, plain data out."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from cluster.jobs import Output, Report
from dst.data import Dataset, Removal, TrialData, remove_values
from dst.trial import TrialResult, TrialSpec, run_trial, score_on_test
from studies.objective_spec import DIRECTIONS, ObjectiveSpec
from studies.reported import CheapScore, Rungs


class NoScoreError(ArithmeticError):
    """A trial ended without a finite objective."""


def run_job(payload: Mapping[str, Any], shared: Dataset | TrialData, report: Report) -> Output:
    """Run a job of a study.

    Args:
        payload: ``kind`` (``trial`` or ``test``), ``trial`` (the fields of :class:`dst.trial.TrialSpec`) and
            ``removal`` (those of :class:`dst.data.Removal`, or None); for a trial ``objective`` (the fields of
            :class:`studies.objective_spec.ObjectiveSpec`) and ``on`` (what it reports, see
            :class:`studies.spec.PrunerSpec`), for a test ``selected`` columns by metric.
        shared: the table that the job names, whole; or what was removed, split and prepared already.
        report: takes ``(step, value)`` at rungs.

    Returns:
        For a trial the fields of its record that a worker knows (``val_score`` is the first objective; ``val_scores``
        are all, where there are several), and an array of feature scores per importance metric; for a test
        ``{"importances": {metric: {"test_svm_accuracy": ...}}}``.

    Raises:
        NoScoreError: an objective is not a finite number.
    """
    torch.set_num_threads(1)  # trials run side by side; training takes its own setting
    spec = TrialSpec(**payload["trial"])
    if isinstance(shared, Dataset) and payload["removal"] is not None:
        shared = remove_values(shared, Removal(**payload["removal"]))
    if payload["kind"] == "test":
        if not isinstance(shared, Dataset):
            raise TypeError("test rows are opened in a whole table, but got one prepared for the search")
        accuracies = score_on_test(shared, spec, payload["selected"])
        return Output({"importances": {name: {"test_svm_accuracy": value} for name, value in accuracies.items()}})
    asked = ObjectiveSpec(**payload["objective"])
    cheap = CheapScore(shared, spec) if payload["on"] == "val_score" and isinstance(shared, TrialData) else None
    rungs = Rungs(
        int(spec.settings["epochs"]),
        report,
        on=payload["on"],
        cheap=cheap,
        maximize=DIRECTIONS[asked.first] == "maximize",
    )
    result = run_trial(shared, spec, rungs.on_epoch)
    known, importance = objectives(result, asked)
    values = {metric: _finite(metric, value) for metric, value in known.items()}
    document = result.to_json()
    document["flops_ratio"] = document.pop("flops_ratio_to_dense")
    document["val_score"] = values[asked.first]
    if asked.several:
        document["val_scores"] = values
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


def objectives(result: TrialResult, asked: ObjectiveSpec) -> tuple[dict[str, float | None], str]:
    """Return a trial's objectives by metric, and the importance metric that they come from.

    Args:
        result: the trial.
        asked: what is optimised; a ranker without the importance that it names is judged on its own best.
    """
    at_k = {name: one.by_k[one.k] for name, one in result.importances.items()}
    accuracies = {
        "val_svm_accuracy": {name: one.accuracy for name, one in at_k.items()},
        "val_balanced_accuracy": {name: one.balanced_accuracy for name, one in at_k.items()},
    }
    judged = accuracies[asked.judged_by]
    name = asked.importance if asked.importance in judged else max(judged, key=lambda metric: judged[metric])
    values: dict[str, float | None] = {metric: by_name[name] for metric, by_name in accuracies.items()}
    losses = [ranking.val_loss for ranking in result.rankings]
    known = [loss for loss in losses if loss is not None]
    values["val_loss"] = float(np.mean(known)) if len(known) == len(losses) else None
    counts = [ranking.flops for ranking in result.rankings]
    counted = [flops for flops in counts if flops is not None]
    values["flops"] = float(np.sum(counted)) if len(counted) == len(counts) else None
    values["k"] = float(result.k)
    return {metric: values[metric] for metric in asked.metrics}, name


def _finite(metric: str, value: float | None) -> float:
    if value is None or not math.isfinite(value):
        raise NoScoreError(f"the objective {metric} must be a finite number, but it is {value}")
    return value
