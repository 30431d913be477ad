"""A study of seconds over two tables of which two columns decide the classes, and what it left."""

from __future__ import annotations

import hashlib
from pathlib import Path

from studies.spec.loading import parse_spec
from studies.spec.study import StudySpec
from tests.support import soundness
from tests.support.two_classes import write_two_classes


def table(path: Path, seed: int = 0, n: int = 600) -> Path:
    """Two classes that the columns f3 and f8 decide."""
    return write_two_classes(path, seed, rows=n, columns=24, decided_by=(3, 8))


def document(tmp_path: Path, **changes) -> dict:
    """A spec of a study that takes seconds."""
    datasets = [
        {"path": str(table(tmp_path / f"{name}.csv", seed)), "target": "label", "inner_splits": 2}
        for seed, name in enumerate("ab")
    ]
    return {
        "name": "small",
        "seed": 3,
        "datasets": datasets,
        "methods": ["set", "l1_logistic", "random"],
        "training": {"epochs": 12, "patience": 4, "hidden": [20, 10]},
        "search": {"trials": 8, "batch": 4},
        "confirm": {"top": 2, "seeds": 2},
        "tracking": {"wandb": {"mode": "disabled"}},
        **changes,
    }


def spec_of(tmp_path: Path, **changes) -> StudySpec:
    return parse_spec(document(tmp_path, **changes))


def digests(folder: Path) -> dict[str, str]:
    paths = sorted((folder / "records").rglob("*.json")) + sorted((folder / "records").rglob("*.npz"))
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


def without_measurements(folder: Path, *also: str) -> list[dict]:
    """All records but for what no two runs have in common: what is measured, where it went on, and the keys named."""
    return soundness.without_measurements(folder, "resumption", *also)


class Killed(BaseException):
    """Stands for the end of the process: nothing in the project catches it."""
