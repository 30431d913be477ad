"""A study that grows ends as one that was as large from the start; what would change its meaning is refused.

The work is simulated; ``test_study`` has a study of real trials that grows.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from cluster.ledger.durable import read_entries
from cluster.ledger.entries import State
from cluster.ledger.storage.connect import open_storage
from dst.errors import InputError
from studies.report.status import study_status
from studies.run import StudyResult, run_study
from studies.spec.loading import parse_spec
from studies.spec.study import StudySpec
from studies.store.folder import StudyFolder
from studies.store.record import iter_records, read_test
from studies.store.study_file import read_resolved, storage_name
from tests.support import simulated_work
from tests.support.deaths import dies_at_record
from tests.support.two_tables import Killed, document, spec_of, without_measurements

pytestmark = pytest.mark.usefixtures("simulated_work")

SEARCH = {"sampler": {"name": "tpe", "n_startup_trials": 4}, "trials": 10, "batch": 4}
CONFIRM = {"top": 2, "seeds": 2}


def grown(tmp_path: Path, **changes: Any) -> StudySpec:
    """The spec of the tests; ``search`` and ``confirm`` are merged."""
    given = document(tmp_path, search=SEARCH, confirm=CONFIRM)
    return parse_spec({**given, **{key: {**given[key], **value} for key, value in changes.items()}})


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the tables lie that all studies here read."""
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="module")
def whole(data: Path, tmp_path_factory: pytest.TempPathFactory) -> StudyResult:
    """The study that was large from the start."""
    return run_study(grown(data), out=tmp_path_factory.mktemp("whole") / "out", in_process=True)


