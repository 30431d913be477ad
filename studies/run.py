"""Running a study from its spec to its report; the same call resumes one."""

from __future__ import annotations

import importlib.metadata
import os
import secrets
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pandas as pd
import yaml

from cluster.ledger import Ledger
from cluster.options import OptionError
from cluster.pruners import make_pruner
from cluster.samplers import make_sampler
from cluster.storage import StorageError, open_storage, quiet_optuna, without_password
from dst.errors import InputError
from dst.rankers import RANKERS, make_config, parameters
from search_spaces import Space, SpaceError, Value, load_space
from studies.dataset_spec import DatasetSpec
from studies.datasets import StudyData, StudyDataset
from studies.files import TEMP_SUFFIX, write_text
from studies.folder import StudyFolder
from studies.lock import owned
from studies.plan import DatasetPlan, StudyPlan
from studies.progress import make_progress
from studies.records import iter_records
from studies.report import write_report
from studies.results import (
    Results,
    collect,
    read_resolved,
    read_study,
    storage_name,
    write_columns,
)
from studies.spec import RESUMABLE, SpecError, StudySpec, TrainingSpec
from studies.tables import BEST_COLUMNS, write_tables
from studies.tracking import Mode, TrackingError, track
from studies.work import run_job

VERSIONS_OF = ("dst-studies", "ray", "optuna", "torch", "scikit-learn", "numpy", "numba", "pandas", "wandb")
"""Distributions whose versions a study notes."""


_BEFORE_THE_SPEC = {".lock", "records", "study.db", "study.db-journal", "study.db-shm", "study.db-wal"}
"""What a run that died at its very start leaves behind, besides temporary files."""


_FOR_ALL_TRIALS = "is the same in all trials: it is set in training"
_NOT_SEARCHED = {
    "engine": _FOR_ALL_TRIALS,
    "device": _FOR_ALL_TRIALS,
    "threads": _FOR_ALL_TRIALS,
    "hidden": _FOR_ALL_TRIALS,
    "loss": "is cross_entropy: a study classifies",
    "input_noise": "is 0: it is for networks that reconstruct their input, and a study classifies",
}
"""Settings of rankers that no space may name, and the rule that each has instead."""


@dataclass(frozen=True)
class StudyResult:
    """What a study came to.

    Attributes:
        folder: where everything lies.
        rows: one a dataset, the confirmed winner, as ``dst best --json`` prints it.
        best: the same as a table.
        best_by_method: one row a dataset and method.
        trials: the trials table.
        ran: whether this call had anything left to do.
        missing: datasets on which no configuration could be confirmed.
        warnings: what went wrong beside the study itself, e.g. W&B.
    """

    folder: Path
    rows: list[dict[str, Any]]
    best: pd.DataFrame
    best_by_method: pd.DataFrame
    trials: pd.DataFrame
    ran: bool
    missing: tuple[str, ...]
    warnings: tuple[str, ...]


def run_study(
    spec: StudySpec,
    *,
    out: Path | None = None,
    address: str | None = None,
    workers: int | None = None,
    in_process: bool = False,
) -> StudyResult:
    """Run a study, or go on with one that was interrupted, and write its tables and report.

    Progress goes to stderr. Everything durable lies in the study's folder; calling again on a finished study does
    nothing new.

    Args:
        spec: the study.
        out: the study's folder; default ``spec.out``, else ``runs/NAME``.
        address: of a running Ray cluster (``auto`` or ``HOST:PORT``); None starts Ray on this machine.
        workers: how many trials run at a time; None: as many as there are cores for.
        in_process: run trials one after another in this process, without Ray.

    Raises:
        InputError: the spec or its data break a rule, or the folder holds another study.
        RecordError: a record in the folder is damaged.
        KeyboardInterrupt: the run was interrupted; it can be resumed.
    """
    space = _space(spec)
    _check_search(spec)
    points = _grid(spec, space)
    if points is not None:
        spec = spec.model_copy(update={"search": spec.search.model_copy(update={"trials": len(points)})})
    data = StudyData(spec)
    datasets = data.datasets
    folder = StudyFolder((out or Path(spec.out or Path("runs") / spec.name)).expanduser().resolve())
    _check_folder(folder, spec, datasets)
    try:
        folder.create()
    except OSError as error:
        raise InputError(f"{folder.path} cannot be made a study's folder: {error.strerror}") from error
    with owned(folder), quiet_optuna():
        _check_folder(folder, spec, datasets)
        try:
            storage = open_storage(spec.storage or f"sqlite:///{folder.storage}")
        except StorageError as error:
            raise InputError(str(error)) from error
        for dataset in datasets:
            write_columns(folder, dataset.name, dataset.feature_names)
        identity = _write_spec(folder, spec, datasets)
        try:
            plan = StudyPlan(
                (
                    DatasetPlan(spec, dataset, folder, _ledger(spec, space, points, storage, identity, dataset.name))
                    for dataset in datasets
                ),
                retries=spec.resources.retries,
            )
            ran = not plan.done()
            if ran:
                _run(plan, data, spec, address=address, workers=workers, in_process=in_process)
        finally:
            storage.remove_session()
            storage.engine.dispose()
        return _finish(folder, spec, [dataset.name for dataset in datasets], ran=ran)


