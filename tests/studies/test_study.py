"""Whole studies on a small table: in this process for speed, through Ray where that is the point."""

from __future__ import annotations

import importlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from cluster.ledger.durable import read_entries
from cluster.ledger.storage.connect import open_storage
from dst.errors import InputError
from studies.report.status import study_status
from studies.report.tables import BEST_COLUMNS, TRIAL_COLUMNS
from studies.report.write import write_results
from studies.run import run_study
from studies.spec.loading import load_spec
from studies.store.archive import StudyArchive
from studies.store.folder import StudyFolder
from studies.store.record import iter_records, read_test
from studies.store.record_codec import RecordError
from studies.store.study_file import read_resolved, read_study, storage_name
from tests.support.deaths import dies_at_record
from tests.support.two_tables import Killed, digests, document, spec_of, table, without_measurements


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A finished study and its spec."""
    tmp_path = tmp_path_factory.mktemp("finished")
    spec = spec_of(tmp_path)
    return spec, run_study(spec, out=tmp_path / "out", in_process=True)


def test_the_winner_is_named_with_its_features_and_test_accuracy(finished):
    _, result = finished
    assert result.ran
    assert list(result.best["dataset"]) == ["a", "b"]
    for row in result.rows:
        assert set(row) == {*BEST_COLUMNS, "k_curve"}
        assert row["method"] != "random"
        assert {3, 8} <= set(row["features"])
        assert len(row["features"]) == row["k"] == 6
        assert row["test_mean"] > 0.85
        assert row["seeds"] == 2
    assert set(result.best_by_method["method"]) == {"set", "l1_logistic", "random"}
    random_rows = result.best_by_method[result.best_by_method["method"] == "random"]
    assert (random_rows["val_score"].to_numpy() < result.best["val_score"].to_numpy()).all()


def test_every_file_of_the_contract_is_there(finished):
    _, result = finished
    folder = result.folder
    for name in (
        "study.yaml",
        "study.db",
        "trials.parquet",
        "trials.csv",
        "best.csv",
        "best_by_method.csv",
        "report.html",
        "report.md",
    ):
        assert (folder / name).stat().st_size > 0
    for name in "ab":
        features = pd.read_csv(folder / "features" / f"{name}.csv")
        assert list(features.columns) == ["rank", "column", "name", "score", "stability", "stands_for"]
        assert sorted(features["column"]) == list(range(24))
        assert {"f3", "f8"} <= set(features["name"][:6])
    assert list(result.trials.columns) == list(TRIAL_COLUMNS)
    noted = yaml.safe_load((folder / "study.yaml").read_text())["resolved"]
    assert set(noted["datasets"]) == {"a", "b"}
    assert noted["versions"]["torch"]


def test_the_report_says_among_how_many_rankings_a_winner_was_found_and_what_it_came_to_over_seeds(finished):
    _, result = finished
    text = (result.folder / "report.html").read_text()
    for row in result.rows:
        search = {
            record["number"]: record
            for record in iter_records(StudyFolder(result.folder), row["dataset"])
            if (record["stage"], record["state"]) == ("search", "finished")
        }
        rankings = sum({"set": 2, "l1_logistic": 1, "random": 1}[record["method"]] for record in search.values())
        said = f"{row['dataset']}: {rankings} rankings of {len(search)} trials, "
        said += f"{search[row['number']]['val_score']:.4f} in the search, {row['val_score']:.4f} over seeds"
        assert said in text


def test_storage_and_records_agree_and_test_rows_are_opened_for_few(finished):
    spec, result = finished
    folder = StudyFolder(result.folder)
    storage = open_storage(f"sqlite:///{folder.storage}", create=False)
    for name in "ab":
        entries = {
            entry.number: entry
            for entry in read_entries(storage, storage_name(spec, read_resolved(folder)["id"], name))
        }
        records = {record["number"]: record for record in iter_records(folder, name)}
        assert entries.keys() == records.keys()
        for number, record in records.items():
            assert record["state"] == entries[number].state
            assert record.get("val_score") == entries[number].value
        opened = {n for n in records if read_test(folder, name, n) is not None}
        rows = result.best_by_method[result.best_by_method["dataset"] == name]
        assert {records[n]["source"] for n in opened} == set(rows["number"])
        assert all(records[n]["stage"] == "confirm" for n in opened)
    storage.engine.dispose()


def test_a_second_run_does_nothing_new(finished):
    spec, result = finished
    before = digests(result.folder)
    again = run_study(spec, out=result.folder, in_process=True)
    assert not again.ran
    assert digests(result.folder) == before
    pd.testing.assert_frame_equal(again.best, result.best)


def test_status_counts_every_trial(finished):
    _, result = finished
    status = study_status(result.folder)
    for name in "ab":
        counts = status["datasets"][name]
        trials = result.trials[result.trials["dataset"] == name]
        assert counts["finished"] + counts["stopped"] + counts["failed"] == len(trials)
        assert counts["running"] == counts["waiting"] == 0
        assert counts["best_value"] == trials[trials["stage"] == "search"]["val_score"].max()
    cost = status["cost"]
    kinds = ("useful", "stopped", "failed", "repeated")
    assert cost["core_seconds"] == pytest.approx(sum(cost[kind] for kind in kinds))
    assert cost["core_seconds"] == pytest.approx(sum(one["core_seconds"] for one in cost["datasets"].values()))
    assert cost["core_seconds"] >= result.trials["seconds"].sum() > 0
    assert cost["repeated"] == 0
    assert cost["peak_rss_bytes"] == result.trials["rss"].max()


def test_results_can_be_written_again_without_the_data(finished, tmp_path):
    _, result = finished
    before = (result.folder / "best.csv").read_text()
    (result.folder / "best.csv").unlink()
    folder = StudyFolder(result.folder)
    write_results(StudyArchive(folder))
    assert (result.folder / "best.csv").read_text() == before


def test_the_winners_spec_gives_the_same_result_again(finished, tmp_path):
    _, result = finished
    row = result.rows[0]
    again = run_study(load_spec(result.folder / "best" / "a.yaml"), out=tmp_path / "again", in_process=True)
    for key in ("method", "params", "val_score", "test_mean", "test_std", "features", "k"):
        assert again.rows[0][key] == row[key]


def test_another_spec_is_refused_in_the_same_folder(finished, tmp_path):
    spec, result = finished
    other = spec.model_copy(update={"seed": 4})
    with pytest.raises(InputError, match="holds a study with seed=3, but the spec says 4"):
        run_study(other, out=result.folder, in_process=True)
    more = spec.model_copy(update={"resources": spec.resources.model_copy(update={"retries": 5})})
    assert not run_study(more, out=result.folder, in_process=True).ran
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="neither empty nor a study's folder"):
        run_study(spec, out=tmp_path, in_process=True)


@pytest.fixture(scope="module")
def little(tmp_path_factory):
    """A finished study of few trials on one table, and its spec."""
    tmp_path = tmp_path_factory.mktemp("little")
    datasets = [{"path": str(table(tmp_path / "a.csv", n=300)), "target": "label", "inner_splits": 1}]
    training = {"epochs": 6, "patience": 4, "hidden": [10]}
    search, confirm = {"trials": 4, "batch": 2}, {"top": 1, "seeds": 2}
    methods = ["set", "l1_logistic"]
    spec = spec_of(tmp_path, datasets=datasets, methods=methods, training=training, search=search, confirm=confirm)
    return spec, run_study(spec, out=tmp_path / "out", in_process=True)


@pytest.mark.slow
def test_real_trials_that_die_are_neither_lost_nor_repeated(little, tmp_path, monkeypatch):
    """The other moments of a death are those of simulated work, in ``test_deaths``."""
    spec, undisturbed = little
    dies_at_record(monkeypatch, 3, "between record and tell")
    with pytest.raises(Killed):
        run_study(spec, out=tmp_path, in_process=True)
    monkeypatch.undo()
    before = digests(tmp_path)
    result = run_study(spec, out=tmp_path, in_process=True)
    assert before.items() <= digests(tmp_path).items()
    assert without_measurements(tmp_path) == without_measurements(undisturbed.folder)
    assert result.rows == undisturbed.rows


def test_a_study_of_real_trials_grows_as_if_from_the_start(little, tmp_path):
    """The other ways to grow are those of simulated work, in ``test_extension``."""
    spec, whole = little
    half = spec.model_copy(update={"search": spec.search.model_copy(update={"trials": 2})})
    assert run_study(half, out=tmp_path, in_process=True).ran
    result = run_study(spec, out=tmp_path, in_process=True)
    ours, theirs = (
        [record for record in without_measurements(one, "number") if record["stage"] == "search"]
        for one in (tmp_path, whole.folder)
    )
    assert ours == theirs
    ours, theirs = ([{**row, "number": None} for row in one.rows] for one in (result, whole))
    assert ours == theirs


def test_permuting_test_labels_changes_no_trial_ranking_or_winner(tmp_path):
    """The whole study under the ``paper`` split, whose test rows do not depend on labels."""
    results = []
    for permuted in (False, True):
        path = table(tmp_path / "c.csv")
        if permuted:
            from dst.data import load_dataset, make_splits

            data = load_dataset(path, target="label")
            (split,) = make_splits(data, "paper", seed=0, test_seed=0, count=1)
            frame = pd.read_csv(path)
            labels = frame["label"].to_numpy(copy=True)
            labels[split.test] = np.random.default_rng(0).permutation(labels[split.test])
            assert (labels != frame["label"]).any()
            frame["label"] = labels
            frame.to_csv(path, index=False)
        datasets = [{"path": str(path), "target": "label", "split": "paper", "inner_splits": 1}]
        small = {"methods": ["set", "l1_logistic"], "search": {"trials": 2}, "confirm": {"top": 1, "seeds": 1}}
        spec = spec_of(tmp_path, datasets=datasets, **small)
        results.append(run_study(spec, out=tmp_path / f"out-{permuted}", in_process=True))
    plain, permuted = results
    ours, theirs = (without_measurements(one.folder, "data_sha256") for one in results)
    assert ours == theirs
    hashes = [[record["data_sha256"] for record in iter_records(StudyFolder(one.folder))] for one in results]
    assert not set(hashes[0]) & set(hashes[1]), "the hash of what was read must tell other test labels"
    opened = ("test_mean", "test_std", "list_test_score")
    untested = [{k: v for k, v in row.items() if k not in opened} for row in plain.rows]
    assert untested == [{k: v for k, v in row.items() if k not in opened} for row in permuted.rows]
    for key in ("test_mean", "list_test_score"):
        assert plain.rows[0][key] > permuted.rows[0][key] + 0.1


@pytest.mark.slow
def test_a_failing_trial_is_recorded_and_the_rest_goes_on(tmp_path):
    space = {"lr": {"values": [0.001, 1.0e30], "when": {"method": ["set"]}}}
    spec = spec_of(tmp_path, methods=["set"], space=space, search={"trials": 6, "batch": 6, "sampler": "random"})
    result = run_study(spec, out=tmp_path / "out", in_process=True)
    failed = result.trials[result.trials["state"] == "failed"]
    assert 0 < len(failed) < 12
    assert failed["error"].str.contains("must stay finite").all()
    assert failed["val_score"].isna().all()
    assert all(row["params"]["lr"] == 0.001 for row in result.rows)


@pytest.mark.slow  # a quick relative: the studies of test_reported that stop weak trials
def test_weak_trials_are_stopped_and_never_win(tmp_path):
    space = {"lr": {"values": [0.01, 1.0e-6], "when": {"method": ["set"]}}}
    search = {"trials": 16, "batch": 4, "sampler": "random", "pruner": {"name": "median", "n_startup_trials": 2}}
    spec = spec_of(tmp_path, methods=["set"], space=space, search=search, confirm={"top": 1, "seeds": 1})
    result = run_study(spec, out=tmp_path / "out", in_process=True)
    stopped = result.trials[result.trials["state"] == "stopped"]
    assert len(stopped) > 0
    assert (stopped["stage"] == "search").all()
    assert stopped["val_score"].isna().all()
    searched = result.trials[result.trials["stage"] == "search"]
    rates = searched["params"].map(lambda params: json.loads(params)["lr"])
    share = (searched["state"] == "stopped").groupby(rates).mean()
    assert share[1.0e-6] > 0.5 > share[0.01]
    for record in iter_records(StudyFolder(result.folder)):
        if record["state"] == "stopped":
            assert record["reports"][str(record["stopped_at"])] < 0, "the reports are validation losses, negated"
    assert all(row["params"]["lr"] == 0.01 for row in result.rows)


@pytest.mark.slow
def test_no_method_is_stopped_before_it_was_heard(tmp_path):
    """With so much dropout a pruner stops the trials of SET that it may; the first of them finishes all the same."""
    space = {
        "lr": {"values": [1.0e-2, 1.1e-2, 1.2e-2], "when": {"method": ["static"]}},
        "dropout": {"values": [0.9, 0.91, 0.92], "when": {"method": ["set"]}},
    }
    search = {"trials": 24, "batch": 4, "sampler": "random", "pruner": {"name": "median", "n_startup_trials": 2}}
    spec = spec_of(
        tmp_path,
        datasets=[{**given, "inner_splits": 1} for given in document(tmp_path)["datasets"]],
        methods=["set", "static"],
        space=space,
        search=search,
        confirm={"top": 1, "seeds": 1},
    )
    result = run_study(spec, out=tmp_path / "out", in_process=True)
    searched = result.trials[(result.trials["stage"] == "search") & (result.trials["method"] == "set")]
    assert (searched["state"] == "stopped").sum() > 0
    for dataset in "ab":
        states = searched[searched["dataset"] == dataset]["state"]
        assert (states == "finished").any()
        assert states.iloc[0] == "finished"


def test_a_dataset_on_which_nothing_works_does_not_stop_the_others(tmp_path):
    space = {"lr": 1.0e30}
    spec = spec_of(tmp_path, methods=["set"], space=space, search={"trials": 2, "batch": 2})
    result = run_study(spec, out=tmp_path / "out", in_process=True)
    assert result.missing == ("a", "b")
    assert result.rows == []
    assert (result.trials["state"] == "failed").all()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"datasets": ["wine", "wine"]}, "'wine' is there 2 times: leave out all but one"),
        ({"datasets": ["nosuch.csv"]}, "nosuch.csv"),
        ({"space": {"sparsity": {"values": [0.5, 1.0]}}}, "space.sparsity: 0 <= sparsity < 1 must hold"),
        ({"space": {"sparsty": 0.5}}, "space.sparsty: unknown parameter 'sparsty'.*'sparsity'"),
        ({"space": "defalt"}, "space: unknown space 'defalt'.*'default'"),
        ({"space": {"lr": 0.1}, "training": {"lr": 0.1}}, "lr must be set once, but training and space both have it"),
        ({"space": {"engine": "dense"}}, "space.engine: engine is the same in all trials: it is set in training"),
        ({"space": {"device": "cuda"}}, "space.device: device is the same in all trials"),
        ({"space": {"threads": {"values": [1, 8]}}}, "space.threads: threads is the same in all trials"),
        ({"space": {"hidden": {"values": [8]}}}, "space.hidden: hidden is the same in all trials"),
        ({"space": {"loss": "squared_error"}}, "space.loss: loss is cross_entropy: a study classifies"),
        ({"space": {"input_noise": 0.1}}, "space.input_noise: input_noise is 0"),
        ({"search": {"sampler": "tpee"}}, "search: .*tpee"),
        ({"search": {"pruner": {"name": "median", "n_startup": 3}}}, "search: .*n_startup"),
        ({"storage": "nonsense"}, "storage must be a URL"),
    ],
)
def test_wrong_studies_are_refused_before_any_trial(tmp_path, changes, message):
    with pytest.raises(InputError, match=message) as caught:
        run_study(spec_of(tmp_path, **changes), out=tmp_path / "out", in_process=True)
    assert "\n" not in str(caught.value)
    assert not list((tmp_path / "out").rglob("*.json"))


def test_what_a_run_leaves_that_died_at_once_does_not_block_the_next(tmp_path):
    (tmp_path / "records").mkdir()
    for name in (".lock", "study.db-journal", ".study.yaml.12-ab.tmp"):
        (tmp_path / name).touch()
    datasets = document(tmp_path)["datasets"][:1]
    spec = spec_of(
        tmp_path, datasets=datasets, methods=["random"], search={"trials": 1}, confirm={"top": 1, "seeds": 1}
    )
    assert run_study(spec, out=tmp_path / "out", in_process=True).ran
    for leftover in ("study.db-journal", ".study.yaml.12-ab.tmp"):
        folder = tmp_path / f"with-{leftover}"
        folder.mkdir()
        (folder / leftover).touch()
        assert run_study(spec, out=folder, in_process=True).ran


def test_studies_that_share_a_storage_stay_apart(tmp_path):
    small = {"methods": ["l1_logistic"], "search": {"trials": 2, "batch": 2}, "confirm": {"top": 1, "seeds": 1}}
    spec = spec_of(tmp_path, storage=f"sqlite:///{tmp_path / 'shared.db'}", **small)
    first, second = (run_study(spec, out=tmp_path / name, in_process=True) for name in "ab")
    assert first.ran
    assert second.ran
    assert first.rows == second.rows
    for name in "ab":
        counts = study_status(tmp_path / name)["datasets"]["a"]
        assert counts["finished"] == len(list((tmp_path / name).glob("records/a/[0-9]*.npz")))


def test_a_record_of_another_trial_is_not_believed(finished, tmp_path):
    """The storage was lost, and a record is not what it proposes anew."""
    spec, result = finished
    folder = tmp_path / "copy"
    shutil.copytree(result.folder, folder)
    for database in folder.glob("study.db*"):
        database.unlink()
    path = folder / "records" / "a" / "1.json"
    record = json.loads(path.read_text())
    path.write_text(json.dumps(record | {"params": {"method": "set", "lr": 9.0}, "val_score": 0.999}))
    with pytest.raises(
        RecordError, match="is not the record of the trial that the storage has under this number: params"
    ):
        run_study(spec, out=folder, in_process=True)
    path.write_text(json.dumps(record, sort_keys=True) + "\n")
    assert run_study(spec, out=folder, in_process=True).rows == result.rows


def test_failures_and_absent_methods_are_warned_of(tmp_path):
    space = {"lr": {"value": 1.0e30, "when": {"method": ["set"]}}}
    spec = spec_of(tmp_path, methods=["set", "l1_logistic"], space=space, search={"trials": 8, "batch": 8})
    warnings = run_study(spec, out=tmp_path / "out", in_process=True).warnings
    assert any(re.match(r"a: \d of \d+ trials failed, the last with: .*must stay finite", line) for line in warnings)
    assert "a: no trial of set ran to its end, so it is not compared" in warnings


def test_what_the_spec_says_goes_before_a_packaged_space(tmp_path):
    training = {"epochs": 2, "hidden": [5], "lr": 0.123}
    spec = spec_of(tmp_path, methods=["set"], training=training, search={"trials": 2}, confirm={"top": 1, "seeds": 1})
    result = run_study(spec, out=tmp_path / "out", in_process=True)
    assert all("lr" not in json.loads(params) for params in result.trials["params"])


def test_resources_and_tracking_may_change_and_are_kept(finished, tmp_path):
    spec, result = finished
    folder = tmp_path / "copy"
    shutil.copytree(result.folder, folder)
    resources = spec.resources.model_copy(update={"retries": 7})
    assert not run_study(spec.model_copy(update={"resources": resources}), out=folder, in_process=True).ran
    kept, _ = read_study(StudyFolder(folder))
    assert kept.resources.retries == 7


def test_one_run_at_a_time(tmp_path):
    from studies.store.lock import owned

    folder = StudyFolder(tmp_path / "out").create()
    with owned(folder):
        code = (
            "import sys; from pathlib import Path; from studies.store.folder import StudyFolder\n"
            "from studies.store.lock import owned\n"
            "with owned(StudyFolder(Path(sys.argv[1]))): pass"
        )
        other = subprocess.run([sys.executable, "-c", code, folder.path], capture_output=True, text=True)
    assert f"is in use by process {os.getpid()} on " in other.stderr
    with owned(folder):
        pass


def gaps(tmp_path: Path) -> Path:
    """The table of :func:`table` with a group column, a column of words and some values missing."""
    path = table(tmp_path / "gaps.csv", n=300)
    frame = pd.read_csv(path)
    rng = np.random.default_rng(5)
    frame.loc[rng.random(300) < 0.1, "f3"] = np.nan
    frame["word"] = rng.choice(["red", "green", "blue"], 300)
    frame["household"] = np.arange(300) // 3
    frame.to_csv(path, index=False)
    return path


@pytest.mark.slow
def test_a_sweep_over_missing_data_is_a_study_of_each_combination(tmp_path, monkeypatch):
    """Through Ray: prepared parts, each prepared once, and tables travel in the object store."""
    module = importlib.import_module("dst.data.trial_data")
    prepare, splits = module.prepare, []

    def counted(dataset, split, **settings):
        splits.append(split)
        return prepare(dataset, split, **settings)

    monkeypatch.setattr(module, "prepare", counted)  # in this process; workers prepare for confirmation alone
    use = {"path": str(gaps(tmp_path)), "target": "label", "split": "group", "group": "household", "inner_splits": 2}
    sweep = {"rate": [0, 0.3], "mechanism": ["mcar", "mnar"], "policy": "median", "indicators": True}
    search = {"trials": 2, "batch": 2, "pruner": "none"}
    small = {"methods": ["set"], "search": search, "confirm": {"top": 1, "seeds": 2}}
    spec = spec_of(tmp_path, datasets=[{**use, "missing": sweep}], **small)
    study = run_study(spec, out=tmp_path / "out")
    assert len(splits) == 3 * 2, "as many as tables and inner splits"
    names = ["gaps-median-indicators", "gaps-mcar-0.3-median-indicators", "gaps-mnar-0.3-median-indicators"]
    assert [row["dataset"] for row in study.rows] == names
    assert study.warnings == ()
    assert (study.trials["state"] == "finished").all()
    records = list(iter_records(StudyFolder(study.folder)))
    hashes = {
        stage: {record["data_sha256"] for record in records if record["stage"] == stage}
        for stage in ("search", "confirm")
    }
    assert len(hashes["search"]) == 3, "all search trials of a dataset read the same"
    assert len(hashes["confirm"]) == 3 * 2, "each confirming seed draws its own validation rows"
    here = run_study(spec, out=tmp_path / "here", in_process=True)
    assert without_measurements(here.folder) == without_measurements(study.folder)
    rerun = load_spec(study.folder / "best" / f"{names[1]}.yaml")
    assert rerun.datasets == (spec.datasets[1],)


REMOVED = {"rate": 0.3, "policy": "mean"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"missing": {**REMOVED, "seed": 1}}, "holds a study of gaps-mcar-0.3, but the spec has gaps-mcar-0.3-seed1"),
        ({"missing": {**REMOVED, "rate": 0.2}}, "holds a study of gaps-mcar-0.3, but the spec has gaps-mcar-0.2"),
        ({"scaling": "minmax"}, "datasets.gaps-mcar-0.3.scaling=None, but the spec says minmax"),
        ({"split": "kfold"}, "datasets.gaps-mcar-0.3.split=stratified, but the spec says kfold"),
        ({"group": "household", "split": "group"}, "gaps-mcar-0.3.group=None, but the spec says household"),
    ],
)
def test_a_study_does_not_go_on_with_other_preparation(tmp_path, change, message):
    use = {"path": str(gaps(tmp_path)), "target": "label", "missing": REMOVED}
    short = {"search": {"trials": 2, "batch": 2}, "confirm": {"top": 1, "seeds": 1}, "methods": ["random"]}
    run_study(spec_of(tmp_path, datasets=[use], **short), out=tmp_path / "out", in_process=True)
    with pytest.raises(InputError, match=re.escape(message)):
        run_study(spec_of(tmp_path, datasets=[{**use, **change}], **short), out=tmp_path / "out", in_process=True)


def test_a_table_that_lacks_values_needs_a_policy_before_anything_runs(tmp_path):
    spec = spec_of(tmp_path, datasets=[{"path": str(gaps(tmp_path)), "target": "label"}])
    with pytest.raises(InputError, match=r"gaps: \d+ values are missing, in 1 columns \('f3'\), and nothing says"):
        run_study(spec, out=tmp_path / "out", in_process=True)
    grouped = spec_of(
        tmp_path, datasets=[{"path": str(table(tmp_path / "t.csv")), "target": "label", "split": "group"}]
    )
    with pytest.raises(InputError, match="t: a group split needs a group column"):
        run_study(grouped, out=tmp_path / "out", in_process=True)
    unused = {"path": str(gaps(tmp_path)), "target": "label", "missing": {"policy": "mean"}, "group": "household"}
    with pytest.raises(InputError, match=r"gaps: a group column is named .*, but the split is 'stratified'"):
        run_study(spec_of(tmp_path, datasets=[unused]), out=tmp_path / "out", in_process=True)
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_a_grid_runs_each_point_once(tmp_path):
    space = {"sparsity": {"values": [0.2, 0.5, 0.9], "when": {"method": ["set"]}}}
    search = {"sampler": "grid", "trials": 10, "batch": 2}
    spec = spec_of(tmp_path, methods=["set", "random"], space=space, search=search, confirm={"top": 1, "seeds": 1})
    study = run_study(spec, out=tmp_path / "out", in_process=True)
    for dataset in "ab":
        records = [record for record in iter_records(StudyFolder(study.folder), dataset) if record["stage"] == "search"]
        assert [record["params"] for record in records] == [
            *({"method": "set", "sparsity": sparsity} for sparsity in (0.2, 0.5, 0.9)),
            {"method": "random"},
        ]
    assert not run_study(spec, out=tmp_path / "out", in_process=True).ran
    for search, message in (
        ({"sampler": "grid", "trials": 3}, "the grid has 4 points and all are run, but got 3"),
        ({"sampler": {"name": "grid", "n": 3}}, "unknown option of sampler 'grid' 'n'"),
    ):
        with pytest.raises(InputError, match=message):
            run_study(spec_of(tmp_path, methods=["set", "random"], space=space, search=search), out=tmp_path / "no")
    with pytest.raises(InputError, match=r"space.l2: a grid needs 'values' or a 'step'"):
        run_study(spec_of(tmp_path, search={"sampler": "grid"}), out=tmp_path / "no", in_process=True)


def test_classes_that_training_rows_lack_are_reported(tmp_path):
    path = table(tmp_path / "rare.csv", n=60)
    frame = pd.read_csv(path)
    frame.loc[:1, "label"] = "rare"
    frame.to_csv(path, index=False)
    use = {"path": str(path), "target": "label", "split": "paper"}
    spec = spec_of(tmp_path, datasets=[use], methods=["random"], confirm={"top": 1, "seeds": 20})
    study = run_study(spec, out=tmp_path / "out", in_process=True)
    (warning,) = study.warnings
    assert re.fullmatch(r"rare: the training rows of \d+ trials lack a class \(rare\)", warning)


def test_records_and_tables_say_what_a_trial_had_not_what_the_space_varied(tmp_path, drawn_figures):
    """SET at its default sparsity is a network of density 0.1, in every table and figure."""
    methods = ["set", "dense", "l1_logistic"]
    spec = spec_of(
        tmp_path,
        datasets=[{**document(tmp_path)["datasets"][0], "inner_splits": 1}],
        methods=methods,
        space={"lr": {"values": [0.01, 0.02], "when": {"method": methods[:2]}}},
        search={"sampler": "grid", "trials": 5},
        confirm={"top": 1, "seeds": 1},
    )
    study = run_study(spec, out=tmp_path / "out", in_process=True)
    assert set(study.trials["method"]) == set(methods)
    for record in iter_records(StudyFolder(study.folder)):
        expected = {"set": 0.9, "dense": 0.0, "l1_logistic": None}[record["method"]]
        assert record["sparsity"] == record["settings"].get("sparsity") == expected
        assert record["l2"] == (None if expected is None else 1e-4)
        assert "sparsity" not in record["params"]
        if expected is not None:
            assert record["settings"]["lr"] == record["params"]["lr"]
            assert record["settings"]["hidden"] == [20, 10]
            assert record["settings"]["drop_fraction"] == 0.3
    sparsity = {method: set(rows["sparsity"].dropna()) for method, rows in study.trials.groupby("method")}
    assert sparsity == {"set": {0.9}, "dense": {0.0}, "l1_logistic": set()}
    best = study.best_by_method.set_index("method")["sparsity"].dropna()
    assert best.to_dict() == {"set": 0.9, "dense": 0.0}
    assert "10%" in (study.folder / "plots" / "score_by_density.svg").read_text()
