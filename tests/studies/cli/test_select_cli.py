"""``dst select`` and ``dst export`` as a user meets them."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import yaml

from studies.cli.main import main
from studies.run import run_study
from studies.spec.loading import parse_spec


def call(capsys, *arguments) -> tuple[int, str, str]:
    """Run ``dst`` in this process; return its status and what it printed."""
    with pytest.raises(SystemExit) as ended:
        main([str(argument) for argument in arguments])
    printed = capsys.readouterr()
    return ended.value.code, printed.out, printed.err


@pytest.fixture
def mine(tmp_path, monkeypatch):
    """A table of 20 numbers and a colour, of which ``n3`` and the colour say the label; some of ``n3`` is missing."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(400, 20)), columns=[f"n{i}" for i in range(20)])
    frame["colour"] = rng.choice(["red", "green", "blue"], 400)
    frame["label"] = np.where(frame["n3"] + 1.5 * (frame["colour"] == "red") > 0.5, "bad", "good")
    frame.loc[:19, "n3"] = np.nan
    frame.to_csv("mine.csv", index=False)
    return tmp_path


def test_select_ranks_an_own_table(capsys, mine):
    options = ("--target", "label", "--k", "2", "--impute", "median", "--repeats", "2")
    status, out, err = call(capsys, "select", "mine.csv", *options, "--json")
    assert status == 0
    document = json.loads(out)
    assert {row["name"] for row in document["selected"]} == {"n3", "colour"}
    assert document["val_accuracy"] > 0.6
    assert document["stability"] == 1
    worth = {stick["name"]: stick["mean"] for stick in document["yardsticks"]}
    assert worth.keys() == {"selected", "no column", "random", "l1_logistic", "extra_trees", "all"}
    assert worth["selected"] > max(worth["random"], worth["no column"]) + 0.2
    assert document["better_than_chance"] is True
    assert -1 <= document["stability_by_chance"] < 1
    assert [len(each["best_epochs"]) for each in document["training"]] == [1, 1]
    assert "network 2 of 2" in err
    table = pd.read_csv(document["out"])
    assert list(table.columns) == ["rank", "column", "name", "score", "stability", "stands_for"]
    assert table["rank"].tolist() == list(range(1, 22))
    assert table["score"].is_monotonic_decreasing
    assert (mine / document["plot"]).read_bytes().startswith(b"\x89PNG")
    assert sorted(path.name for path in mine.iterdir()) == ["mine-features.csv", "mine-features.png", "mine.csv"]
    status, out, _ = call(capsys, "select", "mine.csv", *options, "--out", "there/ranked.csv", "--no-yardsticks")
    assert status == 0
    assert "colour" in out
    assert "Best epochs: " in out
    assert "chance" not in out
    assert (mine / "there" / "ranked.png").exists()
    pd.testing.assert_frame_equal(pd.read_csv("there/ranked.csv"), table)


def test_select_finds_how_many_columns_are_enough(capsys, mine):
    options = ("--target", "label", "--k", "auto", "--impute", "median", "--repeats", "2", "--epochs", "20")
    options += ("--no-yardsticks",)
    status, out, _ = call(capsys, "select", "mine.csv", *options, "--json")
    assert status == 0
    document = json.loads(out)
    assert [row["name"] for row in document["selected"]][:2] in (["n3", "colour"], ["colour", "n3"])
    assert 2 <= document["k"] == len(document["selected"]) <= 5
    assert [point["k"] for point in document["k_curve"]] == [1, 2, 3, 5, 7, 10, 14, 20, 21]
    assert all(point["low"] <= point["mean"] <= point["high"] for point in document["k_curve"])
    status, out, _ = call(capsys, "select", "mine.csv", *options)
    assert status == 0
    mean = next(point["mean"] for point in document["k_curve"] if point["k"] == document["k"])
    assert f"K = {document['k']} of 21 columns: {100 * mean:.1f} % (" in out
    assert "the held-out rows that stopped training: optimistic" in out


