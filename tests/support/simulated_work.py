"""Trials that compute nothing: what a worker measures follows from the trial by a random generator.

The spec, the plan, the ledger, the worker's job, the records, the tables and the report of such a study are real;
training and scoring are not. A trial's result depends on all that decides a real one's, and on nothing else, so
studies that must come to the same end do.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

import numpy as np
import pytest

from dst.data import Dataset, TrialData
from dst.files.checkpoint import State
from dst.rankers import RANKERS, FeatureScores, used_settings
from dst.scoring import ScorerResult
from dst.training.epochs import Curves, EpochReport
from dst.trial.list_scores import ListResult
from dst.trial.run import Importance, OnTrialEpoch, TrialResult, TrialSpec

EPOCHS = 5
"""How many epochs a simulated network is trained: one rung."""

LEVELS = {"random": 0.5, "set": 0.85}
"""Roughly the accuracy of a method's trials, where it is not 0.75."""


def simulate(patch: pytest.MonkeyPatch) -> None:
    """Let workers in this process simulate their trials, openings of test rows and lists."""
    patch.setattr("studies.worker.job.run_trial", run_trial)
    patch.setattr("studies.worker.job.score_every_k_on_test", score_every_k_on_test)
    patch.setattr("studies.worker.job.score_list", score_list)


def run_trial(
    data: Dataset | TrialData,
    spec: TrialSpec,
    on_epoch: OnTrialEpoch = lambda split, end: None,
    state: State | None = None,
) -> TrialResult:
    """Stand in for :func:`dst.trial.run.run_trial`, for trials that begin at their beginning."""
    rng = _generator(data, spec)
    settings = used_settings(spec.method, {"batch_size": data.batch_size, **spec.settings})
    trains = "epochs" in settings
    quality = float(np.clip(rng.normal(LEVELS.get(spec.method, 0.75), 0.03), 0, 1))
    losses = [2 - quality - 0.1 * epoch for epoch in range(1, EPOCHS + 1)]
    if trains:
        for epoch, loss in enumerate(losses, start=1):
            on_epoch(0, EpochReport(epoch, loss + 0.1, loss, quality, improved=True, state=lambda: State({}, {})))
    every_k = sorted({data.k if spec.k is None else spec.k, *spec.k_values})
    scores = {
        metric: rng.random(data.n_features) for metric in settings.get("importances", RANKERS[spec.method].metrics)
    }
    importances = {
        metric: Importance(
            scores=given,
            ranked=tuple(np.argsort(-given, kind="stable")[: every_k[-1]].tolist()),
            by_k={k: _scored(quality - 0.01 * place) for k in every_k},
            k=data.k if spec.k is None else spec.k,
        )
        for place, (metric, given) in enumerate(scores.items())
    }
    ranking = FeatureScores(scores, engine="sparse" if trains else "scikit-learn", seconds={"train": 0.01})
    if trains:
        ranking = FeatureScores(
            scores,
            engine="sparse",
            seconds={"train": 0.01},
            val_loss=losses[-1],
            val_accuracy=quality,
            epochs=EPOCHS,
            best_epoch=EPOCHS,
            nnz=(40, 20, 10),
            dense_size=700,
            flops=1e6,
            flops_ratio=0.1,
            curves=Curves([loss + 0.1 for loss in losses], losses, [quality] * EPOCHS),
        )
    return TrialResult(
        importances=importances,
        rankings=(ranking,),
        k=data.k if spec.k is None else spec.k,
        data_sha256=_digest(data.name),
        split_sha256=_digest(repr(spec)),
        absent_classes=(),
        seconds={"train": 0.01, "rank": 0.001, "score": 0.001, "total": 0.012},
        peak_rss_bytes=1_000_000,
    )


def score_every_k_on_test(
    dataset: Dataset, spec: TrialSpec, ranked: Mapping[str, tuple[Sequence[int], Sequence[int]]]
) -> dict[str, dict[int, float]]:
    """Stand in for :func:`dst.trial.run.score_every_k_on_test`."""
    accuracy = float(_generator(dataset, spec, "test").uniform(0.8, 0.95))
    return {metric: dict.fromkeys(every_k, accuracy) for metric, (_, every_k) in ranked.items()}


def score_list(dataset: Dataset, spec: TrialSpec, columns: Sequence[int], every_k: Sequence[int]) -> ListResult:
    """Stand in for :func:`dst.trial.list_scores.score_list`."""
    validation, test = _generator(dataset, spec, *columns).uniform(0.8, 0.95, 2)
    return ListResult(dict.fromkeys(every_k, _scored(validation)), dict.fromkeys(every_k, _scored(test)))


def _scored(accuracy: float) -> ScorerResult:
    return ScorerResult(float(accuracy), float(accuracy) - 0.01, float(accuracy) + 0.01)


def _generator(data: Dataset | TrialData, spec: TrialSpec, *of: object) -> np.random.Generator:
    return np.random.default_rng(int(_digest(repr((data.name, spec, of)))[:16], 16))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
