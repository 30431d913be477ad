"""The selected columns of each dataset, as the report shows them, and the columns that they stand for."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from dst.selection import selection_of
from studies.choice.best import BestRow
from studies.report.html import cell, name_cell, row, table
from studies.store.folder import StudyFolder

SHOWN = 10
"""Columns of a dataset that the report shows."""

NOTE = (
    "The first columns of each feature list, which is in features/. Stands for: the columns that are not selected and "
    "correlate the most with this one, with |r| in training rows. A selection takes the highest scores (top), or "
    "weighs them by how much columns repeat one another."
)


def selected_table(folder: StudyFolder, best: Sequence[BestRow]) -> str:
    """Return a table of the first :data:`SHOWN` columns of each winner's list; nothing where no list is written.

    Args:
        folder: of the study, whose feature lists are read.
        best: the best configuration of each dataset.
    """
    rows = [
        row(
            [
                name_cell(choice["dataset"]),
                cell(selection_of(choice["importance"]).name),
                cell(str(line["rank"]), "number"),
                name_cell(str(line["name"])),
                cell(f"{line['stability']:.2f}", "number"),
                cell(str(line["stands_for"]), "text"),
            ]
        )
        for choice in best
        if folder.features(choice["dataset"]).exists()
        for line in pd.read_csv(
            folder.features(choice["dataset"]), nrows=min(SHOWN, choice["k"]), keep_default_na=False
        ).to_dict("records")
    ]
    return table(["Dataset", "Selection", "#Rank", "Column", "#Stability", "Stands for"], rows) if rows else ""