def test_select_ranks_for_a_target_of_numbers(capsys, mine):
    frame = pd.read_csv("mine.csv").drop(columns="label")
    frame["n3"] = frame["n3"].fillna(0)
    frame["price"] = 1000 * (frame["n3"] + 2 * (frame["colour"] == "red"))
    frame.to_csv("prices.csv", index=False)
    options = ("--target", "price", "--k", "2", "--repeats", "2", "--method", "lasso", "--out", "prices-features.csv")
    status, out, _ = call(capsys, "select", "prices.csv", *options, "--json")
    assert status == 0
    document = json.loads(out)
    assert document["classes"] == 0
    assert {row["name"] for row in document["selected"]} == {"n3", "colour"}
    worth = {stick["name"]: stick["mean"] for stick in document["yardsticks"]}
    assert worth["selected"] > 0.5 > worth["no column"]
    assert document["better_than_chance"] is True
    frame["price"] = frame["price"].round().astype(int)
    frame.to_csv("prices.csv", index=False)
    status, _, err = call(capsys, "select", "prices.csv", *options)
    assert status == 2
    assert "different whole numbers in 400 rows: say --task regression" in err
    status, out, _ = call(capsys, "select", "prices.csv", *options, "--task", "regression")
    assert status == 0
    assert "a target of numbers" in out
    assert "none: the mean" in out
    assert "Better than chance" in out


@pytest.mark.slow
def test_select_by_halves_bounds_the_columns_that_say_nothing(capsys, mine):
    options = ("--target", "label", "--k", "2", "--impute", "median", "--repeats", "2", "--resampling", "halves")
    status, out, err = call(capsys, "select", "mine.csv", *options, "--json")
    assert status == 0
    assert "network 4 of 4" in err
    document = json.loads(out)
    assert document["k_curve"] == []
    assert [columns["threshold"] for columns in document["stable"]] == [0.6, 0.75, 0.9]
    assert document["stable"][-1]["expected_false"] == pytest.approx(4 / (0.8 * 21))
    status, out, _ = call(capsys, "select", "mine.csv", *options)
    assert status == 0
    stable = document["stable"][-1]["columns"]
    assert f"Selected by at least 90 % of the halves: {stable} columns; expected to say nothing: at most 0.24" in out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--target", "label"], "--impute"),
        (["--target", "label", "--k", "all"], "--k must be a whole number or auto, but got 'all'"),
        (["--target", "label", "--impute", "mean", "--k", "auto", "--repeats", "1"], "n_repeats >= 2"),
        (["--target", "label", "--impute", "mean", "--resampling", "half"], "did you mean 'halves'"),
        (["--target", "labl", "--impute", "mean"], "'labl'"),
        (["--target", "label", "--impute", "men"], "did you mean 'mean'"),
        (["--target", "label", "--impute", "mean", "--k", "22"], "21"),
        (["--target", "label", "--impute", "mean", "--out", "mine.csv"], "must not be the table itself"),
        (["--target", "label", "--impute", "mean", "--out", "ranked.txt"], "must end in .csv"),
        (["--target", "label", "--impute", "mean", "--method", "rigle"], "did you mean 'rigl'"),
        (["--target", "label", "--impute", "mean", "--sparsity", "1"], "0 <= sparsity < 1"),
    ],
)
def test_select_refuses_wrong_calls_and_writes_nothing(capsys, mine, arguments, says):
    before = (mine / "mine.csv").read_bytes()
    status, out, err = call(capsys, "select", "mine.csv", *arguments)
    assert (status, out) == (2, "")
    assert says in err
    assert err.count("\n") == 1
    assert [path.name for path in mine.iterdir()] == ["mine.csv"]
    assert (mine / "mine.csv").read_bytes() == before


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """A finished study of wine."""
    folder = tmp_path_factory.mktemp("export") / "study"
    spec = {
        "name": "s",
        "datasets": ["wine"],
        "training": {"epochs": 8, "hidden": [16, 8], "dropout": 0.1},
        "scoring": {"scorer": "knn", "k_values": [2, 6, 99], "max_rows": 60},
        "objective": {"metric": "val_balanced_accuracy"},
        "search": {"trials": 2, "batch": 2},
        "confirm": {"top": 1, "seeds": 3},
        "tracking": {"wandb": {"mode": "disabled"}},
    }
    run_study(parse_spec(spec), out=folder, in_process=True)
    return folder


