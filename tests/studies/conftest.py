"""A study's folder as a finished study leaves it: three datasets, two sparse methods, one baseline, all seeded."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from studies.report import drawing, figures, ranking
from studies.store.folder import StudyFolder
from studies.store.record import write_record, write_test
from tests.support.simulated_work import simulate

TO_SVG, TO_PNG, DRAWN_BOTH = drawing.to_svg, ranking.to_png, figures.drawn_both  # ranking keeps its own, which is real
METRICS = ("neuron_attribution", "neuron_strength")
SEEDS = 3
TRIALS = 16


@dataclass(frozen=True)
class Table:
    """What the made-up trials of one dataset look like."""

    name: str
    features: int
    k: int
    splits: int
    accuracy: dict[str, float]


TABLES = (
    Table("madelon", 60, 20, 1, {"set": 0.78, "rigl": 0.76, "l1_logistic": 0.61}),
    Table("wine", 13, 4, 5, {"set": 0.94, "rigl": 0.93, "l1_logistic": 0.97}),
    Table("yale", 40, 10, 5, {"set": 0.66, "rigl": 0.71, "l1_logistic": 0.68}),
)


@dataclass(frozen=True)
class Study:
    """A study's folder and what a selection over its records would hand to tables, report and tracking."""

    folder: StudyFolder
    best: list[dict[str, Any]]
    best_by_method: list[dict[str, Any]]
    feature_names: dict[str, list[str]]


DRAWS = {"report", "compare", "analyses", "bench"}
"""The rooms whose tests are about figures too."""


@pytest.fixture(scope="module", autouse=True)
def _figures(request: pytest.FixtureRequest) -> Iterator[None]:
    """Leave figures out where tests are about something else: most of a small study's time."""
    with pytest.MonkeyPatch.context() as patch:
        if request.path.parent.name not in DRAWS or request.node.get_closest_marker("undrawn"):
            patch.setattr(drawing, "to_svg", lambda figure, name: f'<svg viewBox="0 0 1 1"><g id="{name}-0"/></svg>')
            patch.setattr(drawing, "to_png", lambda figure: b"no picture")
            patch.setattr(figures, "drawn_both", lambda name, draw: (drawing.to_svg(None, name), b"no picture"))
        yield


@pytest.fixture
def drawn_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures are drawn in this test."""
    monkeypatch.setattr(drawing, "to_svg", TO_SVG)
    monkeypatch.setattr(drawing, "to_png", TO_PNG)
    monkeypatch.setattr(figures, "drawn_both", DRAWN_BOTH)


@pytest.fixture(scope="module")
def simulated_work() -> Iterator[None]:
    """What trials of studies in this process compute is simulated (:mod:`tests.support.simulated_work`)."""
    with pytest.MonkeyPatch.context() as patch:
        simulate(patch)
        yield


@pytest.fixture(scope="session")
def make_study() -> Callable[..., Study]:
    """Return ``make(path, tables=...)``, which makes the same study in any folder."""
    return _make_study


@pytest.fixture(scope="session")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """One study for all tests that leave its records as they are."""
    return _make_study(tmp_path_factory.mktemp("study") / "three-tables")


@pytest.fixture(scope="session")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The table of the small studies with several objectives: two classes that the columns f3 and f8 decide."""
    path = tmp_path_factory.mktemp("data") / "a.csv"
    x = np.random.default_rng(0).normal(size=(500, 12))
    frame = pd.DataFrame(x, columns=[f"f{i}" for i in range(12)])
    frame["label"] = np.where(x[:, 3] - x[:, 8] > 0, "yes", "no")
    frame.to_csv(path, index=False)
    return path


def _make_study(path: Path, tables: Sequence[str] = ("madelon", "wine", "yale")) -> Study:
    folder = StudyFolder(path).create()
    best: list[dict[str, Any]] = []
    best_by_method: list[dict[str, Any]] = []
    chosen = [table for table in TABLES if table.name in tables]
    for table in chosen:
        rng = np.random.default_rng([7, table.features])
        searched = [_search(folder, table, number, rng) for number in range(TRIALS)]
        rows = _confirm(folder, table, [record for record in searched if record["state"] == "finished"], rng)
        best_by_method += rows
        best.append(max(rows, key=lambda row: row["val_score"]))
    names = {table.name: [_column_name(table, column) for column in range(table.features)] for table in chosen}
    return Study(folder, best, best_by_method, names)


def _column_name(table: Table, column: int) -> str:
    return f"{table.name}_{column:03d}"


def _search(folder: StudyFolder, table: Table, number: int, rng: np.random.Generator) -> dict[str, Any]:
    method = ("set", "rigl", "set", "rigl", "l1_logistic")[number % 5]
    sparsity = None if method == "l1_logistic" else float(rng.choice([0.5, 0.8, 0.9, 0.95, 0.98]))
    params: dict[str, Any] = {"method": method, "l2": float(rng.choice([5e-5, 1e-4, 1e-3]))}
    if sparsity is not None:
        params |= {"sparsity": sparsity, "lr": 10 ** float(rng.uniform(-3.5, -2.5)), "drop_fraction": 0.3}
    record = _head(table, number, "search", int(rng.integers(2**32)), params)
    if number == 5:
        record |= {"state": "failed", "error": _traceback(table), "seconds": {"total": 0.4}}
        write_record(folder, record, {})
        return record
    if number in (3, 8, 11, 12) and sparsity is not None:
        reports = {str(step): -0.9 + 0.01 * step for step in (10, 20)}
        record |= {"state": "stopped", "stopped_at": 20, "reports": reports, "seconds": {"total": 1.5}}
        write_record(folder, record, {})
        return record
    _finish(folder, table, record, rng, learned=1 - 0.5 / (number + 3))
    return record


