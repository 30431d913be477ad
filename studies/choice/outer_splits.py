"""Confirmed configurations on other outer splits: what is still to be tested, and what came out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from dst.intervals import resampled_interval
from studies.choice.selection import Confirmed
from studies.store.archive import StudyArchive
from studies.store.openings import PendingSplit
from studies.store.record_schema import SplitRecord


def to_split(archive: StudyArchive, configuration: Confirmed, count: int) -> list[PendingSplit]:
    """Return the other outer splits that a configuration is still to be tested on; one that failed is not repeated.

    Args:
        archive: the study that holds its records.
        configuration: a confirmed one of the study.
        count: of outer splits.

    Raises:
        RecordError: what was tested is damaged.
    """
    done = {tested["index"] for tested in _of(archive, configuration)}
    first = configuration.records[0]
    return [PendingSplit(first, configuration.importance, index) for index in range(count) if index not in done]


def split_scores(archive: StudyArchive, configuration: Confirmed) -> dict[int, float]:
    """Return a configuration's test accuracy at its K by the index of the outer split, without those that failed.

    Args:
        archive: the study that holds its records.
        configuration: a confirmed one of the study.

    Raises:
        RecordError: what was tested is damaged.
    """
    found = {tested["index"]: tested["test"].get(str(tested["k"])) for tested in _of(archive, configuration)}
    return {index: accuracy for index, accuracy in sorted(found.items()) if accuracy is not None}


@dataclass(frozen=True)
class SplitRow:
    """A method's configuration on other outer splits.

    Attributes:
        method: the ranker.
        importance: the ranking whose columns were tested.
        k: number of columns.
        accuracies: by the index of the split.
        mean: of them.
        low: 95% interval of the mean, corrected for the rows that splits share; NaN for one split.
        high: its upper end.
        difference: how much the winner is ahead on the splits that both have; None of the winner itself, or where they
            share none.
        difference_low: its corrected 95% interval.
        difference_high: its upper end.
    """

    method: str
    importance: str
    k: int
    accuracies: dict[int, float]
    mean: float
    low: float
    high: float
    difference: float | None = None
    difference_low: float | None = None
    difference_high: float | None = None


def split_rows(archive: StudyArchive, opened: Sequence[Confirmed]) -> list[SplitRow]:
    """Return how a dataset's winner, first, and the best of each other method do on other outer splits.

    Those that were tested on none are left out.

    Args:
        archive: the study that holds their records.
        opened: of :func:`studies.choice.selection.to_open`.

    Raises:
        RecordError: what was tested is damaged.
    """
    rows: list[SplitRow] = []
    winner: dict[int, float] = {}
    for place, configuration in enumerate(opened):
        accuracies = split_scores(archive, configuration)
        if place == 0:
            winner = accuracies
        if not accuracies:
            continue
        shares = [tested["held_out"] for tested in _of(archive, configuration) if "held_out" in tested]
        held_out = float(np.mean(shares))
        values = list(accuracies.values())
        row = SplitRow(
            configuration.method,
            configuration.importance,
            configuration.records[0]["k"],
            accuracies,
            float(np.mean(values)),
            *resampled_interval(values, held_out),
        )
        differences = [winner[index] - accuracies[index] for index in accuracies if index in winner]
        if place and differences:
            low, high = resampled_interval(differences, held_out)
            row = replace(row, difference=float(np.mean(differences)), difference_low=low, difference_high=high)
        rows.append(row)
    return rows


def _of(archive: StudyArchive, configuration: Confirmed) -> list[SplitRecord]:
    first = configuration.records[0]
    return [
        tested
        for tested in archive.outer_splits(first["dataset"])
        if tested["number"] == first["number"] and tested["importance"] == configuration.importance
    ]
