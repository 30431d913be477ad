"""What all runs of a study share: its name and group, the spec's settings, its data and versions."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from studies.spec.dataset import MissingSpec
from studies.spec.objective import ObjectiveSpec
from studies.spec.search import Reported
from studies.spec.study import StudySpec
from studies.spec.wandb_names import run_label
from studies.store.archive import StudyArchive
from studies.tracking.destination import Destination
from studies.tracking.runs import RunIds

AUTO_TRIALS = 1000
"""Search trials that a study may plan, and still have a run each where it leaves that choice open."""

_DATA = ("sha256", "content_sha256", "split_sha256", "samples", "features", "classes")


@dataclass(frozen=True)
class StudyFacts:
    """What all runs of a study share.

    Attributes:
        name: of the study.
        ids: gives each run its id.
        group: of all runs.
        tags: of every run.
        notes: of the study's run.
        objective: of the study.
        reported: the value that search trials report at rungs.
        epochs: of an inner split at most, for a trial that does not say so itself.
        config: settings of every run.
        data: settings by dataset: hashes, sizes, what is missing.
        search_runs: whether search trials have runs.
        trial_runs: whether confirming trials have runs.
        alerts: whether W&B tells its user how the study ended.
    """

    name: str
    ids: RunIds
    group: str
    tags: tuple[str, ...]
    notes: str | None
    objective: ObjectiveSpec
    reported: Reported
    epochs: int
    config: Mapping[str, Any]
    data: Mapping[str, Mapping[str, Any]]
    search_runs: bool
    trial_runs: bool
    alerts: bool


def facts_of(archive: StudyArchive, to: Destination, sent: Collection[str] = ()) -> StudyFacts:
    """Return what all runs of a study share.

    Args:
        archive: of the study.
        to: where its runs go.
        sent: ids of runs that were sent before.
    """
    spec, resolved = archive.spec, archive.resolved
    identity = str(resolved["id"])
    planned = len(archive.datasets) * spec.search.trials
    return StudyFacts(
        name=spec.name,
        ids=RunIds(identity, spec.name, sent),
        group=to.group or run_label(f"{spec.name}-{identity[:6]}"),
        tags=to.tags,
        notes=to.notes,
        objective=spec.objective,
        reported=spec.search.pruner.on,
        epochs=spec.training.epochs,
        config=_config(spec, identity, resolved),
        data={
            name: _data(use.missing, resolved["datasets"].get(name, {}))
            for name, use in zip(archive.datasets, spec.datasets, strict=True)
        },
        search_runs=to.runs == "trials" or (to.runs == "auto" and planned <= AUTO_TRIALS),
        trial_runs=to.runs != "study",
        alerts=to.alerts,
    )


def _config(spec: StudySpec, identity: str, resolved: Mapping[str, Any]) -> dict[str, Any]:
    """Return the study's settings; no path, no storage and nothing of the environment is among them."""
    sections = {name: getattr(spec, name).model_dump(mode="json") for name in ("objective", "training", "search")}
    return {
        "study": spec.name,
        "study_id": identity,
        "study_seed": spec.seed,
        **sections,
        "confirm": spec.confirm.model_dump(mode="json"),
        "scoring": spec.scoring.model_dump(mode="json"),
        "versions": dict(resolved.get("versions") or {}),
    }


def _data(missing: MissingSpec | None, resolved: Mapping[str, Any]) -> dict[str, Any]:
    removal = {
        "missing_rate": 0.0 if missing is None else missing.rate,
        "missing_mechanism": missing.mechanism if missing is not None and missing.rate else None,
        "missing_policy": None if missing is None else missing.policy,
    }
    return {key: resolved.get(key) for key in _DATA} | removal