@pytest.fixture(scope="module")
def small(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished study of six trials: its second batch is cut short."""
    out = tmp_path_factory.mktemp("small") / "out"
    run_study(grown(data, search={"trials": 6}), out=out, in_process=True)
    return out


def stage(folder: Path, name: str) -> list[dict[str, Any]]:
    """The records of a stage without numbers, which an extension shifts; what confirms is named by its parameters."""
    numbers = ("number", "source")
    records = [record for record in without_measurements(folder, *numbers) if record["stage"] == name]
    return sorted(records, key=str) if name == "confirm" else records


def winners(result: StudyResult) -> list[dict[str, Any]]:
    return [{key: value for key, value in row.items() if key != "number"} for row in result.rows]


def check_equal(result: StudyResult, whole: StudyResult) -> None:
    assert stage(result.folder, "search") == stage(whole.folder, "search")
    assert winners(result) == winners(whole)
    pd.testing.assert_frame_equal(*(one.best_by_method.drop(columns="number") for one in (result, whole)))
    confirmed = stage(result.folder, "confirm")
    assert all(record in confirmed for record in stage(whole.folder, "confirm"))
    for name in "ab":
        mine, theirs = ((one.folder / "features" / f"{name}.csv").read_text() for one in (result, whole))
        assert mine == theirs


def states(folder: Path, spec: StudySpec, dataset: str) -> list[State]:
    """The states of a dataset's trials, as the storage has them."""
    study = StudyFolder(folder)
    storage = open_storage(f"sqlite:///{study.storage}", create=False)
    entries = read_entries(storage, storage_name(spec, read_resolved(study)["id"], dataset))
    storage.engine.dispose()
    return [entry.state for entry in entries]


def opened(folder: Path, dataset: str) -> set[int]:
    """The configurations whose test rows were opened."""
    study = StudyFolder(folder)
    records = iter_records(study, dataset)
    return {one["source"] for one in records if read_test(study, dataset, one["number"]) is not None}


@pytest.mark.slow
@pytest.mark.parametrize("steps", [[4], [6], [1, 9]], ids=str)
def test_more_trials_as_if_from_the_start(data: Path, small: Path, whole: StudyResult, tmp_path: Path, steps) -> None:
    """A first part that is a whole batch, that cuts a batch short, and several of them."""
    out = tmp_path / "out"
    if steps == [6]:
        shutil.copytree(small, out)
    else:
        for trials in steps:
            assert run_study(grown(data, search={"trials": trials}), out=out, in_process=True).ran
    before = without_measurements(out)
    result = run_study(grown(data), out=out, in_process=True)
    assert result.ran
    check_equal(result, whole)
    after = without_measurements(out)
    assert all(record in after for record in before), "what was there stays as it was"
    assert not run_study(grown(data), out=out, in_process=True).ran


@pytest.mark.slow
def test_more_seeds_and_more_configurations_as_if_from_the_start(data: Path, small: Path, tmp_path: Path) -> None:
    larger = grown(data, search={"trials": 6}, confirm={"top": 3, "seeds": 3})
    whole = run_study(larger, out=tmp_path / "whole", in_process=True)
    out = tmp_path / "out"
    shutil.copytree(small, out)
    searched = [record["number"] for record in iter_records(StudyFolder(out)) if record["stage"] == "search"]
    result = run_study(larger, out=out, in_process=True)
    check_equal(result, whole)
    assert [one["number"] for one in iter_records(StudyFolder(out)) if one["stage"] == "search"] == searched
    assert all(row["seeds"] == 3 for row in result.rows)


@pytest.mark.slow
def test_test_rows_are_opened_for_present_winners_only(data, small, whole, tmp_path, monkeypatch) -> None:
    out = tmp_path / "out"
    shutil.copytree(small, out)
    before = {name: opened(out, name) for name in "ab"}
    monkeypatch.setitem(simulated_work.LEVELS, "set", 0.97)  # later trials are better
    result = run_study(grown(data), out=out, in_process=True)
    shown = {
        name: {row["number"] for row in result.best_by_method.to_dict("records") if row["dataset"] == name}
        for name in "ab"
    }
    for name in "ab":
        assert opened(out, name) == before[name] | shown[name]
        scores = pd.read_csv(out / "test_scores.csv").query("dataset == @name")
        assert set(scores["number"]) == shown[name]
    earlier = sum(len(before[name] - shown[name]) for name in "ab")
    assert earlier > 0, "an extension that changes no winner tests nothing here"
    assert f"opened for {earlier} configurations that were chosen then" in (out / "report.html").read_text()
    assert "Earlier choices" not in (whole.folder / "report.html").read_text()


@pytest.mark.parametrize("jobs", [7, pytest.param(14, marks=pytest.mark.slow)])
def test_an_unfinished_study_can_be_extended(data: Path, whole: StudyResult, tmp_path: Path, monkeypatch, jobs) -> None:
    """It dies in the search, or while it confirms; nothing of the old plan is left waiting."""
    with monkeypatch.context() as patch:
        dies_at_record(patch, jobs)
        with pytest.raises(Killed):
            run_study(grown(data, search={"trials": 6}), out=tmp_path / "out", in_process=True)
    result = run_study(grown(data), out=tmp_path / "out", in_process=True)
    check_equal(result, whole)
    for name in "ab":
        assert set(states(result.folder, grown(data), name)) <= {State.FINISHED, State.STOPPED, State.SKIPPED}


GROWS = [({"search": {"trials": 5}}, "search.trials=6, but the spec says 5, and it may only grow")]
GROWS += [({"confirm": {key: 1}}, f"confirm.{key}=2, but the spec says 1, and it may only grow") for key in CONFIRM]
MEANS = [
    ({"search": {"batch": 3}}, "search.batch"),
    ({"search": {"sampler": "random"}}, "search.sampler.name"),
    ({"search": {"pruner": "none"}}, "search.pruner.name"),
    ({"search": {"sampler": {"name": "tpe", "n_startup_trials": 5}}}, "search.sampler.options.n_startup_trials"),
    ({"training": {"epochs": 13}}, "training.epochs"),
]
OTHER = [
    ({"seed": 4}, "seed"),
    ({"methods": ["set"]}, "methods"),
    ({"space": {"sparsity": 0.5}}, "space"),
    ({"objective": {"metric": "val_balanced_accuracy"}}, "objective.metric"),
    ({"scoring": {"scorer": "knn"}}, "scoring.scorer"),
]


@pytest.mark.parametrize(
    ("changes", "message"),
    [*GROWS, *((change, f"{key}=") for change, key in MEANS), *((change, f"{key}=") for change, key in OTHER)],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_would_change_the_meaning_is_refused(data: Path, small: Path, changes, message: str) -> None:
    before = without_measurements(small)
    spec = grown(data, search={"trials": 6}).model_dump(mode="json")
    for key, value in changes.items():
        spec[key] = {**spec[key], **value} if key in ("search", "confirm", "training") else value
    with pytest.raises(InputError, match=message) as caught:
        run_study(parse_spec(spec), out=small, in_process=True)
    assert message.endswith("grow") or "would change what its results mean" in str(caught.value)
    assert without_measurements(small) == before


def test_other_data_and_other_splits_are_refused(data: Path, small: Path, tmp_path: Path) -> None:
    datasets = [{**one, "split": "kfold"} for one in document(data)["datasets"]]
    spec = parse_spec({**document(data, search={**SEARCH, "trials": 6}), "datasets": datasets})
    with pytest.raises(InputError, match=r"datasets\.a\.split=stratified"):
        run_study(spec, out=small, in_process=True)


def test_a_packaged_space_that_has_changed_since_is_refused(data: Path, small: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    shutil.copytree(small, out)
    noted = yaml.safe_load((out / "study.yaml").read_text())
    name, domain = next((name, one) for name, one in noted["resolved"]["space"].items() if "high" in one)
    domain["high"] *= 2
    (out / "study.yaml").write_text(yaml.safe_dump(noted))
    message = rf"search space has {name}.high={re.escape(str(domain['high']))}, but the packaged space says"
    with pytest.raises(InputError, match=message):
        run_study(grown(data), out=out, in_process=True)
    domain["high"] /= 2
    conditional = [one for one in noted["resolved"]["space"].values() if "method" in one.get("when", {})]
    assert conditional
    for one in conditional:
        one["when"]["method"].append("of_another_version")
    (out / "study.yaml").write_text(yaml.safe_dump(noted))
    same = grown(data, search={"trials": 6})
    assert not run_study(same, out=out, in_process=True).ran, "a group may have other methods besides the study's"
    del noted["resolved"]["space"]  # as version 0.1 wrote it
    (out / "study.yaml").write_text(yaml.safe_dump(noted))
    assert not run_study(grown(data, search={"trials": 6}), out=out, in_process=True).ran


def test_programs_that_have_changed_since_are_named(data: Path, small: Path, tmp_path: Path, caplog) -> None:
    out = tmp_path / "out"
    shutil.copytree(small, out)
    noted = yaml.safe_load((out / "study.yaml").read_text())
    now = noted["resolved"]["versions"]["optuna"]
    noted["resolved"]["versions"]["optuna"] = "0.1"
    (out / "study.yaml").write_text(yaml.safe_dump(noted))
    run_study(grown(data, search={"trials": 6}), out=out, in_process=True)
    assert "the study began with" not in caplog.text, "nothing was left to do"
    run_study(grown(data, search={"trials": 7}), out=out, in_process=True)
    assert f"the study began with optuna 0.1, now {now}" in caplog.text


def test_a_grid_has_all_its_points_from_the_start(tmp_path: Path) -> None:
    space = {"C": {"values": [0.1, 1.0], "when": {"method": ["l1_logistic"]}}}
    given = {"methods": ["l1_logistic", "random"], "space": space, "confirm": {"top": 1, "seeds": 1}}
    specs = [spec_of(tmp_path, **given, search={"sampler": "grid", "trials": trials}) for trials in (5, 50)]
    assert run_study(specs[0], out=tmp_path / "out", in_process=True).ran
    assert not run_study(specs[1], out=tmp_path / "out", in_process=True).ran


@pytest.mark.slow
def test_a_limit_of_seconds_and_more_of_them(data: Path, whole: StudyResult, tmp_path: Path) -> None:
    """With next to no time each dataset finishes one trial; with more it goes on as if there had been no limit."""
    out = tmp_path / "out"
    limited = grown(data, search={"seconds": 0.001})
    result = run_study(limited, out=out, in_process=True)
    assert [row["dataset"] for row in result.rows] == ["a", "b"], "one finished trial a dataset is confirmed"
    for name in "ab":
        assert sum(one["dataset"] == name for one in stage(out, "search")) == 1
        assert states(out, limited, name).count(State.SKIPPED) == SEARCH["batch"] - 1
        assert not {State.RUNNING, State.WAITING} & set(states(out, limited, name))
    status = study_status(out)
    assert status["search"]["limit"] == 0.001
    assert status["search"]["seconds"] > 0.001
    assert status["datasets"]["a"]["skipped"] == SEARCH["batch"] - 1
    assert "a: the search ended after 1 of 10 trials: search.seconds=0.001 are up" in result.warnings
    assert "of 10 trials per dataset it ran 1 on a, 1 on b" in (out / "report.html").read_text()
    assert not run_study(limited, out=out, in_process=True).ran
    assert not run_study(grown(data, search={"seconds": 0.002}), out=out, in_process=True).ran, "they are used up too"
    check_equal(run_study(grown(data), out=out, in_process=True), whole)
