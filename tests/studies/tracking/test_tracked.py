"""What a tracker shows follows from the records, and its fingerprint from what it shows."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from studies.report.tables import BEST_COLUMNS
from studies.store.record import iter_records, read_test
from studies.tracking.runs import run_id, study_run, trial_run

RECORD: dict[str, Any] = {
    "schema": 1,
    "dataset": "wine",
    "number": 3,
    "stage": "search",
    "state": "finished",
    "method": "set",
    "sparsity": 0.9,
    "params": {"method": "set", "lr": 0.001},
}


@given(st.text(min_size=1), st.text(min_size=1), st.integers(0, 10**9))
def test_ids_fit_every_tracker_and_stay_the_same(study: str, dataset: str, number: int) -> None:
    name = run_id(study, dataset, number)
    assert name == run_id(study, dataset, number)
    assert 1 <= len(name) <= 61
    assert set(name) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-")
    assert len({name, run_id(study + "x", dataset, number), run_id(study, dataset, number + 1), run_id(study)}) == 4


def test_ids_keep_apart_what_reads_alike() -> None:
    places = [("s", "a-1", 2), ("s", "a", 12), ("s", "a-12"), ("s-a", 12), ("s", "a/1", 2), ("s", "A-1", 2)]
    assert len({run_id(*place) for place in places}) == len(places)


def test_one_split_is_logged_as_it_is() -> None:
    curves = [{"train_loss": [3.0, 2.0], "val_loss": [1.5, None]}]
    assert trial_run("s", RECORD | {"curves": curves}, None).history == {
        0: {"train_loss": 3.0, "val_loss": 1.5},
        1: {"train_loss": 2.0},
    }


def test_several_splits_are_logged_beside_the_mean_of_those_that_still_train() -> None:
    curves = [{"val_loss": [1.0, 2.0, 4.0]}, {"val_loss": [3.0]}, {"val_loss": [2.0, 4.0]}]
    assert trial_run("s", RECORD | {"curves": curves}, None).history == {
        0: {"val_loss": 2.0, "split0/val_loss": 1.0, "split1/val_loss": 3.0, "split2/val_loss": 2.0},
        1: {"val_loss": 3.0, "split0/val_loss": 2.0, "split2/val_loss": 4.0},
        2: {"val_loss": 4.0, "split0/val_loss": 4.0},
    }


def test_reports_are_logged_at_their_steps_in_order() -> None:
    record = RECORD | {"state": "stopped", "stopped_at": 20, "reports": {"20": -0.5, "5": -0.75, "10": None}}
    run = trial_run("s", record, None)
    assert list(run.history.items()) == [(5, {"reported": -0.75}), (20, {"reported": -0.5})]
    assert run.summary["stopped_at"] == 20
    assert run.tags == ("stopped",)


def test_a_confirming_trial_with_its_test(study) -> None:
    record = next(record for record in iter_records(study.folder, "wine") if record["stage"] == "confirm")
    test = read_test(study.folder, "wine", record["number"])
    closed, opened = trial_run("s", record, None), trial_run("s", record, test)
    assert (closed.id, closed.history, closed.config) == (opened.id, opened.history, opened.config)
    assert closed.digest() != opened.digest()
    news = {key: value for key, value in opened.summary.items() if key not in closed.summary}
    assert news == {
        f"test_svm_accuracy/{metric}": result["test_svm_accuracy"] for metric, result in test["importances"].items()
    }
    for metric, result in record["importances"].items():
        for key in ("val_balanced_accuracy", "val_macro_auc"):
            assert closed.summary.get(f"{key}/{metric}") == result[key]
    assert opened.config["epochs"] == record["settings"]["epochs"] == 40, "a setting that the space did not vary"
    assert opened.config["source"] == record["source"]
    assert opened.config["study"] == "s"
    assert (opened.group, opened.job_type, opened.name) == ("wine", "confirm", f"wine/{record['number']}")
    assert opened.summary["val_score"] == record["val_score"]


def test_a_failed_trial_shows_its_last_line() -> None:
    run = trial_run("s", RECORD | {"state": "failed", "error": "Traceback\n  here\nValueError: no\n"}, None)
    assert run.failed
    assert run.summary == {"state": "failed", "error": "ValueError: no"}


def test_the_digest_tells_any_change(study) -> None:
    digests = [trial_run("s", record, None).digest() for record in iter_records(study.folder)]
    assert len(set(digests)) == len(digests)
    assert digests == [trial_run("s", record, None).digest() for record in iter_records(study.folder)]
    assert trial_run("s", RECORD, None).digest() != trial_run("s", RECORD | {"val_score": 0.5}, None).digest()


def test_the_study_counts_and_tabulates(study) -> None:
    run = study_run("three", iter_records(study.folder), study.best, study.best_by_method)
    assert {key: value for key, value in run.summary.items() if key.startswith("trials/")} == {
        "trials/finished": 60,
        "trials/stopped": 12,
        "trials/failed": 3,
    }
    assert run.summary["best/wine/test_mean"] == next(r["test_mean"] for r in study.best if r["dataset"] == "wine")
    for row in study.best:
        for key in ("list_val_score", "list_test_score"):
            assert run.summary.get(f"best/{row['dataset']}/{key}") == row[key]
    assert run.config["datasets"] == ["madelon", "wine", "yale"]
    for name, rows in (("best", study.best), ("best_by_method", study.best_by_method)):
        table = run.tables[name]
        assert table.columns == BEST_COLUMNS
        cells = [dict(zip(table.columns, row, strict=True)) for row in table.rows]
        assert [json.loads(cell["params"]) for cell in cells] == [row["params"] for row in rows]
        assert [cell["test_mean"] for cell in cells] == [row["test_mean"] for row in rows]
    assert run.digest() != study_run("three", iter_records(study.folder), [], study.best_by_method).digest()


@pytest.mark.parametrize("rows", [0, 1])
def test_a_study_without_results(rows: int) -> None:
    run = study_run("s", [RECORD] * rows, [], [])
    assert run.tables["best"].rows == ()
    assert run.summary["seconds/trials"] == 0.0
