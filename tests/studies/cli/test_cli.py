"""The command line as a user meets it: what it prints where, and with which status it ends."""

from __future__ import annotations

import json
import os
import signal
import time
from importlib.metadata import version

import numpy as np
import pandas as pd
import pytest
import torch
import yaml

from studies.spec.loading import packaged_specs
from tests.support.command import call


@pytest.fixture
def tables(tmp_path):
    """Tables that a user may come with, good and bad."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(40, 6)), columns=list("abcdef"))
    frame["y"] = ["yes", "no"] * 20
    frame.to_csv(tmp_path / "good.csv", index=False)
    frame.assign(a=["x", *frame["a"][1:]]).to_csv(tmp_path / "text.csv", index=False)
    frame.assign(a=[None, *frame["a"][1:]]).to_csv(tmp_path / "missing.csv", index=False)
    frame.assign(y=["once", *frame["y"][1:]]).to_csv(tmp_path / "single.csv", index=False)
    (tmp_path / "empty.csv").touch()
    (tmp_path / "broken.npz").write_text("no archive")
    (tmp_path / "folder.csv").mkdir()
    (tmp_path / "spec.yaml").write_text(yaml.safe_dump({"name": "s", "datasets": ["wine"]}))
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["trial", "--data", "win"], "unknown dataset 'win': did you mean 'wine'?"),
        (["trial", "--data", "{}/nosuch.csv"], "nosuch.csv"),
        (["trial", "--data", "wine", "--method", "rigle"], "unknown method 'rigle': did you mean 'rigl'?"),
        (["trial", "--data", "wine", "--k", "14"], "k must be at most the number of features, 13, but got 14"),
        (["trial", "--data", "wine", "--k", "0"], "k must be at least 1, but got 0"),
        (["trial", "--data", "wine", "--sparsity", "1"], "0 <= sparsity < 1 must hold, but got sparsity=1.0"),
        (["trial", "--data", "wine", "--sparsity", "-0.1"], "0 <= sparsity < 1 must hold"),
        (["trial", "--data", "wine", "--method", "dense", "--sparsity", "2"], "0 <= sparsity < 1 must hold"),
        (["trial", "--data", "wine", "--method", "l1_logistic", "--engine", "foo"], "unknown engine 'foo'"),
        (["trial", "--data", "wine", "--method", "random", "--device", "gpu"], "unknown device 'gpu'"),
        (["trial", "--data", "wine", "--method", "random", "--l2", "-1"], "0 <= l2 < inf must hold"),
        (["trial", "--data", "wine", "--l2", "inf"], "0 <= l2 < inf must hold"),
        (["trial", "--data", "wine", "--split", "papr"], "unknown split 'papr': did you mean 'paper'?"),
        (["trial", "--data", "wine", "--epochs", "0"], "epochs >= 1 must hold"),
        (["trial", "--data", "{}/good.csv"], "target"),
        (["trial", "--data", "{}/good.csv", "--target", "z"], "'z'"),
        (
            ["trial", "--data", "{}/good.csv", "--target", "y", "--group", "a"],
            "only the split 'group' goes by",
        ),
        (["trial", "--data", "{}/good.csv", "--target", "y", "--time", "a"], "only the split 'time' goes by"),
        (["trial", "--data", "{}/text.csv", "--target", "y"], "'a'"),
        (["trial", "--data", "{}/missing.csv", "--target", "y"], "missing"),
        (["trial", "--data", "{}/single.csv", "--target", "y"], "'once'"),
        (["trial", "--data", "{}/empty.csv", "--target", "y"], "empty.csv"),
        (["trial", "--data", "{}/broken.npz"], "broken.npz"),
        (["trial", "--data", "{}/folder.csv", "--target", "y"], "folder.csv"),
        (["trial"], "Missing option '--data'"),
        (["trial", "--data", "wine", "--sed", "3"], "No such option: --sed"),
        (["nothing"], "No such command 'nothing'"),
        (["run", "{}/nosuch.yaml"], "unknown spec"),
        (["run", "{}"], "a spec is a YAML file, but this is a folder"),
        (["run", "{}/spec.yaml", "--set", "serch.trials=3"], "unknown key 'serch': did you mean 'search'?"),
        (["run", "{}/spec.yaml", "--set", "space={sparsity: 1.5}"], "space.sparsity: 0 <= sparsity < 1 must hold"),
        (
            ["run", "{}/spec.yaml", "--set", "space={batch_size: 16.5}"],
            "batch_size must be a whole number, but got 16.5",
        ),
        (["run", "{}/spec.yaml", "--set", "space={threads: 8}"], "space.threads: threads is the same in all trials"),
        (["run", "{}/spec.yaml", "--set", "datasets=[win]"], "unknown dataset 'win'"),
        (["run", "{}/spec.yaml", "--workers", "0"], "workers"),
        (["run", "{}/spec.yaml", "--out", "{}/good.csv"], "cannot be made a study's folder"),
        (["run", "{}/spec.yaml", "--out", "{}"], "neither empty nor a study's folder"),
        (["run", "{}/spec.yaml", "--out", "{}/o", "--address", "127.0.0.1:9"], "127.0.0.1:9"),
        (["run", "{}/spec.yaml", "--out", "{}/session_1/runtime_resources/job/runs"], "files of a Ray session"),
        (["status", "{}"], "is not a study's folder"),
        (["best", "{}/good.csv"], "is not a study's folder"),
        (["report", "{}/nosuch"], "is not a study's folder"),
        (["datasets", "check", "{}/empty.csv", "--target", "y"], "empty.csv"),
    ],
)
def test_a_wrong_call_ends_with_status_2_and_one_line(capsys, tables, arguments, says):
    status, out, err = call(capsys, *(argument.replace("{}", str(tables)) for argument in arguments))
    assert status == 2
    assert out == ""
    assert says in err
    assert err.startswith("error: ")
    assert err.count("\n") == 1


def test_ray_address_is_followed_where_no_other_is_given(capsys, tables, monkeypatch):
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:9")
    status, _, err = call(capsys, "run", tables / "spec.yaml", "--out", tables / "followed")
    assert status == 2
    assert "error: nothing answers at '127.0.0.1:9'" in err
    assert err.startswith("RAY_ADDRESS names a Ray cluster, which runs the trials: 127.0.0.1:9\n")
    _, _, err = call(capsys, "run", tables / "spec.yaml", "--out", tables / "followed", "--address", "127.0.0.1:8")
    assert "error: nothing answers at '127.0.0.1:8'" in err


@pytest.mark.parametrize(
    "command",
    [["run"], ["track"], ["trial"], ["select"], ["bench", "step"], ["bench", "scheduler"], ["bench", "study"]],
    ids=" ".join,
)
def test_the_help_shows_defaults_that_depend(capsys, monkeypatch, command):
    """Typer takes words in brackets for markup."""
    monkeypatch.setenv("COLUMNS", "300")
    _, out, _ = call(capsys, *command, "--help")
    assert "[default: " in out
    assert "\\[" not in out


def test_the_help_names_every_packaged_spec(capsys):
    _, out, _ = call(capsys, "run", "--help")
    assert all(name in out for name in packaged_specs())


def test_trial_prints_one_json_object_with_the_keys_of_the_contract(capsys, tables):
    arguments = ["--data", tables / "good.csv", "--target", "y", "--epochs", 3, "--k", 2, "--test", "--json"]
    status, out, _ = call(capsys, "trial", *arguments)
    assert status == 0
    document = json.loads(out)
    keys = "dataset method sparsity l2 settings seed split k epochs best_epoch val_loss val_accuracy nnz"
    keys += " sparsity_actual flops flops_ratio_to_dense engine device bytes seconds peak_rss_bytes importances"
    assert set(document) == set(keys.split())
    assert set(document["importances"]) == {"neuron_strength", "neuron_attribution"}
    for one in document["importances"].values():
        more = {"val_balanced_accuracy", "val_macro_auc"}
        assert set(one) == {"val_svm_accuracy", "test_svm_accuracy", "selected"} | more
        assert len(one["selected"]) == 2
    assert len(document["nnz"]) == 3
    assert document["sparsity_actual"] == pytest.approx(0.9, abs=0.01)
    assert document["settings"]["epochs"] == 3
    assert document["settings"]["sparsity"] == document["sparsity"] == 0.9
    assert document["settings"]["drop_fraction"] == 0.3, "a default"


def test_a_trial_names_its_engine_and_counts_its_bytes(capsys, tables):
    arguments = ["--data", tables / "good.csv", "--target", "y", "--epochs", 2, "--k", 2, "--json"]
    documents = {}
    for engine in ("auto", "sparse", "dense"):
        _, out, _ = call(capsys, "trial", *arguments, "--engine", engine, "--threads", 2)
        documents[engine] = json.loads(out)
    assert {asked: one["engine"] for asked, one in documents.items()} == {
        "auto": "sparse",
        "sparse": "sparse",
        "dense": "dense",
    }
    held = {engine: one["bytes"] for engine, one in documents.items()}
    assert held["dense"].keys() == held["sparse"].keys()
    assert held["sparse"]["parameters"] < held["dense"]["parameters"] / 5
    assert documents["dense"]["val_loss"] == pytest.approx(documents["sparse"]["val_loss"], rel=1e-3)
    assert {"warm_up", "train", "topology", "evaluate", "rank", "score", "total"} <= documents["auto"]["seconds"].keys()


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
@pytest.mark.parametrize("method", ["set", "lassonet", "l1_logistic"])
def test_a_gpu_that_is_not_there_is_said_in_one_line(capsys, method):
    status, out, err = call(capsys, "trial", "--data", "wine", "--method", method, "--device", "cuda", "--json")
    assert (status, out) == (2, "")
    assert "device cuda needs a GPU" in err
    assert err.count("\n") == 1


def test_test_rows_stay_closed_unless_asked_for(capsys):
    _, out, _ = call(capsys, "trial", "--data", "wine", "--method", "l1_logistic", "--json")
    document = json.loads(out)
    assert "test_svm_accuracy" not in document["importances"]["l1_coefficient"]
    assert document["sparsity"] is None
    assert document["l2"] is None


def test_a_trial_for_people(capsys):
    status, out, _ = call(capsys, "trial", "--data", "wine", "--epochs", 5, "--test")
    assert status == 0
    assert "wine: 178 rows, 13 columns, 3 classes" in out
    assert "neuron_attribution" in out


def test_datasets_are_listed_and_checked(capsys, tables):
    _, out, _ = call(capsys, "datasets", "list", "--json")
    datasets = {row["name"]: row for row in json.loads(out)["datasets"]}
    assert datasets["wine"]["available"]
    assert set(datasets["wine"]) == {"name", "samples", "features", "classes", "kind", "available", "sha256", "source"}
    _, out, _ = call(capsys, "datasets", "list")
    assert out.splitlines()[0].split() == ["name", "samples", "features", "classes", "kind", "available", "sha256"]
    _, out, _ = call(capsys, "datasets", "check", tables / "good.csv", "--target", "y", "--json")
    document = json.loads(out)
    assert set(document) == {"name", "samples", "features", "classes", "sha256", "known", "problems", "class_counts"}
    assert (document["samples"], document["features"], document["classes"]) == (40, 6, 2)
    _, out, _ = call(capsys, "datasets", "check", tables / "single.csv", "--target", "y")
    assert "problem: " in out


def test_a_diverged_trial_is_failed_work(capsys, monkeypatch):
    import dst.trial.single
    from dst.errors import DivergedError

    def diverge(*arguments):
        raise DivergedError("the loss must stay finite")

    monkeypatch.setattr(dst.trial.single, "run_trial", diverge)
    status, _, err = call(capsys, "trial", "--data", "wine")
    assert (status, err) == (1, "error: the loss must stay finite\n")


def test_sigterm_ends_a_command_that_a_shell_has_put_into_the_background(capsys, monkeypatch):
    """SIGINT is ignored there."""
    import dst.trial.single

    def work(*arguments):
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(5)

    monkeypatch.setattr(dst.trial.single, "run_trial", work)
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        status, _, err = call(capsys, "trial", "--data", "wine")
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    assert (status, err) == (130, "interrupted\n")


def test_the_version_is_that_of_the_package(capsys):
    assert call(capsys, "--version") == (0, f"dst-studies {version('dst-studies')}\n", "")
