"""Checks before a run continues in a folder, and the spec that is noted there."""

from __future__ import annotations

import importlib.metadata
import secrets
import sys
from collections.abc import Sequence
from typing import Any

import yaml

from cluster.ledger.storage.connect import without_password
from dst.errors import InputError
from search_spaces import Space
from studies.plan.data import StudyDataset
from studies.spec.study import MAY_GROW, RESUMABLE, StudySpec
from studies.store.files import TEMP_SUFFIX, write_text
from studies.store.folder import StudyFolder
from studies.store.study_file import read_resolved, read_study_file

VERSIONS_OF = ("dst-studies", "ray", "optuna", "torch", "scikit-learn", "numpy", "numba", "pandas", "wandb")
"""Distributions whose versions a study notes."""


_BEFORE_THE_SPEC = {".lock", "records", "study.db", "study.db-journal", "study.db-shm", "study.db-wal"}
"""The names of files that a run leaves if it dies at its very start, besides temporary ones."""


def check_folder(folder: StudyFolder, spec: StudySpec, datasets: Sequence[StudyDataset], space: Space) -> None:
    """Refuse to go on in a folder whose results would mean something else.

    A study may be extended: by keys of :data:`studies.spec.study.MAY_GROW`, and by other ``search.seconds``.

    Raises:
        InputError: the folder holds another study (the message names the key that differs), or would not be kept.
    """
    folder.check_kept()
    folder.check_inside()
    if not folder.spec.exists():
        if folder.path.is_dir():
            files = {path.name for path in folder.path.iterdir() if not path.name.endswith(TEMP_SUFFIX)}
            if not files <= _BEFORE_THE_SPEC:
                raise InputError(f"{folder.path} is neither empty nor a study's folder: give another --out")
        return
    before = read_study_file(folder)
    names = [dataset.name for dataset in datasets]
    if names != list(before.datasets):
        raise InputError(
            f"{folder.path} holds a study of {', '.join(before.datasets)}, but the spec has {', '.join(names)}: "
            "give another --out, or the same spec to go on"
        )
    old, new = _flat(_meaning(before.spec, names)), _flat(_meaning(spec, names))
    for key in sorted(old.keys() | new.keys()):
        if old.get(key) == new.get(key) or (key in MAY_GROW and new[key] > old[key]):
            continue
        rule = "it may only grow" if key in MAY_GROW else "that would change what its results mean"
        raise InputError(
            f"{folder.path} holds a study with {key}={old.get(key)}, but the spec says {new.get(key)}, and {rule}: "
            "give another --out, or the same spec to go on"
        )
    noted = before.resolved
    old_space, new_space = (
        _flat(_of_methods(described, spec.methods))
        for described in (noted.get("space", space.describe()), space.describe())
    )
    for key in sorted(old_space.keys() | new_space.keys()):
        if old_space.get(key) != new_space.get(key):
            raise InputError(
                f"{folder.path} holds a study whose search space has {key}={old_space.get(key)}, but the packaged "
                f"space says {new_space.get(key)} by now: give another --out, or go on with the version of dst-studies "
                "that began it"
            )
    for dataset in datasets:
        dataset_before = noted["datasets"][dataset.name]
        if dataset_before.get("scoring") != dataset.resolved.get("scoring"):
            raise InputError(
                f"{folder.path} holds a study whose version summed the scores of a column's categories and indicators, "
                f"as {dataset.name} has; now columns are scored as a whole, and both cannot be mixed: give another "
                "--out, or go on with the version of dst-studies that began it"
            )
        changed = [key for key, value in dataset.resolved.items() if dataset_before.get(key) != value]
        if changed:
            raise InputError(
                f"{folder.path} holds a study of other data: {dataset.name} has changed since ({', '.join(changed)})"
            )


def other_versions(folder: StudyFolder) -> list[str]:
    """Say which of the programs that matter have changed since the study began, e.g. ``optuna 4.9.0, now 5.0.0``."""
    noted = read_resolved(folder).get("versions")
    now = {name: importlib.metadata.version(name) for name in VERSIONS_OF}
    began = noted if isinstance(noted, dict) else {}
    return [f"{name} {began[name]}, now {now[name]}" for name in VERSIONS_OF if began.get(name, now[name]) != now[name]]


def write_spec(
    folder: StudyFolder, spec: StudySpec, datasets: Sequence[StudyDataset], absent: Sequence[str], space: Space
) -> str:
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
            "space": space.describe(),
            "datasets": {dataset.name: dict(dataset.resolved) for dataset in datasets},
            "absent": list(absent),
            "noticed": {dataset.name: "; ".join(dataset.notes) for dataset in datasets if dataset.notes},
        }
    document = {**spec.model_dump(mode="json"), "resolved": resolved}
    if spec.storage is not None:
        document["storage"] = without_password(spec.storage)
    write_text(folder.spec, yaml.safe_dump(document, sort_keys=False))
    return str(resolved["id"])


def _meaning(spec: StudySpec, names: Sequence[str]) -> dict[str, Any]:
    """Return what a study's results depend on: data is known by its hash, wherever it lies; a password is no matter."""
    document = spec.model_dump(mode="json", exclude={*RESUMABLE, "storage"})
    del document["search"]["seconds"]  # decides how many trials there are, not what they are
    for dataset in document["datasets"]:
        del dataset["path"]
    return {**document, "datasets": dict(zip(names, document["datasets"], strict=True))}


def _of_methods(space: Any, methods: Sequence[str]) -> Any:
    """Return a described space whose conditions name these methods alone: a group may have gained others since.

    What has another form than a run gives it stays as it is, and differs from what this run would note.
    """
    if not isinstance(space, dict):
        return space
    return {name: _parameter_of_methods(parameter, methods) for name, parameter in space.items()}


def _parameter_of_methods(parameter: Any, methods: Sequence[str]) -> Any:
    when = parameter.get("when") if isinstance(parameter, dict) else None
    named = when.get("method") if isinstance(when, dict) else None
    if not isinstance(when, dict) or not isinstance(named, list):
        return parameter
    return {**parameter, "when": {**when, "method": [method for method in named if method in methods]}}


def _flat(document: Any, prefix: str = "") -> dict[str, Any]:
    if isinstance(document, dict) and document:
        inner = (_flat(value, f"{prefix}.{key}" if prefix else str(key)) for key, value in document.items())
        return {key: value for part in inner for key, value in part.items()}
    return {prefix: document}
