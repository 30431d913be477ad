"""Runners of jobs, in a worker: a trial, an opening of test rows, a feature list. Plain data in, plain data out."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from cluster.jobs import Output, Report, Stopped, WorkFunction
from dst.data import Dataset, Removal, TrialData, remove_values
from dst.errors import InputError, unknown_name
from dst.selection import metric_of
from dst.training.epochs import EpochReport
from dst.trial.list_scores import score_list
from dst.trial.result import TrialResult
from dst.trial.run import run_trial, score_every_k_on_test
from dst.trial.spec import TrialSpec
from studies.spec.objective import DIRECTIONS, ObjectiveSpec
from studies.store.checkpoints import Checkpoint
from studies.worker.payload import ListPayload, SplitPayload, TestPayload, TrialPayload
from studies.worker.rungs import CheapScore, Rungs


class NoScoreError(ArithmeticError):
    """A trial ended without a finite objective."""


def run_job(payload: Mapping[str, Any], shared: Dataset | TrialData, report: Report) -> Output:
    """Run a job of a study (a work function, see :data:`cluster.jobs.WorkFunction`).

    Args:
        payload: of the job, as :mod:`studies.worker.payload` makes it; its ``kind`` is a name in :data:`WORK`.
        shared: the table that the job names, whole; or what was removed, split and prepared already.
        report: takes ``(step, value)`` at rungs.

    Raises:
        NoScoreError: an objective of a trial is not a finite number.
        InputError: there is no such kind.
    """
    torch.set_num_threads(1)  # trials run side by side; training takes its own setting
    if payload["kind"] not in WORK:
        raise InputError(unknown_name("kind of job", payload["kind"], WORK))
    return WORK[payload["kind"]](payload, shared, report)


def run_study_trial(document: Mapping[str, Any], shared: Dataset | TrialData, report: Report) -> Output:
    """Run a trial (:class:`studies.worker.payload.TrialPayload`).

    Returns:
        The fields of its record that a worker knows (``val_score`` is the first objective; ``val_scores`` are all,
        where there are several), and an array of feature scores per importance metric.
    """
    payload = TrialPayload.from_json(document)
    spec, asked, checkpoint = payload.trial, payload.objective, payload.checkpoint
    if isinstance(shared, Dataset):
        shared = _removed(shared, payload.removal)
    cheap = CheapScore(shared, spec) if payload.on == "val_score" and isinstance(shared, TrialData) else None
    rungs = Rungs(
        int(spec.settings["epochs"]),
        report,
        on=payload.on,
        cheap=cheap,
        maximize=DIRECTIONS[asked.first] == "maximize",
    )
    keeper = None if checkpoint is None else Checkpoint(checkpoint.path, checkpoint.seconds)
    result, resumption = _run(shared, spec, rungs, keeper)
    known, importance = objectives(result, asked)
    values = {metric: _finite(metric, value) for metric, value in known.items()}
    fields = result.to_json()
    fields["flops_ratio"] = fields.pop("flops_ratio_to_dense")
    fields["val_score"] = values[asked.first]
    if asked.several:
        fields["val_scores"] = values
    fields["importance"] = importance
    fields["resumption"] = resumption
    fields["curves"] = [
        {
            "train_loss": ranking.curves.train_loss,
            "val_loss": ranking.curves.val_loss,
            "val_accuracy": ranking.curves.val_accuracy,
            **({"topology_changed": ranking.curves.moved} if ranking.curves.moved else {}),
        }
        for ranking in result.rankings
        if ranking.epochs
    ]
    return Output(fields, {metric_of(name): importance.scores for name, importance in result.importances.items()})


def open_test_rows(document: Mapping[str, Any], shared: Dataset | TrialData, report: Report) -> Output:
    """Open the test rows once, for every metric and every K that the trial was scored on (a :class:`TestPayload`).

    Returns:
        ``{"importances": {metric: {"test_svm_accuracy": ..., "by_k": {k: ...}}}, "seconds": {"total": ...}}``
    """
    began = time.perf_counter()
    payload = TestPayload.from_json(document)
    dataset = _removed(_whole(shared), payload.removal)
    every_k = sorted({payload.k, *payload.trial.k_values})
    ranked = {name: (columns, every_k) for name, columns in payload.ranked.items()}
    importances = {
        name: {"test_svm_accuracy": by_k[payload.k], "by_k": {str(k): accuracy for k, accuracy in by_k.items()}}
        for name, by_k in score_every_k_on_test(dataset, payload.trial, ranked).items()
    }
    return Output({"importances": importances, "seconds": {"total": time.perf_counter() - began}})


def measure_list(document: Mapping[str, Any], shared: Dataset | TrialData, report: Report) -> Output:
    """Score a feature list on validation and test rows, for every K that trials are scored on (a :class:`ListPayload`).

    Returns:
        ``{"validation": {k: {"accuracy": ..., "balanced_accuracy": ..., "macro_auc": ...}}, "test": {k: ...},
        "stand_ins": {column: [{"column": ..., "r": ...}, ...]} (the closest), "seconds": {"total": ...}}``
    """
    began = time.perf_counter()
    payload = ListPayload.from_json(document)
    dataset = _removed(_whole(shared), payload.removal)
    every_k = sorted({payload.k, *payload.trial.k_values})
    result = score_list(dataset, payload.trial, payload.columns, every_k, payload.k)
    measured = {
        part: {str(k): dataclasses.asdict(scored) for k, scored in by_k.items()}
        for part, by_k in (("validation", result.validation), ("test", result.test))
    }
    represented = {
        str(column): [dataclasses.asdict(other) for other in others]
        for column, others in result.stand_ins.items()
        if others
    }
    return Output({**measured, "stand_ins": represented, "seconds": {"total": time.perf_counter() - began}})


def test_on_other_split(document: Mapping[str, Any], shared: Dataset | TrialData, report: Report) -> Output:
    """Train a configuration on another outer split and open its test rows (a :class:`SplitPayload`).

    An official test part is drawn from like all other rows.

    Returns:
        ``{"test": {k: accuracy}, "held_out": the share of rows that are tested, "seconds": {...}}``
    """
    payload = SplitPayload.from_json(document)
    dataset = dataclasses.replace(_removed(_whole(shared), payload.removal), official_test=None)
    result = run_trial(dataset, payload.trial)
    began = time.perf_counter()
    every_k = sorted({result.k, *payload.trial.k_values})
    ranked = {payload.importance: (result.importances[payload.importance].ranked, every_k)}
    tested = score_every_k_on_test(dataset, payload.trial, ranked)[payload.importance]
    split = payload.trial.design.splits(dataset)[0]
    seconds = {**result.seconds, "total": result.seconds["total"] + time.perf_counter() - began}
    return Output(
        {
            "test": {str(k): accuracy for k, accuracy in tested.items()},
            "held_out": len(split.test) / dataset.n_samples,
            "seconds": seconds,
        }
    )


WORK: dict[str, WorkFunction] = {
    TrialPayload.kind: run_study_trial,
    TestPayload.kind: open_test_rows,
    ListPayload.kind: measure_list,
    SplitPayload.kind: test_on_other_split,
}
"""The function that runs a job, by the kind of its payload."""


def _whole(shared: Dataset | TrialData) -> Dataset:
    if not isinstance(shared, Dataset):
        raise TypeError("test rows are opened in a whole table, but got one prepared for the search")
    return shared


def _removed(dataset: Dataset, removal: Removal | None) -> Dataset:
    return dataset if removal is None else remove_values(dataset, removal)


def objectives(result: TrialResult, asked: ObjectiveSpec) -> tuple[dict[str, float | None], str]:
    """Return a trial's objectives by metric, and the ranking that they come from.

    Args:
        result: of the trial, by ranking.
        asked: the study's metrics, importance and selection.
    """
    at_k = {name: scored.by_k[scored.k] for name, scored in result.importances.items()}
    accuracies = {
        "val_svm_accuracy": {name: scored.accuracy for name, scored in at_k.items()},
        "val_balanced_accuracy": {name: scored.balanced_accuracy for name, scored in at_k.items()},
    }
    name = asked.best_ranking(accuracies[asked.judged_by])
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
