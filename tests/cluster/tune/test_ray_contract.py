"""What we rely on in Ray: developer interfaces of Tune, without promises, and the parts that no interface offers.

``cluster/tune/internals.py`` names the private parts; the hooks are in ``cluster/tune/hooks.py`` and ``worker.py``.

One real run writes down every call that Tune makes; the tables below say what it must be. A version of Ray that calls
otherwise breaks these tests, and not a study.
"""

from __future__ import annotations

import inspect
import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import ray
from ray import tune
from ray._private import services, worker
from ray._private.node import Node
from ray._raylet import AuthenticationTokenLoader, InnerGcsClient
from ray.air.execution._internal import RayActorManager
from ray.exceptions import RayTaskError
from ray.tune import Callback
from ray.tune.execution import class_cache
from ray.tune.execution.tune_controller import TrialRunnerWrapper, TuneController
from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher
from ray.tune.utils.object_cache import _ObjectCache

from cluster.tune.hooks import Recorder, SourceScheduler, SourceSearcher
from cluster.tune.internals import DONE, ENVIRONMENT, NODE_DIED, TUNE_LOG
from cluster.tune.session import ray_session
from cluster.tune.worker import JobTrainable
from tests.support.recorded_tune import Call, Diarist, Notes, NotingCallback, NotingScheduler, NotingSearcher

# --- names and signatures

SIGNATURES: list[tuple[type, str, list[str]]] = [
    (Searcher, "suggest", ["trial_id"]),
    (Searcher, "on_trial_result", ["trial_id", "result"]),
    (Searcher, "on_trial_complete", ["trial_id", "result", "error"]),
    (Searcher, "save", ["checkpoint_path"]),
    (FIFOScheduler, "choose_trial_to_run", ["tune_controller"]),
    (FIFOScheduler, "on_trial_result", ["tune_controller", "trial", "result"]),
    (FIFOScheduler, "on_trial_complete", ["tune_controller", "trial", "result"]),
    (FIFOScheduler, "on_trial_error", ["tune_controller", "trial"]),
    (Callback, "on_trial_start", ["iteration", "trials", "trial", "info"]),
    (Callback, "on_trial_result", ["iteration", "trials", "trial", "result", "info"]),
    (Callback, "on_step_end", ["iteration", "trials", "info"]),
    (tune.Trainable, "default_resource_request", ["config"]),
    (tune.Trainable, "setup", ["config"]),
    (tune.Trainable, "reset_config", ["new_config"]),
    (tune.Trainable, "train", []),
    (tune.Trainable, "step", []),
    (tune.Trainable, "cleanup", []),
    (tune.Trainable, "save_checkpoint", ["checkpoint_dir"]),
    (tune.Trainable, "load_checkpoint", ["checkpoint"]),
]
OURS = {Searcher: SourceSearcher, FIFOScheduler: SourceScheduler, Callback: Recorder, tune.Trainable: JobTrainable}


def parameters(function: Callable[..., Any]) -> list[str]:
    named = inspect.signature(function).parameters.values()
    return [p.name for p in named if p.name != "self" and p.kind is not p.KEYWORD_ONLY]


@pytest.mark.parametrize(("base", "hook", "expected"), SIGNATURES, ids=lambda one: getattr(one, "__name__", None))
def test_a_hook_takes_what_it_took(base: type, hook: str, expected: list[str]) -> None:
    assert parameters(getattr(base, hook)) == expected


@pytest.mark.parametrize("base", OURS)
def test_we_override_hooks_by_their_names_and_parameters(base: type) -> None:
    ours = OURS[base]
    known = {hook for one, hook, _ in SIGNATURES if one is base}
    overridden = {name for name in vars(ours) if not name.startswith("_") and inspect.isfunction(vars(ours)[name])}
    assert overridden <= known, "each hook that we override has its line in the table"
    for hook in overridden:
        assert parameters(getattr(ours, hook)) == parameters(getattr(base, hook))


def python_sources(*folders: str) -> str:
    root = Path(ray.__file__).parent
    return "\n".join(path.read_text() for folder in folders for path in sorted((root / folder).rglob("*.py")))


@pytest.mark.parametrize("name", ENVIRONMENT)
def test_ray_still_reads_a_switch_that_we_set(name: str) -> None:
    """By its name or a constant of this name (``environ.get(RAY_CHDIR_TO_TRIAL_DIR``); or in the node's manager."""
    read = re.compile(rf"(environ\.get|getenv)\(\s*[\"']?{name}[\"']?")
    manager = Path(ray.__file__).parent / "core/src/ray/raylet/raylet"
    python = python_sources("tune") + inspect.getsource(ray.init)
    known = read.search(python) or name.encode() in manager.read_bytes()
    assert known, f"{name} is read no more: see ENVIRONMENT in cluster/tune/internals.py"


