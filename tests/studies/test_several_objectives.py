"""Studies with several objectives, and studies that vary K."""

from __future__ import annotations

import json
import re

import numpy as np
import pandas as pd
import pytest

from cluster.ledger.storage.connect import open_storage
from dst.errors import InputError
from studies.report.status import study_status
from studies.report.tables import BEST_COLUMNS
from studies.run import run_study
from studies.spec.loading import load_spec
from studies.spec.objective import ObjectiveSpec
from studies.spec.search import SearchSpec
from studies.spec.study import StudySpec
from studies.store.folder import StudyFolder
from studies.store.record import iter_records, read_test
from studies.store.study_file import read_resolved, read_study, storage_name
from studies.tracking.content import StudyContent
from studies.tracking.destination import destination
from studies.tracking.trials import trial_run
from tests.support.several_objectives import METRICS, spec_of
from tests.support.soundness import without_measurements


@pytest.fixture(scope="module")
def finished(table, tmp_path_factory):
    spec = spec_of(table)
    return spec, run_study(spec, out=tmp_path_factory.mktemp("study") / "out", in_process=True)


def beaten(points):
    signs = np.array([-1.0, 1.0, 1.0])
    values = np.array(points) * signs
    return [
        any((other <= one).all() and (other < one).any() for other in values)
        for one in values
    ]  # fmt: skip


def test_pareto_csv_holds_the_trials_that_none_beats(finished):
    _, result = finished
    folder = StudyFolder(result.folder)
    search = [record for record in iter_records(folder) if record["stage"] == "search"]
    assert all(record["val_scores"]["k"] == record["params"]["k"] == record["k"] for record in search)
    assert all(record["val_scores"]["flops"] == record["flops"] for record in search)
    assert all(record["val_scores"]["val_svm_accuracy"] == record["val_score"] for record in search)
    dominated = beaten([[record["val_scores"][metric] for metric in METRICS] for record in search])
    front = {record["number"] for record, out in zip(search, dominated, strict=True) if not out}
    written = pd.read_csv(folder.pareto)
    confirmed = [f"confirmed_{metric}" for metric in METRICS]
    assert list(written.columns) == ["dataset", "number", "method", *METRICS, *confirmed, "sparsity", "params"]
    assert set(written["number"]) == front
    assert (written["val_svm_accuracy"].diff().dropna() <= 0).all()
    for row in written.to_dict("records"):
        (record,) = (record for record in search if record["number"] == row["number"])
        assert json.loads(row["params"]) == record["params"]
    assert written["confirmed_k"].notna().sum() >= 3


def test_the_winner_is_the_confirmed_one_that_is_best_in_the_first_objective(finished):
    _, result = finished
    folder = StudyFolder(result.folder)
    (row,) = result.rows
    assert set(row) == {*BEST_COLUMNS, "k_curve"}
    confirming = [record for record in iter_records(folder) if record["stage"] == "confirm"]
    means = []
    for source in {record["source"] for record in confirming}:
        mine = [record["importances"] for record in confirming if record["source"] == source]
        assert len(mine) == 2
        means.append(max(np.mean([one[name]["val_svm_accuracy"] for one in mine]) for name in mine[0]))
    assert len(means) >= 3
    assert row["val_score"] == pytest.approx(max(means))
    assert row["k"] == row["params"]["k"] == len(row["features"])
    opened = {record["source"] for record in confirming if read_test(folder, "a", record["number"]) is not None}
    assert opened == set(result.best_by_method["number"]), "the winner and the best of each method, nothing else"


def test_the_storage_holds_all_objectives_with_their_directions(finished):
    spec, result = finished
    folder = StudyFolder(result.folder)
    storage = open_storage(f"sqlite:///{folder.storage}", create=False)
    study = storage.get_study_id_from_name(storage_name(spec, read_resolved(folder)["id"], "a"))
    assert [one.name for one in storage.get_study_directions(study)] == ["MAXIMIZE", "MINIMIZE", "MINIMIZE"]
    records = {record["number"]: record for record in iter_records(folder)}
    for trial in storage.get_all_trials(study):
        assert trial.values == [  # noqa: PD011
            records[trial.number]["val_scores"][metric] for metric in METRICS
        ]
    storage.engine.dispose()
    best = study_status(result.folder)["datasets"]["a"]["best_value"]
    searched = [record["val_score"] for record in records.values() if record["stage"] == "search"]
    assert best == max(searched), "dst status: the first objective"


