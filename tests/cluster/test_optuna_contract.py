"""What we rely on in Optuna beyond its documented interface: a version that differs breaks a test, and not a study.

``cluster/ledger/internals.py`` names the private parts. The rest is what public methods do, or are called with, and
nowhere promised.
"""

from __future__ import annotations

import copy
import inspect
import math
import warnings
from pathlib import Path
from typing import Any

import optuna
import pytest
import sqlalchemy
from optuna.distributions import FloatDistribution
from optuna.exceptions import ExperimentalWarning
from optuna.pruners import BasePruner, HyperbandPruner
from optuna.samplers import BaseSampler, NSGAIISampler
from optuna.storages import InMemoryStorage, RDBStorage
from optuna.storages._rdb.models import TrialIntermediateValueModel
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState, create_trial
from sqlalchemy import orm

from cluster.ledger.internals import SharedTrial, engine_of, key_in_storage, replace_reports
from cluster.ledger.samplers.evolution import BatchEvolution
from cluster.ledger.storage.connect import open_storage, quiet_optuna
from cluster.ledger.storage.patient import PatientStorage


def parameters(function: Any) -> list[str]:
    return [name for name in inspect.signature(function).parameters if name != "self"]


@pytest.fixture
def storage(tmp_path: Path):
    storage = open_storage(tmp_path / "study.db")
    yield storage
    storage.close()


def study_in(storage: optuna.storages.BaseStorage, name: str = "study") -> int:
    with quiet_optuna():
        return storage.create_new_study([StudyDirection.MINIMIZE], name)


# --- private parts


def test_a_trial_has_the_key_that_the_storage_takes(storage: PatientStorage) -> None:
    assert "_trial_id" in vars(create_trial(state=TrialState.WAITING)), "FrozenTrial._trial_id is gone"
    studies = [study_in(storage, name) for name in ("first", "second")]
    keys = [storage.create_new_trial(study) for study in studies]
    trials = [storage.get_all_trials(study)[0] for study in studies]
    assert [key_in_storage(trial) for trial in trials] == keys
    assert len(set(keys)) == 2, "a key is unique over all studies"
    assert [trial.number for trial in trials] == [0, 0]


def test_a_database_storage_has_an_engine(storage: PatientStorage) -> None:
    assert isinstance(engine_of(storage), sqlalchemy.Engine), "RDBStorage.engine is gone"
    statements: list[str] = []
    sqlalchemy.event.listen(engine_of(storage), "before_cursor_execute", lambda *call: statements.append(call[2]))
    study = study_in(storage)
    storage.create_new_trial(study)
    assert any("INSERT INTO trials" in statement for statement in statements), "all goes through this engine"


def test_the_table_of_reports_is_as_we_write_it() -> None:
    columns = {column.name: column.nullable for column in TrialIntermediateValueModel.__table__.columns}
    assert columns == {
        "trial_intermediate_value_id": False,
        "trial_id": False,
        "step": False,
        "intermediate_value": True,
        "intermediate_value_type": False,
    }, "a column more, or less, is one that replace_reports must fill"
    assert parameters(TrialIntermediateValueModel.intermediate_value_to_stored_repr) == ["value"]


def test_reports_written_in_bulk_are_the_rows_that_optuna_writes(storage: PatientStorage) -> None:
    reports = {1: 0.5, 2: math.inf, 3: -math.inf, 7: math.nan, 200: 1e-300}
    study = study_in(storage)
    ours, theirs = (storage.create_new_trial(study) for _ in range(2))
    for step, value in reports.items():
        storage.set_trial_intermediate_value(theirs, step, value)
    with orm.Session(engine_of(storage)) as session, session.begin():
        replace_reports(session, ours, reports)
    columns = "step, intermediate_value, intermediate_value_type"
    with engine_of(storage).connect() as connection:
        rows = [
            connection.execute(
                sqlalchemy.text(f"SELECT {columns} FROM trial_intermediate_values WHERE trial_id = :trial"),  # noqa: S608
                {"trial": trial},
            ).all()
            for trial in (ours, theirs)
        ]
    assert rows[0] == rows[1]


def test_a_trial_is_a_plain_object() -> None:
    trial = create_trial(
        state=TrialState.COMPLETE,
        value=1.0,
        params={"x": 0.5},
        distributions={"x": FloatDistribution(0, 1)},
        user_attrs={"stage": "search"},
        intermediate_values={1: 3.0, 2: 2.0},
    )
    assert "__slots__" not in vars(FrozenTrial), "SharedTrial copies __dict__"
    assert "intermediate_values" in vars(trial), "SharedTrial replaces the attribute"
    shared = SharedTrial.of(trial, {2: 2.0})
    assert (shared.number, shared.state, shared.value, shared.params) == (trial.number, trial.state, 1.0, {"x": 0.5})
    assert (shared.intermediate_values, trial.intermediate_values) == ({2: 2.0}, {1: 3.0, 2: 2.0})
    assert copy.deepcopy(shared).params is not None
    assert vars(copy.deepcopy(shared))["_user_attrs"] is vars(trial)["_user_attrs"], "copies share what they hold"


# --- what public methods do