def test_the_extra_of_a_cluster_pins_the_ray_of_the_rest() -> None:
    project = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text())["project"]
    extra = project["optional-dependencies"]["cluster"]
    (ray_itself,) = (one for one in project["dependencies"] if one.startswith("ray["))
    assert extra == [ray_itself.replace("[tune]", "[default]")]


def test_tunes_workers_have_an_environment_of_their_own() -> None:
    """So processes that Ray starts ahead, which have none, stay without work."""
    assert "ray.remote(runtime_env=runtime_env)(trainable_cls)" in inspect.getsource(class_cache), "see ENVIRONMENT"


def test_ray_has_the_words_that_we_look_for() -> None:
    server = Path(ray.__file__).parent / "core/src/ray/gcs/gcs_server"
    assert NODE_DIED.encode() in server.read_bytes(), "a lost machine's actors have another error: see NODE_DIED"
    assert tune.tune.logger.name == TUNE_LOG
    assert DONE == "done"


def test_a_session_keeps_to_loopback_its_folder_and_its_token() -> None:
    assert "if not ray_constants.ENABLE_RAY_CLUSTER:" in inspect.getsource(services), "see loopback_only"
    assert "if not self._ray_params.no_monitor:" in inspect.getsource(Node), "see few_services"
    assert "if self._ray_params.include_log_monitor:" in inspect.getsource(Node), "see few_services"
    assert "return self._webui_url" in inspect.getsource(Node.webui_url.fget), "see few_services"
    assert 'kwargs.pop("_temp_dir"' in inspect.getsource(ray.init), "see temporary_folder"
    assert "target=listen_error_messages," in inspect.getsource(worker.connect), "see no_raylet_messages"
    assert "= find_node_ids()" in inspect.getsource(services.get_node_to_connect_for_driver), "see is_node_of"
    assert callable(InnerGcsClient.get_all_node_info), "see is_node_of"
    assert callable(AuthenticationTokenLoader.instance().reset_cache), "see forget_token"
    assert "wait_for_processes" in inspect.signature(ray.shutdown).parameters


def test_a_trial_says_its_resources_and_where_its_error_lies() -> None:
    assert "self.placement_group_factory =" in inspect.getsource(Trial), "see resources_of"
    for name in ("pickled_error_file", "error_file"):
        assert isinstance(inspect.getattr_static(Trial, name), property), "see written_error"


def test_the_words_and_the_private_parts_that_we_use_are_there() -> None:
    assert (TrialScheduler.CONTINUE, TrialScheduler.STOP) == ("CONTINUE", "STOP")
    assert Searcher.FINISHED == "FINISHED"
    assert "self._actor_cache = _ObjectCache(" in inspect.getsource(TuneController)
    assert "self._actor_manager = RayActorManager(" in inspect.getsource(TuneController)
    assert "self._tune_controller = tune_controller" in inspect.getsource(TrialRunnerWrapper)
    assert parameters(_ObjectCache.increase_max) == ["key", "by"]
    assert isinstance(inspect.getattr_static(RayActorManager, "num_live_actors"), property)
    assert parameters(_ObjectCache.decrease_max) == ["key", "by"]
    assert parameters(_ObjectCache.pop_cached_object) == ["key"]
    assert parameters(TuneController._remove_actor) == ["tracked_actor"]
    assert parameters(TuneController._maybe_reuse_cached_actor) == ["trial"]
    assert parameters(Trial.update_resources) == ["resources"]
    for kept in ("_pending_trials", "_trial_to_actor", "_resources_to_pending_trials"):
        assert f"self.{kept}" in inspect.getsource(TuneController.__init__), "see placeless_trials, give_idle_worker"
    assert "self._cached_objects" in inspect.getsource(_ObjectCache), "see idle_requests"
    for kept in ("_pending_actors_to_attrs", "_live_actors_to_ray_actors_resources"):
        assert f"self.{kept}" in inspect.getsource(RayActorManager.__init__), "see placeless_trials"
    assert parameters(RayActorManager.remove_actor) == ["tracked_actor", "kill", "stop_future"]
    assert parameters(RayActorManager._actor_task_failed) == ["tracked_actor_task", "exception"]
    taken = inspect.signature(tune.run).parameters
    for name in (
        "search_alg", "scheduler", "callbacks", "num_samples", "reuse_actors", "storage_path",
        "checkpoint_config", "trial_name_creator", "trial_dirname_creator", "raise_on_failed_trial", "verbose", "name",
    ):  # fmt: skip
        assert name in taken, name


# --- one run in which everything happens, one trial after the other in one worker

NAMES = ["finishes", "stops", "finishes again", "raises", "finishes last"]


def report(n: int) -> list[Call]:
    """What a result is that does not end its trial: scheduler, then searcher, then callback, then Tune keeps it."""
    return [
        ("scheduler", "on_trial_result", f"n={n} done=False", "CONTINUE"),
        ("searcher", "on_trial_result", f"n={n} done=False"),
        ("callback", "on_trial_result", f"n={n} done=False", "not kept yet"),
    ]