def test_no_trial_is_stopped_and_everybody_is_told(finished, capsys, table, tmp_path):
    spec, result = finished
    assert spec.search.pruner.name == "none"
    assert set(result.trials["state"]) == {"finished"}
    page = StudyFolder(result.folder).report.read_text()
    assert "With several objectives no trial was stopped early" in page
    assert "<h2>Trade-offs</h2>" in page
    assert "the best trade-offs between validation accuracy, training FLOPs and selected columns" in page
    for name in ("pareto_flops", "pareto_k"):
        assert (StudyFolder(result.folder).plots / f"{name}.png").stat().st_size > 0
        assert f"{name}-" in page
    short = {"search": {"trials": 2, "batch": 2}, "confirm": {"top": 1, "seeds": 1}}
    run_study(spec_of(table, **short), out=tmp_path / "out", in_process=True)
    assert "3 objectives: no trial is stopped early" in capsys.readouterr().err


@pytest.mark.slow
def test_through_ray_with_two_workers_the_result_is_the_same(finished, tmp_path):
    spec, result = finished
    there = run_study(spec, out=tmp_path / "out", workers=2)
    assert without_measurements(there.folder) == without_measurements(result.folder)
    assert there.rows == result.rows
    assert StudyFolder(there.folder).pareto.read_text() == StudyFolder(result.folder).pareto.read_text()


def test_a_study_goes_on_from_what_it_has_written_of_itself(finished):
    spec, result = finished
    written, names = read_study(StudyFolder(result.folder))
    assert names == ["a"]
    assert written.objective == spec.objective
    assert written.search == spec.search
    assert not run_study(written, out=result.folder, in_process=True).ran
    other = spec.model_copy(
        update={"objective": spec.objective.model_copy(update={"metric": ("val_svm_accuracy", "k")})}
    )
    with pytest.raises(
        InputError, match=re.escape("objective.metric=['val_svm_accuracy', 'flops', 'k'], but the spec")
    ):
        run_study(other, out=result.folder, in_process=True)


def test_the_winners_spec_gives_the_same_result_again(finished, tmp_path):
    _, result = finished
    again = run_study(load_spec(result.folder / "best" / "a.yaml"), out=tmp_path / "again", in_process=True)
    for key in ("method", "params", "val_score", "test_mean", "features", "k"):
        assert again.rows[0][key] == result.rows[0][key]


def test_weights_and_biases_is_sent_every_objective(finished):
    spec, result = finished
    folder = StudyFolder(result.folder)
    content = StudyContent(folder, destination(spec.tracking.wandb, folder, {}), ())
    record = next(iter_records(folder))
    summary = trial_run(content.facts, record, None).summary
    assert {key: summary[f"objective/{key}"] for key in METRICS} == record["val_scores"]


@pytest.mark.parametrize("sampler", ["tpe", "random", "grid"])
def test_k_may_vary_with_one_objective_too(table, tmp_path, sampler):
    space = {"sparsity": 0.6, "k": {"values": [1, 6]}}
    search = {"trials": 8, "batch": 4, "sampler": sampler}
    given = {"objective": {}, "space": space, "search": search, "confirm": {"top": 1, "seeds": 2}}
    spec = spec_of(table, methods=["set", "static"], **given)
    result = run_study(spec, out=tmp_path / "out", in_process=True)
    folder = StudyFolder(result.folder)
    records = list(iter_records(folder))
    assert {record["k"] for record in records if record["stage"] == "search"} == {1, 6}
    for record in records:
        assert all(len(one["selected"]) == record["params"]["k"] for one in record["importances"].values())
        assert "val_scores" not in record
    (row,) = result.rows
    assert row["k"] == row["params"]["k"] == len(row["features"]) == 6, "two columns decide, so one is too few"
    assert not folder.pareto.exists()


