from __future__ import annotations

import os
import time

import numpy as np
import pytest
import torch

from dst.errors import InputError
from dst.training.config import TrainingConfig
from dst.training.engines.choice import (
    DENSE_FROM_BATCH,
    DENSE_FROM_DENSITY,
    DENSE_FROM_WEIGHTS,
    check_device,
    choose_engine,
    torch_threads,
)
from dst.training.trainer import Trainer
from tests.support.small_training import SMALL, parts

MANY = DENSE_FROM_WEIGHTS


@pytest.mark.parametrize(
    ("engine", "device", "density", "weights", "chosen"),
    [
        ("sparse", "cpu", 1.0, MANY, "sparse"),
        ("dense", "cpu", 0.01, 100, "dense"),
        ("dense", "cuda", 0.01, 100, "dense"),
        ("auto", "cuda", 0.01, 100, "dense"),
        ("auto", "cpu", DENSE_FROM_DENSITY, MANY, "dense"),
        ("auto", "cpu", 1.0, 10 * MANY, "dense"),
        ("auto", "cpu", DENSE_FROM_DENSITY - 0.01, MANY, "sparse"),
        ("auto", "cpu", 1.0, MANY - 1, "sparse"),
        ("auto", "cpu", 0.05, 100 * MANY, "sparse"),
    ],
)
def test_the_rule(engine, device, density, weights, chosen):
    size = {"connections": round(density * weights), "weights": weights}
    assert choose_engine(engine, device, **size, batch_size=DENSE_FROM_BATCH) == chosen
    small = "sparse" if (engine, device) == ("auto", "cpu") else chosen
    assert choose_engine(engine, device, **size, batch_size=DENSE_FROM_BATCH - 1) == small


def test_the_choice_asks_nothing_of_the_machine(monkeypatch):
    """No clock, no load, no count of cores: a study chooses alike on a busy machine and on an idle one."""

    def ask(*arguments, **named):
        raise AssertionError("the choice must follow from what is known beforehand")

    size = {"connections": MANY, "weights": MANY, "batch_size": DENSE_FROM_BATCH}
    with monkeypatch.context() as replaced:  # pytest itself reads a clock after the test
        for module, names in (
            (time, ("time", "monotonic", "perf_counter", "process_time", "thread_time")),
            (os, ("getloadavg", "cpu_count", "sched_getaffinity", "times")),
            (torch, ("get_num_threads",)),
            (torch.cuda, ("is_available",)),
        ):
            for name in names:
                replaced.setattr(module, name, ask)
        many = choose_engine("auto", "cpu", **size)
        few = choose_engine("auto", "cpu", **{**size, "connections": MANY // 2})
    assert (many, few) == ("dense", "sparse")


@pytest.mark.parametrize(
    ("settings", "engine"),
    [
        ({"method": "dense"}, "dense"),
        ({"method": "dense", "engine": "sparse"}, "dense"),  # it has no sparsity
        ({"method": "set", "sparsity": 0.0}, "sparse"),  # a small network
        ({"method": "set", "sparsity": 0.1, "hidden": (9000,), "batch_size": 100}, "dense"),
        ({"method": "set", "sparsity": 0.1, "hidden": (9000,), "batch_size": 32}, "sparse"),
        ({"method": "set", "sparsity": 0.5, "hidden": (9000,), "batch_size": 100}, "sparse"),
        ({"method": "set", "engine": "dense"}, "dense"),
    ],
)
def test_a_training_names_its_engine(settings, engine):
    train, validation = parts()
    config = TrainingConfig(**{**SMALL, "epochs": 1, **settings})
    trainer = Trainer(train, validation, config, np.random.default_rng(0))
    assert trainer.engine == engine
    trainer.run_epoch()
    result = trainer.result()
    assert result.engine == engine
    assert set(result.memory) == {"parameters", "indices", "moments", "activations", "gradients"}


def test_a_gpu_that_is_not_there_is_an_error_that_says_so(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    check_device("cpu")
    train, validation = parts()
    with pytest.raises(InputError, match=r"device cuda needs a GPU .* use device=cpu"):
        Trainer(train, validation, TrainingConfig(device="cuda", **SMALL), np.random.default_rng(0))


def test_the_sparse_engine_has_no_gpu():
    with pytest.raises(InputError, match="engine sparse runs on device cpu only, but got device=cuda"):
        TrainingConfig(engine="sparse", device="cuda")


@pytest.mark.parametrize("fails", [False, True])
def test_the_number_of_threads_comes_back(fails):
    before = torch.get_num_threads()
    try:
        with torch_threads(before + 1):
            assert torch.get_num_threads() == before + 1
            if fails:
                raise KeyError
    except KeyError:
        pass
    assert torch.get_num_threads() == before


@pytest.mark.parametrize("method", [pytest.param("dense", marks=pytest.mark.slow), "set", "rigl"])
def test_a_training_takes_its_threads(method):
    train, validation = parts()
    config = TrainingConfig(method=method, threads=2, **SMALL)
    results = []
    for _ in range(2):
        trainer = Trainer(train, validation, config, np.random.default_rng(0))
        results.append([trainer.run_epoch().train_loss for _ in range(3)])
    assert results[0] == results[1]
    assert torch.get_num_threads() == 1
