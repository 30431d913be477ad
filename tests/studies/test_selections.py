"""Studies whose trainings are scored by several selections: what counts, the feature list, and what is read of it."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from dst import SparseFeatureSelector
from dst.data import load_dataset, trial_data
from dst.scoring import mean_scores, tie_order
from dst.selection import metric_of, select_columns, selection_of
from studies.cli.main import main
from studies.report.results import collect
from studies.run import StudyResult, run_study
from studies.spec.errors import SpecError
from studies.spec.loading import parse_spec
from studies.store.archive import StudyArchive
from studies.store.folder import StudyFolder
from studies.store.record import iter_records, read_scores
from studies.store.record_schema import importances_of
from tests.support.repeating_table import COPIES, SOURCES, frame_of, repeating
from tests.support.soundness import without_measurements

SELECTIONS = ("top", "greedy", "threshold:0.3")


def document(path: Path, **changes: Any) -> dict[str, Any]:
    return {
        "name": "selections",
        "datasets": [{"path": str(path), "target": "label", "k": SOURCES, "inner_splits": 2}],
        "methods": ["l1_logistic", "f_score"],
        "scoring": {"selections": list(SELECTIONS), "k_values": [6]},
        "search": {"trials": 4, "batch": 4, "sampler": "random"},
        "confirm": {"top": 1, "seeds": 2},
        "tracking": {"wandb": {"mode": "disabled"}},
        **changes,
    }


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "repeating.csv"
    frame_of(repeating()).to_csv(path, index=False)
    return path


@pytest.fixture(scope="module")
def finished(path: Path, tmp_path_factory: pytest.TempPathFactory) -> StudyResult:
    return run_study(parse_spec(document(path)), out=tmp_path_factory.mktemp("studies") / "out", in_process=True)


def test_every_training_is_scored_by_every_selection_and_the_best_counts(finished):
    folder = StudyFolder(finished.folder)
    for record in iter_records(folder):
        results = importances_of(record)
        (metric,) = {metric_of(name) for name in results}
        assert {selection_of(name).name for name in results} == set(SELECTIONS)
        assert set(read_scores(folder, record["dataset"], record["number"])) == {metric}
        assert record["val_score"] == max(result["val_svm_accuracy"] for result in results.values())
        assert results[record["importance"]]["val_svm_accuracy"] == record["val_score"]
    assert {selection_of(row["importance"]).name for row in finished.best_by_method.to_dict("records")} & {
        "greedy",
        "threshold:0.3",
    }


def test_a_list_is_what_the_selection_makes_of_the_mean_scores_on_the_first_seeds_training_rows(finished, path):
    folder = StudyFolder(finished.folder)
    table = load_dataset(str(path), target="label")
    spec = parse_spec(document(path))
    for row in finished.best_by_method.to_dict("records"):
        records = [record for record in iter_records(folder, row["dataset"]) if record["source"] == row["number"]]
        metric, selection = metric_of(row["importance"]), selection_of(row["importance"])
        scores = mean_scores([read_scores(folder, row["dataset"], one["number"])[metric] for one in records])
        design = spec.datasets[0].search_design(spec.seed)
        first = type(design)(**{**design.__dict__, "seed": records[0]["seed"]})
        train, _ = next(iter(trial_data(table, first, keep=False).parts))
        columns = select_columns(
            scores, train, 6, selection.rule, selection.strength, rng=tie_order(records[0]["seed"] or 0)
        )
        assert row["features"] == columns[:SOURCES].tolist()
        assert row["list_val_score"] is not None
        (winner,) = finished.rows
        if row["number"] == winner["number"]:
            features = pd.read_csv(finished.folder / "features" / "repeating.csv", keep_default_na=False)
            assert features["column"].head(6).tolist() == columns.tolist()
            assert sorted(features["column"]) == list(range(table.n_features))
            for column, cell in zip(columns[:SOURCES].tolist(), features["stands_for"], strict=False):
                named = {int(part.split(" ")[0].removeprefix("f")) for part in cell.split(", ") if part}
                assert named <= set(range(SOURCES * COPIES))
                assert {other // COPIES for other in named} <= {column // COPIES}
            assert (features["stands_for"].iloc[:SOURCES] != "").all()
            assert (features["stands_for"].iloc[SOURCES:] == "").all()


def test_the_named_selection_counts_whatever_another_gives(path, tmp_path):
    spec = document(path, objective={"selection": "threshold:0.3"}, search={"trials": 2, "batch": 2})
    result = run_study(parse_spec(spec), out=tmp_path / "out", in_process=True)
    records = list(iter_records(StudyFolder(result.folder)))
    assert {selection_of(record["importance"]).name for record in records} == {"threshold:0.3"}
    assert all(selection_of(name).name == "threshold:0.3" for name in result.best_by_method["importance"])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"scoring": {"selections": ["gredy"]}}, "unknown selection rule 'gredy': did you mean 'greedy'"),
        ({"scoring": {"selections": ["greedy", "greedy:1"]}}, "each selection once, but got greedy, greedy:1"),
        ({"scoring": {"selections": []}}, "at least 1"),
        (
            {"objective": {"selection": "mrmr"}},
            r"objective.selection must be best or one of scoring.selections \(top, greedy, threshold:0.3\), "
            "but got 'mrmr'",
        ),
    ],
)
def test_a_selection_that_is_not_made_is_refused(path, changes, message):
    with pytest.raises(SpecError, match=message):
        parse_spec(document(path, **changes))


def test_the_same_call_finds_nothing_to_do_and_lists_are_measured_again_where_they_are_lost(finished, path, tmp_path):
    folder = shutil.copytree(finished.folder, tmp_path / "out")
    assert not run_study(parse_spec(document(path)), out=folder, in_process=True).ran
    for lost in folder.glob("records/*/*.list-*.json"):
        lost.unlink()
    (row,) = collect(StudyArchive(StudyFolder(folder))).best
    first = min(
        (record for record in iter_records(StudyFolder(folder)) if record["source"] == row["number"]),
        key=lambda record: record["seed_index"],
    )
    own = importances_of(first)[row["importance"]]["selected"]
    assert row["features"] == own, "until a list is measured"
    again = run_study(parse_spec(document(path)), out=folder, in_process=True)
    assert again.rows == finished.rows
    assert without_measurements(folder) == without_measurements(finished.folder)


def test_an_export_is_refitted_with_the_winners_selection(finished, tmp_path):
    (row,) = finished.rows
    with pytest.raises(SystemExit) as ended:
        main(["export", str(finished.folder), "--dataset", "repeating", "--to", str(tmp_path / "winner")])
    assert not ended.value.code
    selector = SparseFeatureSelector.load(tmp_path / "winner" / "selector.npz")
    assert selector.selection == selection_of(row["importance"]).name
    assert len({column // COPIES for column in selector.get_support(indices=True)}) == SOURCES


def test_the_report_shows_the_selected_columns_and_what_they_stand_for(finished):
    page = (finished.folder / "report.html").read_text()
    features = pd.read_csv(finished.folder / "features" / "repeating.csv")
    assert "Selected columns" in page
    (row,) = finished.rows
    assert f"selection {selection_of(row['importance']).name}</h3>" in page
    for line in features.head(SOURCES).to_dict("records"):
        assert f'<td class="code"><code>{line["stands_for"]}</code></td>' in page
