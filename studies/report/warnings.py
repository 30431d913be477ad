"""What a user should know before trusting a study's table of winners."""

from __future__ import annotations

import pandas as pd

from cluster.ledger.entries import State
from studies.report.results import Results
from studies.spec.study import StudySpec
from studies.store.folder import StudyFolder
from studies.store.record import iter_records
from studies.store.record_schema import Stage


def study_warnings(
    folder: StudyFolder, spec: StudySpec, datasets: list[str], trials: pd.DataFrame, results: Results
) -> list[str]:
    """Return what a user should know before trusting the table of winners, one line each."""
    lines = []
    for dataset in datasets:
        mine = trials[trials["dataset"] == dataset]
        failed = mine[mine["state"] == State.FAILED]
        if len(failed):
            last = failed["error"].iloc[-1]
            lines.append(f"{dataset}: {len(failed)} of {len(mine)} trials failed, the last with: {last}")
        lines.extend(_absent_classes(folder, dataset))
        lines.extend(_unsaved(folder, dataset))
        searched = int((mine["stage"] == Stage.SEARCH).sum())
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


def _absent_classes(folder: StudyFolder, dataset: str) -> list[str]:
    """Return a line about classes that training rows lacked, if there are any."""
    lacking = [record["absent_classes"] for record in iter_records(folder, dataset) if record.get("absent_classes")]
    if not lacking:
        return []
    classes = ", ".join(sorted(set().union(*lacking)))
    return [f"{dataset}: the training rows of {len(lacking)} trials lack a class ({classes})"]


def _unsaved(folder: StudyFolder, dataset: str) -> list[str]:
    """Return a line about trials whose checkpoints could not be read or written, if there are any."""
    resumptions = [record.get("resumption") or {} for record in iter_records(folder, dataset)]
    problems = [one["problem"] for one in resumptions if one.get("problem")]
    return [f"{dataset}: {len(problems)} trials had trouble with their checkpoints: {problems[-1]}"] if problems else []
