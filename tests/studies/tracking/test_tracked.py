"""What a tracker shows follows from the records, and its fingerprint from what it shows."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from studies.report.results import collect
from studies.store.archive import StudyArchive
from studies.tracking.facts import StudyFacts
from studies.tracking.progress import StudyProgress
from studies.tracking.runs import RunIds, TrackedRun, run_id, tags_of
from studies.tracking.trials import Standing, trial_run

RECORD: dict[str, Any] = {
    "schema": 1,
    "dataset": "wine",
    "number": 3,
    "stage": "search",
    "state": "finished",
    "method": "set",
    "sparsity": None,
    "l2": None,
    "params": {"method": "set", "lr": 0.001},
    "settings": {"lr": 0.001, "sparsity": 0.9, "l2": 0.01, "epochs": 20},
    "source": None,
    "reports": {},
}


@pytest.fixture
def facts(content) -> StudyFacts:
    return content.facts


def values(run: TrackedRun) -> list[dict[str, float]]:
    return [dict(row.values) for row in run.rows]


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


def test_two_studies_of_one_name_share_no_run_but_what_was_sent_under_the_name_keeps_its_id() -> None:
    places = [(), ("wine",), ("wine", 3)]
    one, other = (RunIds(identity, "s") for identity in ("3b7634001d59", "a00000000000"))
    assert {one.of(*place) for place in places}.isdisjoint(other.of(*place) for place in places)
    earlier = RunIds("3b7634001d59", "s", {run_id("s", "wine", 3)})
    assert earlier.of("wine", 3) == run_id("s", "wine", 3)
    assert earlier.of("wine", 4) == one.of("wine", 4)


def test_tags_are_as_wandb_takes_them() -> None:
    assert tags_of("wine", None, "set", "wine", "x" * 200) == ("wine", "set", "x" * 30 + "..." + "x" * 31)


def test_one_split_is_logged_as_it_is(facts: StudyFacts) -> None:
    curves = [{"train_loss": [3.0, 2.0], "val_loss": [1.5, None], "topology_changed": [None, 0.3]}]
    assert values(trial_run(facts, RECORD | {"curves": curves}, None)) == [
        {"epoch": 1, "train/loss": 3.0, "val/loss": 1.5},
        {"epoch": 2, "train/loss": 2.0, "topology/changed": 0.3},
    ]


def test_several_splits_are_logged_beside_the_mean_of_those_that_still_train(facts: StudyFacts) -> None:
    curves = [{"val_loss": [1.0, 2.0, 4.0]}, {"val_loss": [3.0]}, {"val_loss": [2.0, 4.0]}]
    assert values(trial_run(facts, RECORD | {"curves": curves}, None)) == [
        {"epoch": 1, "val/loss": 2.0, "split0/val/loss": 1.0, "split1/val/loss": 3.0, "split2/val/loss": 2.0},
        {"epoch": 2, "val/loss": 3.0, "split0/val/loss": 2.0, "split2/val/loss": 4.0},
        {"epoch": 3, "val/loss": 4.0, "split0/val/loss": 4.0},
    ]


@pytest.mark.parametrize(
    ("metric", "reported", "stage", "sign"),
    [
        ("val_svm_accuracy", "val_loss", "search", -1),
        ("val_svm_accuracy", "val_accuracy", "search", 1),
        ("val_loss", "val_loss", "search", 1),
        ("val_loss", "val_score", "search", -1),
        ("val_svm_accuracy", "val_score", "confirm", -1),
    ],
)
def test_rungs_show_the_value_itself_by_the_epoch_of_its_split(
    facts: StudyFacts, metric: str, reported: str, stage: str, sign: int
) -> None:
    """A report is what the pruner maximises or minimises, at a step that counts on over inner splits."""
    objective = facts.objective.model_copy(update={"metric": metric})
    facts = dataclasses.replace(facts, objective=objective, reported=reported)
    reports = {str(step): sign * step for step in (20, 5, 10, 45, 60)} | {"25": None}
    run = trial_run(facts, RECORD | {"state": "stopped", "stage": stage, "stopped_at": 60, "reports": reports}, None)
    assert values(run) == [
        {"rung/value": 5, "rung/epoch": 5},
        {"rung/value": 10, "rung/epoch": 10},
        {"rung/value": 20, "rung/epoch": 20},
        {"split2/rung/value": 45, "rung/epoch": 5},
        {"split2/rung/value": 60, "rung/epoch": 20},
    ]
    axes = {metric.name: metric.step for metric in run.metrics}
    assert {axes[name] for name in ("rung/value", "split1/rung/value", "split2/rung/value")} == {"rung/epoch"}
    assert "split3/rung/value" not in axes
    assert (run.summary["stopped_at"], run.state, run.exit_code) == (60, "stopped", 0)


def test_what_a_trial_had_is_in_its_settings_whether_it_varied_or_not(facts: StudyFacts) -> None:
    config = trial_run(facts, RECORD, None).config
    assert {key: config[key] for key in ("sparsity", "l2", "lr", "dataset", "stage", "study", "study_id")} == {
        **{"sparsity": 0.9, "l2": 0.01, "lr": 0.001, "dataset": "wine", "stage": "search"},
        **{"study": "earlier", "study_id": "3b7634001d59"},
    }
    assert config["data"]["split_sha256"].startswith("a3ffaef8")
    assert (config["data"]["missing_rate"], config["data"]["missing_mechanism"]) == (0.0, None)
    assert (config["objective"]["metric"], config["search"]["trials"]) == ("val_svm_accuracy", 6)
    assert config["versions"]["torch"] == "2.13.0+cpu"


def test_a_trials_times_are_those_of_its_training_and_change_no_digest(facts: StudyFacts) -> None:
    record = RECORD | {"curves": [{"val_loss": [2.0, 1.0]}], "seconds": {"total": 10.0}}
    run = trial_run(facts, record, 1_000_000_000.0)
    assert run.times == {"started": "2001-09-09T01:46:30+00:00", "ended": "2001-09-09T01:46:40+00:00"}
    assert [row.time for row in run.rows] == [999_999_995.0, 1_000_000_000.0]
    assert run.digest == trial_run(facts, record, None).digest


def test_a_failed_trial_shows_its_last_line(facts: StudyFacts) -> None:
    run = trial_run(facts, RECORD | {"state": "failed", "error": "Traceback\n  here\nValueError: no\n"}, None)
    assert run.exit_code == 1
    assert run.summary == {"state": "failed", "role": "search", "error": "ValueError: no"}


def test_confirming_runs_by_dataset_and_method_are_the_leaderboard(content) -> None:
    best = collect(StudyArchive(content.folder)).best_by_method
    runs = [run for run in content.trials() if run.job_type == "confirm"]
    assert {run.group for run in runs} == {"earlier-3b7634"}
    for row in best:
        mine = [run for run in runs if (run.config["dataset"], run.config["method"]) == (row["dataset"], row["method"])]
        scores = [run.summary["test_score"] for run in mine if run.config["source"] == row["number"]]
        assert np.mean(scores) == pytest.approx(row["test_mean"])
        assert np.std(scores, ddof=1) == pytest.approx(row["test_std"])
        assert np.mean([run.summary["val_score"] for run in mine]) == pytest.approx(row["val_score"])
        assert {run.summary["importance"] for run in mine} == {row["importance"]}
    roles = {(run.config["dataset"], run.config["method"]): run.summary["role"] for run in runs}
    assert sorted(roles.values()) == ["best_of_method"] * (len(best) - 2) + ["winner"] * 2
    run = runs[0]
    assert run.name == f"{run.config['dataset']}/{run.config['number']} {run.config['method']} confirm"
    assert run.tags == (run.config["dataset"], run.config["method"], "confirm", "finished")


def test_the_digest_tells_any_change(content) -> None:
    runs = list(content.trials())
    assert len(runs) == 22
    assert len({run.digest for run in runs}) == 22
    assert [run.digest for run in runs] == [run.digest for run in content.trials()]
    facts = content.facts
    other = trial_run(facts, RECORD | {"val_score": 0.5}, None)
    assert trial_run(facts, RECORD, None).digest != other.digest
    assert trial_run(facts, RECORD | {"val_score": 0.5}, None, Standing("winner")).digest != other.digest


def test_datasets_and_study_show_how_the_best_came_along(content) -> None:
    study, *datasets = content.complete("finished")
    assert [run.name for run in (study, *datasets)] == ["earlier", "wine dataset", "breast_cancer dataset"]
    best = {row["dataset"]: row for row in collect(StudyArchive(content.folder)).best}
    for run in datasets:
        dataset = run.config["dataset"]
        row = best[dataset]
        points = values(run)
        assert [point["trial/ended"] for point in points] == [1, 2, 3, 4, 5, 6]
        assert {point["trial/number"] for point in points} == set(range(6))
        reached = np.maximum.accumulate([point["trial/val_score"] for point in points])
        assert [point["trial/best_so_far"] for point in points] == list(reached)
        for key in ("method", "val_score", "test_mean", "test_std", "stability"):
            assert run.summary.get(key) == row[key]
        assert run.summary["test_score"] == row["test_mean"]
        assert [artifact.name for artifact in run.artifacts] == [f"features-{dataset}", f"config-{dataset}"]
        assert all("best" in artifact.aliases for artifact in run.artifacts)
    assert values(study)[-1]["trials/finished"] == study.summary["trials/finished"] == 22
    assert study.summary["test_score"] == pytest.approx(np.mean([row["test_mean"] for row in best.values()]))
    assert study.summary["cost/core_seconds"] == pytest.approx(values(study)[-1]["cost/core_seconds"])
    assert set(study.tables) == {"best", "best_by_method", "test_scores", "ranks", "trials"}
    trials = study.tables["trials"]
    assert trials.columns[:2] == ("study", "run")
    assert {row[1] for row in trials.rows} == {run.id for run in content.trials()}
    assert {"params.sparsity", "settings.epochs"} <= set(trials.columns)
    (artifact,) = study.artifacts
    assert (artifact.name, "study.yaml" in artifact.files) == ("study-earlier", True)


def test_a_margin_is_the_winners_over_the_best_method_without_a_network(facts: StudyFacts) -> None:
    rows = [{"method": "set", "importance": "i", "val_score": 0.9, "test_mean": 0.8}]
    rows += [{"method": "l1_logistic", "test_mean": 0.7}, {"method": "random", "test_mean": 0.2}]
    keys = ("number", "test_std", "stability", "list_val_score", "list_test_score", "smallest_k", "k")
    rows = [{**dict.fromkeys(keys), **row} for row in rows]
    run = StudyProgress(facts, 1.0).dataset_run("wine", state="finished", rows=rows)
    assert run.summary["margin"] == pytest.approx(0.1)


def test_a_study_without_results(facts: StudyFacts) -> None:
    run = StudyProgress(facts, 1.0).study_run(state="running")
    assert (run.rows, run.summary["trials/ended"], run.summary["cost/core_seconds"]) == ((), 0, 0.0)
