"""Tables, figures and files of the runs of a study and its datasets, from what the report wrote."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from studies.choice.best import BestRow
from studies.report.results import Results
from studies.report.tables import BEST_COLUMNS, TRIAL_COLUMNS
from studies.report.test_scores import opened_scores
from studies.store.archive import StudyArchive
from studies.tracking.facts import StudyFacts
from studies.tracking.runs import TrackedArtifact, TrackedTable

_MOST_ROWS = 200_000
"""Rows of a table that W&B takes."""

_PNG = b"\x89PNG\r\n\x1a\n"

_JSON = ("params", "settings")
"""Columns of the trials table that hold a JSON object; their values become columns."""


def study_attached(archive: StudyArchive, results: Results, facts: StudyFacts, trials: pd.DataFrame) -> dict[str, Any]:
    """Return the tables, images, pages and artifacts of the study's run, by the argument of its run.

    Args:
        archive: of the study.
        results: of the study.
        facts: of the study.
        trials: its table of trials (:func:`studies.report.tables.trials_table`).
    """
    folder = archive.folder
    tables = _tables(archive, results, facts, trials, results.best, results.best_by_method)
    tables["ranks"] = _tracked(_ranks(_best_table(results.best_by_method)), facts)
    files = [folder.spec, folder.trials_csv, folder.best, folder.best_by_method, folder.test_scores, folder.pareto]
    there = {path.name: path for path in files if path.is_file()}
    return {
        "tables": tables,
        "images": {f"figures/{path.stem}": path for path in sorted(folder.plots.glob("*.png")) if _is_picture(path)},
        "pages": {"report": folder.report} if folder.report.is_file() else {},
        "artifacts": (TrackedArtifact(f"study-{_plain(facts.name)}", "study", there),) if there else (),
    }


def dataset_attached(
    archive: StudyArchive, results: Results, facts: StudyFacts, trials: pd.DataFrame, dataset: str
) -> dict[str, Any]:
    """Return the tables and artifacts of a dataset's run, by the argument of its run; see :func:`study_attached`."""
    best = [row for row in results.best if row["dataset"] == dataset]
    by_method = [row for row in results.best_by_method if row["dataset"] == dataset]
    artifacts = []
    for kind, path in (("features", archive.folder.features(dataset)), ("config", archive.folder.best_spec(dataset))):
        if best and path.is_file():
            name = f"{kind}-{_plain(dataset)}"
            artifacts.append(TrackedArtifact(name, kind, {path.name: path}, ("latest", "best")))
    tables = _tables(archive, results, facts, trials[trials["dataset"] == dataset], best, by_method)
    return {"tables": tables, "artifacts": tuple(artifacts)}


def _tables(
    archive: StudyArchive,
    results: Results,
    facts: StudyFacts,
    trials: pd.DataFrame,
    best: list[BestRow],
    by_method: list[BestRow],
) -> dict[str, TrackedTable]:
    chosen = {(row["dataset"], row["number"]) for row in by_method}
    names = {row["dataset"]: results.feature_names[row["dataset"]] for row in by_method}
    tables = {
        "best": _best_table(best),
        "best_by_method": _best_table(by_method),
        "test_scores": opened_scores(archive, names, chosen),
        "trials": _flat(trials),
    }
    return {name: _tracked(table, facts) for name, table in tables.items()}


def _best_table(rows: list[BestRow]) -> pd.DataFrame:
    """Return the rows with a column for each parameter, ``params.NAME``."""
    cells: list[Mapping[str, Any]] = [*rows]
    lists = ("features", "feature_names")
    plain = [name for name in BEST_COLUMNS if name not in ("params", *lists)]
    table = pd.DataFrame([[row[name] for name in plain] for row in cells], columns=plain, dtype=object)
    params = pd.DataFrame([{f"params.{name}": value for name, value in row["params"].items()} for row in cells])
    for name in lists:
        table[name] = [json.dumps(row[name], ensure_ascii=False) for row in cells]
    return pd.concat([table, params], axis=1)


def _flat(trials: pd.DataFrame) -> pd.DataFrame:
    """Return the trials table with a column for each parameter and setting."""
    columns = [name for name in TRIAL_COLUMNS if name not in _JSON]
    parts = [trials[columns].reset_index(drop=True)]
    for column in _JSON:
        objects = [json.loads(text) if isinstance(text, str) else {} for text in trials[column]]
        parts.append(pd.DataFrame([{f"{column}.{name}": value for name, value in each.items()} for each in objects]))
    return pd.concat(parts, axis=1)


def _ranks(by_method: pd.DataFrame) -> pd.DataFrame:
    """Return the methods with their rank in test accuracy on each dataset, 1 the best, ties shared, and the mean."""
    known = by_method[by_method["test_mean"].notna()]
    scores = known.pivot_table(index="method", columns="dataset", values="test_mean", aggfunc="max")
    ranks = scores.astype(float).rank(ascending=False)
    ranks.insert(0, "mean_rank", ranks.mean(axis=1))
    return ranks.sort_values("mean_rank").reset_index() if len(ranks) else pd.DataFrame(columns=["method", "mean_rank"])


def _tracked(table: pd.DataFrame, facts: StudyFacts) -> TrackedTable:
    """Return a table with columns that say of which study, and where its rows are trials of which run, each row is."""
    table = table.head(_MOST_ROWS)
    before: dict[str, list[Any]] = {"study": [facts.name] * len(table)}
    if {"dataset", "number"} <= set(table.columns):
        places = zip(table["dataset"], table["number"], strict=True)
        before["run"] = [facts.ids.of(str(dataset), int(number)) for dataset, number in places]
    columns = (*before, *map(str, table.columns))
    rows = zip(*before.values(), *(table[name] for name in table.columns), strict=True)
    return TrackedTable(columns, tuple(tuple(_cell(value) for value in row) for row in rows))


def _cell(value: Any) -> Any:
    """Return a cell as W&B takes it: plain, and None for what is missing."""
    if isinstance(value, dict | list | tuple):
        return json.dumps(value, sort_keys=True)
    if value is None or value is pd.NA or (isinstance(value, float) and value != value):
        return None
    item = getattr(value, "item", None)
    return item() if callable(item) else value


def _is_picture(path: Path) -> bool:
    """Say whether a file is a PNG, as its beginning says: a damaged figure is to hold up no table."""
    with path.open("rb") as file:
        return file.read(len(_PNG)) == _PNG


def _plain(name: str) -> str:
    """Return a name as W&B lets artifacts be called: letters, digits, ``_``, ``-`` and ``.``, at most 100 of them."""
    return "".join(character if character.isalnum() or character in "_-." else "-" for character in name)[:100]
