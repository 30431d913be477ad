"""The run of a trial, made from its record: one that has ended, or one that still runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import zip_longest
from typing import Any, Literal

from dst.errors import last_line
from studies.choice.best import BestRow
from studies.spec.wandb_names import run_label
from studies.store.record_schema import Record, Stage, TestRecord, importances_of
from studies.tracking.facts import StudyFacts
from studies.tracking.runs import Metric, Row, TrackedRun, tags_of

Role = Literal["winner", "best_of_method", "confirmed", "search"]
"""What a trial is: a seed of the winner, or of the best of a method, another confirming trial, or one of the search."""

CURVES = {
    "train_loss": "train/loss",
    "val_loss": "val/loss",
    "val_accuracy": "val/accuracy",
    "topology_changed": "topology/changed",
}
"""What a curve of a record is called in a run."""

METRICS = (
    Metric("epoch"),
    Metric("*", step="epoch"),
    Metric("train/loss", step="epoch", best="min"),
    Metric("val/loss", step="epoch", best="min"),
    Metric("val/accuracy", step="epoch", best="max"),
    Metric("rung/epoch"),
    Metric("rung/value", step="rung/epoch"),
)

_ASKED = ("dataset", "number", "source", "seed", "seed_index", "split", "k", "method")
_RESULTS = (
    "val_loss",
    "val_accuracy",
    "epochs",
    "best_epoch",
    "sparsity_actual",
    "flops",
    "flops_ratio",
    "engine",
    "peak_rss_bytes",
    "stopped_at",
)


@dataclass(frozen=True)
class Standing:
    """What a confirming trial is in its study.

    Attributes:
        role: see :data:`Role`.
        row: the configuration that it confirms; None where that is not among the best of its method.
        test: its test accuracies, or None while its test rows have not been opened.
    """

    role: Role
    row: BestRow | None = None
    test: TestRecord | None = None


def trial_run(facts: StudyFacts, record: Record, ended: float | None, standing: Standing | None = None) -> TrackedRun:
    """Return the run of a trial.

    Args:
        facts: of the study.
        record: of the trial; of one that runs, with the state ``running`` and what it has reported so far.
        ended: when it ended, or, while it runs, when it was last heard of: seconds since the epoch; None: unknown.
        standing: what it is in its study; None: nothing is chosen yet.
    """
    dataset, number, method = record["dataset"], record["number"], record["method"]
    stage, state = str(record["stage"]), str(record["state"])  # of an enum W&B would write the member's name
    standing = standing or Standing("search" if stage == Stage.SEARCH else "confirmed")
    seconds = (record.get("seconds") or {}).get("total")
    began = None if ended is None or seconds is None else ended - seconds
    splits = len(record.get("curves") or []) or 1
    rungs = tuple(
        Metric(f"split{split}/rung/value", step="rung/epoch") for split in range(1, _last_split(facts, record))
    )
    return TrackedRun(
        id=facts.ids.of(dataset, number),
        name=run_label(f"{dataset}/{number} {method} {stage}"),
        group=facts.group,
        job_type=stage,
        tags=tags_of(dataset, method, stage, state, *facts.tags),
        state=state,
        config=_config(facts, record),
        metrics=METRICS + rungs if record.get("reports") else METRICS[:5],
        rows=tuple(_timed([*_rungs(facts, record), *_epochs(record, splits)], began, ended)),
        summary=_summary(facts, record, standing),
        times={name: iso_time(time) for name, time in (("started", began), ("ended", ended)) if time is not None},
    )


def _config(facts: StudyFacts, record: Record) -> dict[str, Any]:
    """Return all settings that the trial had, the search's own among them, whether the space varied them or not."""
    had = {**(record.get("settings") or {}), **record["params"]}
    described = {key: record.get(key) for key in ("sparsity", "l2")}
    return {
        **facts.config,
        "data": dict(facts.data.get(record["dataset"], {})),
        **had,
        **{key: had.get(key) if value is None else value for key, value in described.items()},
        **{key: record.get(key) for key in _ASKED},
        "stage": str(record["stage"]),
    }