@pytest.mark.parametrize("kind", ["sqlite", "memory"])
def test_a_running_trial_may_wait_again_with_number_parameters_and_attributes(tmp_path: Path, kind: str) -> None:
    storage = open_storage(tmp_path / "study.db") if kind == "sqlite" else InMemoryStorage()
    study = study_in(storage)
    template = create_trial(
        state=TrialState.WAITING,
        params={"x": 0.25},
        distributions={"x": FloatDistribution(0, 1)},
        user_attrs={"stage": "search"},
    )
    key = storage.create_new_trial(study, template_trial=template)
    assert storage.set_trial_state_values(key, TrialState.RUNNING)
    assert not storage.set_trial_state_values(key, TrialState.RUNNING), "a second starter is told so"
    storage.set_trial_state_values(key, TrialState.WAITING)
    trial = storage.get_trial(key)
    assert (trial.state, trial.number, trial.params) == (TrialState.WAITING, 0, {"x": 0.25})
    assert trial.user_attrs == {"stage": "search"}
    storage.set_trial_state_values(key, TrialState.FAIL)
    with pytest.raises(RuntimeError):
        storage.set_trial_state_values(key, TrialState.WAITING)


OVERRIDDEN: list[tuple[type, type, str, list[str]]] = [
    (NSGAIISampler, BatchEvolution, "infer_relative_search_space", ["study", "trial"]),
    (NSGAIISampler, BatchEvolution, "get_trial_generation", ["study", "trial"]),
    (NSGAIISampler, BatchEvolution, "get_population", ["study", "generation"]),
    (RDBStorage, PatientStorage, "create_new_study", ["directions", "study_name"]),
    (RDBStorage, PatientStorage, "create_new_trial", ["study_id", "template_trial"]),
    (RDBStorage, PatientStorage, "set_trial_state_values", ["trial_id", "state", "values"]),
    (RDBStorage, PatientStorage, "set_study_user_attr", ["study_id", "key", "value"]),
    (RDBStorage, PatientStorage, "set_trial_user_attr", ["trial_id", "key", "value"]),
    (RDBStorage, PatientStorage, "set_trial_intermediate_value", ["trial_id", "step", "intermediate_value"]),
    (RDBStorage, PatientStorage, "get_study_id_from_name", ["study_name"]),
    (RDBStorage, PatientStorage, "get_study_user_attrs", ["study_id"]),
    (RDBStorage, PatientStorage, "get_trial", ["trial_id"]),
    (RDBStorage, PatientStorage, "get_all_trials", ["study_id", "deepcopy", "states"]),
]


@pytest.mark.parametrize(
    ("base", "ours", "method", "expected"), OVERRIDDEN, ids=lambda one: getattr(one, "__name__", one)
)
def test_a_method_that_we_override_takes_what_it_took(base: type, ours: type, method: str, expected: list[str]) -> None:
    assert parameters(getattr(base, method)) == expected
    assert parameters(getattr(ours, method)) == expected


@pytest.mark.parametrize(("base", "ours"), list(dict.fromkeys((base, ours) for base, ours, *_ in OVERRIDDEN)))
def test_each_override_has_its_line_in_the_table(base: type, ours: type) -> None:
    known = {method for _, kind, method, _ in OVERRIDDEN if kind is ours}
    overridden = {name for name in vars(ours) if not name.startswith("_") and hasattr(base, name)}
    assert overridden == known


def test_nsga2_selects_among_the_population_and_leaves_the_child_to_us() -> None:
    asked: list[tuple[str, Any]] = []

    class Noted(NSGAIISampler):
        def get_trial_generation(self, study: optuna.Study, trial: FrozenTrial) -> int:
            asked.append(("generation", trial.number))
            return 1

        def get_population(self, study: optuna.Study, generation: int) -> list[FrozenTrial]:
            asked.append(("population", generation))
            return study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))

    def child(study: optuna.Study, space: dict[str, Any], parents: list[FrozenTrial]) -> dict[str, Any]:
        asked.append(("child", sorted(trial.number for trial in parents)))
        return {"x": 0.125}

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        sampler = Noted(seed=0, population_size=2, child_generation_strategy=child)
    with quiet_optuna():
        study = optuna.create_study(sampler=sampler)
    space = {"x": FloatDistribution(0, 1)}
    study.add_trials(create_trial(params={"x": x}, distributions=space, value=x) for x in (0.3, 0.9, 0.1))
    assert study.ask(space).params == {"x": 0.125}
    parents = [0, 2]  # the best two of the population
    assert asked == [("generation", 3), ("population", 0), ("child", parents)]


def test_hyperband_asks_the_storage_of_its_study_and_deals_by_name_and_number() -> None:
    seen: list[int] = []

    class Noted(InMemoryStorage):
        def get_all_trials(self, study_id: int, *rest: Any, **more: Any) -> list[FrozenTrial]:
            seen.append(study_id)
            return super().get_all_trials(study_id, *rest, **more)

    storage = Noted()
    pruner = HyperbandPruner(min_resource=1, max_resource=8, reduction_factor=2)
    with quiet_optuna():
        study = optuna.create_study(storage=storage, study_name="1/wine", pruner=pruner)
    trial = study.ask()
    trial.report(0.5, 8)  # no bracket decides for the first time later
    seen.clear()
    trial.should_prune()
    assert set(seen) == {storage.get_study_id_from_name("1/wine")}, "through get_all_trials, which PrunerView replaces"
    assert "study_name" in (source := inspect.getsource(HyperbandPruner._get_bracket_id))
    assert "trial.number" in source


def test_a_study_hands_its_pruner_itself_and_the_storage_as_it_is() -> None:
    assert parameters(BasePruner.prune) == ["study", "trial"]
    storage = InMemoryStorage()
    assert optuna.storages.get_storage(storage) is storage, "a wrapper would hide PrunerView's own list of trials"


def test_samplers_take_a_seed_by_name() -> None:
    for sampler in (optuna.samplers.TPESampler, optuna.samplers.RandomSampler, optuna.samplers.GPSampler):
        assert issubclass(sampler, BaseSampler)
        assert "seed" in parameters(sampler.__init__)
