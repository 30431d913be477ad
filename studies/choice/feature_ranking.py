"""The ranking of a dataset's columns by the trials of one configuration."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dst.scoring import mean_scores, rank_columns, tie_order
from studies.store.archive import StudyArchive
from studies.store.record_codec import RecordError
from studies.store.record_schema import Record, importances_of


@dataclass(frozen=True)
class FeatureRanking:
    """Columns, ranked by several trainings.

    Attributes:
        order: column numbers int64 ``(n_features,)``, best first.
        scores: mean over seeds float64 ``(n_features,)``, by column.
        stability: share of seeds that selected each column, float64 ``(n_features,)``.
    """

    order: npt.NDArray[np.int64]
    scores: npt.NDArray[np.float64]
    stability: npt.NDArray[np.float64]


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
    """Rank a dataset's columns by the finished trials of one configuration: its feature list.

    Args:
        archive: holds the trials' scores.
        records: of the trials, by seed; one at least.
        importance: the metric that ranks.
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
        if importance not in arrays or importance not in importances:
            raise RecordError(f"{path}: has no scores of {importance!r}; it has {', '.join(sorted(arrays)) or 'none'}")
        scores.append(arrays[importance])
        selected.append(importances[importance]["selected"][:k])
    try:
        return rank_features(scores, selected, names, records[0]["seed"] or 0)
    except (ValueError, IndexError) as error:
        path = archive.folder.record(records[0]["dataset"], records[0]["number"])
        raise RecordError(f"{path}: its trials' scores do not fit the dataset ({error})") from error
