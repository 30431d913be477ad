"""The ranking of a dataset's columns by the trials of one configuration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from dst.scoring import mean_scores, rank_columns, tie_order
from dst.selection import TOP, metric_of, selection_of
from studies.store.archive import StudyArchive
from studies.store.record_codec import RecordError
from studies.store.record_schema import ListRecord, Record, importances_of


@dataclass(frozen=True)
class FeatureRanking:
    """Columns, ranked by several trainings.

    Attributes:
        order: column numbers int64 ``(n_features,)``, best first.
        scores: mean over seeds float64 ``(n_features,)``, by column.
        stability: share of seeds that selected each column, float64 ``(n_features,)``.
        stand_ins: the columns that a selected one represents, each with its correlation, by the selected one; none
            where the list has not been measured.
    """

    order: npt.NDArray[np.int64]
    scores: npt.NDArray[np.float64]
    stability: npt.NDArray[np.float64]
    stand_ins: Mapping[int, Sequence[tuple[int, float]]] = field(default_factory=dict)


def rank_features(
    scores: Sequence[npt.NDArray[np.float64]], selected: Sequence[Sequence[int]], names: Sequence[str], seed: int = 0
) -> FeatureRanking:
    """Rank the columns of a dataset by what several trainings with different seeds say.

    Args:
        scores: per seed the feature scores, each ``(n_features,)``, larger is more important; their mean is
            :func:`dst.scoring.mean_scores`.
        selected: per seed the columns that it selected (its top K).
        names: the columns' names, ``n_features`` of them.
        seed: draws the order of columns whose means are equal (:func:`dst.scoring.rank_columns`).

    Raises:
        ValueError: the lengths do not fit together, or there is no seed.
    """
    lengths = {len(vector) for vector in scores}
    if len(scores) != len(selected) or lengths != {len(names)}:
        raise ValueError(
            "every seed needs one score a column and one selection, but got "
            f"{len(scores)} score vectors of length {sorted(lengths)}, {len(selected)} selections, {len(names)} names"
        )
    score = mean_scores(scores)
    hits = np.zeros(len(names))
    for columns in selected:
        hits[list(columns)] += 1.0
    return FeatureRanking(rank_columns(score, tie_order(seed)), score, hits / len(scores))


def ranked_features(
    archive: StudyArchive, records: Sequence[Record], importance: str, k: int, names: Sequence[str]
) -> FeatureRanking:
    """Rank a dataset's columns by the finished trials of one configuration: its feature list, then the other columns.

    A list that is selected by a rule which looks at rows is read from its measurement. Before it is measured, and for a
    trial that was not confirmed, it is the list that the first trial alone selects.

    Args:
        archive: holds the trials' scores.
        records: of the trials, by seed; one at least.
        importance: the ranking that counts.
        k: number of columns that a trial selects.
        names: the dataset's column names.

    Returns:
        See :func:`mean_ranking`; the columns of such a list come first, in its order.

    Raises:
        RecordError: a trial lacks the metric, or the arrays do not fit the dataset.
    """
    ranking = mean_ranking(archive, records, importance, k, names)
    measured = measured_list(archive, records, importance)
    if selection_of(importance).name != TOP:
        listed = np.array(_listed(archive, records, importance, measured, min(k, len(names)), names), dtype=np.int64)
        order = np.concatenate([listed, ranking.order[~np.isin(ranking.order, listed)]])
        ranking = replace(ranking, order=order)
    if measured is None or list(measured["columns"][:k]) != ranking.order[:k].tolist():
        return ranking
    represented = {
        int(column): [(other["column"], other["r"]) for other in others]
        for column, others in measured.get("stand_ins", {}).items()
    }
    named = [column for others in represented.values() for column, _ in others]
    if max(named, default=0) >= len(names):
        path = _list_path(archive, records)
        raise RecordError(f"{path}: names column {max(named)} as a stand-in, but there are {len(names)} columns")
    return replace(ranking, stand_ins=represented)


def measured_list(archive: StudyArchive, records: Sequence[Record], importance: str) -> ListRecord | None:
    """Return what the first trial has measured of the configuration's list; None where it has not.

    Args:
        archive: holds the trials' records.
        records: of the trials, by seed; one at least.
        importance: the ranking that counts.
    """
    measured = archive.list_of(records[0]["dataset"], records[0]["number"], len(records))
    return measured if measured is not None and measured["importance"] == importance else None


def _listed(
    archive: StudyArchive,
    records: Sequence[Record],
    importance: str,
    measured: ListRecord | None,
    k: int,
    names: Sequence[str],
) -> Sequence[int]:
    """Return the list as it was measured, or that of the first trial alone: K different columns or more."""
    first = records[0]
    if measured is not None:
        columns, path = measured["columns"], _list_path(archive, records)
    else:
        found = importances_of(first)[importance]
        columns, path = found.get("ranked", found["selected"]), archive.folder.record(first["dataset"], first["number"])
    if len(set(columns)) < max(k, len(columns)) or max(columns) >= len(names):
        raise RecordError(
            f"{path}: a list has {k} different columns of {len(names)} or more, but this one has {len(set(columns))} "
            f"in {len(columns)} places, the last of them {max(columns, default=0)}"
        )
    return columns


def _list_path(archive: StudyArchive, records: Sequence[Record]) -> Path:
    return archive.folder.list_scores(records[0]["dataset"], records[0]["number"], len(records))


def mean_ranking(
    archive: StudyArchive, records: Sequence[Record], importance: str, k: int, names: Sequence[str]
) -> FeatureRanking:
    """Rank a dataset's columns by the mean scores of the finished trials of one configuration.

    Args:
        archive: holds the trials' scores.
        records: of the trials, by seed; one at least.
        importance: the ranking that counts, whose metric gives the scores.
        k: number of columns that a trial selects.
        names: the dataset's column names.

    Returns:
        See :func:`rank_features`; the first trial's seed draws the order of equal means, so that the list of a single
        trial is the trial's own.

    Raises:
        RecordError: a trial lacks the metric, or the arrays do not fit the dataset.
    """
    scores, selected = [], []
    for record in records:
        path = archive.folder.scores(record["dataset"], record["number"])
        arrays = archive.scores(record["dataset"], record["number"])
        importances = importances_of(record)
        metric = metric_of(importance)
        if metric not in arrays or importance not in importances:
            raise RecordError(f"{path}: has no scores of {importance!r}; it has {', '.join(sorted(arrays)) or 'none'}")
        scores.append(arrays[metric])
        selected.append(importances[importance]["selected"][:k])
    try:
        return rank_features(scores, selected, names, records[0]["seed"] or 0)
    except (ValueError, IndexError) as error:
        path = archive.folder.record(records[0]["dataset"], records[0]["number"])
        raise RecordError(f"{path}: its trials' scores do not fit the dataset ({error})") from error
