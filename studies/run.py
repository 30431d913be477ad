"""Running a study from its spec to its report; the same call resumes one."""

from __future__ import annotations

import logging
import shutil
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from cluster.ledger.storage.connect import StorageError, open_storage, quiet_optuna
from cluster.runners import RUNNERS, Resources
from dst.errors import InputError
from dst.resources import usable_cores
from studies.choice.best import BestRow
from studies.plan.data import StudyData
from studies.plan.dataset import DatasetPlan
from studies.plan.ledgers import check_numbers, check_rounds, check_search, grid_points, open_ledger
from studies.plan.progress import make_progress
from studies.plan.resume import check_folder, other_versions, write_spec
from studies.plan.study import StudyPlan
from studies.report.tables import BEST_COLUMNS
from studies.report.warnings import study_warnings
from studies.report.write import write_results
from studies.spec.space import check_variation, search_space
from studies.spec.study import StudySpec
from studies.store.archive import StudyArchive
from studies.store.folder import StudyFolder
from studies.store.lock import owned
from studies.store.spent import Spent
from studies.store.study_file import write_columns
from studies.surroundings import say, standard_streams, stated_home
from studies.tracking.destination import destination
from studies.tracking.publisher import Publisher, publishing
from studies.worker.job import run_job

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class StudyResult:
    """The result of a study.

    Attributes:
        folder: where everything lies.
        rows: one a dataset, the confirmed winner, as ``dst best --json`` prints it.
        best: the same as a table.
        best_by_method: one row a dataset and method.
        trials: the trials table.
        ran: True if this call had work left to do.
        missing: datasets on which no configuration could be confirmed.
        warnings: what went wrong beside the study itself, e.g. W&B.
        tracked: what W&B has of the study, in a line; None: nothing.
    """

    folder: Path
    rows: list[BestRow]
    best: pd.DataFrame
    best_by_method: pd.DataFrame
    trials: pd.DataFrame
    ran: bool
    missing: tuple[str, ...]
    warnings: tuple[str, ...]
    tracked: str | None = None


@standard_streams()
@stated_home()
def run_study(
    spec: StudySpec,
    *,
    out: Path | None = None,
    address: str | None = None,
    workers: int | None = None,
    in_process: bool = False,
    show: Callable[[StudyResult], None] = lambda result: None,
) -> StudyResult:
    """Run a study, or go on with one that was interrupted, and write its tables and report.

    Progress goes to stderr, if there is one. Everything durable lies in the study's folder; calling again on a
    finished study does nothing new.

    Args:
        spec: as :func:`studies.spec.loading.load_spec` returns it.
        out: the study's folder; default ``spec.out``, else ``runs/NAME``.
        address: of a running Ray cluster (``auto`` or ``HOST:PORT``); None starts Ray on this machine.
        workers: how many trials run at a time; None: as many as there are cores for, of those that this process may
            use (:func:`dst.resources.usable_cores`), and one at least.
        in_process: run trials one after another in this process, without Ray.
        show: takes the result before the last uploads to W&B are waited for, a minute at most.

    Raises:
        InputError: the spec or its data break a rule, or the folder holds another study.
        RecordError: a record in the folder is damaged.
        KeyboardInterrupt: the run was interrupted; it can be resumed.
    """
    space = search_space(spec)
    check_search(spec)
    points = grid_points(spec, space)
    if points is not None:
        spec = spec.model_copy(update={"search": spec.search.model_copy(update={"trials": len(points)})})
    folder = StudyFolder((out or Path(spec.out or Path("runs") / spec.name)).expanduser().resolve())
    destination(spec.tracking.wandb, folder)  # refuses the names that W&B would
    if not folder.spec.exists():  # a study that has begun goes on
        for note in check_variation(spec, space):
            _LOG.warning(note)
    data = StudyData(spec)
    datasets = data.datasets
    if data.absent:
        _LOG.warning("not at hand, so left out: %s", ", ".join(data.absent))
        spec = spec.model_copy(update={"datasets": tuple(dataset.use for dataset in datasets)})
    for dataset in {dataset.table: dataset for dataset in datasets}.values():
        for note in dataset.notes:
            _LOG.warning("%s: %s", dataset.name, note)
    check_numbers(spec, space, datasets)
    check_rounds(spec, space, datasets)
    check_folder(folder, spec, datasets, space)
    try:
        folder.create()
    except OSError as error:
        raise InputError(f"{folder.path} cannot be made a study's folder: {error.strerror}") from error
    with owned(folder), quiet_optuna():
        check_folder(folder, spec, datasets, space)
        try:
            storage = open_storage(spec.storage or folder.storage)
        except StorageError as error:
            raise InputError(str(error)) from error
        for dataset in datasets:
            write_columns(folder, dataset.name, dataset.feature_names)
        identity = write_spec(folder, spec, datasets, data.absent, space)
        with publishing(folder, spec.tracking.wandb) as publisher:
            try:
                ledgers = (open_ledger(spec, space, points, storage, identity, dataset.name) for dataset in datasets)
                spent = Spent(folder.spent)
                plan = StudyPlan(
                    (
                        DatasetPlan(spec, dataset, folder, ledger)
                        for dataset, ledger in zip(datasets, ledgers, strict=True)
                    ),
                    spent,
                    retries=spec.resources.retries,
                    search_seconds=spec.search.seconds,
                )
                ran = not plan.done()
                if ran and (others := other_versions(folder)):
                    _LOG.warning("results may differ in their last digits: the study began with %s", "; ".join(others))
                if ran and spec.objective.several:
                    say(f"{len(spec.objective.metrics)} objectives: no trial is stopped early")
                if ran:
                    for dataset in datasets:
                        folder.checkpoint(dataset.name, 0).parent.mkdir(parents=True, exist_ok=True)
                    try:
                        _run(plan, data, spec, publisher, address=address, workers=workers, in_process=in_process)
                    finally:
                        spent.save()
                if plan.done():
                    shutil.rmtree(folder.checkpoints, ignore_errors=True)
            finally:
                storage.close()
            result = _result(StudyArchive(folder), ran=ran)
    show(result)
    return result if publisher is None else _tracked(result, publisher)


