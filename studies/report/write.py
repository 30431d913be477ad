"""Writing what a study found: tables, plots, report and the winners' specs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from cluster.ledger.entries import State
from studies.choice.best import BestRow
from studies.report.as_text import latex_table
from studies.report.outer_splits import write_outer_splits
from studies.report.report import winner_tables, write_report
from studies.report.reproduce import reproduction_of
from studies.report.results import Results, collect
from studies.report.selected import selected_tables
from studies.report.tables import write_tables
from studies.spec.dataset import DatasetSpec
from studies.spec.study import StudySpec
from studies.store.archive import StudyArchive
from studies.store.files import write_text
from studies.store.record_schema import Stage, importances_of
from studies.store.spent import read_spent


def write_results(archive: StudyArchive) -> tuple[Results, pd.DataFrame]:
    """Write tables, the winners' specs, plots and report from the records of a study.

    Returns:
        The confirmed configurations and the trials table.
    """
    folder, spec = archive.folder, archive.spec
    results = collect(archive)
    trials = write_tables(archive, results.best, results.best_by_method, results.feature_names, results.trade_offs)
    uses = dict(zip(archive.datasets, spec.datasets, strict=True))
    for row in results.best:
        document = winner_spec(spec, uses[row["dataset"]], row)
        write_text(folder.best_spec(row["dataset"]), _heading(spec, row) + document)
    write_outer_splits(folder, results.outer_splits)
    resolved = archive.resolved
    write_report(
        archive,
        results.best,
        results.best_by_method,
        trials,
        objective=spec.objective,
        trade_offs=results.trade_offs,
        outer_splits=results.outer_splits,
        title=spec.name,
        cpus=float(spec.resources.cpus),
        absent=resolved.get("absent", ()),
        counts={dataset: len(names) for dataset, names in results.feature_names.items()},
        reproduction=reproduction_of(archive),
        resolved=resolved,
        remarks=_remarks(archive, results, trials, resolved.get("noticed", {})),
    )
    return results, trials


def write_latex(archive: StudyArchive, results: Results) -> list[Path]:
    """Write the report's tables as LaTeX, a file each, to ``latex/``.

    Args:
        archive: of the study.
        results: its confirmed configurations.

    Returns:
        The files.
    """
    best = results.best
    tables = winner_tables(best, results.best_by_method, archive.spec.objective) + selected_tables(archive.folder, best)
    paths = [archive.folder.latex / f"{table.name}.tex" for table in tables]
    for path, table in zip(paths, tables, strict=True):
        write_text(path, latex_table(table))
    return paths


def _heading(spec: StudySpec, row: BestRow) -> str:
    """Return comments that say what the configuration and its feature list came to."""
    results: Mapping[str, Any] = row
    known = {key: "not measured" if results[key] is None else f"{results[key]:.4f}" for key in _HEADING}
    return (
        f"# The winner of {row['dataset']} in the study {spec.name}, over {row['seeds']} seeds.\n"
        f"# Each seed's own {row['k']} columns: validation score {known['val_score']}, "
        f"test accuracy {known['test_mean']}.\n"
        f"# The feature list, the first {row['k']} of features/{row['dataset']}.csv: "
        f"validation {spec.objective.judged_by_title} (optimistic) {known['list_val_score']}, "
        f"test accuracy {known['list_test_score']}.\n"
    )


_HEADING = ("val_score", "test_mean", "list_val_score", "list_test_score")


def winner_spec(spec: StudySpec, use: DatasetSpec, row: BestRow) -> str:
    """Return a spec that trains and tests the winning configuration of a dataset again."""
    winner = spec.model_copy(
        update={
            "name": f"{spec.name}-best-{row['dataset']}",
            "datasets": (use,),
            "methods": (row["method"],),
            "space": {name: value for name, value in row["params"].items() if name != "method"},
            "objective": spec.objective.model_copy(update={"metric": spec.objective.first}),
            "search": spec.search.model_copy(update={"trials": 1}),
            "confirm": spec.confirm.model_copy(update={"top": 1}),
            "storage": None,
            "out": None,
        }
    )
    return yaml.safe_dump(winner.model_dump(mode="json", exclude_none=True), sort_keys=False)


def _chance(archive: StudyArchive, best: Sequence[BestRow]) -> str:
    """Return among how many rankings each winner was found, and what its score in the search came to over seeds."""
    objective, found = archive.spec.objective, []
    for row in best:
        search = {
            record["number"]: record
            for record in archive.records(row["dataset"])
            if record["stage"] == Stage.SEARCH and record["state"] == State.FINISHED
        }
        rankings = sum(len(objective.counting(importances_of(record))) for record in search.values())
        found.append(
            f"{row['dataset']}: {rankings} rankings of {len(search)} trials, "
            f"{search[row['number']]['val_score']:.4f} in the search, {row['val_score']:.4f} over seeds"
        )
    shrunk = (
        " Configurations and their rankings were compared by means whose differences were shrunk by as much of them as "
        "the spread over seeds explains."
        if objective.shrink
        else ""
    )
    luck = "The best of many owes some of its score to luck; what it comes to over other seeds owes less."
    return f"{luck} {'; '.join(found)}.{shrunk}"


def _remarks(
    archive: StudyArchive, results: Results, trials: pd.DataFrame, noticed: Mapping[str, Any]
) -> dict[str, str]:
    """Return what the report has to say of this study's numbers, by heading."""
    spec, remarks = archive.spec, {}
    if results.best:
        remarks["Chance"] = _chance(archive, results.best)
    if noticed:
        remarks["As the tables were read"] = " ".join(f"{dataset}: {notes}." for dataset, notes in noticed.items())
    if spec.search.seconds is not None:
        used = read_spent(archive.folder.spent).search_seconds
        searched = trials[trials["stage"] == Stage.SEARCH].groupby("dataset").size()
        counts = ", ".join(f"{count} on {dataset}" for dataset, count in searched.items())
        remarks["Time limit"] = (
            f"The search was given {spec.search.seconds:g} s and took {used:.0f} s; of {spec.search.trials} trials per "
            f"dataset it ran {counts or 'none'}. How many depends on the machine; what each of them gives does not."
        )
    shown = {(row["dataset"], row["number"]) for row in results.best_by_method}
    earlier = {
        (record["dataset"], record["source"])
        for record in archive.all_records()
        if record["stage"] == Stage.CONFIRM
        and (record["dataset"], record["source"]) not in shown
        and archive.test(record["dataset"], record["number"]) is not None
    }
    if earlier:
        remarks["Earlier choices"] = (
            f"Before the study was extended, test rows were also opened for {len(earlier)} configurations that were "
            "chosen then. They are not shown; whoever looked at them knows more of the test rows than this search."
        )
    seeds = {(row["dataset"], row["number"]): row["seeds"] for row in results.best_by_method}
    shorter = {
        (entry["dataset"], entry["source"], entry["seeds"])
        for name in results.feature_names
        for entry in archive.lists(name)
        if entry["seeds"] < seeds.get((entry["dataset"], entry["source"]), 0)
    }
    if shorter:
        remarks["Earlier lists"] = (
            "Before the study was extended, test rows were also opened for feature lists of the same configurations "
            f"over fewer seeds, {len(shorter)} in all. They are not shown."
        )
    return remarks
