from __future__ import annotations

import importlib
import json
import os
import pkgutil
import subprocess
import sys
import time

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


@pytest.fixture(scope="module")
def processes(tmp_path_factory):
    """What two processes say that start one after the other with an empty cache."""
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path_factory.mktemp("numba"))}
    call = [sys.executable, "-c", "from tests.dst.rankers.test_warm_up import a_process; a_process()"]
    said = [subprocess.run(call, env=environment, capture_output=True, text=True, check=False) for _ in range(2)]
    for one in said:
        assert one.returncode == 0, one.stderr
    return [json.loads(one.stdout) for one in said]


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


def test_it_is_done_once():
    warm_up(TrainingConfig(), 500)
    started = time.perf_counter()
    warm_up(TrainingConfig(method="rigl", sparsity=0.5), 500)
    assert time.perf_counter() - started < 0.1