def _confirm(
    folder: StudyFolder, table: Table, finished: list[dict[str, Any]], rng: np.random.Generator
) -> list[dict[str, Any]]:
    rows = []
    numbers = itertools.count(TRIALS)
    for method in sorted(table.accuracy):
        source = max((record for record in finished if record["method"] == method), key=lambda r: r["val_score"])
        confirmed, tested = [], []
        for seed_index in range(SEEDS):
            record = _head(table, next(numbers), "confirm", int(rng.integers(2**32)), source["params"])
            record |= {"source": source["number"], "seed_index": seed_index}
            _finish(folder, table, record, rng, learned=1.0)
            test = {metric: {"test_svm_accuracy": record["val_score"] - 0.02} for metric in record["importances"]}
            keys = ("schema", "dataset", "number", "source", "seed_index", "k")
            write_test(folder, {key: record[key] for key in keys} | {"importances": test})
            confirmed.append(record)
            tested.append(record["val_score"] - 0.02)
        rows.append(
            {
                "dataset": table.name,
                "number": source["number"],
                "method": method,
                "importance": confirmed[0]["importance"],
                "params": source["params"],
                "val_score": float(np.mean([record["val_score"] for record in confirmed])),
                "test_mean": float(np.mean(tested)),
                "test_std": float(np.std(tested)),
                "seeds": SEEDS,
                "k": table.k,
                "sparsity": source["sparsity"],
                "flops_ratio": source["flops_ratio"],
                "stability": 0.8,
                "stability_low": 0.7,
                "stability_high": 0.9,
                "val_balanced_accuracy": float(np.mean([record["val_score"] for record in confirmed])) - 0.03,
                "val_macro_auc": 0.9,
                "list_val_score": None if method == "l1_logistic" else 0.8,
                "list_test_score": None if method == "l1_logistic" else 0.77,
                "smallest_k": None,
                "k_curve": [],
                "features": (chosen := confirmed[0]["importances"][confirmed[0]["importance"]]["selected"]),
                "feature_names": [_column_name(table, column) for column in chosen],
            }
        )
    return rows


def _head(table: Table, number: int, stage: str, seed: int, params: dict[str, Any]) -> dict[str, Any]:
    return {
        "schema": 1,
        "dataset": table.name,
        "number": number,
        "stage": stage,
        "state": "finished",
        "source": None,
        "seed": seed,
        "seed_index": None,
        "method": params["method"],
        "sparsity": params.get("sparsity"),
        "l2": params["l2"],
        "params": params,
        "settings": {**params, "epochs": 40},
        "split": "stratified",
        "k": table.k,
        "stopped_at": None,
        "reports": {},
        "error": None,
    }


def _finish(
    folder: StudyFolder, table: Table, record: dict[str, Any], rng: np.random.Generator, learned: float
) -> None:
    baseline = record["method"] == "l1_logistic"
    metrics = ("coefficient",) if baseline else METRICS
    level = table.accuracy[record["method"]] * learned - 0.3 * max(0.0, (record["sparsity"] or 0) - 0.93)
    arrays, importances = {}, {}
    for place, metric in enumerate(metrics):
        scores = rng.gamma(0.5, 0.4, size=table.features)
        scores[: table.k] += 2.0
        accuracy = float(np.clip(level - 0.02 * place + rng.normal(0, 0.015), 0, 1))
        arrays[metric] = scores
        importances[metric] = {
            "val_svm_accuracy": accuracy,
            "val_balanced_accuracy": accuracy - 0.03,
            "val_macro_auc": None if place else 0.9,
            "selected": np.argsort(-scores, kind="stable")[: table.k].tolist(),
        }
    epochs = [] if baseline else [int(rng.integers(20, 40)) for _ in range(table.splits)]
    density = 1 - (record["sparsity"] or 0)
    record |= {
        "val_score": importances[metrics[0]]["val_svm_accuracy"],
        "importance": metrics[0],
        "val_loss": None if baseline else float(1.2 - level),
        "val_accuracy": None if baseline else level - 0.03,
        "importances": importances,
        "epochs": None if baseline else sum(epochs),
        "best_epoch": None if baseline else float(np.mean(epochs)) - 5,
        "nnz": None if baseline else [round(table.features * 100 * density), round(1000 * density), 300],
        "sparsity_actual": record["sparsity"],
        "flops": None if baseline else 1e7 * density * sum(epochs),
        "flops_ratio": None if baseline else density,
        "engine": "-" if baseline else "sparse",
        "seconds": {"train": 2.0 + density, "rank": 0.1, "score": 0.3, "total": 2.4 + density},
        "peak_rss_bytes": 310_000_000 + record["number"] * 4096,
        "curves": [_curve(length, level, rng) for length in epochs],
    }
    write_record(folder, record, arrays)


def _curve(epochs: int, level: float, rng: np.random.Generator) -> dict[str, list[float]]:
    fall = np.exp(-np.arange(epochs) / 8)
    return {
        "train_loss": (0.05 + 1.5 * fall).tolist(),
        "val_loss": (1.2 - level + fall + rng.normal(0, 0.01, epochs)).tolist(),
        "val_accuracy": (level * (1 - 0.5 * fall)).tolist(),
    }


def _traceback(table: Table) -> str:
    return (
        "Traceback (most recent call last):\n"
        '  File "trial.py", line 88, in run_trial\n'
        "    ranking = ranker.fit(train, validation, config, rng, on_epoch)\n"
        f"FloatingPointError: loss is <nan> & not finite at epoch 3 of {table.name}\n"
    )
