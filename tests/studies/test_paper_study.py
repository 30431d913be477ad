"""The paper's study in small: datasets that are not at hand, test rows opened once for every metric and K."""

from __future__ import annotations

import json
import re
from importlib import resources

import pandas as pd
import pytest
import yaml

from dst.errors import AbsentDataError
from dst.rankers import RANKERS, method_groups, parameters
from search_spaces import load_space
from studies.compare.reference import paper_accuracy
from studies.report.test_scores import OPENED_COLUMNS, read_opened_scores
from studies.run import run_study
from studies.spec.errors import SpecError
from studies.spec.loading import load_spec, parse_spec
from studies.spec.space import search_space
from studies.store.folder import StudyFolder
from studies.store.record import iter_records, read_test

SMALL = {
    "name": "small",
    "datasets": ["wine", {"path": "Yale", "split": "paper"}],
    "absent_datasets": "skip",
    "methods": ["set", "lasso", "f_score"],
    "space": {
        "sparsity": {"value": 0.5, "when": {"method": "set"}},
        "alpha": {"values": [0.01, 0.1], "when": {"method": "lasso"}},
    },
    "training": {"epochs": 5, "patience": 5, "hidden": [20, 10]},
    "scoring": {"k_values": [2, 6]},
    "search": {"sampler": "grid", "pruner": "none", "trials": 10},
    "confirm": {"top": 1, "seeds": 2},
    "tracking": {"wandb": {"mode": "disabled"}},
}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A study of two datasets of which one is not there."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DST_DATA_DIR", str(tmp_path_factory.mktemp("no_data")))
        yield run_study(parse_spec(dict(SMALL)), out=tmp_path_factory.mktemp("studies") / "small", in_process=True)


def test_what_is_not_at_hand_is_left_out_and_said(finished):
    noted = yaml.safe_load((finished.folder / "study.yaml").read_text())
    assert noted["resolved"]["absent"] == ["Yale"]
    assert [one["path"] for one in noted["datasets"]] == ["wine"]
    assert "Left out, because their files were not at hand: Yale." in (finished.folder / "report.html").read_text()
    assert {row["dataset"] for row in finished.rows} == {"wine"}


def test_the_same_call_finds_nothing_left_to_do(finished, caplog):
    again = run_study(parse_spec(dict(SMALL)), out=finished.folder, in_process=True)
    assert not again.ran
    assert "not at hand, so left out: Yale" in caplog.text


def test_what_is_not_at_hand_is_an_error_unless_the_spec_says_otherwise(tmp_path, monkeypatch):
    monkeypatch.setenv("DST_DATA_DIR", str(tmp_path))
    spec = {key: value for key, value in SMALL.items() if key != "absent_datasets"}
    with pytest.raises(AbsentDataError, match=r"Yale is read from Yale\.mat, which is not in"):
        run_study(parse_spec(spec), out=tmp_path / "out", in_process=True)
    assert not (tmp_path / "out").exists()
    with pytest.raises(SpecError, match="one at least must be at hand, but none of Yale, ORL is"):
        run_study(parse_spec({**SMALL, "datasets": ["Yale", "ORL"]}), out=tmp_path / "out", in_process=True)
    assert not (tmp_path / "out").exists()


def test_one_opening_scores_every_metric_at_every_k(finished):
    folder = StudyFolder(finished.folder)
    opened = {}
    for record in iter_records(folder, "wine"):
        if (test := read_test(folder, "wine", record["number"])) is not None:
            opened[record["number"]] = record, test["importances"]
    assert len(opened) == 3 * 2, "the best of each method, over two seeds"
    for record, importances in opened.values():
        assert record["stage"] == "confirm"
        assert importances.keys() == record["importances"].keys()
        for one in importances.values():
            assert set(one["by_k"]) == {"2", "4", "6"}
            assert one["test_svm_accuracy"] == one["by_k"]["4"]


def test_the_table_of_opened_scores_holds_all_of_them(finished):
    table = read_opened_scores(finished.folder)
    metrics = table.groupby("method")["importance"].nunique().to_dict()
    assert metrics["lasso"] == metrics["f_score"] == 1
    assert metrics["set"] >= 2
    assert len(table) == sum(metrics.values()) * 3 * 2
    assert table["k"].isin([2, 4, 6]).all()
    best = pd.read_csv(finished.folder / "best_by_method.csv")
    for row in best.itertuples():
        same = (table["method"] == row.method) & (table["importance"] == row.importance) & (table["k"] == row.k)
        assert table.loc[same, "test_accuracy"].mean() == pytest.approx(row.test_mean)
        assert len(table[same]) == row.seeds
    assert table["coverage"].isna().all(), "nobody knows which columns of wine are informative"
    assert list(table.columns) == list(OPENED_COLUMNS)


