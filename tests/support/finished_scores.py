"""Folders of finished studies that hold made-up scores of test rows."""

from __future__ import annotations

import pandas as pd

from studies.report.test_scores import OPENED_COLUMNS

SPEC = """name: paper
datasets: [Yale]
methods: [set]
resolved: {id: a1, datasets: {Yale: {}}}
"""
"""The least that a study's folder says of what ran."""


def scores(rows):
    """Rows of (dataset, method, importance, k, seed_index, accuracy), further columns as a mapping."""
    full = []
    for dataset, method, importance, k, seed, accuracy, *more in rows:
        row = dict.fromkeys(OPENED_COLUMNS) | {"number": 0, "epochs": 3}
        row |= {"dataset": dataset, "method": method, "importance": importance, "k": k, "seed_index": seed}
        full.append(row | {"test_accuracy": accuracy} | (more[0] if more else {}))
    return pd.DataFrame(full).astype(dict(OPENED_COLUMNS))


def write(folder, table):
    folder.mkdir()
    table.to_csv(folder / "test_scores.csv", index=False)
    chosen(table).to_csv(folder / "best_by_method.csv", index=False)
    return str(folder)


def write_finished(folder, table, spec=SPEC):
    """Write what is gathered of a finished study; return its folder."""
    write(folder, table)
    (folder / "study.yaml").write_text(spec)
    (folder / "spent.json").write_text('{"wall_seconds": 7200.0, "search_seconds": 5.0, "lost": {}, "running": {}}')
    (folder / "trials.csv").write_text("dataset,number,method,stage,state,seconds\nYale,0,set,search,finished,1\n")
    return folder


def chosen(frame):
    return frame[["dataset", "method", "importance", "k"]].drop_duplicates()
