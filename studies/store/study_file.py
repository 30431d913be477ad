"""The files that say what a study is: its spec with what that was resolved to, and its datasets' columns."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dst.errors import InputError
from search_spaces.documents import DocumentError, parse_yaml
from studies.spec.documents import read_json, read_text
from studies.spec.loading import parse_spec
from studies.spec.study import StudySpec
from studies.store.files import write_text
from studies.store.folder import StudyFolder
from studies.store.record_codec import RecordError


@dataclass(frozen=True)
class StudyFile:
    """The content of ``study.yaml``.

    Attributes:
        spec: the spec that the study ran with.
        datasets: the names of its datasets.
        resolved: the details settled when the study began: ``id``, ``versions``, ``datasets``, ...
    """

    spec: StudySpec
    datasets: tuple[str, ...]
    resolved: Mapping[str, Any]


def read_study_file(folder: StudyFolder) -> StudyFile:
    """Read what a study is.

    Raises:
        InputError: the folder holds no study, or its ``study.yaml`` is damaged.
    """
    document = _read_document(folder)
    resolved = document.pop("resolved")
    return StudyFile(parse_spec(document, str(folder.spec), begun=True), tuple(resolved["datasets"]), resolved)


def read_study(folder: StudyFolder) -> tuple[StudySpec, list[str]]:
    """Return the spec that a study ran with, and its datasets' names (see :func:`read_study_file`)."""
    study = read_study_file(folder)
    return study.spec, list(study.datasets)


def read_resolved(folder: StudyFolder) -> dict[str, Any]:
    """Return the details that a study settled when it began: ``id``, ``versions``, ``datasets``, ...

    Raises:
        InputError: the folder holds no study, or its ``study.yaml`` is damaged.
    """
    resolved: dict[str, Any] = _read_document(folder)["resolved"]
    return resolved


def storage_name(spec: StudySpec, identity: str, dataset: str) -> str:
    """Return the name of a dataset's study in the Optuna storage."""
    return f"{spec.name}-{identity}/{dataset}"


def _read_document(folder: StudyFolder) -> dict[str, Any]:
    try:
        document = parse_yaml(read_text(folder.spec))
    except (FileNotFoundError, NotADirectoryError):
        raise InputError(f"{folder.path} is not a study's folder: it has no {folder.spec.name}") from None
    except (OSError, DocumentError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{folder.spec}: cannot be read as the spec of a study ({reason})") from error
    resolved = document.get("resolved") if isinstance(document, dict) else None
    if not isinstance(resolved, dict) or not isinstance(resolved.get("datasets"), dict) or "id" not in resolved:
        raise InputError(f"{folder.spec}: is not the spec of a study that has begun: it must have a key 'resolved'")
    for key in ("datasets", "versions", "noticed"):
        if not isinstance(resolved.get(key, {}), dict):
            raise InputError(f"{folder.spec}: resolved.{key} must be a mapping, but is {resolved[key]!r}")
    for name, noted in resolved["datasets"].items():
        if not isinstance(noted, dict):
            raise InputError(f"{folder.spec}: resolved.datasets.{name} must be a mapping, but is {noted!r}")
    for name in resolved["datasets"]:
        folder.record(name, 0)  # refuses a name that leaves the folder
    folder.check_inside()
    return dict(document)


def write_columns(folder: StudyFolder, dataset: str, names: Sequence[str]) -> None:
    """Note a dataset's column names, so that tables can be written where the data is not at hand."""
    write_text(folder.columns(dataset), json.dumps(list(names)) + "\n")


def read_columns(folder: StudyFolder, dataset: str) -> list[str]:
    """Return a dataset's column names.

    Raises:
        RecordError: the file is missing or damaged.
    """
    path = folder.columns(dataset)
    try:
        names = read_json(path)
    except (OSError, ValueError) as error:
        raise RecordError(f"{path}: cannot be read as column names ({error})") from error
    if not isinstance(names, list):
        raise RecordError(f"{path}: column names are a list, but this is a {type(names).__name__}")
    return [str(name) for name in names]
