"""Tables have the columns and types of the contract, whatever the records hold."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from dst.errors import last_line
from dst.scoring import mean_scores, rank_columns, tie_order
from studies.report.tables import (
    BEST_COLUMNS,
    TRIAL_COLUMNS,
    feature_table,
    trials_table,
    winner_features,
    write_tables,
)
from studies.store.archive import StudyArchive
from studies.store.folder import StudyFolder
from studies.store.record import iter_records, read_scores, write_record
from studies.store.record_codec import RecordError

HEAD = {
    "schema": 1,
    "dataset": "wine",
    "number": 0,
    "stage": "search",
    "state": "failed",
    "source": None,
    "seed": 5,
    "seed_index": None,
    "method": "set",
    "params": {"method": "set"},
    "k": 4,
    "reports": {},
    "error": None,
}


def dtypes(frame: pd.DataFrame) -> dict[str, str]:
    return {name: str(dtype) for name, dtype in frame.dtypes.items()}


def test_columns_and_types_do_not_depend_on_the_records(tmp_path: Path, study) -> None:
    empty = trials_table(StudyArchive(StudyFolder(tmp_path)))
    write_record(StudyFolder(tmp_path), HEAD)
    nulls = trials_table(StudyArchive(StudyFolder(tmp_path)))
    full = trials_table(StudyArchive(study.folder))
    assert dtypes(empty) == dtypes(nulls) == dtypes(full) == dict(TRIAL_COLUMNS)
    assert (len(empty), len(nulls), len(full)) == (0, 1, len(list(iter_records(study.folder))))
    assert list(full.columns) == [
        *("dataset", "number", "state", "stage", "method", "sparsity", "l2", "params", "importance", "val_score"),
        *("val_loss", "epochs", "best_epoch", "nnz", "flops", "flops_ratio", "seconds", "rss", "seed", "error"),
        *("settings", "val_svm_accuracy", "val_balanced_accuracy", "val_macro_auc"),
    ]


def test_rows_follow_their_records(study) -> None:
    trials = trials_table(StudyArchive(study.folder))
    assert trials[["dataset", "number"]].equals(trials[["dataset", "number"]].sort_values(["dataset", "number"]))
    for record in iter_records(study.folder):
        row = trials[(trials["dataset"] == record["dataset"]) & (trials["number"] == record["number"])].iloc[0]
        assert (row["state"], row["stage"], row["method"]) == (record["state"], record["stage"], record["method"])
        assert json.loads(row["params"]) == record["params"]
        assert json.loads(row["settings"]) == record["settings"]
        judged = (record.get("importances") or {}).get(record.get("importance"), {})
        for name in ("val_svm_accuracy", "val_balanced_accuracy", "val_macro_auc"):
            assert pd.isna(row[name]) if judged.get(name) is None else row[name] == judged[name]
        assert row["seconds"] == record["seconds"]["total"]
        assert row["seed"] == record["seed"]
        nnz, score = record.get("nnz"), record.get("val_score")
        assert pd.isna(row["nnz"]) if nnz is None else row["nnz"] == sum(nnz)
        assert pd.isna(row["val_score"]) if score is None else row["val_score"] == score
    failed = trials[trials["state"] == "failed"]
    assert list(failed["error"]) == [
        f"FloatingPointError: loss is <nan> & not finite at epoch 3 of {name}" for name in failed["dataset"]
    ]


@pytest.mark.parametrize(
    ("error", "line"),
    [(None, None), ("", None), (" \n\n", None), ("ValueError: x", "ValueError: x"), ("a\n  b \n\n", "b")],
)
def test_last_line(error: str | None, line: str | None) -> None:
    assert last_line(error) == line


def test_a_ranking_by_hand() -> None:
    scores = [np.array([0.0, 1.0, 3.0, 0.0]), np.array([20.0, 0.0, 20.0, 0.0])]
    table = feature_table(scores, [[2, 1], [0, 2]], ["a", "b", "c", "d"])
    assert table.to_dict("list") == {
        "rank": [1, 2, 3, 4],
        "column": [2, 0, 1, 3],
        "name": ["c", "a", "b", "d"],
        "score": [(0.75 + 0.5) / 2, 0.25, 0.125, 0.0],
        "stability": [1.0, 0.5, 0.5, 0.0],
        "stands_for": [""] * 4,
    }


@pytest.mark.parametrize("scores", [[np.zeros(40)], [np.eye(40)[3], np.eye(40)[3]], [np.repeat([2.0, 1.0], 20)]])
def test_equal_scores_come_in_an_order_that_the_seed_draws_and_nothing_else(scores: list[np.ndarray]) -> None:
    """As in a trial's own ranking: where a table's author put a column must not count."""
    selected = [[3]] * len(scores)
    names = [f"c{column}" for column in range(40)]
    orders = [feature_table(scores, selected, names, seed)["column"].tolist() for seed in (0, 1, 1)]
    assert orders[1] == orders[2] == rank_columns(mean_scores(scores), tie_order(1)).tolist()
    assert orders[0] != orders[1], "chance alone"
    tied = mean_scores(scores) == mean_scores(scores).min()
    assert [column for column in orders[0] if tied[column]] != np.flatnonzero(tied).tolist()


def test_a_training_that_saw_nothing_does_not_spoil_the_others() -> None:
    table = feature_table([np.zeros(2), np.array([1.0, 3.0])], [[0], [1]], ["a", "b"])
    assert list(table["score"]) == [0.375, 0.125]


@given(
    scores=st.integers(1, 6).flatmap(
        lambda n: st.lists(arrays(np.float64, n, elements=st.floats(0, 1e6)), min_size=1, max_size=4)
    ),
    k=st.integers(1, 6),
)
def test_invariants_of_a_ranking(scores: list[np.ndarray], k: int) -> None:
    n = len(scores[0])
    selected = [np.argsort(-vector, kind="stable")[:k].tolist() for vector in scores]
    table = feature_table(scores, selected, [f"c{column}" for column in range(n)])
    assert sorted(table["column"]) == list(range(n))
    assert list(table["rank"]) == list(range(1, n + 1))
    assert (np.diff(table["score"]) <= 0).all()
    assert list(table["name"]) == [f"c{column}" for column in table["column"]]
    assert np.isclose(table["stability"].sum() * len(scores), min(k, n) * len(scores))
    heard = sum(vector.sum() > 0 for vector in scores)
    assert np.isclose(table["score"].sum(), heard / len(scores))
    # Scores of one training on another scale: the same ranking.
    louder = feature_table([scores[0] * 64.0, *scores[1:]], selected, list(table["name"].sort_values()))
    assert list(louder["column"]) == list(table["column"])


@pytest.mark.parametrize(
    ("scores", "selected", "names"),
    [
        ([], [], ["a"]),
        ([np.ones(2)], [[0], [1]], ["a", "b"]),
        ([np.ones(2), np.ones(3)], [[0], [1]], ["a", "b"]),
        ([np.ones(2)], [[0]], ["a", "b", "c"]),
    ],
)
def test_lengths_that_do_not_fit_are_refused(scores: list, selected: list, names: list) -> None:
    with pytest.raises(ValueError, match="every seed needs one score a column"):
        feature_table(scores, selected, names)


def test_written_tables_read_back(make_study: Callable, tmp_path: Path) -> None:
    study = make_study(tmp_path / "study")
    folder = study.folder
    trials = write_tables(StudyArchive(folder), study.best, study.best_by_method, study.feature_names)
    pd.testing.assert_frame_equal(trials, trials_table(StudyArchive(folder)))
    pd.testing.assert_frame_equal(pd.read_parquet(folder.trials_parquet), trials)
    assert list(pd.read_csv(folder.trials_csv).columns) == list(TRIAL_COLUMNS)

    for path, rows in ((folder.best, study.best), (folder.best_by_method, study.best_by_method)):
        table = pd.read_csv(path)
        assert list(table.columns) == list(BEST_COLUMNS)
        assert [json.loads(cell) for cell in table["params"]] == [row["params"] for row in rows]
        assert [json.loads(cell) for cell in table["features"]] == [row["features"] for row in rows]
        assert list(table["test_mean"]) == [row["test_mean"] for row in rows]
        assert list(table["sparsity"].isna()) == [row["sparsity"] is None for row in rows]

    for row in study.best:
        table = pd.read_csv(folder.features(row["dataset"]))
        assert list(table.columns) == ["rank", "column", "name", "score", "stability", "stands_for"]
        assert len(table) == len(study.feature_names[row["dataset"]])
        # The informative columns come first in every made-up dataset, and every seed finds most of them.
        assert table["column"].head(row["k"]).lt(row["k"]).mean() > 0.8
        assert table["stability"].sum() == pytest.approx(row["k"])
    assert not list(tmp_path.rglob("*.tmp"))


def test_a_study_without_a_winner_has_empty_tables(tmp_path: Path) -> None:
    folder = StudyFolder(tmp_path)
    write_tables(StudyArchive(folder), [], [], {})
    assert pd.read_csv(folder.best).columns.tolist() == list(BEST_COLUMNS)
    assert len(pd.read_parquet(folder.trials_parquet)) == 0


def test_an_unconfirmed_winner_is_ranked_by_its_search_trial(study) -> None:
    row = study.best[0]
    unconfirmed = row | {"number": 1, "k": 3}
    table = winner_features(StudyArchive(study.folder), unconfirmed, study.feature_names[row["dataset"]])
    scores = read_scores(study.folder, row["dataset"], 1)[row["importance"]]
    assert list(table["column"]) == np.argsort(-scores, kind="stable").tolist()
    assert table["stability"].tolist() == [1.0] * 3 + [0.0] * (len(table) - 3)


def test_what_does_not_fit_the_records_is_named(study) -> None:
    row, names = study.best[0], study.feature_names[study.best[0]["dataset"]]
    with pytest.raises(RecordError, match=r"has no scores of 'guess'; it has neuron_attribution, neuron_strength"):
        winner_features(StudyArchive(study.folder), row | {"importance": "guess"}, names)
    with pytest.raises(RecordError, match="do not fit the dataset"):
        winner_features(StudyArchive(study.folder), row, names[:-1])
    with pytest.raises(RecordError, match="0 score vectors"):
        winner_features(StudyArchive(study.folder), row | {"number": 999}, names)
