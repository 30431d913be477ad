from __future__ import annotations

import importlib
import json
import os
import pkgutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numba.core.dispatcher import Dispatcher

import dst.kernels
from dst.data.dataset import Part
from dst.importance.metrics import METRICS, Sample
from dst.rankers.warm_up import warm_up
from dst.topology.methods import METHODS
from dst.training.config import TrainingConfig
from dst.training.trainer import Trainer


def kernels() -> dict[str, Dispatcher]:
    names = [module.name for module in pkgutil.iter_modules(dst.kernels.__path__)]
    modules = [importlib.import_module(f"dst.kernels.{name}") for name in names]
    found = [value for module in modules for value in vars(module).values() if isinstance(value, Dispatcher)]
    return {f"{one.py_func.__module__}.{one.py_func.__name__}": one for one in found}


def a_process() -> None:
    """Warm up, then train in many ways; say what was compiled and when."""
    started = time.perf_counter()
    for config in CONFIGS:
        warm_up(config, 700)
    seconds = time.perf_counter() - started
    before = {name: len(one.signatures) for name, one in kernels().items()}
    for config in CONFIGS:
        train_on_other_shapes(config)
    after = {name: len(one.signatures) for name, one in kernels().items()}
    misses = {name: sum(one.stats.cache_misses.values()) for name, one in kernels().items()}
    print(json.dumps({"seconds": seconds, "before": before, "after": after, "misses": misses}))  # noqa: T201


WAYS = (
    *({"method": method, "batch_size": 33} for method in METHODS),
    *({"method": method, "engine": "dense"} for method in METHODS),
    {"method": "set", "batch_size": 256, "optimizer": "sgd", "hidden": ()},
    {"method": "rigl", "dropout": 0.3, "threads": 2, "label_smoothing": 0.1, "group_penalty": 0.1},
    {"loss": "squared_error"},
    {"loss": "reconstruction", "input_noise": 0.1, "hidden": (20,)},
)
CONFIGS = [TrainingConfig(**{"hidden": (60, 20), "sparsity": 0.7, "update_interval": 2, **way}) for way in WAYS]


def train_on_other_shapes(config: TrainingConfig) -> None:
    rng = np.random.default_rng(1)
    x = rng.normal(size=(700, 300)).astype(np.float32)
    x.setflags(write=False)  # as arrays in an object store are
    y = rng.normal(size=(700, 3)).astype(np.float32) if config.loss == "squared_error" else rng.integers(0, 5, 700)
    trainer = Trainer(Part(x, y, 5), Part(x[:600], y[:600], 5), config, rng, lambda: np.ones(300))
    for _ in range(2):
        end = trainer.run_epoch()
    chosen = slice(config.importance_rows)
    sample = Sample(x[chosen], x[chosen] if config.loss == "reconstruction" else y[chosen], np.arange(300))
    for metric in METRICS.values():
        metric.take(end.model, sample, rng)
    trainer.load_state_dict(trainer.state_dict())
    trainer.run_epoch()


ROOT = Path(__file__).parents[3]


@dataclass(frozen=True)
class Installation:
    """This one, as its processes see it, with nothing compiled.

    Attributes:
        inside: a command that runs the command that follows it there.
        environment: of its processes.
        temporary: the folder for temporary files.
        read_only: whether there is nothing else that can be written to.
    """

    inside: tuple[str, ...]
    environment: dict[str, str]
    temporary: Path
    read_only: bool

    def python(self, *arguments: str) -> str:
        """Run Python there; return what it prints."""
        done = subprocess.run(
            [*self.inside, sys.executable, *arguments],
            cwd=ROOT,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Installation:
    """As in a container with a read-only root and without a home, where mount namespaces are permitted."""
    temporary = tmp_path_factory.mktemp("temporary")
    environment = {name: value for name, value in os.environ.items() if name != "NUMBA_CACHE_DIR"}
    environment["TMPDIR"] = str(temporary)
    bind = f'mount --bind "{ROOT}" "{ROOT}" && mount -o remount,ro,bind "{ROOT}" "{ROOT}" && exec "$@"'
    inside = ("unshare", "-m", "sh", "-c", bind, "sh")
    if subprocess.run([*inside, "true"], capture_output=True, check=False).returncode:
        return Installation((), environment | {"NUMBA_CACHE_DIR": str(temporary)}, temporary, read_only=False)
    homeless = {"HOME": "/proc/none", "XDG_CACHE_HOME": "/proc/none"}
    return Installation(inside, environment | homeless, temporary, read_only=True)


@pytest.fixture(scope="module")
def processes(installation: Installation) -> list[dict[str, Any]]:
    """What two processes say that start one after the other where nothing is compiled."""
    program = "from tests.dst.rankers.test_warm_up import a_process; a_process()"
    return [json.loads(installation.python("-c", program)) for _ in range(2)]


@pytest.mark.slow
def test_training_compiles_nothing_after_the_warm_up(processes):
    for process in processes:
        assert process["after"] == process["before"]


@pytest.mark.slow
def test_the_first_process_compiles_and_the_second_loads_the_cache(processes):
    first, second = processes
    assert sum(first["misses"].values()) > 0
    assert not any(second["misses"].values()), second["misses"]
    assert second["seconds"] < first["seconds"]


@pytest.mark.slow
def test_a_trial_runs_from_an_installation_that_may_not_be_written_to_and_without_a_home(installation, processes):
    """Nothing but the folder for temporary files can be written to, and that is where compiled kernels are."""
    if not installation.read_only:
        pytest.skip("mount namespaces are not permitted here")
    program = "from studies.cli.main import main; main()"
    printed = installation.python("-c", program, "trial", "--data", "wine", "--epochs", "2")
    assert "neuron_attribution" in printed
    assert list(installation.temporary.glob("dst-numba-*/*/*.nbc"))


def test_it_is_done_once():
    warm_up(TrainingConfig(), 500)
    started = time.perf_counter()
    warm_up(TrainingConfig(method="rigl", sparsity=0.5), 500)
    assert time.perf_counter() - started < 0.1