BEGIN: list[Call] = [("searcher", "suggest"), ("callback", "on_trial_start")]
FINISHES: list[Call] = [
    *BEGIN,
    *report(1),
    *report(2),
    # a result that is done by itself is no result to scheduler and searcher; the callback takes "n" out of it here
    ("callback", "on_trial_result", "n=3 done=True", "not kept yet"),
    ("scheduler", "on_trial_complete", "n=None done=True"),
    ("searcher", "on_trial_complete", "n=None done=True", "error=False"),
    ("callback", "on_trial_complete"),
]
STOPS: list[Call] = [
    *BEGIN,
    *report(1),
    # a stop: the searcher never sees the result as one, and cannot tell the end from a finish
    ("scheduler", "on_trial_result", "n=2 done=False", "STOP"),
    ("callback", "on_trial_result", "n=2 done=True", "not kept yet"),
    ("scheduler", "on_trial_complete", "n=None done=True"),
    ("searcher", "on_trial_complete", "n=None done=True", "error=False"),
    ("callback", "on_trial_complete"),
]
RAISES: list[Call] = [
    *BEGIN,
    *report(1),
    ("scheduler", "on_trial_error"),
    ("searcher", "on_trial_complete", "nothing", "error=True"),
    ("callback", "on_trial_error"),
]
CALLS = {"finishes": FINISHES, "stops": STOPS, "finishes again": FINISHES, "raises": RAISES, "finishes last": FINISHES}

DIARY = """\
finishes setup
finishes step
finishes step
finishes step
finishes reset_config
stops step
stops step
stops reset_config
finishes again step
finishes again step
finishes again step
finishes again reset_config
raises step
raises step
raises cleanup
finishes last setup
finishes last step
finishes last step
finishes last step
finishes last cleanup
"""
"""A worker lives on after a finish and after a stop, and ends after an error."""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    diaries = {at_end: tmp_path_factory.mktemp("diary") / "diary" for at_end in (False, True)}
    notes = {at_end: Notes() for at_end in (False, True)}
    kept = {}
    with ray_session(None, cpus=1, threads=1, shared_bytes=0) as folder:
        for at_end, names in ((False, NAMES), (True, ["stops"])):
            analysis = tune.run(
                Diarist,
                name=f"at-end-{at_end}",
                search_alg=NotingSearcher(notes[at_end], names, str(diaries[at_end])),
                scheduler=NotingScheduler(notes[at_end]),
                callbacks=[NotingCallback(notes[at_end])],
                num_samples=-1,
                max_concurrent_trials=1,
                reuse_actors=True,
                storage_path=str(Path(folder, "tune")),
                checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=at_end),
                raise_on_failed_trial=False,
                verbose=0,
            )
            kept[at_end] = {trial.config["name"]: trial.last_result.get("n") for trial in analysis.trials}
    diary = {at_end: path.read_text() for at_end, path in diaries.items()}
    return {"notes": notes[False], "diary": diary, "kept": kept[False]}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.slow
def test_tune_calls_scheduler_searcher_and_callback_in_this_order(run: dict[str, Any], name: str) -> None:
    assert run["notes"].calls[name] == CALLS[name]


@pytest.mark.slow
def test_a_worker_is_reused_after_all_but_an_error(run: dict[str, Any]) -> None:
    assert run["diary"][False] == DIARY


@pytest.mark.slow
def test_a_stop_saves_unless_checkpoints_at_the_end_are_turned_off(run: dict[str, Any]) -> None:
    """So ``save_checkpoint`` must exist: without it every stopped trial would become an error where they are on."""
    assert "save_checkpoint" not in run["diary"][False]
    assert run["diary"][True].splitlines() == [
        "stops setup",
        "stops step",
        "stops step",
        "stops save_checkpoint",
        "stops cleanup",
    ]


@pytest.mark.slow
def test_a_callback_that_empties_a_result_spares_tune_from_keeping_it(run: dict[str, Any]) -> None:
    assert run["kept"] == {"finishes": None, "stops": None, "finishes again": None, "raises": 1, "finishes last": None}


@pytest.mark.slow
def test_a_trials_error_lies_in_a_file_when_the_scheduler_hears_of_it(run: dict[str, Any]) -> None:
    assert set(run["notes"].errors) == {"raises"}
    error = run["notes"].errors["raises"]
    assert isinstance(error, RayTaskError)
    assert "RuntimeError: as asked" in str(error)
    assert "recorded_tune.py" in str(error), "with its traceback"


@pytest.mark.slow
def test_nothing_of_the_drivers_is_pickled(run: dict[str, Any]) -> None:
    assert run["notes"].pickled == 0