def _run(
    plan: StudyPlan,
    data: StudyData,
    spec: StudySpec,
    publisher: Publisher | None,
    *,
    address: str | None,
    workers: int | None,
    in_process: bool,
) -> None:
    started = time.monotonic()
    usable, cpus = usable_cores(), spec.resources.cpus
    cores = max(usable, cpus)  # a trial runs on fewer cores than it was given as well, if slower
    if cores > usable and address is None and not in_process:
        _LOG.warning(
            "resources.cpus is %d, but this process may use %d of the machine's cores: a trial's threads share them",
            cpus,
            usable,
        )
    resources = Resources(
        workers=workers,
        cores=cores,
        cpus_per_job=cpus,
        gpus_per_job=spec.resources.gpus,
        memory_per_job=spec.resources.memory or 0,
        seconds_per_job=spec.resources.trial_seconds,
        shared_bytes=data.n_bytes,
        address=address,
    )
    runner = RUNNERS["local" if in_process else "ray"]
    with make_progress(sys.stderr, workers or cores // cpus) as progress:

        def show() -> None:
            plan.tick()
            progress.update(plan.progress(), time.monotonic() - started)
            if publisher is not None and publisher.takes_note():
                publisher.note(plan.running_trials())

        runner(plan, run_job, data, resources, on_tick=show)
        show()


def _tracked(result: StudyResult, publisher: Publisher) -> StudyResult:
    problem = publisher.wait()
    if problem is not None:
        return replace(result, warnings=(*result.warnings, problem))
    return replace(result, tracked=publisher.said())


def _result(archive: StudyArchive, *, ran: bool) -> StudyResult:
    results, trials = write_results(archive)
    warnings = study_warnings(archive, trials, results)
    return StudyResult(
        folder=archive.folder.path,
        rows=results.best,
        best=pd.DataFrame(results.best, columns=list(BEST_COLUMNS)),
        best_by_method=pd.DataFrame(results.best_by_method, columns=list(BEST_COLUMNS)),
        trials=trials,
        ran=ran,
        missing=tuple(name for name in archive.datasets if name not in {row["dataset"] for row in results.best}),
        warnings=tuple(warnings),
    )
