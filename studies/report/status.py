"""The status of a study, read from its storage and records while it runs or afterwards."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from cluster.ledger.entries import LedgerError, State
from cluster.ledger.standings import Standing, read_standings
from dst.errors import InputError
from studies.report.cost import study_cost, total_cost
from studies.store.archive import StudyArchive
from studies.store.folder import StudyFolder
from studies.store.record_schema import Stage
from studies.store.spent import read_spent
from studies.store.study_file import storage_name


def study_status(path: Path) -> dict[str, Any]:
    """Return counts by dataset and state, the best search value so far, and the cost.

    Returns:
        ``{"datasets": {NAME: {finished, stopped, failed, running, waiting, skipped, best_value}}, "search": {seconds,
        limit}, "cost": {wall_seconds, core_seconds, useful, stopped, failed, repeated, peak_rss_bytes, datasets:
        {NAME: ...}}}``.

    Raises:
        InputError: the folder holds no study, or its storage cannot be opened.
        RecordError: a record is damaged.
    """
    archive = StudyArchive(StudyFolder(path.expanduser().resolve()))
    folder, spec, names = archive.folder, archive.spec, archive.datasets
    identity = str(archive.resolved["id"])
    better = min if spec.objective.direction == "minimize" else max
    by_name = {name: storage_name(spec, identity, name) for name in names}
    standings = None if spec.storage else read_standings(folder.storage, by_name.values())
    if standings is None:
        standings = _read_through_optuna(spec.storage or folder.storage, by_name.values())
    datasets = {}
    for name, in_storage in by_name.items():
        trials = standings[in_storage]
        counts = Counter(trial.state for trial in trials)
        values = [trial.value for trial in trials if trial.stage == Stage.SEARCH and trial.value is not None]
        datasets[name] = {
            **{state.value: counts[state] for state in State},
            "best_value": better(values, default=None),
        }
    costs = study_cost(archive, names, cpus=spec.resources.cpus)
    spent = read_spent(folder.spent)
    by_dataset = {name: cost.to_json() for name, cost in costs.items()}
    return {
        "datasets": datasets,
        "search": {"seconds": spent.search_seconds, "limit": spec.search.seconds},
        "cost": {
            "wall_seconds": spent.wall_seconds,
            **total_cost(costs.values()).to_json(),
            "datasets": by_dataset,
        },
    }


def _read_through_optuna(where: str | Path, names: Iterable[str]) -> dict[str, list[Standing]]:
    """Return the trials by study; a run that died before its first proposal has none.

    Raises:
        InputError: the storage cannot be opened.
    """
    from cluster.ledger.durable import read_entries
    from cluster.ledger.storage.connect import StorageError, open_storage

    try:
        storage = open_storage(where, create=False)
    except StorageError as error:
        raise InputError(str(error)) from error
    standings: dict[str, list[Standing]] = {name: [] for name in names}
    try:
        for name in standings:
            with suppress(LedgerError):
                standings[name] = [Standing.of(entry) for entry in read_entries(storage, name)]
    finally:
        storage.close()
    return standings