def write_results(folder: StudyFolder, spec: StudySpec, datasets: list[str]) -> tuple[Results, pd.DataFrame]:
    """Write tables, plots, report and the winners' specs from the records of a study.

    Returns:
        The confirmed configurations and the trials table.
    """
    results = collect(folder, spec, datasets)
    trials = write_tables(folder, results.best, results.best_by_method, results.feature_names)
    write_report(
        folder,
        results.best,
        results.best_by_method,
        trials,
        direction=spec.objective.direction,
        title=spec.name,
        cpus=float(spec.resources.cpus),
    )
    uses = dict(zip(datasets, spec.datasets, strict=True))
    for row in results.best:
        write_text(folder.best_spec(row["dataset"]), winner_spec(spec, uses[row["dataset"]], row))
    return results, trials


def _run(
    plan: StudyPlan,
    data: StudyData,
    spec: StudySpec,
    *,
    address: str | None,
    workers: int | None,
    in_process: bool,
) -> None:
    started = time.monotonic()
    with make_progress(sys.stderr, workers or max(1, (os.cpu_count() or 1) // spec.resources.cpus)) as progress:

        def show() -> None:
            progress.update(plan.progress(), time.monotonic() - started)

        if in_process:
            from cluster.here import run_here

            run_here(plan, run_job, dict(data), on_tick=show)
        else:
            from cluster.ray_run import run_jobs

            run_jobs(
                plan,
                run_job,
                data,
                shared_bytes=data.n_bytes,
                workers=workers,
                cpus_per_job=spec.resources.cpus,
                gpus_per_job=spec.resources.gpus,
                memory_per_job=spec.resources.memory or 0,
                seconds_per_job=spec.resources.trial_seconds,
                address=address,
                on_tick=show,
            )
        show()


def _finish(folder: StudyFolder, spec: StudySpec, datasets: list[str], *, ran: bool) -> StudyResult:
    results, trials = write_results(folder, spec, datasets)
    warnings = _warnings(folder, spec, datasets, trials, results)
    try:
        _track(folder, spec, results)
    except TrackingError as error:
        warnings.append(str(error))
    return StudyResult(
        folder=folder.path,
        rows=results.best,
        best=pd.DataFrame(results.best, columns=list(BEST_COLUMNS)),
        best_by_method=pd.DataFrame(results.best_by_method, columns=list(BEST_COLUMNS)),
        trials=trials,
        ran=ran,
        missing=tuple(name for name in datasets if name not in {row["dataset"] for row in results.best}),
        warnings=tuple(warnings),
    )


def send_results(folder: StudyFolder, spec: StudySpec, datasets: list[str], *, mode: str | None = None) -> int:
    """Send to W&B what it does not have yet of a study.

    Args:
        folder: the study's folder.
        spec: the spec that it ran with.
        datasets: its datasets' names.
        mode: ``online``, ``offline`` or ``disabled``; None: the spec's.

    Returns:
        How many runs were sent.

    Raises:
        InputError: an unknown mode.
        TrackingError: W&B failed.
    """
    return _track(folder, spec, collect(folder, spec, datasets), mode)


def _track(folder: StudyFolder, spec: StudySpec, results: Results, mode: str | None = None) -> int:
    wandb = spec.tracking.wandb
    return track(
        folder,
        study_name=spec.name,
        mode=cast("Mode", mode or wandb.mode),
        project=wandb.project,
        entity=wandb.entity,
        runs=wandb.runs,
        best=results.best,
        best_by_method=results.best_by_method,
    )


def _warnings(
    folder: StudyFolder, spec: StudySpec, datasets: list[str], trials: pd.DataFrame, results: Results
) -> list[str]:
    """Return what a user should know before trusting the table of winners, one line each."""
    lines = []
    for dataset in datasets:
        mine = trials[trials["dataset"] == dataset]
        failed = mine[mine["state"] == "failed"]
        if len(failed):
            last = failed["error"].iloc[-1]
            lines.append(f"{dataset}: {len(failed)} of {len(mine)} trials failed, the last with: {last}")
        lines.extend(_absent_classes(folder, dataset))
        compared = {row["method"] for row in results.best_by_method if row["dataset"] == dataset}
        if absent := [method for method in spec.methods if method not in compared]:
            lines.append(f"{dataset}: no trial of {', '.join(absent)} ran to its end, so it is not compared")
        lines.extend(
            f"{dataset}: the test rows could not be opened for {row['method']}"
            for row in results.best_by_method
            if row["dataset"] == dataset and row["test_mean"] is None
        )
    return lines


def _absent_classes(folder: StudyFolder, dataset: str) -> list[str]:
    """Return a line about classes that training rows lacked, if there are any."""
    lacking = [record["absent_classes"] for record in iter_records(folder, dataset) if record.get("absent_classes")]
    if not lacking:
        return []
    classes = ", ".join(sorted(set().union(*lacking)))
    return [f"{dataset}: the training rows of {len(lacking)} trials lack a class ({classes})"]


def _space(spec: StudySpec) -> Space:
    """Return the search space, after trying the values at its bounds on the methods that take them."""
    for name in spec.space if isinstance(spec.space, dict) else ():
        if name in _NOT_SEARCHED:
            raise SpecError(f"space.{name}: {name} {_NOT_SEARCHED[name]}")
    allowed = set().union(*(parameters(method) for method in RANKERS)) - _NOT_SEARCHED.keys()
    try:
        space = load_space(spec.space, methods=spec.methods, allowed=allowed, known_methods=RANKERS)
    except SpaceError as error:
        raise SpecError(str(error)) from error
    fixed = spec.training.settings()
    defaults = TrainingSpec().settings()
    named = {name for name, value in fixed.items() if value != defaults.get(name)}
    if isinstance(spec.space, str):  # a packaged space gives way to what the spec itself says
        space = Space(tuple(parameter for parameter in space.parameters if parameter.name not in named))
    for parameter in space.parameters[1:]:
        if parameter.name in named:
            raise SpecError(f"{parameter.name} must be set once, but training and space both have it")
        for method in spec.methods:
            if parameter.name not in parameters(method) or method not in parameter.when.get("method", (method,)):
                continue
            for value in parameter.extremes():
                try:
                    make_config(method, {**fixed, parameter.name: value})
                except (InputError, TypeError) as error:
                    raise SpecError(f"space.{parameter.name}: {error}") from error
    return space


def _check_search(spec: StudySpec) -> None:
    try:
        make_sampler(spec.search.sampler.name, spec.search.sampler.options, seed=0)
        make_pruner(spec.search.pruner.name, spec.search.pruner.options)
    except OptionError as error:
        raise SpecError(f"search: {error}") from error


def _grid(spec: StudySpec, space: Space) -> list[dict[str, Value]] | None:
    """Return all points of the space where the sampler is ``grid``, else None."""
    if spec.search.sampler.name != "grid":
        return None
    try:
        points = space.grid()
    except SpaceError as error:
        raise SpecError(str(error)) from error
    if len(points) > spec.search.trials:
        raise SpecError(
            f"search.trials: the grid has {len(points)} points and all are run, but got {spec.search.trials}: "
            "raise it, or narrow the space"
        )
    return points


def _check_folder(folder: StudyFolder, spec: StudySpec, datasets: Sequence[StudyDataset]) -> None:
    """Refuse to go on in a folder whose results would mean something else."""
    if not folder.spec.exists():
        if folder.path.is_dir():
            there = {path.name for path in folder.path.iterdir() if not path.name.endswith(TEMP_SUFFIX)}
            if not there <= _BEFORE_THE_SPEC:
                raise InputError(f"{folder.path} is neither empty nor a study's folder: give another --out")
        return
    before, names_before = read_study(folder)
    names = [dataset.name for dataset in datasets]
    if names != names_before:
        raise InputError(
            f"{folder.path} holds a study of {', '.join(names_before)}, but the spec has {', '.join(names)}: "
            "give another --out, or the same spec to go on"
        )
    old, new = _flat(_meaning(before, names)), _flat(_meaning(spec, names))
    for key in sorted(old.keys() | new.keys()):
        if old.get(key) != new.get(key):
            raise InputError(
                f"{folder.path} holds a study with {key}={old.get(key)}, but the spec says {new.get(key)}: "
                "give another --out, or the same spec to go on"
            )
    noted = read_resolved(folder)["datasets"]
    for dataset in datasets:
        changed = [key for key, value in dataset.resolved.items() if noted[dataset.name].get(key) != value]
        if changed:
            raise InputError(
                f"{folder.path} holds a study of other data: {dataset.name} has changed since ({', '.join(changed)})"
            )


def _meaning(spec: StudySpec, names: Sequence[str]) -> dict[str, Any]:
    """Return what a study's results depend on: data is known by its hash, wherever it lies; a password is no matter."""
    document = spec.model_dump(mode="json", exclude={*RESUMABLE, "storage"})
    for dataset in document["datasets"]:
        del dataset["path"]
    return {**document, "datasets": dict(zip(names, document["datasets"], strict=True))}


def _flat(document: Any, prefix: str = "") -> dict[str, Any]:
    if isinstance(document, dict) and document:
        inner = (_flat(value, f"{prefix}.{key}" if prefix else str(key)) for key, value in document.items())
        return {key: value for part in inner for key, value in part.items()}
    return {prefix: document}


def _write_spec(folder: StudyFolder, spec: StudySpec, datasets: Sequence[StudyDataset]) -> str:
    """Write ``study.yaml``: every key but the storage's password, and what it was resolved to when the study began.

    Returns:
        The study's identity: drawn once, it keeps studies apart that share a storage.
    """
    if folder.spec.exists():
        resolved = read_resolved(folder)
    else:
        resolved = {
            "id": secrets.token_hex(6),
            "versions": {name: importlib.metadata.version(name) for name in VERSIONS_OF},
            "python": ".".join(map(str, sys.version_info[:3])),
            "datasets": {dataset.name: dict(dataset.resolved) for dataset in datasets},
        }
    document = {**spec.model_dump(mode="json"), "resolved": resolved}
    if spec.storage is not None:
        document["storage"] = without_password(spec.storage)
    write_text(folder.spec, yaml.safe_dump(document, sort_keys=False))
    return str(resolved["id"])


def winner_spec(spec: StudySpec, use: DatasetSpec, row: dict[str, Any]) -> str:
    """Return a spec that trains and tests the winning configuration of a dataset again."""
    winner = spec.model_copy(
        update={
            "name": f"{spec.name}-best-{row['dataset']}",
            "datasets": (use,),
            "methods": (row["method"],),
            "space": {name: value for name, value in row["params"].items() if name != "method"},
            "search": spec.search.model_copy(update={"trials": 1}),
            "confirm": spec.confirm.model_copy(update={"top": 1}),
            "storage": None,
            "out": None,
        }
    )
    return yaml.safe_dump(winner.model_dump(mode="json", exclude_none=True), sort_keys=False)


def _ledger(
    spec: StudySpec, space: Space, points: list[dict[str, Value]] | None, storage: Any, identity: str, dataset: str
) -> Ledger:
    return Ledger(
        storage,
        storage_name(spec, identity, dataset),
        stream=dataset,
        suggest=space.suggest,
        points=points,
        direction=spec.objective.direction,
        sampler=spec.search.sampler.name,
        sampler_options=spec.search.sampler.options,
        pruner=spec.search.pruner.name,
        pruner_options=spec.search.pruner.options,
        seed=spec.seed,
        trials=spec.search.trials,
        batch=spec.search.batch,
    )
