"""A feature list is worth what a scorer makes of its own columns, and that is measured once, after the choice."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.svm import SVC

from dst.data import load_dataset, prepare_test, remove_values, trial_data
from dst.data.preparation import encoded_columns
from studies.cli.main import main
from studies.report.results import collect
from studies.report.status import study_status
from studies.report.write import write_results
from studies.run import StudyResult, run_study
from studies.spec.loading import parse_spec
from studies.store.archive import StudyArchive
from studies.store.folder import StudyFolder
from studies.store.record import iter_records, read_list
from studies.store.record_codec import RecordError
from tests.support.soundness import small_table
from tests.support.two_tables import Killed, digests

pytestmark = pytest.mark.undrawn


@pytest.fixture
def no_report(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out the figures, which take longer than these studies."""
    monkeypatch.setattr("studies.report.write.write_report", lambda *arguments, **named: None)


def document(path: Path, **changes: Any) -> dict[str, Any]:
    return {
        "name": "lists",
        "seed": 5,
        "datasets": [{"path": str(path), "target": "label", "inner_splits": 2}],
        "methods": ["l1_logistic", "random"],
        "scoring": {"k_values": [2, 5]},
        "search": {"trials": 4, "batch": 4},
        "confirm": {"top": 1, "seeds": 3},
        "tracking": {"wandb": {"mode": "disabled"}},
        **changes,
    }


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="module")
def finished(data: Path) -> StudyResult:
    """Columns of words and numbers that miss, so that a column has several encodings."""
    path = small_table(data / "t.csv", rows=240)
    frame = pd.read_csv(path)
    rng = np.random.default_rng(0)
    frame["word"] = np.where(frame["label"] == frame["label"][0], "x", rng.choice(["x", "y", "z"], len(frame)))
    frame.loc[rng.random(len(frame)) < 0.1, "f1"] = np.nan
    frame.to_csv(path, index=False)
    return run_study(parse_spec(words(data)), out=data / "out", in_process=True)


def words(data: Path) -> dict[str, Any]:
    missing = {"rate": 0.05, "policy": "mean", "indicators": True}
    use = {"path": str(data / "t.csv"), "target": "label", "inner_splits": 2, "missing": missing}
    return document(data / "t.csv", datasets=[use])


def test_a_list_is_worth_what_a_scorer_by_hand_makes_of_it(finished: StudyResult, data: Path) -> None:
    spec = parse_spec(words(data))
    use = spec.datasets[0]
    table = remove_values(load_dataset(use.path, target="label"), use.removal)
    for row in finished.best_by_method.to_dict("records"):
        columns = np.array(row["features"])
        validation, test = [], []
        for index in range(3):
            design = use.search_design(5)
            trial = type(design)(**{**design.__dict__, "seed": 5 + 1 + index})
            splits = []
            for train, judged in trial_data(table, trial, keep=False).parts:
                encoded = encoded_columns(columns, train.origin)
                splits.append(SVC().fit(train.x[:, encoded], train.y).score(judged.x[:, encoded], judged.y))
            validation.append(np.mean(splits))
            fitted, judged = prepare_test(table, trial.splits(table)[0], policy="mean", indicators=True)
            encoded = encoded_columns(columns, fitted.origin)
            test.append(SVC().fit(fitted.x[:, encoded], fitted.y).score(judged.x[:, encoded], judged.y))
        assert row["list_val_score"] == pytest.approx(np.mean(validation), abs=1e-12)
        assert row["list_test_score"] == pytest.approx(np.mean(test), abs=1e-12)
    features = pd.read_csv(finished.folder / "features" / f"{finished.rows[0]['dataset']}.csv")
    assert features["column"].head(finished.rows[0]["k"]).tolist() == finished.rows[0]["features"]


def test_it_stands_beside_the_records_for_every_k(finished: StudyResult) -> None:
    folder, (row,) = StudyFolder(finished.folder), finished.rows
    measured = StudyArchive(folder).lists(row["dataset"])
    confirming = [one["number"] for one in iter_records(folder, row["dataset"]) if one["stage"] == "confirm"]
    assert [one["number"] for one in measured] == confirming
    for one in measured:
        assert one["seeds"] == 3
        for part in ("validation", "test"):
            assert set(one[part]) == {"2", str(row["k"]), "5"}
            assert set(one[part]["2"]) == {"accuracy", "balanced_accuracy", "macro_auc"}
    useful = sum(one["seconds"]["total"] for one in measured)
    assert 0 < useful < study_status(finished.folder)["cost"]["useful"]


def test_the_tables_for_a_paper_name_the_columns(finished: StudyResult, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["report", str(finished.folder), "--latex"])
    (row,) = finished.rows
    page, *tables = map(Path, capsys.readouterr().out.split())
    assert page == finished.folder / "report.html"
    names = ["best", "settings", "methods", f"columns-{row['dataset']}"]
    assert tables == [finished.folder / "latex" / f"{name}.tex" for name in names]
    assert all(f"& {name.replace('_', chr(92) + '_')} &" in tables[-1].read_text() for name in row["feature_names"])
    text = (finished.folder / "report.md").read_text()
    assert f"{row['dataset']}: {row['k']} of 13 columns" in text.replace("\\", "")
    assert "SHA-256 of the spec below" in text


