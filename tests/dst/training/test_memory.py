"""What training takes: bytes by connection, and resident memory of a process that does nothing else."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch

from dst.bench.peers import Ours
from dst.bench.shapes import SHAPES, draw
from dst.data.dataset import Part
from dst.importance.metrics import METRICS, Sample
from dst.rankers.warm_up import warm_up
from dst.resources import peak_rss_bytes, reset_peak_rss
from dst.training.config import TrainingConfig
from dst.training.trainer import Trainer


@pytest.mark.parametrize("sparsity", [0.5, 0.8, 0.98])
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_a_connection_takes_at_most_twenty_bytes(shape, sparsity):
    """Values, indices and both moments; and for each neuron a bias, its moments and the bounds of its lists."""
    work = draw(shape, sparsity, np.random.default_rng(0))
    memory = Ours(work).engine.memory()
    neurons = sum(shape.hidden) + shape.classes
    assert memory["parameters"] + memory["indices"] + memory["moments"] <= 20 * sum(work.model.nnz) + 32 * neurons


def measured(rows: int, features: int, **settings) -> None:
    """Train, rank, and print what it took; the only thing that a process does."""
    config = TrainingConfig(batch_size=32, epochs=3, update_interval=2, **settings)
    warm_up(config, rows - rows // 5)
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((rows, features), dtype=np.float32), np.arange(rows) % 2
    x[:, 0] += 3 * y
    held_out = rows // 5
    train, validation = Part(x[held_out:], y[held_out:], 2), Part(x[:held_out], y[:held_out], 2)
    loaded = psutil.Process().memory_info().rss
    reset_peak_rss()
    trainer = Trainer(train, validation, config, rng)
    some = trainer.model.linears[0].indices[:10_000].clone()
    while not trainer.done:
        end = trainer.run_epoch()
    trained = peak_rss_bytes()
    moved = not torch.equal(some, trainer.model.linears[0].indices[:10_000])
    sample, to_draw = Sample(train.x[:100], train.y[:100], np.arange(features)), np.random.default_rng(1)
    scores = {name: METRICS[name].take(end.model, sample, to_draw) for name in config.importances}
    printed = {
        "added": trained - loaded,
        "peak": peak_rss_bytes(),
        "nnz": trainer.model.nnz,
        "moved": moved,
        "losses": [trainer.result().curves.train_loss[epoch] for epoch in (0, -1)],
        "first": {name: int(np.argmax(values)) for name, values in scores.items()},
    }
    print(json.dumps(printed))  # noqa: T201


def in_a_process(*, rows: int, features: int, **settings):
    call = f"import test_memory; test_memory.measured({rows}, {features}, **{settings!r})"
    command = [sys.executable, "-c", call]
    run = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parent, check=True)
    return json.loads(run.stdout)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["rigl", "set"])
def test_training_a_wide_table_adds_less_than_60_megabytes(method):
    """SMK's shape at sparsity 0.95, minibatch tables and the copy of the best network included; dense needs 320 MB."""
    took = in_a_process(rows=187, features=19_993, method=method, sparsity=0.95)
    assert took["nnz"] == [954_448, 50_012, 200]
    assert took["moved"]
    assert took["added"] < 60 * 2**20


@pytest.mark.slow
def test_a_million_features_train_move_and_rank_within_four_gigabytes():
    """200 rows, 1000 hidden units, a million connections; the data are 800 MB, and as much again while training."""
    took = in_a_process(rows=200, features=1_000_000, method="set", sparsity=0.999, hidden=(1000,))
    assert abs(sum(took["nnz"]) - 1_001_000) < 2000
    assert took["moved"]
    assert took["losses"][1] < took["losses"][0]
    assert took["peak"] < 4e9
