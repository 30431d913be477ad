"""Tables of a study: every trial, the best configurations, and each dataset's ranked columns."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from cluster.ledger.entries import State
from dst.errors import last_line
from studies.choice.best import BestRow
from studies.choice.feature_ranking import FeatureRanking, rank_features, ranked_features
from studies.choice.trade_offs import TradeOff
from studies.report.represented import stands_for
from studies.report.test_scores import opened_scores
from studies.store.archive import StudyArchive
from studies.store.files import write_bytes, write_text
from studies.store.record_codec import RecordError
from studies.store.record_schema import Record, importances_of

TRIAL_COLUMNS: Mapping[str, str] = {
    "dataset": "string",
    "number": "int64",
    "state": "string",
    "stage": "string",
    "method": "string",
    "sparsity": "float64",
    "l2": "float64",
    "params": "string",
    "importance": "string",
    "val_score": "float64",
    "val_loss": "float64",
    "epochs": "Int64",
    "best_epoch": "float64",
    "nnz": "Int64",
    "flops": "float64",
    "flops_ratio": "float64",
    "seconds": "float64",
    "rss": "Int64",
    "seed": "Int64",
    "error": "string",
    "settings": "string",
    "val_svm_accuracy": "float64",
    "val_balanced_accuracy": "float64",
    "val_macro_auc": "float64",
}
"""Columns of the trials table and their pandas dtypes; a missing float is NaN, a missing other value ``pd.NA``."""

_JUDGED = ("val_svm_accuracy", "val_balanced_accuracy", "val_macro_auc")
"""Keys of a record with the scorer's results by importance metric."""

BEST_COLUMNS = (
    "dataset",
    "number",
    "method",
    "importance",
    "params",
    "val_score",
    "test_mean",
    "test_std",
    "seeds",
    "k",
    "sparsity",
    "flops_ratio",
    "stability",
    "stability_low",
    "stability_high",
    "val_balanced_accuracy",
    "val_macro_auc",
    "list_val_score",
    "list_test_score",
    "smallest_k",
    "features",
    "feature_names",
)
"""Columns of ``best.csv`` and ``best_by_method.csv``; the rows they are written from have ``k_curve`` as well."""


def trials_table(archive: StudyArchive) -> pd.DataFrame:
    """Gather all records into one table, sorted by dataset and number.

    Args:
        archive: of the study whose records are read.

    Returns:
        One row per record, columns and dtypes as in :data:`TRIAL_COLUMNS` whatever the records hold. ``params`` (what
        the space varied) and ``settings`` (all that the ranker worked with) are JSON with sorted keys, ``nnz`` is the
        total over layers, ``seconds`` the whole trial's, ``rss`` the peak in bytes, ``error`` the last line of the
        traceback; the scorer's ``val_svm_accuracy``, ``val_balanced_accuracy`` and ``val_macro_auc`` are those of the
        trial's ``importance``.

    Raises:
        RecordError: a record is damaged.
    """
    rows = [_trial_row(record) for record in archive.all_records()]
    columns = {name: pd.Series([row[name] for row in rows], dtype=dtype) for name, dtype in TRIAL_COLUMNS.items()}
    return pd.DataFrame(columns)


def feature_table(
    scores: Sequence[npt.NDArray[np.float64]], selected: Sequence[Sequence[int]], names: Sequence[str], seed: int = 0
) -> pd.DataFrame:
    """Rank the columns of a dataset by what several trainings with different seeds say.

    Args:
        scores: per seed the feature scores, each ``(n_features,)``, larger is more important; their mean is
            :func:`dst.scoring.mean_scores`.
        selected: per seed the columns that it selected (its top K).
        names: the columns' names, ``n_features`` of them.
        seed: draws the order of columns whose means are equal (:func:`dst.scoring.rank_columns`).

    Returns:
        One row per column, best first: ``rank`` from 1, ``column`` from 0, ``name``, ``score``, ``stability``, the
        share of seeds that selected the column, and ``stands_for``, see
        :func:`studies.report.represented.stands_for`.

    Raises:
        ValueError: the lengths do not fit together, or there is no seed.
    """
    return _feature_frame(rank_features(scores, selected, names, seed), names)


def _feature_frame(ranking: FeatureRanking, names: Sequence[str]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "rank": np.arange(1, len(names) + 1),
            "column": ranking.order,
            "name": pd.array([names[column] for column in ranking.order], dtype="string"),
            "score": ranking.scores[ranking.order],
            "stability": ranking.stability[ranking.order],
            "stands_for": [stands_for(ranking.stand_ins.get(column, ()), names) for column in ranking.order.tolist()],
        }
    )


