"""The feature list of a configuration, the mean ranking over its seeds, and the scores of its top K columns.

``val_score`` and ``test_mean`` of a configuration are those of each seed's own top K. The user gets one list, so the
study scores that as well, once the choice is made: for each confirming seed a scorer fitted on the seed's training rows
and judged on its validation rows, and one fitted on both and judged on the test rows; the mean over seeds counts.

The validation score is optimistic: each seed draws validation rows of its own, so that rows which validate for one seed
have trained the ranking of another. The test score is not: no ranking has seen a test row.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dst.data import Part
from dst.scoring import tie_order
from dst.selection import TOP, selection_of
from studies.choice.best import BestRow
from studies.choice.feature_ranking import mean_ranking, measured_list, ranked_features
from studies.choice.over_k import MEASURES
from studies.choice.selection import Confirmed
from studies.store.archive import StudyArchive
from studies.store.openings import PendingList


@dataclass(frozen=True)
class ListScores:
    """The scores of a feature list; None: not measured.

    Attributes:
        validation: mean over seeds of the accuracy on validation rows; the balanced one where the objective is that.
        test: mean over seeds of the accuracy on test rows.
    """

    validation: float | None
    test: float | None


def select_list(
    archive: StudyArchive,
    configuration: Confirmed,
    names: Sequence[str],
    length: int,
    training_rows: Callable[[], Part],
) -> tuple[int, ...]:
    """Select a configuration's feature list: what its selection makes of its seeds' mean scores.

    A list that has been measured stays as it is: another machine might order near ties otherwise, and test rows would
    be opened once more.

    Args:
        archive: the study that holds its records.
        configuration: a confirmed one of the study.
        names: the dataset's column names.
        length: number of columns.
        training_rows: returns those of the first seed, which a selection that looks at rows looks at; called by such a
            one only.

    Raises:
        RecordError: scores are missing or damaged.
    """
    records, importance = configuration.records, configuration.importance
    ranking = mean_ranking(archive, records, importance, records[0]["k"], names)
    selection = selection_of(importance)
    if selection.name == TOP:
        return tuple(ranking.order.tolist()[:length])
    measured = measured_list(archive, records, importance)
    if measured is not None and len(measured["columns"]) == length:
        return tuple(measured["columns"])
    to_order = tie_order(records[0]["seed"] or 0)
    return tuple(selection.columns(ranking.scores, training_rows(), length, to_order).tolist())


def columns_of(archive: StudyArchive, configuration: Confirmed, names: Sequence[str], length: int) -> tuple[int, ...]:
    """Return the first columns of a configuration's feature list, as :func:`ranked_features` has them.

    Args:
        archive: the study that holds its records.
        configuration: a confirmed one of the study.
        names: the dataset's column names.
        length: number of columns.

    Raises:
        RecordError: scores are missing or damaged.
    """
    records = configuration.records
    ranking = ranked_features(archive, records, configuration.importance, records[0]["k"], names)
    return tuple(ranking.order.tolist()[:length])


def to_measure(archive: StudyArchive, configuration: Confirmed, columns: Sequence[int]) -> list[PendingList]:
    """Return the measurements of a list that are still to be made; an attempt that failed is not repeated.

    Args:
        archive: the study that holds its records.
        configuration: a confirmed one of the study.
        columns: its list, as long as the largest K.

    Raises:
        RecordError: what was measured is damaged.
    """
    seeds = len(configuration.records)
    pending = (PendingList(record, configuration.importance, tuple(columns), seeds) for record in configuration.records)
    return [job for job in pending if not _measured(archive, job)]


def list_scores(archive: StudyArchive, configuration: Confirmed, columns: Sequence[int]) -> ListScores:
    """Return the scores of the top K columns of a configuration's list where each seed has measured this very list.

    Args:
        archive: the study that holds its records.
        configuration: a confirmed one of the study.
        columns: its top K.

    Raises:
        RecordError: what was measured is damaged.
    """
    k, seeds = len(columns), len(configuration.records)
    found: dict[str, list[float]] = {"validation": [], "test": []}
    for record in configuration.records:
        document = archive.list_of(record["dataset"], record["number"], seeds)
        if (
            document is None
            or document["importance"] != configuration.importance
            or document["columns"][:k] != list(columns)
        ):
            return ListScores(None, None)
        for part, measure, by_k in (
            ("validation", MEASURES[archive.spec.objective.judged_by], document["validation"]),
            ("test", "accuracy", document["test"]),
        ):
            judged: Mapping[str, Any] = by_k.get(str(k), {"accuracy": None})
            if judged.get(measure) is not None:
                found[part].append(judged[measure])
    means = {part: float(np.mean(values)) if len(values) == seeds else None for part, values in found.items()}
    return ListScores(**means)


def has_failed(archive: StudyArchive, row: BestRow) -> bool:
    """Say whether the list of a configuration has been tried and cannot be measured.

    Args:
        archive: the study that holds the list's measurements.
        row: the configuration, keys as in :data:`studies.report.tables.BEST_COLUMNS`.

    Raises:
        RecordError: what was measured is damaged.
    """
    return any(
        document.get("error") is not None
        and (document["source"], document["seeds"], document["importance"])
        == (row["number"], row["seeds"], row["importance"])
        and document["columns"][: row["k"]] == list(row["features"])
        for document in archive.lists(row["dataset"])
    )


def _measured(archive: StudyArchive, pending: PendingList) -> bool:
    document = archive.list_of(pending.record["dataset"], pending.record["number"], pending.seeds)
    return (
        document is not None
        and tuple(document["columns"]) == pending.columns
        and document["importance"] == pending.importance
    )
