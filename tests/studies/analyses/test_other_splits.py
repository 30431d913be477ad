"""Tests of what studies chose on other outer splits, with a finished study of two real tables."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from dst.data import Design, load_dataset
from studies.analyses.other_splits import (
    COLUMNS,
    FIRST_SEED,
    main,
    on_other_splits,
    on_own_split,
    open_test_rows,
)
from studies.choice.for_k import Wanted
from studies.store.archive import StudyArchive
from studies.store.folder import StudyFolder

FINISHED = Path(__file__).parents[1] / "earlier" / "finished"
TABLE = "breast_cancer"


@pytest.fixture(scope="module")
def archive() -> StudyArchive:
    return StudyArchive(StudyFolder(FINISHED))


def test_the_own_test_rows_give_what_the_study_opened(archive: StudyArchive) -> None:
    compared = 0
    for opening in on_own_split(archive, Wanted((archive.records(TABLE)[0]["k"],), ("l1_logistic",))):
        if opening.dataset != TABLE:
            continue
        by_seed = {of_seed["seed"]: of_seed["number"] for of_seed in opening.choices[0].records}
        opened = json.loads((FINISHED / "records" / TABLE / f"{by_seed[opening.trial.seed]}.test.json").read_text())
        for row in open_test_rows(opening):
            assert row["test_score"] == opened["importances"][row["importance"]]["test_svm_accuracy"]
            compared += 1
    assert compared


def test_other_splits_have_other_test_rows_and_a_training_serves_all_choices_of_a_configuration(
    archive: StudyArchive,
) -> None:
    wanted = Wanted((3, archive.records(TABLE)[0]["k"]), ("set",))
    openings = [one for one in on_other_splits(archive, wanted, (101, 102)) if one.dataset == TABLE]
    assert [opening.trial.seed for opening in openings] == [101, 102]
    table = load_dataset(TABLE)
    own = Design(seed=archive.spec.seed, test_seed=archive.spec.seed).splits(table)[0].test
    tests = [own, *(opening.trial.design.splits(table)[0].test for opening in openings)]
    assert all(not np.array_equal(tests[i], tests[j]) for i, j in ((0, 1), (0, 2), (1, 2)))
    rows = open_test_rows(openings[0])
    assert {row["rules"] for row in rows} == {"any", "top"}
    assert all(0 < row["test_score"] <= 1 and row["seconds"] > 0 for row in rows)


def test_a_changed_setting_is_named_and_what_has_it_already_is_left_out(archive: StudyArchive) -> None:
    wanted = Wanted((archive.records(TABLE)[0]["k"],), ("set",))
    changed = list(on_other_splits(archive, wanted, (101,), settings={"epochs": 3}))
    assert {opening.variant for opening in changed} == {"epochs=3"}
    assert all(opening.trial.settings["epochs"] == 3 for opening in changed)
    assert not list(on_other_splits(archive, wanted, (101,), settings={"epochs": 12}))


@pytest.mark.slow  # processes of their own
def test_what_the_file_has_is_not_computed_again(tmp_path: Path, archive: StudyArchive) -> None:
    k = str(archive.records(TABLE)[0]["k"])
    out = tmp_path / "rows" / "other.csv"
    given = ["--study", str(FINISHED), "--k", k, "--method", "random", "--processes", "1", "--out", str(out)]
    assert main([*given, "--splits", "1"]) == 0
    first = out.read_text()
    assert main([*given, "--splits", "1"]) == 0
    assert out.read_text() == first
    assert main([*given, "--splits", "2"]) == 0
    assert out.read_text().startswith(first)
    rows = list(csv.DictReader(out.open()))
    assert tuple(rows[0]) == COLUMNS
    assert {row["seed"] for row in rows} == {str(FIRST_SEED), str(FIRST_SEED + 1)}
    assert len({tuple(row.values()) for row in rows}) == len(rows)


def test_a_folder_without_a_study_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--study", str(tmp_path), "--out", str(tmp_path / "out.csv")]) == 2
    assert capsys.readouterr().err.startswith("error: ")
    assert not (tmp_path / "out.csv").exists()
