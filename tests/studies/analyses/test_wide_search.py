"""Tests of the tables of the wide search's page, with scores small enough to be averaged by hand."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import numpy as np
import pandas as pd
import pytest

from studies.analyses.chosen_scores import (
    beside_paper,
    mean_test_scores,
    paired,
    parts,
    parts_of_training,
    rankings_of,
    with_networks_together,
)
from studies.analyses.wide_search import page_tables
from studies.compare.reference import paper_accuracy
from studies.store.archive import StudyArchive
from studies.store.folder import StudyFolder

FINISHED = Path(__file__).parents[1] / "earlier" / "finished"
BASE = {
    "study": "s",
    "variant": "",
    "rules": "any",
    "k": 25,
    "split": "stratified",
    "seed": 101,
    "place": 1,
    "val_score": 0.5,
}


def rows(*given: dict[str, object]) -> pd.DataFrame:
    return pd.DataFrame([{**BASE, **row} for row in given])


def test_the_network_of_a_dataset_is_the_method_that_validation_puts_first() -> None:
    scores = rows(
        {"dataset": "A", "method": "set", "test_score": 0.1},
        {"dataset": "A", "method": "set", "test_score": 0.2, "seed": 102},
        {"dataset": "A", "method": "rigl", "place": 2, "test_score": 0.9},
        {"dataset": "B", "method": "set", "place": 3, "test_score": 0.2},
        {"dataset": "B", "method": "rigl", "place": 2, "test_score": 0.3},
        {"dataset": "B", "method": "lasso", "test_score": 0.4},
    )
    found = with_networks_together(scores)
    entries = found["dataset"] + " " + found["method"]
    assert list(zip(entries, found["test_score"], strict=True)) == [
        ("A network", 0.1),
        ("A network", 0.2),
        ("B network", 0.3),
        ("B lasso", 0.4),
    ]


def test_an_entry_is_ahead_by_the_mean_over_datasets_of_its_means_over_splits() -> None:
    scores = rows(
        {"dataset": "A", "method": "network", "test_score": 0.8},
        {"dataset": "A", "method": "network", "test_score": 0.6, "seed": 102},
        {"dataset": "A", "method": "lasso", "test_score": 0.6},
        {"dataset": "B", "method": "network", "test_score": 0.5},
        {"dataset": "B", "method": "lasso", "test_score": 0.6},
        {"dataset": "Madelon", "method": "lasso", "test_score": 0.9},
        {"dataset": "A", "method": "stg", "test_score": 0.9},  # lacks a dataset
    )
    table = mean_test_scores(scores, 25)
    assert list(table.columns) == ["A", "B"]
    assert table.loc[("network", "any"), "A"] == pytest.approx(0.7)
    [lasso] = paired(scores, 25).to_dict("records")
    assert (lasso["method"], lasso["wins"], lasso["losses"], lasso["splits"]) == ("lasso", 1, 1, 1)
    assert lasso["difference"] == pytest.approx((0.2 - 0.1) / 2)  # on the split that both have
    assert lasso["high"] == pytest.approx(0.05 + 12.706 * 0.15, rel=1e-3)  # Student's t of 0.2 and -0.1


def test_a_part_is_worth_what_its_absence_costs_and_nothing_where_it_was_not_chosen() -> None:
    scores = rows(
        {"dataset": "A", "method": "network", "test_score": 0.8},
        {"dataset": "A", "method": "network", "test_score": 0.5, "rules": "top"},
        {"dataset": "A", "method": "network", "test_score": 0.6, "variant": "networks=1"},
        {"dataset": "B", "method": "network", "test_score": 0.7},
        {"dataset": "B", "method": "network", "test_score": 0.7, "rules": "top"},
    )
    found = parts(scores, 25).set_index("part")
    assert found.loc["rules=top", "difference"] == pytest.approx(0.15)
    assert found.loc["networks=1", "difference"] == pytest.approx(0.1)
    assert found["datasets"].to_dict() == {"rules=top": 2, "networks=1": 1}


@pytest.mark.parametrize("less", [0.0, 0.001, 0.5])
def test_the_paper_is_reached_at_its_best_network_less_one_standard_error(less: float) -> None:
    published = paper_accuracy()
    yale = published[published["dataset"] == "Yale"]
    networks = yale[yale["importance"] != "-"].sort_values("mean")
    best = networks.iloc[-1]
    mean = best["mean"] - less
    own = rows(
        {"dataset": "Yale", "method": "network", "k": 100, "test_score": mean - 0.01, "seed": 1},
        {"dataset": "Yale", "method": "network", "k": 100, "test_score": mean + 0.01, "seed": 2},
        {"dataset": "Yale", "method": "network", "k": 25, "test_score": 0.0, "seed": 2},
    )
    [row] = beside_paper(own).to_dict("records")
    assert row["mean"] == pytest.approx(mean, abs=1e-4)
    assert row["above"] == (less == 0.0)
    assert row["reached"] == (less <= best["std"] / np.sqrt(10))
    assert row["above_all"] == (row["mean"] >= yale["mean"].max())


def test_the_page_has_the_winners_settings_and_all_entries(tmp_path: Path) -> None:
    study = tmp_path / "wide"
    study.mkdir()
    params = {"method": "rigl", "networks": 2, "rounds": 3, "sparsity": 0.95, "l2": 0.03, "distribution": "er"}
    search = [{"dataset": name, "number": 7, "params": json.dumps(params)} for name in ("A", "Yale")]
    pd.DataFrame(search).to_csv(study / "search.csv", index=False)
    (study / "cost.csv").write_text("dataset,method,stage,state,trials,core_seconds\nA,rigl,search,finished,30,7200\n")
    (study / "spent.json").write_text('{"wall_seconds": 3600.0, "search_seconds": 5.0, "lost": {}, "running": {}}')
    (study / "rankings.csv").write_text(
        "dataset,metric,rule,trials,mean,best\nA,strength,top,2,0.5,0.6\nA,strength,greedy,2,0.7,0.8\n"
    )
    pd.DataFrame(
        [
            {"dataset": name, "networks": n, "rounds": 1, "metric": "m", "rule": rule, "k": k, "mean": share + n / 10}
            for name, share in (("A", 0.1), ("Yale", 0.3), ("Madelon", 0.9))
            for n in (1, 4)
            for rule, k in (("top", 25), ("top", 100))
        ]
    ).to_csv(study / "parts.csv", index=False)
    chosen = {"study": "wide", "split": "paper", "number": 7, "importance": "neuron_attribution+greedy"}
    rival = {"study": "rivals", "split": "paper", "number": 1, "importance": "f_score", "method": "f_score"}
    scores = rows(
        *({**chosen, "dataset": "A", "method": "rigl", "test_score": share, "seed": share} for share in (0.5, 0.6)),
        *({**chosen, "dataset": "Yale", "method": "rigl", "test_score": 0.7, "k": k, "seed": 1} for k in (25, 100)),
        *({**rival, "rules": "top", "dataset": name, "test_score": 0.5} for name in ("A", "Yale")),
    )
    scores.to_csv(tmp_path / "own_split.csv", index=False)
    tables = page_tables(tmp_path)
    assert "| wide | 30 | 2.0 | 1.0 |" in tables["cost"]
    assert tables["rankings, wide"].splitlines()[2:] == [
        "| `top` | 50.0 | 50.0 |",
        "| `greedy` | 70.0 | 70.0 |",
        "| `strength` | 60.0 | 60.0 |",
    ]
    assert tables["parts, wide"].splitlines() == [
        "| networks x rounds | metric | `top`, 25 | `top`, 100 |",
        "| --- | --- | --- | --- |",
        "| 1 x 1 | `m` | 30.0 | 30.0 |",
        "| 4 x 1 | `m` | 60.0 | 60.0 |",
    ]
    settings = "sparsity 0.95, l2 0.03, distribution er"
    winner = f"| A | rigl, 2 x 3 | {settings} | `neuron_attribution+greedy` | 50.0 | 55.0 ± 7.1 |"
    assert winner in tables["winners"].splitlines()
    assert tables["paper"].splitlines()[-1].startswith("| Yale | 70.0 ± ")
    assert "| network, any rule | 62.5 | **55.0** | **70.0** |" in tables["own split, 25"].splitlines()
    assert tables["own split, 25, paired"].splitlines()[-1].startswith("| f_score | +12.5 [")
    scores.assign(seed=101, variant="networks=1").to_csv(tmp_path / "more.csv", index=False)
    both = pd.concat([scores, pd.read_csv(tmp_path / "more.csv", keep_default_na=False)])
    both.to_csv(tmp_path / "other_splits.csv", index=False)
    assert "| `networks=1` | " in page_tables(tmp_path)["parts"]


def test_rankings_are_those_of_the_search() -> None:
    archive = StudyArchive(StudyFolder(FINISHED))
    found = rankings_of(archive).set_index(["dataset", "metric", "rule"])
    scores = [
        record["importances"]["random"]["val_svm_accuracy"]
        for record in archive.records("wine")
        if record["stage"] == "search" and record["method"] == "random"
    ]
    row = found.loc[("wine", "random", "top")]
    assert (row["trials"], row["best"]) == (len(scores), max(scores))
    assert row["mean"] == pytest.approx(sum(scores) / len(scores))


def test_rankings_of_confirming_trials_are_told_apart_by_networks_and_rounds() -> None:
    archive = StudyArchive(StudyFolder(FINISHED))
    found = parts_of_training(archive)
    assert set(found["networks"]) == set(found["rounds"]) == {1}
    scores = [
        result["val_svm_accuracy"]
        for record in archive.records("wine")
        if record["stage"] == "confirm"
        for name, result in record["importances"].items()
        if name == "random"
    ]
    [row] = found[(found["dataset"] == "wine") & (found["metric"] == "random")].to_dict("records")
    assert (row["trials"], row["k"]) == (len(scores), archive.records("wine")[0]["k"])
    assert row["mean"] == pytest.approx(sum(scores) / len(scores))


def test_rankings_are_told_apart_by_k_too() -> None:
    ranking = {"selected": [0], "val_svm_accuracy": 0.5, "by_k": {"25": {"accuracy": 0.5}, "50": {"accuracy": 0.75}}}
    record = {
        "dataset": "A",
        "stage": "confirm",
        "k": 25,
        "params": {},
        "settings": {"networks": 4, "rounds": 3},
        "importances": {"neuron_strength+greedy": ranking},
    }
    archive = cast("StudyArchive", SimpleNamespace(all_records=lambda: [record, record]))
    found = parts_of_training(archive)
    assert found.to_dict("records") == [
        {"dataset": "A", **parts, "metric": "neuron_strength", "rule": "greedy", "k": k, "trials": 2, "mean": mean}
        for parts in [{"networks": 4, "rounds": 3}]
        for k, mean in ((25, 0.5), (50, 0.75))
    ]