def test_best_report_and_spec_show_it(finished: StudyResult, capsys: pytest.CaptureFixture[str]) -> None:
    (row,) = finished.rows
    for arguments in (["best", str(finished.folder)], ["best", str(finished.folder), "--json"]):
        with pytest.raises(SystemExit):
            main(arguments)
    shown, printed = capsys.readouterr().out.rsplit("\n", 2)[:2]
    assert "list: validation accuracy  list: test accuracy" in shown
    scores = rf"{100 * row['list_val_score']:.1f} % +{100 * row['list_test_score']:.1f} %$"
    assert re.search(scores, shown, re.MULTILINE)
    assert f"{row['k']} columns, best first: {', '.join(row['feature_names'])}\n" in shown + "\n"
    assert json.loads(printed)["best"] == json.loads(json.dumps(finished.rows))
    assert pd.read_csv(finished.folder / "best.csv")["list_test_score"].tolist() == [row["list_test_score"]]
    page = (finished.folder / "report.html").read_text()
    assert "optimistic" in page
    assert "not measured" not in page
    heading = (finished.folder / "best" / f"{row['dataset']}.yaml").read_text().splitlines()[2]
    assert heading.endswith(
        f"validation accuracy (optimistic) {row['list_val_score']:.4f}, test accuracy {row['list_test_score']:.4f}."
    )


def as_before_lists(folder: Path) -> None:
    """Take out of a study's folder what earlier versions did not write."""
    for path in folder.glob("records/*/*.list-*.json"):
        path.unlink()
    for path in folder.glob("records/*/[0-9]*.json"):
        record = json.loads(path.read_text())
        if "settings" in record:
            del record["settings"]
            for name in ("sparsity", "l2"):
                given = record["params"].get(name, 0.0 if (record["method"], name) == ("dense", "sparsity") else None)
                record[name] = given
            path.write_text(json.dumps(record, sort_keys=True) + "\n")