@pytest.mark.slow
def test_a_study_scores_several_k_by_the_named_scorer(study):
    records = [json.loads(path.read_text()) for path in sorted((study / "records" / "wine").glob("[0-9].json"))]
    for record in records:
        assert record["scorer"] == "knn"
        assert record["scorer_max_rows"] == (60 if record["stage"] == "search" else None)
        best = record["importances"][record["importance"]]
        assert set(best["by_k"]) == {"2", "4", "6"}
        assert record["val_score"] == best["val_balanced_accuracy"]
    row = pd.read_csv(study / "best.csv").iloc[0]
    assert row["stability_low"] <= row["stability"] <= row["stability_high"]
    assert "Stability" in (study / "report.html").read_text()


def test_a_study_says_which_k_is_enough(capsys, study):
    status, out, _ = call(capsys, "best", study, "--json")
    assert status == 0
    (row,) = json.loads(out)["best"]
    assert [point["k"] for point in row["k_curve"]] == [2, 4, 6]
    assert row["k_curve"][1]["mean"] == row["val_score"]
    assert row["smallest_k"] in (2, 4, 6)
    for name in ("best.csv", "best_by_method.csv"):
        assert row["smallest_k"] in pd.read_csv(study / name)["smallest_k"].tolist()
    point = next(point for point in row["k_curve"] if point["k"] == row["smallest_k"])
    words = f"wine: K = {point['k']} has {100 * point['mean']:.1f} % ({100 * point['low']:.1f} to"
    status, out, _ = call(capsys, "best", study)
    assert status == 0
    assert words in out
    assert words in (study / "report.html").read_text()
    assert (study / "plots" / "score_over_k.svg").exists()


@pytest.mark.slow
def test_export_is_used_by_a_fresh_process(capsys, study, tmp_path):
    to = tmp_path / "winner"
    status, out, _ = call(capsys, "export", study, "--dataset", "wine", "--to", to, "--json")
    assert status == 0
    document = json.loads(out)
    assert document == json.loads((to / "export.json").read_text())
    assert sorted(path.name for path in to.iterdir()) == ["export.json", "features.csv", "selector.npz", "spec.yaml"]
    assert [path.name for path in tmp_path.iterdir()] == ["winner"]
    parse_spec(yaml.safe_load((to / "spec.yaml").read_text()))
    assert pd.read_csv(to / "features.csv")["name"].head(4).tolist() == document["selected"]
    code = (
        "import sys, dst, pandas\n"
        "data = dst.load_dataset('wine')\n"
        "selector = dst.SparseFeatureSelector.load(sys.argv[1])\n"
        "frame = pandas.DataFrame(data.x, columns=list(data.feature_names))\n"
        "print(*sorted(selector.set_output(transform='pandas').transform(frame).columns))"
    )
    run = [sys.executable, "-c", code, str(to / "selector.npz")]
    printed = subprocess.run(run, capture_output=True, text=True, check=True).stdout
    assert printed.split() == sorted(document["selected"])


def test_export_refuses_wrong_calls_and_writes_nothing(capsys, study, tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "kept").touch()
    for arguments, says in (
        ((study, "--dataset", "win", "--to", tmp_path / "x"), "did you mean 'wine'"),
        ((tmp_path, "--dataset", "wine", "--to", tmp_path / "x"), "study.yaml"),
        ((study, "--dataset", "wine", "--to", tmp_path / "full"), "is empty"),
    ):
        status, out, err = call(capsys, "export", *arguments)
        assert (status, out) == (2, "")
        assert says in err
    assert [path.name for path in tmp_path.iterdir()] == ["full"]
