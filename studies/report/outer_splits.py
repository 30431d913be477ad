"""What the winners and the best of each method come to on other outer splits: a file, and a section of the page."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import pandas as pd

from studies.choice.outer_splits import SplitRow
from studies.report.cells import Cell, Table
from studies.report.winners import ABSENT
from studies.store.files import write_text
from studies.store.folder import StudyFolder

NOTE = (
    "The winner and the best of each other method, trained and tested again on other outer splits: test rows, "
    "validation rows and networks are drawn anew, the same for all methods. The settings are those that were chosen on "
    "the study's own split, so that rows which are tested here took part in the choice, of every method alike. "
    "Intervals: 95%, corrected for the training rows that splits share (Nadeau and Bengio 2003). Each split's accuracy "
    "is in outer_splits.csv."
)

COLUMNS = ("dataset", "method", "importance", "k", "index", "test_accuracy")


def write_outer_splits(folder: StudyFolder, by_dataset: Mapping[str, Sequence[SplitRow]]) -> None:
    """Write ``outer_splits.csv``, a row per dataset, method and split; nothing where none was tested.

    Raises:
        OSError: the file cannot be written.
    """
    rows = [
        (dataset, found.method, found.importance, found.k, index, accuracy)
        for dataset, methods in by_dataset.items()
        for found in methods
        for index, accuracy in found.accuracies.items()
    ]
    if rows:
        write_text(folder.outer_splits, pd.DataFrame(rows, columns=COLUMNS).to_csv(index=False, lineterminator="\n"))


def outer_splits_table(by_dataset: Mapping[str, Sequence[SplitRow]]) -> Table | None:
    """Return a row per dataset and method, the winner first; None where no other split was tested."""
    rows = [
        [
            Cell(dataset, "name"),
            Cell(found.method, chosen=found is methods[0]),
            Cell(str(found.k), "number"),
            Cell(str(len(found.accuracies)), "number"),
            Cell(_with_interval(found.mean, found.low, found.high), "number"),
            Cell(_difference(found), "number"),
        ]
        for dataset, methods in by_dataset.items()
        for found in methods
    ]
    head = ["Dataset", "Method", "#K", "#Splits", "#Test accuracy, %", "#The winner is ahead by, points"]
    return Table("outer_splits", "Test accuracy on other outer splits", head, rows) if rows else None


def _difference(found: SplitRow) -> str:
    if found.difference is None or found.difference_low is None or found.difference_high is None:
        return ABSENT
    return _with_interval(found.difference, found.difference_low, found.difference_high, "+.1f")


def _with_interval(mean: float, low: float, high: float, form: str = ".1f") -> str:
    if math.isnan(low):
        return f"{100 * mean:{form}}"
    return f"{100 * mean:{form}} [{100 * low:{form}}, {100 * high:{form}}]"
