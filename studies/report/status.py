"""Where a study stands, read from its storage and records while it runs or afterwards."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from cluster.ledger.durable import read_entries
from cluster.ledger.entries import Entry, LedgerError, State
from cluster.ledger.storage.connect import StorageError, open_storage
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
    try:
        storage = open_storage(spec.storage or folder.storage, create=False)
    except StorageError as error:
        raise InputError(str(error)) from error
    datasets = {}
    try:
        for name in names:
            entries = _entries(storage, storage_name(spec, identity, name))
            counts = Counter(entry.state for entry in entries)
            values = [entry.value for entry in entries if entry.stage == Stage.SEARCH and entry.value is not None]
            datasets[name] = {
                **{state.value: counts[state] for state in State},
                "best_value": better(values, default=None),
            }
    finally:
        storage.close()
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


def _entries(storage: Any, name: str) -> list[Entry]:
    """Return a dataset's trials; a run that died before its first proposal has none."""
    try:
        return read_entries(storage, name)
    except LedgerError:
        return []
