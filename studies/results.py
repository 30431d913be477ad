"""What a study has found so far, read from its folder alone."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from dst.errors import InputError
from dst.stability import as_selected, nogueira
from search_spaces.documents import DocumentError, parse_yaml
from studies.documents import read_json, read_text
from studies.feature_list import columns_of, list_scores
from studies.files import write_text
from studies.folder import StudyFolder
from studies.records import RecordError, iter_records, read_test
from studies.selection import Confirmed, best_row, confirmed, to_confirm, to_open
from studies.spec import StudySpec, parse_spec
from studies.trade_offs import TradeOff, trade_offs

SEARCH, CONFIRM = "search", "confirm"


@dataclass(frozen=True)
class Results:
    """The confirmed configurations of a study.

    Attributes:
        best: a row per dataset, keys as in :data:`studies.tables.BEST_COLUMNS`.
        best_by_method: the same per dataset and method.
        feature_names: the column names of each dataset in ``best``.
        trade_offs: the finished search trials of all datasets, where there are several objectives.
    """

    best: list[dict[str, Any]]
    best_by_method: list[dict[str, Any]]
    feature_names: dict[str, list[str]]
    trade_offs: list[TradeOff] = field(default_factory=list)


def read_study(folder: StudyFolder) -> tuple[StudySpec, list[str]]:
    """Return the spec that a study ran with, and its datasets' names.

    Raises:
        InputError: the folder holds no study, or its ``study.yaml`` is damaged.
    """
    document = _read_document(folder)
    names = list(document.pop("resolved")["datasets"])
    return parse_spec(document, str(folder.spec), begun=True), names


def read_resolved(folder: StudyFolder) -> dict[str, Any]:
    """Return what a study's spec was resolved to when it began: ``id``, ``versions``, ``datasets``, ...

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


def confirmed_of(folder: StudyFolder, spec: StudySpec, dataset: str) -> list[Confirmed]:
    """Return a dataset's confirmed configurations, best first.

    A study that was extended may have confirmed others before, that are no longer among those it chooses.

    Raises:
        RecordError: the records do not fit together.
    """
    records = list(iter_records(folder, dataset))
    with _fitting_together(folder, dataset):
        search = (record for record in records if record["stage"] == SEARCH)
        chosen = to_confirm(search, top=spec.confirm.top, objective=spec.objective)
        return confirmed(
            (record for record in records if record["stage"] == CONFIRM and record["source"] in chosen),
            seeds=spec.confirm.seeds,
            objective=spec.objective,
        )


@contextmanager
def _fitting_together(folder: StudyFolder, dataset: str) -> Iterator[None]:
    """Name the folder whose records are each well-formed, but lack what the others have."""
    try:
        yield
    except (InputError, RecordError):
        raise
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        cause = f"{type(error).__name__}: {' '.join(str(error).split())}"
        raise RecordError(f"{folder.records / dataset}: its records do not fit together ({cause})") from error


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


def collect(folder: StudyFolder, spec: StudySpec, datasets: Sequence[str]) -> Results:
    """Gather the confirmed configurations of a study, with their test accuracies where these were opened.

    Raises:
        RecordError: a record is damaged.
    """
    results = Results([], [], {})
    for dataset in datasets:
        ranked = confirmed_of(folder, spec, dataset)
        if spec.objective.several:
            search = (record for record in iter_records(folder, dataset) if record["stage"] == SEARCH)
            means = {one.number: one.scores for one in ranked if one.complete}
            results.trade_offs.extend(trade_offs(search, means, spec.objective))
        if not ranked:
            continue
        names = results.feature_names[dataset] = read_columns(folder, dataset)
        with _fitting_together(folder, dataset):
            rows = [_row(folder, spec, one, names) for one in to_open(ranked)]
        results.best.append(rows[0])
        results.best_by_method.extend(rows)
    return results


def _row(folder: StudyFolder, spec: StudySpec, one: Confirmed, names: Sequence[str]) -> dict[str, Any]:
    columns = columns_of(folder, one, names, one.records[0]["k"])
    tests = [read_test(folder, record["dataset"], record["number"]) for record in one.records]
    scores = list_scores(folder, one, columns, spec.objective)
    return {
        **best_row(one, columns, tests),
        **_stability(one, len(names)),
        "list_val_score": scores.validation,
        "list_test_score": scores.test,
    }


def _stability(one: Confirmed, n_features: int) -> dict[str, float | None]:
    """Return Nogueira's stability of the seeds' selections with its 95% interval; None for a single seed."""
    selections = [record["importances"][one.importance]["selected"] for record in one.records]
    keys = ("stability", "stability_low", "stability_high")
    if len(selections) < 2:
        return dict.fromkeys(keys)
    found = nogueira(as_selected(selections, n_features))
    values = (found.value, found.low, found.high)
    return {key: value if math.isfinite(value) else None for key, value in zip(keys, values, strict=True)}
