"""Warnings for a user, before a study's table of winners is trusted."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from cluster.ledger.entries import State
from studies.report.results import Results
from studies.store.archive import StudyArchive
from studies.store.record_schema import Record, Stage


def study_warnings(archive: StudyArchive, trials: pd.DataFrame, results: Results) -> list[str]:
    """Return the warnings that a user should read before trusting the table of winners, one line each."""
    spec, lines = archive.spec, []
    for dataset in archive.datasets:
        of_dataset = trials[trials["dataset"] == dataset]
        failed = of_dataset[of_dataset["state"] == State.FAILED]
        if len(failed):
            last = failed["error"].iloc[-1]
            lines.append(f"{dataset}: {len(failed)} of {len(of_dataset)} trials failed, the last with: {last}")
        lines.extend(_absent_classes(dataset, archive.records(dataset)))
        lines.extend(_unsaved(dataset, archive.records(dataset)))
        searched = int((of_dataset["stage"] == Stage.SEARCH).sum())
        if spec.search.seconds is not None and searched < spec.search.trials:
            limit = f"search.seconds={spec.search.seconds:g}"
            lines.append(f"{dataset}: the search ended after {searched} of {spec.search.trials} trials: {limit} are up")
        compared = {row["method"] for row in results.best_by_method if row["dataset"] == dataset}
        if absent := [method for method in spec.methods if method not in compared]:
            lines.append(f"{dataset}: no trial of {', '.join(absent)} ran to its end, so it is not compared")
        lines.extend(
            f"{dataset}: the test rows could not be opened for {row['method']}"
            for row in results.best_by_method
            if row["dataset"] == dataset and row["test_mean"] is None
        )
        lines.extend(
            f"{dataset}: the feature list of {row['method']} could not be measured"
            for row in results.best_by_method
            if row["dataset"] == dataset and row["list_test_score"] is None
        )
    return lines


def _absent_classes(dataset: str, records: Iterable[Record]) -> list[str]:
    """Return a line about classes that training rows lacked, if there are any."""
    lacking = [record["absent_classes"] for record in records if record.get("absent_classes")]
    if not lacking:
        return []
    classes = ", ".join(sorted(set().union(*lacking)))
    return [f"{dataset}: the training rows of {len(lacking)} trials lack a class ({classes})"]


def _unsaved(dataset: str, records: Iterable[Record]) -> list[str]:
    """Return a line about trials whose checkpoints could not be read or written, if there are any."""
    resumptions = [record.get("resumption") or {} for record in records]
    problems = [resumption["problem"] for resumption in resumptions if resumption.get("problem")]
    return [f"{dataset}: {len(problems)} trials had trouble with their checkpoints: {problems[-1]}"] if problems else []
