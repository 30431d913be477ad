"""The runs of a study in a tracker: one per trial and one for the study, made from the records alone.

Everything here is a pure function of the records, so that a run that was sent can be told from one that was not, or not
with its present content, by a digest. :mod:`studies.tracking.wandb` does the sending.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import zip_longest
from typing import Any

from cluster.ledger.entries import State
from dst.errors import last_line
from studies.choice.best import BestRow
from studies.report.tables import BEST_COLUMNS
from studies.spec.wandb_names import run_label
from studies.store.record_schema import Record, TestRecord, importances_of

_BEST = ("method", "val_score", "test_mean", "test_std", "list_val_score", "list_test_score")
"""Keys of each dataset's best configuration in the study's run."""


@dataclass(frozen=True)
class TrackedTable:
    """A table of a run: the names of its columns, and its rows."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]


@dataclass(frozen=True)
class TrackedRun:
    """The whole content of one run.

    Attributes:
        id: names the run in its project; the same study, dataset and number always give the same id.
        name: as people read it.
        group: runs that belong together: the dataset's name, or the study's.
        job_type: ``search``, ``confirm`` or ``study``.
        tags: words to filter by.
        config: settings of the run.
        history: per step the values logged at it.
        summary: results of the run.
        tables: by name.
        failed: True if the trial failed.
    """

    id: str
    name: str
    group: str
    job_type: str
    tags: tuple[str, ...]
    config: dict[str, Any]
    history: dict[int, dict[str, float]] = field(default_factory=dict)
    summary: dict[str, Any] = field(default_factory=dict)
    tables: dict[str, TrackedTable] = field(default_factory=dict)
    failed: bool = False

    def digest(self) -> str:
        """Return a fingerprint of the content: equal for equal content, in any process."""
        text = json.dumps(asdict(self), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def run_id(study: str, *place: str | int) -> str:
    """Return an id for a place in a study, of letters, digits, ``_``, ``.`` and ``-``, at most 61 of them.

    Its end is a hash of the study's name and the place, so that names that differ only in other characters, or beyond
    the length, stay apart.
    """
    readable = re.sub(r"[^A-Za-z0-9_.-]+", "-", "-".join(map(str, place or (study,))))[-48:]
    fingerprint = hashlib.sha256(json.dumps([study, *place]).encode()).hexdigest()[:12]
    return f"{readable}-{fingerprint}"


def trial_run(study: str, record: Record, test: TestRecord | None) -> TrackedRun:
    """Make the run of one trial.

    Args:
        study: the study's name.
        record: the trial's record.
        test: its test accuracies, or None while its test rows have not been opened.
    """
    dataset, number = record["dataset"], record["number"]
    stage, state = str(record["stage"]), str(record["state"])  # of an enum W&B would write the member's name
    asked = ("dataset", "number", "source", "seed", "seed_index", "split", "k", "method", "sparsity", "l2")
    return TrackedRun(
        id=run_id(study, dataset, number),
        name=run_label(f"{dataset}/{number}"),
        group=run_label(dataset),
        job_type=stage,
        tags=(state,),
        config={
            "study": study,
            **(record.get("settings") or {}),
            **(record.get("params") or {}),
            **{key: record.get(key) for key in asked},
            "stage": stage,
        },
        history=_history(record),
        summary=_summary(record, test),
        failed=record["state"] == State.FAILED,
    )


def study_run(
    study: str, records: Iterable[Record], best: Sequence[BestRow], best_by_method: Sequence[BestRow]
) -> TrackedRun:
    """Make the run of the study itself: its counts and cost, and the tables of best configurations over all datasets.

    Args:
        study: the study's name.
        records: all records; they are read through once.
        best: the best configuration of each dataset, keys as in :data:`studies.report.tables.BEST_COLUMNS`.
        best_by_method: the same for each dataset and method.
    """
    states: Counter[str] = Counter()
    seconds = 0.0
    for record in records:
        states[record["state"]] += 1
        seconds += (record.get("seconds") or {}).get("total") or 0.0
    summary: dict[str, Any] = {f"trials/{state}": count for state, count in sorted(states.items())}
    summary["seconds/trials"] = seconds
    for row in best:
        values: Mapping[str, Any] = row
        summary |= {f"best/{row['dataset']}/{key}": values[key] for key in _BEST if values[key] is not None}
    return TrackedRun(
        id=run_id(study),
        name=run_label(study),
        group=run_label(study),
        job_type="study",
        tags=("study",),
        config={"study": study, "datasets": sorted({row["dataset"] for row in best})},
        summary=summary,
        tables={"best": _table(best), "best_by_method": _table(best_by_method)},
    )


def _history(record: Record) -> dict[int, dict[str, float]]:
    """Return the values by step: curves by epoch, and what a trial reported while it ran by the step of the report.

    With several inner splits each has its own curves (``split0/val_loss``, ...) beside the mean over those that still
    trained in that epoch.
    """
    history: dict[int, dict[str, float]] = {}
    splits = record.get("curves") or []
    for key in sorted({key for split in splits for key in split}):
        curves = [split.get(key) or [] for split in splits]
        for epoch, values in enumerate(zip_longest(*curves)):
            present = {place: value for place, value in enumerate(values) if value is not None}
            if present:
                history.setdefault(epoch, {})[key] = sum(present.values()) / len(present)
            if len(splits) > 1:
                own = {f"split{place}/{key}": value for place, value in present.items()}
                history.setdefault(epoch, {}).update(own)
    for step, value in (record.get("reports") or {}).items():
        if value is not None:
            history.setdefault(int(step), {})["reported"] = value
    return dict(sorted(history.items()))


def _summary(record: Record, test: TestRecord | None) -> dict[str, Any]:
    results = (
        "val_score",
        "importance",
        "val_loss",
        "val_accuracy",
        "epochs",
        "best_epoch",
        "sparsity_actual",
        "flops",
    )
    also = ("flops_ratio", "engine", "peak_rss_bytes", "stopped_at")
    summary: dict[str, Any] = {"state": str(record["state"]), **{key: record.get(key) for key in (*results, *also)}}
    nnz = record.get("nnz")
    summary["nnz"] = sum(nnz) if nnz else None
    summary["error"] = last_line(record.get("error"))
    summary |= {f"objective/{metric}": value for metric, value in (record.get("val_scores") or {}).items()}
    for key, spent in (("seconds", record.get("seconds")), ("bytes", record.get("bytes"))):
        summary |= {f"{key}/{kind}": value for kind, value in (spent or {}).items()}
    judged: list[Mapping[str, Mapping[str, Any]]] = [
        importances_of(record),
        {} if test is None else test["importances"],
    ]
    for importances in judged:
        for metric, result in importances.items():
            scores = {key: value for key, value in result.items() if key.endswith(("accuracy", "auc"))}
            summary |= {f"{key}/{metric}": value for key, value in scores.items()}
    return {key: value for key, value in summary.items() if value is not None}


def _table(rows: Sequence[BestRow]) -> TrackedTable:
    cells: list[Mapping[str, Any]] = [*rows]
    return TrackedTable(BEST_COLUMNS, tuple(tuple(_cell(row[name]) for name in BEST_COLUMNS) for row in cells))


def _cell(value: Any) -> Any:
    return json.dumps(value, sort_keys=True) if isinstance(value, dict | list | tuple) else value
