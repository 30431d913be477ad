"""What trials report: rungs, directions, inner splits, and the cheap score."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from dst.data import Dataset, trial_data
from dst.network.model import SparseMLP
from dst.training.result import EpochEnd
from dst.trial.spec import TrialSpec
from studies.run import run_study
from studies.spec.loading import parse_spec
from studies.store.folder import StudyFolder
from studies.store.record import iter_records
from studies.worker.rungs import CheapScore, Rungs
from tests.support.several_objectives import spec_of


def end(epoch, loss=1.0, accuracy=0.0, first_training=True):
    return SimpleNamespace(epoch=epoch, val_loss=loss, val_accuracy=accuracy, first_training=first_training)


def told(rungs, reports, ends):
    for split, one in ends:
        rungs.on_epoch(split, one)
    return reports


@pytest.mark.parametrize(("maximize", "sign"), [(True, -1), (False, 1)])
def test_the_lowest_loss_so_far_is_reported_at_rungs_in_the_objectives_direction(maximize, sign):
    reports = []
    rungs = Rungs(12, lambda step, value: reports.append((step, value)), maximize=maximize)
    losses = [9, 8, 3, 4, 5, 6, 7, 8, 9, 2, 1, 0]
    for epoch, loss in enumerate(losses, start=1):
        rungs.on_epoch(0, end(epoch, loss=loss))
    for epoch in range(1, 6):
        rungs.on_epoch(1, end(epoch, loss=10 - epoch))
    # of the first split, 0 is the lowest when the second reports; 5 is the second's own
    assert reports == [(5, sign * 3), (10, sign * 2), (12 + 5, sign * (0 + 5) / 2)]


@pytest.mark.parametrize(("maximize", "sign"), [(True, 1), (False, -1)])
def test_the_highest_accuracy_so_far_likewise(maximize, sign):
    reports = []
    rungs = Rungs(10, lambda step, value: reports.append((step, value)), on="val_accuracy", maximize=maximize)
    for epoch, accuracy in enumerate([0.1, 0.7, 0.2, 0.3, 0.4, 0.5, 0.8, 0.1, 0.1, 0.1], start=1):
        rungs.on_epoch(0, end(epoch, accuracy=accuracy))
    assert reports == [(5, sign * 0.7), (10, sign * 0.8)]


def test_of_several_trainings_the_first_alone_is_compared():
    """It is what every trial has; those that follow neither report nor count in the mean over inner splits."""
    reports = []
    rungs = Rungs(10, lambda *report: reports.append(report), maximize=False)
    for split in (0, 1):
        for epoch in range(1, 13):
            first = epoch <= 6
            rungs.on_epoch(split, end(epoch, loss=split + 1.0 if first else 0.0, first_training=first))
    assert reports == [(5, 1.0), (10 + 5, 1.5)]


def test_a_score_is_measured_at_rungs_only():
    measured, reports = [], []

    def cheap(split, one):
        measured.append((split, one.epoch))
        return 0.5

    rungs = Rungs(20, lambda *report: reports.append(report), on="val_score", cheap=cheap, maximize=True)
    for epoch in range(1, 21):
        rungs.on_epoch(0, end(epoch))
    assert measured == [(0, 5), (0, 10), (0, 20)]
    assert reports == [(5, 0.5), (10, 0.5), (20, 0.5)]
    silent = Rungs(20, lambda *report: reports.append(report), on="val_score", cheap=lambda *_: None, maximize=True)
    silent.on_epoch(0, end(5))
    assert len(reports) == 3, "who cannot be measured reports nothing"
    with pytest.raises(ValueError, match="reports of val_score need a measure of it"):
        Rungs(20, lambda *report: None, on="val_score", maximize=True)


def dataset(n=900):
    from dst.data import from_arrays

    x = np.random.default_rng(1).normal(size=(n, 10))
    return from_arrays(x, np.where(x[:, 2] + x[:, 7] > 0, "yes", "no"), k=2)


def network(columns):
    """A network whose connections leave some columns only."""
    model = SparseMLP(10, 2, hidden=(8, 4), sparsity=0.0, distribution="uniform", rng=np.random.default_rng(0))
    strength = np.zeros(10)
    strength[columns] = 1.0
    model.linears[0].input_strength = lambda: strength  # what a training would have come to
    return model


@pytest.mark.parametrize(("columns", "low", "high"), [([2, 7], 0.9, 1.0), ([0, 1], 0.3, 0.7)])
def test_the_cheap_score_is_high_for_the_columns_that_decide(columns, low, high):
    data: Dataset = dataset()
    spec = TrialSpec("set", split_seed=3, k=2)
    measure = CheapScore(trial_data(data, spec.design, keep=True), spec)
    seen, judged = measure._parts[0]
    assert len(seen.y) == CheapScore.ROWS
    assert len(judged.y) <= CheapScore.ROWS
    model = network(columns)
    one = EpochEnd(5, 0.0, 0.0, 0.0, False, lambda: None, model, model.linears[0].input_strength)
    assert low <= measure(0, one) <= high
    assert measure(0, end(5)) is None, "no network, no score"
    assert measure(0, one) == CheapScore(trial_data(data, spec.design, keep=True), spec)(0, one), "the same rows"


@pytest.mark.parametrize("on", ["val_loss", "val_accuracy", "val_score"])
def test_each_of_them_stops_weak_trials_of_a_study(table, tmp_path, on):
    space = {"lr": {"values": [0.02, 1.0e-7]}, "sparsity": 0.3}
    pruner = {"name": "median", "n_startup_trials": 2, "on": on}
    spec = spec_of(
        table,
        datasets=[{"path": str(table), "target": "label", "inner_splits": 1}],
        objective={},
        space=space,
        search={"trials": 16, "batch": 4, "sampler": "random", "pruner": pruner},
        confirm={"top": 1, "seeds": 1},
    )
    assert spec.search.pruner.on == on
    assert spec.search.pruner.options == {"n_startup_trials": 2}
    assert parse_spec(spec.model_dump(mode="json")) == spec
    result = run_study(spec, out=tmp_path / "out", in_process=True)
    stopped = result.trials[result.trials["state"] == "stopped"]
    assert len(stopped) > 0
    assert stopped["params"].str.contains("1e-07").mean() > 0.5


@pytest.mark.parametrize(("on", "told"), [("val_loss", {"set", "stg"}), ("val_score", {"set", "quickselection"})])
@pytest.mark.slow
def test_losses_of_other_kinds_are_compared_with_none(table, tmp_path, on, told):
    methods = ("set", "stg", "quickselection", "lassonet")
    search = {"sampler": "grid", "trials": 4, "pruner": {"name": "median", "n_startup_trials": 0, "on": on}}
    quick = {"path_multiplier": 10.0, "dense_iterations": 10, "path_iterations": 2}
    space = {name: {"value": value, "when": {"method": "lassonet"}} for name, value in quick.items()}
    spec = spec_of(
        table,
        datasets=[{"path": str(table), "target": "label", "inner_splits": 1}],
        objective={},
        methods=methods,
        space=space,
        search=search,
        confirm={"top": 1, "seeds": 1},
    )
    result = run_study(spec, out=tmp_path / "out", in_process=True)
    records = [one for one in iter_records(StudyFolder(result.folder)) if one["stage"] == "search"]
    assert {record["method"] for record in records} == set(methods)
    assert {record["method"] for record in records if record["reports"]} == told
