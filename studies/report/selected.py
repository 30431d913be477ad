"""The selected columns of each dataset by name, with score, stability and the columns that they stand for."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from dst.selection import selection_of
from studies.choice.best import BestRow
from studies.report.cells import Cell, Table
from studies.report.html import paragraph, subheading, table_of
from studies.store.folder import StudyFolder

SHOWN = 200
"""Columns of a dataset that the report shows."""

NOTE = (
    "The columns of each dataset's one feature list, best first; all columns are in features/. Score: the mean over "
    "seeds of what the ranking gives the column, to be compared within a dataset. Stability: the share of seeds that "
    "select the column by themselves. Stands for: the columns that are not selected and correlate the most with this "
    "one, with |r| in training rows. A selection takes the highest scores (top), or weighs them by how much columns "
    "repeat one another."
)


def selected_tables(folder: StudyFolder, best: Sequence[BestRow]) -> list[Table]:
    """Return a table for each dataset with the columns of its winner; none where no list is written.

    Args:
        folder: of the study, whose feature lists are read.
        best: the best configuration of each dataset.
    """
    return [_selected(folder, choice) for choice in best if folder.features(choice["dataset"]).exists()]


def selected_columns(tables: Sequence[Table]) -> str:
    """Return the tables of :func:`selected_tables` as markup, each below its heading and with what is left out."""
    return "".join(subheading(table.caption) + table_of(table) for table in tables)


def left_out(best: Sequence[BestRow]) -> str:
    """Say of which datasets the report does not show all columns."""
    longer = [choice for choice in best if choice["k"] > SHOWN]
    return "".join(
        paragraph(f"{choice['dataset']}: {choice['k'] - SHOWN} more in features/{choice['dataset']}.csv.")
        for choice in longer
    )


def _selected(folder: StudyFolder, choice: BestRow) -> Table:
    dataset, k = choice["dataset"], choice["k"]
    lines = pd.read_csv(folder.features(dataset), nrows=min(SHOWN, k), keep_default_na=False).to_dict("records")
    rows = [
        [
            Cell(str(line["rank"]), "number"),
            Cell(str(line["name"]), "name"),
            Cell(f"{line['score']:.4g}", "number"),
            Cell(f"{line['stability']:.2f}", "number"),
            Cell(str(line.get("stands_for", "")), "code"),
        ]
        for line in lines
    ]
    how = f"{choice['method']} by {choice['importance']}, selection {selection_of(choice['importance']).name}"
    head = ["#Rank", "Column", "#Score", "#Stability", "Stands for"]
    return Table(f"columns-{dataset}", f"{dataset}: {k} columns, {how}", head, rows)