def test_a_folder_from_before_shows_that_it_was_not_measured_and_a_run_measures_it(
    finished: StudyResult, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "old"
    shutil.copytree(finished.folder, folder)
    as_before_lists(folder)
    before = digests(folder)
    for command in ("best", "report"):
        with pytest.raises(SystemExit) as ended:
            main([command, str(folder)])
        assert not ended.value.code
    assert "not measured" in capsys.readouterr().out
    assert "was not measured: run the study again" in (folder / "report.html").read_text()
    (row,) = collect(StudyArchive(StudyFolder(folder))).best
    assert (row["list_val_score"], row["list_test_score"]) == (None, None)
    assert digests(folder) == before, "records are read only"
    again = run_study(parse_spec(words(data)), out=folder, in_process=True)
    assert again.ran
    assert again.rows == finished.rows
    after = digests(folder)
    assert {name: after[name] for name in before} == before
    assert not run_study(parse_spec(words(data)), out=folder, in_process=True).ran


@pytest.mark.usefixtures("no_report")
@pytest.mark.parametrize("jobs", [0, 3])
def test_a_death_while_lists_are_measured_loses_and_repeats_nothing(
    finished: StudyResult, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, jobs: int
) -> None:
    import studies.store.openings

    folder = tmp_path / "out"
    shutil.copytree(finished.folder, folder)
    as_before_lists(folder)
    real, written = studies.store.openings.write_list, []

    def dying(*arguments: Any) -> None:
        if len(written) == jobs:
            raise Killed
        written.append(real(*arguments))

    with monkeypatch.context() as patch:
        patch.setattr(studies.store.openings, "write_list", dying)
        with pytest.raises(Killed):
            run_study(parse_spec(words(data)), out=folder, in_process=True)
    before = digests(folder)
    result = run_study(parse_spec(words(data)), out=folder, in_process=True)
    assert result.rows == finished.rows
    after = digests(folder)
    assert {name: after[name] for name in before} == before
    assert len(after) - len(before) == 6 - jobs


@pytest.mark.usefixtures("no_report")
def test_what_cannot_be_measured_is_said_and_not_tried_again(
    finished: StudyResult, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import studies.worker.job

    folder = tmp_path / "out"
    shutil.copytree(finished.folder, folder)
    as_before_lists(folder)

    def failing(*arguments: Any) -> None:
        raise MemoryError("as asked")

    with monkeypatch.context() as patch:
        patch.setattr(studies.worker.job, "score_list", failing)
        result = run_study(parse_spec(words(data)), out=folder, in_process=True)
    assert result.rows[0]["list_test_score"] is None
    assert any(line.endswith("the feature list of l1_logistic could not be measured") for line in result.warnings)
    assert not run_study(parse_spec(words(data)), out=folder, in_process=True).ran
    assert study_status(folder)["cost"]["failed"] > 0
    monkeypatch.undo()
    write_results(StudyArchive(StudyFolder(folder)))
    page = (folder / "report.html").read_text()
    assert f"The feature list of {result.rows[0]['dataset']} could not be measured." in page
    assert "run the study again to do so" not in page


def test_more_seeds_make_another_list_that_is_measured_anew(data: Path, tmp_path: Path) -> None:
    table = small_table(tmp_path / "t.csv", rows=200)
    given = {"methods": ["l1_logistic"], "search": {"trials": 1}}
    few, many = (parse_spec(document(table, **given, confirm={"top": 1, "seeds": seeds})) for seeds in (2, 4))
    first = run_study(few, out=tmp_path / "out", in_process=True)
    grown = run_study(many, out=tmp_path / "out", in_process=True)
    folder = StudyFolder(grown.folder)
    assert grown.rows[0]["list_test_score"] is not None
    number = next(one["number"] for one in iter_records(folder, "t") if one["source"] == first.rows[0]["number"])
    assert read_list(folder, "t", number, 2) is not None, "what was opened stays"
    assert read_list(folder, "t", number, 3) is None
    assert "of the same configurations over fewer seeds, 1 in all." in (grown.folder / "report.html").read_text()
    assert sorted(one["seeds"] for one in StudyArchive(folder).lists("t")) == [2, 2, 4, 4, 4, 4]


@pytest.mark.usefixtures("no_report")
def test_a_single_seed_has_its_own_selection_for_a_list(data: Path, tmp_path: Path) -> None:
    """Most columns have no coefficient, so that chance orders them: in the list as in the trial."""
    table = small_table(tmp_path / "t.csv", rows=200)
    space = {"C": 0.02}
    spec = document(table, methods=["l1_logistic"], space=space, confirm={"top": 1, "seeds": 1})
    (row,) = run_study(parse_spec(spec), out=tmp_path / "out", in_process=True).rows
    assert row["list_val_score"] == row["val_score"]
    assert row["list_test_score"] == row["test_mean"]
    (record,) = (one for one in iter_records(StudyFolder(tmp_path / "out"), "t") if one["stage"] == "confirm")
    assert row["features"] == record["importances"]["l1_coefficient"]["selected"]


@pytest.mark.usefixtures("no_report")
@pytest.mark.parametrize("metric", ["val_balanced_accuracy", ["val_balanced_accuracy", "flops", "k"]])
def test_the_validation_score_is_the_accuracy_that_the_study_judges_by(tmp_path: Path, metric: Any) -> None:
    table = small_table(tmp_path / "t.csv", rows=200)
    several = isinstance(metric, list)
    spec = document(
        table,
        methods=["set"],
        training={"epochs": 4, "patience": 2, "hidden": [6]},
        objective={"metric": metric},
        space={"k": {"values": [2, 3]}} if several else {"sparsity": 0.5},
        confirm={"top": 2, "seeds": 2},
    )
    result = run_study(parse_spec(spec), out=tmp_path / "out", in_process=True)
    (row,), folder = result.rows, StudyFolder(result.folder)
    numbers = [one["number"] for one in iter_records(folder, "t") if one["source"] == row["number"]]
    measured = [read_list(folder, "t", number, 2) for number in numbers]
    for key, part, measure in (
        ("list_val_score", "validation", "balanced_accuracy"),
        ("list_test_score", "test", "accuracy"),
    ):
        assert row[key] == np.mean([one[part][str(row["k"])][measure] for one in measured])
    assert "validation balanced accuracy (optimistic)" in folder.best_spec("t").read_text()


@pytest.mark.usefixtures("no_report")
def test_beside_a_loss_the_list_has_an_accuracy_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    table = small_table(tmp_path / "t.csv", rows=200)
    given = {"methods": ["l1_logistic"], "objective": {"metric": "val_loss"}, "search": {"trials": 1}}
    result = run_study(parse_spec(document(table, **given)), out=tmp_path / "out", in_process=True)
    with pytest.raises(SystemExit):
        main(["best", str(result.folder)])
    (row,), folder = result.rows, StudyFolder(result.folder)
    heading, values, *_ = capsys.readouterr().out.splitlines()
    assert re.search("validation +test accuracy +list: validation accuracy +list: test accuracy", heading)
    assert f" {100 * row['list_val_score']:.1f} % " in values
    assert f"validation accuracy (optimistic) {row['list_val_score']:.4f}" in folder.best_spec("t").read_text()
    monkeypatch.undo()
    write_results(StudyArchive(folder))
    page = folder.report.read_text()
    assert "List: validation accuracy<" in page
    assert "The list&#x27;s validation accuracy is optimistic" in page or "The list's validation accuracy" in page


@pytest.mark.parametrize(
    "change",
    [
        {"columns": "all"},
        {"validation": {"x": {}}},
        {"test": {"2": {"accuracy": "high"}}},
        {"seeds": None},
        {"schema": 2},
    ],
)
def test_a_damaged_list_is_named(finished: StudyResult, tmp_path: Path, change: dict[str, Any]) -> None:
    folder = tmp_path / "out"
    shutil.copytree(finished.folder, folder)
    path = sorted(folder.glob("records/*/*.list-3.json"))[0]
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(RecordError, match=path.name):
        study_status(folder)
