"""The report's tables of what the trials cost, and of those that failed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import get_args

import pandas as pd

from cluster.ledger.entries import State
from studies.report.cells import Cell, Table
from studies.report.cost import Cost, as_mib, total_cost
from studies.report.html import paragraph, table_of
from studies.report.winners import ABSENT
from studies.store.record_schema import Ended, Stage

_MAX_FAILURES = 50


def cost_table(trials: pd.DataFrame, costs: Mapping[str, Cost]) -> Table | None:
    """Return a row per dataset, and one for all: trials by state, core-seconds by use, peak memory; None: no trials.

    Args:
        trials: the trials table (:func:`studies.report.tables.trials_table`).
        costs: by dataset.
    """
    if trials.empty:
        return None
    head = ["Dataset", "#Finished", "#Stopped", "#Failed", "#Of these confirming"]
    cost = ["#Core-seconds", "#useful", "#stopped", "#failed", "#repeated", "#Peak memory"]
    parts = [(str(name), part) for name, part in trials.groupby("dataset")]
    rows = [[Cell(name, "name"), *_cost_cells(part, costs[name])] for name, part in parts]
    if len(parts) > 1:
        rows.append([Cell("all", "name"), *_cost_cells(trials, total_cost(costs.values()))])
    return Table("cost", "Trials and cost", [*head, *cost], rows, total=len(parts) > 1)


def _cost_cells(trials: pd.DataFrame, cost: Cost) -> list[Cell]:
    counts = [int((trials["state"] == state).sum()) for state in get_args(Ended)]
    counts.append(int((trials["stage"] == Stage.CONFIRM).sum()))
    spent = (cost.core_seconds, cost.useful, cost.stopped, cost.failed, cost.repeated)
    peak = ABSENT if cost.peak_rss_bytes is None else as_mib(cost.peak_rss_bytes)
    texts = [*map(str, counts), *(f"{seconds:,.1f}" if seconds < 100 else f"{seconds:,.0f}" for seconds in spent), peak]
    return [Cell(text, "number") for text in texts]


def failures(trials: pd.DataFrame) -> str:
    """Return the trials that failed with the last lines of their errors, as markup."""
    failed = trials[trials["state"] == State.FAILED]
    if failed.empty:
        return paragraph("None.")
    rows = [
        [
            Cell(trial["dataset"], "name"),
            Cell(str(trial["number"]), "number"),
            Cell(trial["stage"]),
            Cell(ABSENT if pd.isna(trial["method"]) else trial["method"]),
            Cell("no message" if pd.isna(trial["error"]) else trial["error"], "code"),
        ]
        for trial in failed.head(_MAX_FAILURES).to_dict("records")
    ]
    more = len(failed) - len(rows)
    rest = paragraph(f"{more} more in trials.csv.") if more > 0 else ""
    head = ["Dataset", "#Trial", "Stage", "Method", "Last line of the error"]
    return table_of(Table("failures", "Trials that failed", head, rows)) + rest