def _summary(facts: StudyFacts, record: Record, standing: Standing) -> dict[str, Any]:
    """Return the results of a trial; of a confirmed configuration by the ranking that is best over all its seeds."""
    row, importances = standing.row, importances_of(record)
    importance = record.get("importance") if row is None else row["importance"]
    judged_so: Mapping[str, Any] = importances.get(importance or "") or {}
    opened = {} if standing.test is None else standing.test["importances"]
    summary: dict[str, Any] = {
        "state": str(record["state"]),
        "role": standing.role,
        "importance": importance,
        "val_score": record.get("val_score")
        if row is None
        else judged_so.get(facts.objective.first, record["val_score"]),
        "test_score": opened.get(importance or "", {}).get("test_svm_accuracy"),
        **{key: record.get(key) for key in _RESULTS},
    }
    nnz = record.get("nnz")
    summary["nnz"] = sum(nnz) if nnz else None
    summary["error"] = last_line(record.get("error"))
    summary |= {f"objective/{metric}": value for metric, value in (record.get("val_scores") or {}).items()}
    for key, spent in (("seconds", record.get("seconds")), ("bytes", record.get("bytes"))):
        summary |= {f"{key}/{kind}": value for kind, value in (spent or {}).items()}
    judged: list[Mapping[str, Mapping[str, Any]]] = [importances, opened]
    for results in judged:
        for metric, result in results.items():
            scores = {key: value for key, value in result.items() if key.endswith(("accuracy", "auc"))}
            summary |= {f"{key}/{metric}": value for key, value in scores.items()}
    return {key: value for key, value in summary.items() if value is not None}


def _rungs(facts: StudyFacts, record: Record) -> Iterator[dict[str, float | int]]:
    """Yield what a trial reported at its rungs: the loss or accuracy itself, whatever the direction of the objective.

    A report's step counts epochs over all inner splits, each at its greatest length; its value is the mean over the
    splits so far. Values of later splits have names of their own, ``split1/rung/value``, ...
    """
    sign = _sign(facts, record)
    for step, value in sorted((int(step), value) for step, value in record["reports"].items() if value is not None):
        split, epoch = divmod(step - 1, _epochs_of(facts, record))
        name = f"split{split}/rung/value" if split else "rung/value"
        yield {name: sign * value, "rung/epoch": epoch + 1}


def _sign(facts: StudyFacts, record: Record) -> float:
    """Return the factor between a value and what is reported of it (:class:`studies.worker.rungs.Rungs`)."""
    reported = facts.reported if record["stage"] == Stage.SEARCH else "val_loss"
    return 1.0 if (facts.objective.direction == "maximize") != (reported == "val_loss") else -1.0


def _epochs_of(facts: StudyFacts, record: Record) -> int:
    settings = record.get("settings") or {}
    return int(settings.get("epochs") or record["params"].get("epochs") or facts.epochs)


def _last_split(facts: StudyFacts, record: Record) -> int:
    """Return one more than the last inner split that reported."""
    steps = [int(step) for step in record["reports"]]
    return (max(steps) - 1) // _epochs_of(facts, record) + 1 if steps else 0


def _epochs(record: Record, splits: int) -> Iterator[dict[str, float | int]]:
    """Yield the curves by epoch, from 1.

    With several inner splits each has its own (``split0/val/loss``, ...) beside the mean over those that still trained
    in that epoch.
    """
    curves = record.get("curves") or []
    names = [key for key in CURVES if any(split.get(key) for split in curves)]
    columns = {CURVES[key]: list(zip_longest(*(split.get(key) or [] for split in curves))) for key in names}
    for epoch in range(max((len(column) for column in columns.values()), default=0)):
        row: dict[str, float | int] = {}
        for name, column in columns.items():
            values = column[epoch] if epoch < len(column) else ()
            present = {place: value for place, value in enumerate(values) if value is not None}
            if present:
                row[name] = sum(present.values()) / len(present)
            if splits > 1:
                row |= {f"split{place}/{name}": value for place, value in present.items()}
        if row:
            yield {"epoch": epoch + 1, **row}


def _timed(rows: list[dict[str, float | int]], began: float | None, ended: float | None) -> Iterator[Row]:
    """Yield rows with the times at which they came about, as if evenly."""
    for place, values in enumerate(rows, start=1):
        if began is None or ended is None:
            yield Row(values, ended)
        else:
            yield Row(values, began + (ended - began) * place / len(rows))


def iso_time(time: float) -> str:
    """Return a time, in seconds since the epoch, as ISO 8601 writes it in UTC."""
    return datetime.fromtimestamp(time, UTC).isoformat(timespec="seconds")