def test_a_named_importance_is_the_only_one_that_is_opened(tmp_path):
    few = {"methods": ["set"], "space": {"sparsity": 0.5}, "confirm": {"top": 1, "seeds": 1}}
    spec = {**SMALL, **few, "datasets": ["wine"], "objective": {"importance": "neuron_strength"}}
    table = read_opened_scores(run_study(parse_spec(spec), out=tmp_path / "s", in_process=True).folder)
    assert set(table.loc[table["method"] == "set", "importance"]) == {"neuron_strength"}


def test_coverage_is_the_share_of_informative_columns_among_the_first(tmp_path):
    spec = {**SMALL, "datasets": [{"path": "synthetic_100", "k": 100}], "methods": ["f_score"], "space": {}}
    spec["scoring"] = {"k_values": [50, 150]}
    folder = run_study(parse_spec(spec), out=tmp_path / "s", in_process=True).folder
    table = read_opened_scores(folder)
    assert table.loc[table["k"] == 50, "coverage"].isna().all(), "fifty columns cannot hold a hundred"
    assert table.loc[table["k"] == 150, "coverage"].between(0.5, 1).all()
    names = json.loads((folder / "records" / "synthetic_100" / "columns.json").read_text())
    for record in iter_records(StudyFolder(folder), "synthetic_100"):
        if record["stage"] == "confirm":
            hits = sum(
                names[column].startswith("informative") for column in record["importances"]["f_score"]["selected"]
            )
            row = table[(table["k"] == 100) & (table["seed_index"] == record["seed_index"])].iloc[0]
            assert row["coverage"] == pytest.approx(hits / 100)


@pytest.mark.parametrize(
    ("name", "points"),
    [
        ("paper", 39),
        ("paper_l2", 39),
        ("paper_svm", 65),
        ("paper_baselines", 14),
        ("paper_search_baselines", 16),
        ("paper_synthetic", 39),
        ("paper_sparsities", 18),
    ],
)
def test_the_papers_studies_run_their_whole_grid(name, points):
    spec = load_spec(name)
    allowed = set().union(*(parameters(method) for method in RANKERS))
    space = load_space(spec.space, methods=spec.methods, allowed=allowed, known_methods=RANKERS, groups=method_groups())
    grid = space.grid()
    assert len(grid) == spec.search.trials == spec.search.batch == points
    assert {point["method"] for point in grid} == set(spec.methods)
    if name != "paper_synthetic":
        assert [one.path for one in spec.datasets] == list(dict.fromkeys(paper_accuracy()["dataset"]))
    assert {one.split for one in spec.datasets} == {"paper"}
    assert spec.confirm.seeds == 5


def test_the_wide_search_is_of_the_papers_datasets_and_rows_and_of_sparse_networks():
    spec = load_spec("paper_search")
    assert [one.path for one in spec.datasets] == [one.path for one in load_spec("paper").datasets]
    assert {(one.split, one.k) for one in spec.datasets} == {("paper", 25), ("paper", 20)}
    assert {one.path for one in spec.datasets if one.k == 20} == {"Madelon"}
    assert search_space(spec).distributions.keys() == {"method", *spec.space}
    assert set(spec.methods) <= set(method_groups()["sparse"])
    assert spec.search.trials >= 30
    assert (spec.confirm.top, spec.confirm.seeds) == (5, 5)


def test_the_cut_in_the_papers_spec_is_what_it_says():
    text = resources.files("studies.spec").joinpath("packaged", "paper.yaml").read_text(encoding="utf-8")
    lines = [line.removeprefix("#").strip() for line in text.splitlines() if line.startswith("#")]
    cut = re.search(r"--set '(space=.*?)'", " ".join(lines))
    assert cut is not None
    spec = load_spec("paper", [cut[1]])
    allowed = set().union(*(parameters(method) for method in RANKERS))
    space = load_space(spec.space, methods=spec.methods, allowed=allowed, known_methods=RANKERS, groups=method_groups())
    assert f"{len(space.grid())} of them" in text
