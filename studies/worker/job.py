"""The work function of a study: one trial, or an opening of test rows. Plain data in, plain data out."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from cluster.jobs import Output, Report, Stopped
from dst.data import Dataset, Removal, TrialData, remove_values
from dst.training.epochs import EpochReport
from dst.trial.list_scores import score_list
from dst.trial.run import TrialResult, TrialSpec, run_trial, score_every_k_on_test
from studies.spec.objective import DIRECTIONS, ObjectiveSpec, best_importance
from studies.store.checkpoints import Checkpoint, checkpoint_of
from studies.worker.rungs import CheapScore, Rungs


class NoScoreError(ArithmeticError):
    """A trial ended without a finite objective."""


def run_job(payload: Mapping[str, Any], shared: Dataset | TrialData, report: Report) -> Output:
    """Run a job of a study.

    Args:
        payload: ``kind`` (``trial``, ``test`` or ``list``), ``trial`` (the fields of :class:`dst.trial.run.TrialSpec`)
            and ``removal`` (those of :class:`dst.data.Removal`, or None); for a trial ``objective`` (the fields of
            :class:`studies.spec.objective.ObjectiveSpec`), ``on`` (what it reports, see
            :class:`studies.spec.study.PrunerSpec`) and ``checkpoint`` (see
            :func:`studies.store.checkpoints.checkpoint_of`), for a test ``ranked`` columns by metric, best first, and
            ``k``, the number of them that counts, for a list its ``columns``, best first, and ``k``.
        shared: the table that the job names, whole; or what was removed, split and prepared already.
        report: takes ``(step, value)`` at rungs.

    Returns:
        For a trial the fields of its record that a worker knows (``val_score`` is the first objective; ``val_scores``
        are all, where there are several), and an array of feature scores per importance metric; for a test
        ``{"importances": {metric: {"test_svm_accuracy": ..., "by_k": {k: ...}}}, "seconds": {"total": ...}}``; for a
        list ``{"validation": {k: {"accuracy": ..., "balanced_accuracy": ..., "macro_auc": ...}}, "test": {k: ...},
        "seconds": {"total": ...}}``.

    Raises:
        NoScoreError: an objective is not a finite number.
    """
    began = time.perf_counter()
    torch.set_num_threads(1)  # trials run side by side; training takes its own setting
    spec = TrialSpec(**payload["trial"])
    if isinstance(shared, Dataset) and payload["removal"] is not None:
        shared = remove_values(shared, Removal(**payload["removal"]))
    if payload["kind"] in ("test", "list"):
        if not isinstance(shared, Dataset):
            raise TypeError("test rows are opened in a whole table, but got one prepared for the search")
        if payload["kind"] == "test":
            opened: dict[str, Any] = {"importances": _open_test_rows(shared, spec, payload["ranked"], payload["k"])}
        else:
            opened = _measure_list(shared, spec, payload["columns"], payload["k"])
        return Output({**opened, "seconds": {"total": time.perf_counter() - began}})
    asked = ObjectiveSpec(**payload["objective"])
    cheap = CheapScore(shared, spec) if payload["on"] == "val_score" and isinstance(shared, TrialData) else None
    rungs = Rungs(
        int(spec.settings["epochs"]),
        report,
        on=payload["on"],
        cheap=cheap,
        maximize=DIRECTIONS[asked.first] == "maximize",
    )
    result, resumption = _run(shared, spec, rungs, checkpoint_of(payload["checkpoint"]))
    known, importance = objectives(result, asked)
    values = {metric: _finite(metric, value) for metric, value in known.items()}
    document = result.to_json()
    document["flops_ratio"] = document.pop("flops_ratio_to_dense")
    document["val_score"] = values[asked.first]
    if asked.several:
        document["val_scores"] = values
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


def _measure_list(dataset: Dataset, spec: TrialSpec, columns: Sequence[int], k: int) -> dict[str, Any]:
    """Score a feature list on validation and test rows, for every K that trials are scored on."""
    result = score_list(dataset, spec, columns, sorted({k, *spec.k_values}))
    return {
        part: {str(one): dataclasses.asdict(scored) for one, scored in by_k.items()}
        for part, by_k in (("validation", result.validation), ("test", result.test))
    }


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
    name = asked.importance if asked.importance in judged else best_importance(judged)
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


def _run(
    shared: Dataset | TrialData, spec: TrialSpec, rungs: Rungs, checkpoint: Checkpoint | None
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
