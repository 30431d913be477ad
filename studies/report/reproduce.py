"""How to reproduce a study: its spec, the versions it ran with, and the hashes of its data."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

from studies.report.cells import Cell, Table
from studies.store.archive import StudyArchive

_HASH = 12
"""Digits of a hash that are shown; all are in ``study.yaml``."""


@dataclass(frozen=True)
class Reproduction:
    """What it takes to reproduce a study.

    Attributes:
        terms: how, with which versions and which spec.
        data: the tables with their hashes.
        spec: the spec, as YAML that ``dst run`` takes.
    """

    terms: Mapping[str, str]
    data: Table
    spec: str


def reproduction_of(archive: StudyArchive) -> Reproduction:
    """Return what it takes to reproduce a study that has begun.

    Raises:
        InputError: the folder holds no study, or its ``study.yaml`` is damaged.
    """
    spec, resolved = archive.spec, archive.resolved
    document = spec.model_dump(mode="json", exclude_none=True, exclude={"out", "storage"})
    for use in document["datasets"]:
        use["path"] = Path(use["path"]).name  # a page is passed on: it names no folder of a machine
    text = yaml.safe_dump(document, sort_keys=False, allow_unicode=True)
    versions = ", ".join(f"{name} {version}" for name, version in (resolved.get("versions") or {}).items())
    terms = {
        "Again": "dst run study.yaml --out NEW (the file lies in this folder) runs the whole study; dst run "
        "best/DATASET.yaml trains one winner. The result does not depend on the number of workers.",
        "Seed": str(spec.seed),
        "Versions": f"Python {resolved.get('python', 'unknown')}; {versions or 'unknown'}",
        "Study": f"{spec.name}, id {resolved['id']}; SHA-256 of the spec below {_digest(text)}",
    }
    head = ["Dataset", "#Rows", "#Columns", "#Classes", "Content, SHA-256", "Split, SHA-256"]
    rows = [
        [
            Cell(name, "name"),
            *(Cell(_number(noted.get(key)), "number") for key in ("samples", "features", "classes")),
            *(Cell(str(noted.get(key) or "—")[:_HASH]) for key in ("content_sha256", "split_sha256")),
        ]
        for name, noted in resolved["datasets"].items()
    ]
    return Reproduction(terms, Table("data", "The data", head, rows), text)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:_HASH]


def _number(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) else "—"
