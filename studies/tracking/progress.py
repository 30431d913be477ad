"""The runs of a study and its datasets: how they came along, trial by trial, and what came out."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from cluster.ledger.entries import State
from dst.rankers import RANKERS
from studies.choice.best import BestRow
from studies.spec.wandb_names import run_label
from studies.store.record_schema import Record, Stage
from studies.tracking.facts import StudyFacts
from studies.tracking.runs import Metric, Row, TrackedArtifact, TrackedRun, TrackedTable, tags_of
from studies.tracking.trials import iso_time

_DATASET_METRICS = (Metric("trial/ended"), Metric("trial/*", step="trial/ended"))
_STUDY_METRICS = (Metric("trials/ended"), Metric("*", step="trials/ended"))

_WINNER = ("number", "test_mean", "test_std", "stability", "list_val_score", "list_test_score", "smallest_k", "k")
"""Keys of a winner's row in the summary of its dataset's run, besides those that all runs have."""

_BEST = ("method", "val_score", "test_mean", "test_std", "list_val_score", "list_test_score")
"""Keys of each dataset's winner in the summary of the study's run."""


class StudyProgress:
    """What has become of a study's trials so far; rows are added in the order in which trials ended.

    Args:
        facts: of the study.
        cpus: cores of a trial, for one that does not say how many it had.
    """

    def __init__(self, facts: StudyFacts, cpus: float) -> None:
        self._facts = facts
        self._cpus = cpus
        self._states: Counter[str] = Counter()
        self._core_seconds = 0.0
        self._best: dict[str, float] = {}
        self._rows: list[Row] = []
        self._of_dataset: dict[str, list[Row]] = defaultdict(list)
        self._span: dict[str, tuple[float, float]] = {}

    @property
    def ended(self) -> int:
        """Number of trials that have ended."""
        return self._states.total()

    def add(self, record: Record, ended: float) -> None:
        """Take the record of a trial.

        Args:
            record: of a trial that ended after all that were added before.
            ended: when, in seconds since the epoch.
        """
        dataset, value = record["dataset"], record.get("val_score")
        seconds = (record.get("seconds") or {}).get("total") or 0.0
        self._states[str(record["state"])] += 1
        self._core_seconds += seconds * (record.get("cpus") or self._cpus)
        first, last = self._span.get(dataset, (ended - seconds, ended))
        self._span[dataset] = min(first, ended - seconds), max(last, ended)
        row: dict[str, float | int] = {"trials/ended": self.ended, "cost/core_seconds": self._core_seconds}
        row |= {f"trials/{state}": self._states[state] for state in (State.FINISHED, State.STOPPED, State.FAILED)}
        if record["stage"] == Stage.SEARCH:
            trials = self._of_dataset[dataset]
            point: dict[str, float | int] = {"trial/ended": len(trials) + 1, "trial/number": record["number"]}
            if value is not None:
                point["trial/val_score"] = value
                better = min if self._facts.objective.direction == "minimize" else max
                self._best[dataset] = better(value, self._best.get(dataset, value))
            if dataset in self._best:
                point["trial/best_so_far"] = row[f"best/{dataset}"] = self._best[dataset]
            trials.append(Row(point, ended))
        self._rows.append(Row(row, ended))

    def dataset_run(
        self,
        dataset: str,
        *,
        state: str,
        rows: Sequence[BestRow] = (),
        tables: Mapping[str, TrackedTable] | None = None,
        artifacts: Sequence[TrackedArtifact] = (),
    ) -> TrackedRun:
        """Return the run of a dataset.

        Args:
            dataset: its name.
            state: ``running``, ``finished``, ``failed`` or ``interrupted``.
            rows: the best configuration of each method, the winner first; none while nothing is confirmed.
            tables: by name.
            artifacts: of the dataset.
        """
        facts = self._facts
        summary: dict[str, Any] = {"state": state, "role": "dataset", "trials/ended": len(self._of_dataset[dataset])}
        if dataset in self._best:
            summary["best_so_far"] = self._best[dataset]
        if rows:
            summary |= _of_winner(rows)
        method = rows[0]["method"] if rows else None
        return TrackedRun(
            id=facts.ids.of(dataset),
            name=run_label(f"{dataset} dataset"),
            group=facts.group,
            job_type="dataset",
            tags=tags_of(dataset, method, "dataset", state, *facts.tags),
            state=state,
            config={**facts.config, "dataset": dataset, "data": dict(facts.data.get(dataset, {})), "method": method},
            metrics=_DATASET_METRICS,
            rows=tuple(self._of_dataset[dataset]),
            summary={key: value for key, value in summary.items() if value is not None},
            times=self._times(dataset),
            tables=tables or {},
            artifacts=tuple(artifacts),
        )

    def study_run(self, *, state: str, best: Sequence[BestRow] = (), running: int = 0, **attached: Any) -> TrackedRun:
        """Return the run of the study.

        Args:
            state: ``running``, ``finished``, ``failed`` or ``interrupted``.
            best: the winner of each dataset that has one.
            running: number of trials at work.
            attached: tables, images, pages and artifacts of the run.
        """
        facts = self._facts
        states = {f"trials/{state}": count for state, count in sorted(self._states.items())}
        summary: dict[str, Any] = {
            "state": state,
            "role": "study",
            "importance": facts.objective.importance,
            "val_score": _mean([row["val_score"] for row in best]),
            "test_score": _mean([row["test_mean"] for row in best]),
            "trials/ended": self.ended,
            "trials/running": running,
            **states,
            "cost/core_seconds": self._core_seconds,
            **{f"best_so_far/{dataset}": value for dataset, value in sorted(self._best.items())},
        }
        for row in best:
            values: Mapping[str, Any] = row
            summary |= {f"best/{row['dataset']}/{key}": values[key] for key in _BEST}
        return TrackedRun(
            id=facts.ids.of(),
            name=run_label(facts.name),
            group=facts.group,
            job_type="study",
            tags=tags_of("study", state, *facts.tags),
            state=state,
            config={**facts.config, "datasets": sorted(facts.data)},
            metrics=_STUDY_METRICS,
            rows=tuple(self._rows),
            summary={key: value for key, value in summary.items() if value is not None},
            times=self._times(*self._span),
            notes=facts.notes,
            alert=(f"{facts.name} {state}", _in_words(best)) if facts.alerts and state != "running" else None,
            **attached,
        )

    def _times(self, *datasets: str) -> dict[str, str]:
        spans = [self._span[dataset] for dataset in datasets if dataset in self._span]
        if not spans:
            return {}
        return {
            "started": iso_time(min(first for first, _ in spans)),
            "ended": iso_time(max(last for _, last in spans)),
        }


def _of_winner(rows: Sequence[BestRow]) -> dict[str, Any]:
    """Return a winner's results, with its margin in test accuracy over the best method that trains no network."""
    winner: Mapping[str, Any] = rows[0]
    baselines = [row["test_mean"] for row in rows if not RANKERS[row["method"]].is_network]
    known = [accuracy for accuracy in baselines if accuracy is not None]
    margin = winner["test_mean"] - max(known) if known and winner["test_mean"] is not None else None
    shared = {"method": winner["method"], "importance": winner["importance"], "val_score": winner["val_score"]}
    return {**shared, "test_score": winner["test_mean"], "margin": margin, **{key: winner[key] for key in _WINNER}}


def _in_words(best: Sequence[BestRow]) -> str:
    return "; ".join(f"{row['dataset']}: {row['method']} {row['val_score']:.4f}" for row in best) or "nothing confirmed"


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None