REFUSED = [
    ({"objective": {"metric": []}}, "objective.metric: the first metric decides .*, but there is none"),
    ({"objective": {"metric": "k"}}, "objective.metric: the first metric decides .*, but got 'k'"),
    (
        {"objective": {"metric": ["flops", "val_loss"]}},
        "the first metric decides .*, but got 'flops'",
    ),
    (
        {"objective": {"metric": ["val_loss", "val_loss"]}},
        "each metric once, but got val_loss, val_loss",
    ),
    ({"objective": {"metric": ["val_loss", "flop"]}}, "objective.metric: unknown metric 'flop': did you mean 'flops'?"),
    ({"objective": {"metric": ["val_loss", 7]}}, "objective.metric: must be a metric's name, but got 7"),
    ({"search": {"pruner": "median"}}, "search.pruner: a trial is stopped by one value, .*, but got 'median'"),
    ({"methods": ["set", "l1_logistic"]}, "objective.metric flops compares counts .*, but l1_logistic has none"),
    (
        {"methods": ["l1_logistic", "random"], "objective": {"metric": ["val_svm_accuracy", "flops"]}},
        "objective.metric flops .*, but l1_logistic and random have none",
    ),
    (
        {"methods": ["set", "random"], "objective": {"metric": ["val_svm_accuracy", "val_loss"]}},
        "objective.metric val_loss .*, but random has none",
    ),
    ({"objective": {"importance": "neuron_strenght"}}, "objective.importance: unknown importance .*'neuron_strength'"),
    (
        {"objective": {"importance": "l1_coefficient"}},
        r"objective.importance must be best or what a method of the study gives \(.*neuron_strength.*\), but got",
    ),
    ({"space": {"sparsity": 0.5}}, "objective.metric k needs a space with several values of k"),
    ({"space": {"k": 4}}, "objective.metric k needs a space with several values of k"),
    ({"space": "default"}, "objective.metric k needs a space with several values of k"),
    ({"space": {"k": {"values": [2, 13]}}}, "space.k: whole numbers with .* but got k=13, and a has 12 columns"),
    ({"space": {"k": {"low": 0, "high": 5}}}, "space.k: whole numbers with .* but got k=0, and a has 12 columns"),
    ({"space": {"k": {"values": [2, 4.5]}}}, "space.k: whole numbers with .* but got k=4.5"),
]


@pytest.mark.parametrize(("changes", "message"), REFUSED)
def test_what_cannot_be_is_refused_in_one_line(table, tmp_path, changes, message):
    with pytest.raises(InputError, match=message) as caught:
        run_study(spec_of(table, **changes), out=tmp_path / "out", in_process=True)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_k_is_set_once(table, tmp_path):
    datasets = [{"path": str(table), "target": "label", "k": 3}]
    with pytest.raises(InputError, match="k must be set once, but the space and the dataset a both have it"):
        run_study(spec_of(table, datasets=datasets), out=tmp_path / "out", in_process=True)


def test_a_named_pruner_is_none_or_refused_and_an_unnamed_one_is_none(table):
    assert spec_of(table).search.pruner.name == "none"
    assert spec_of(table, search={"pruner": "none"}).search.pruner.name == "none"
    assert spec_of(table, search={"pruner": None}).search.pruner.name == "none"
    assert spec_of(table, objective={"metric": ["val_loss"]}).search.pruner.name == "median", "a list of one is one"
    assert spec_of(table, objective={"metric": ["val_loss"]}).objective.metric == "val_loss"


def test_a_search_that_names_no_pruner_has_none_from_python_too():
    objective = ObjectiveSpec(metric=["val_svm_accuracy", "flops"])
    spec = StudySpec(name="s", datasets=("wine",), objective=objective, search=SearchSpec(trials=5))
    assert spec.search.pruner.name == "none"
    assert spec.search.trials == 5
    with pytest.raises(ValueError, match="a trial is stopped by one value"):
        StudySpec(name="s", datasets=("wine",), objective=objective, search=SearchSpec(pruner="median"))
