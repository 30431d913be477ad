"""The cost of sending a study to W&B: a folder of made-up trials, sent whole."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from dst.errors import InputError
from studies.bench.scheduler import SPACE
from studies.plan.data import StudyData
from studies.plan.resume import write_spec
from studies.spec.loading import parse_spec
from studies.spec.space import search_space
from studies.store.archive import StudyArchive
from studies.store.folder import StudyFolder
from studies.store.record import write_record
from studies.store.study_file import write_columns
from studies.tracking.send import send_results

HUNDRED = 100
"""Runs at either end whose processor time is compared."""

EPOCHS = 30
"""Of each trial; a run's history has as many rows."""


@dataclass(frozen=True)
class TrackingCase:
    """A study that is sent.

    Attributes:
        trials: of its search; at least 2 x :data:`HUNDRED` where each has a run.
        runs: which runs are sent, see :class:`studies.spec.tracking.WandbSpec`.
        mode: ``offline``, or ``online``: to the server of this process's ``WANDB_BASE_URL``.
    """

    trials: int
    runs: str = "trials"
    mode: str = "offline"


CASES = (TrackingCase(trials=5000), TrackingCase(trials=5000, runs="auto"))
"""A run per trial, and none per trial as a study of that size has it unless its spec says otherwise."""


@dataclass(frozen=True)
class TrackingRow:
    """The result of a measurement.

    Attributes:
        trials: of the case.
        runs: of the case.
        mode: of the case.
        sent: number of runs.
        cpu_ms_first: processor time of one of the first hundred runs of trials, W&B's own process included; None where
            trials have no runs.
        cpu_ms_last: of the last hundred.
        cpu_s: processor time in all.
        seconds: in all.
        inodes: files and folders of the study's ``wandb/``.
        megabytes: that these hold.
    """

    trials: int
    runs: str
    mode: str
    sent: int
    cpu_ms_first: float | None
    cpu_ms_last: float | None
    cpu_s: float
    seconds: float
    inodes: int
    megabytes: float


def tracking_rows(cases: Iterable[TrackingCase]) -> Iterator[TrackingRow]:
    """Send a study for each case; yield a row for each as soon as it is there.

    Raises:
        InputError: a case has too few trials to measure.
        TrackingError: W&B failed.
    """
    for case in cases:
        if case.runs == "trials" and case.trials < 2 * HUNDRED:
            raise InputError(f"trials >= {2 * HUNDRED} must hold, but got trials={case.trials}")
        with tempfile.TemporaryDirectory(prefix="dst-bench-") as directory:
            yield _send(case, made_up_study(Path(directory) / "study", case))


def made_up_study(path: Path, case: TrackingCase) -> StudyFolder:
    """Write the folder of a study whose trials have ended, each with the curves of a short training; none is confirmed.

    Args:
        path: of the folder.
        case: says how many trials there are, and where their runs go.
    """
    spec = parse_spec(
        {
            "name": "tracking",
            "datasets": ["wine"],
            "space": SPACE,
            "search": {"sampler": "random", "trials": case.trials},
            "tracking": {"wandb": {"mode": case.mode, "runs": case.runs}},
        }
    )
    folder = StudyFolder(path).create()
    datasets = StudyData(spec).datasets
    for dataset in datasets:
        write_columns(folder, dataset.name, dataset.feature_names)
    write_spec(folder, spec, datasets, (), search_space(spec))
    rng = np.random.default_rng(0)
    for number in range(case.trials):
        write_record(folder, _record(datasets[0].name, number, rng))
    return folder


def _record(dataset: str, number: int, rng: np.random.Generator) -> dict[str, Any]:
    curve = (0.5 + np.exp(-np.arange(EPOCHS) / 8) + rng.normal(0, 0.01, EPOCHS)).tolist()
    params = {"method": "set", "sparsity": 0.9, "l2": 1e-4, "lr": float(rng.uniform(3e-4, 3e-3)), "drop_fraction": 0.3}
    score = float(rng.uniform(0.5, 0.9))
    return {
        "schema": 1,
        "dataset": dataset,
        "number": number,
        "stage": "search",
        "state": "finished",
        "source": None,
        "seed": number,
        "seed_index": None,
        "method": "set",
        "sparsity": 0.9,
        "l2": 1e-4,
        "params": params,
        "settings": {**params, "epochs": EPOCHS},
        "k": 4,
        "reports": {str(epoch): -curve[epoch - 1] for epoch in (5, 10, 20)},
        "error": None,
        "val_score": score,
        "val_loss": min(curve),
        "importance": "neuron_strength",
        "importances": {"neuron_strength": {"val_svm_accuracy": score, "selected": [0, 1, 2, 3]}},
        "epochs": EPOCHS,
        "curves": [{"train_loss": curve, "val_loss": curve, "val_accuracy": curve}],
        "seconds": {"total": 1.0},
    }


def _send(case: TrackingCase, folder: StudyFolder) -> TrackingRow:
    spent: dict[int, float] = {}

    def told(count: int) -> None:
        spent[count] = _processor_seconds()

    began, before = time.monotonic(), _processor_seconds()
    sent = send_results(StudyArchive(folder), told=told)
    total, seconds = _processor_seconds() - before, time.monotonic() - began
    first = last = None
    counts = sorted(spent)
    if len(counts) > 1:
        near_first = min(counts, key=lambda count: abs(count - counts[0] - HUNDRED))
        near_last = min(counts, key=lambda count: abs(counts[-1] - HUNDRED - count))
        first, last = (
            1000 * (spent[end] - spent[start]) / (end - start)
            for start, end in ((counts[0], near_first), (near_last, counts[-1]))
        )
    paths = list(folder.wandb.rglob("*"))
    size = sum(path.stat().st_size for path in paths if path.is_file()) / 1e6
    return TrackingRow(case.trials, case.runs, case.mode, sent.runs, first, last, total, seconds, len(paths), size)


def _processor_seconds() -> float:
    """Return the processor time of this process and of those that it started and that run."""
    total = 0.0
    for process in (own := psutil.Process(), *own.children(recursive=True)):
        with suppress(psutil.Error):
            times = process.cpu_times()
            total += times.user + times.system
    return total