def winner_features(archive: StudyArchive, row: BestRow, names: Sequence[str]) -> pd.DataFrame:
    """Rank a dataset's columns by the confirming trials of one configuration.

    Args:
        archive: holds the confirming trials' scores.
        row: a row of ``best`` or ``best_by_method``; ``dataset``, ``number``, ``importance`` and ``k`` are read.
        names: the dataset's column names.

    Returns:
        See :func:`feature_table`. Where nothing was confirmed the search trial itself stands for the only seed.

    Raises:
        RecordError: a record is damaged, or lacks the metric or the arrays that the row names.
    """
    finished = [record for record in archive.records(row["dataset"]) if record["state"] == State.FINISHED]
    confirming = [record for record in finished if record.get("source") == row["number"]]
    chosen = confirming or [record for record in finished if record["number"] == row["number"]]
    if not chosen:
        path = archive.folder.record(row["dataset"], row["number"])
        raise RecordError(
            f"{path}: no trial of this configuration has finished, so that there are 0 score vectors to rank by"
        )
    chosen.sort(key=lambda record: record["seed_index"] or 0)
    return _feature_frame(ranked_features(archive, chosen, row["importance"], row["k"], names), names)


def write_tables(
    archive: StudyArchive,
    best: Sequence[BestRow],
    best_by_method: Sequence[BestRow],
    feature_names: Mapping[str, Sequence[str]],
    trade_offs: Sequence[TradeOff] = (),
) -> pd.DataFrame:
    """Write all tables of a study: trials, best configurations, ranked columns; each file whole or not at all.

    Args:
        archive: of the study; the tables are written to its folder.
        best: the best configuration of each dataset, keys as in :data:`BEST_COLUMNS`.
        best_by_method: the same for each dataset and method.
        feature_names: for each dataset in ``best`` the names of its columns.
        trade_offs: with several objectives, the finished search trials.

    Returns:
        The trials table, as :func:`trials_table` makes it.

    Raises:
        RecordError: a record is damaged or does not fit.
        OSError: a file cannot be written.
    """
    folder = archive.folder
    trials = trials_table(archive)
    buffer = io.BytesIO()
    trials.to_parquet(buffer, index=False)
    write_bytes(folder.trials_parquet, buffer.getvalue())
    write_text(folder.trials_csv, _csv(trials))
    write_text(folder.best, _csv(_best_frame(best)))
    write_text(folder.best_by_method, _csv(_best_frame(best_by_method)))
    if trade_offs:
        write_text(folder.pareto, _csv(pareto_table(trade_offs)))
    chosen = {(row["dataset"], row["number"]) for row in best_by_method}
    write_text(folder.test_scores, _csv(opened_scores(archive, feature_names, chosen)))
    for row in best:
        ranking = winner_features(archive, row, feature_names[row["dataset"]])
        write_text(folder.features(row["dataset"]), _csv(ranking))
    return trials


def pareto_table(trade_offs: Sequence[TradeOff]) -> pd.DataFrame:
    """Return the trials that no other beats.

    Args:
        trade_offs: the finished search trials, at least one.

    Returns:
        One row a trial, by dataset and then from the best in the first objective: ``dataset``, ``number``, ``method``,
        a column an objective, a column ``confirmed_...`` an objective with its mean over the confirming seeds (empty
        where it was not confirmed), ``sparsity``, and ``params`` as JSON with sorted keys.
    """
    metrics = list(trade_offs[0].objectives)
    rows = [
        {
            "dataset": trial.dataset,
            "number": trial.number,
            "method": trial.method,
            **trial.objectives,
            **{f"confirmed_{metric}": trial.confirmed.get(metric) for metric in metrics},
            "sparsity": trial.sparsity,
            "params": json.dumps(dict(trial.params), sort_keys=True),
        }
        for trial in trade_offs
        if trial.best
    ]
    return pd.DataFrame(rows)


def _trial_row(record: Record) -> dict[str, Any]:
    nnz, settings = record.get("nnz"), record.get("settings")
    judged: Mapping[str, Any] = importances_of(record).get(record.get("importance") or "") or {}
    return {
        **{name: record.get(name) for name in TRIAL_COLUMNS},
        **{name: judged.get(name) for name in _JUDGED},
        "params": json.dumps(record.get("params") or {}, sort_keys=True),
        "settings": None if settings is None else json.dumps(settings, sort_keys=True),
        "nnz": None if nnz is None else sum(nnz),
        "seconds": (record.get("seconds") or {}).get("total"),
        "rss": record.get("peak_rss_bytes"),
        "error": last_line(record.get("error")),
    }


def _best_frame(rows: Sequence[BestRow]) -> pd.DataFrame:
    texts = [
        {
            **row,
            "params": json.dumps(row["params"], sort_keys=True),
            "features": json.dumps(row["features"]),
            "feature_names": json.dumps(row["feature_names"], ensure_ascii=False),
        }
        for row in rows
    ]
    return pd.DataFrame(
        [[row[name] for name in BEST_COLUMNS] for row in texts], columns=list(BEST_COLUMNS), dtype=object
    )


def _csv(frame: pd.DataFrame) -> str:
    return frame.to_csv(index=False, lineterminator="\n")
