"""Compiling what training runs, or loading it from Numba's cache, before a trial's clock starts."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

import numpy as np

from dst.data.dataset import Part
from dst.importance.metrics import METRICS, Sample
from dst.kernels import linear
from dst.kernels.simd import WIDTH
from dst.network.layers import SparseLinear
from dst.topology.methods import METHODS
from dst.training.config import TrainingConfig
from dst.training.engines.choice import check_device, choose_engine
from dst.training.trainer import Trainer

_FEATURES = 64

_MANY = 2**40
"""Weights of a network that is large enough for any engine."""

_SPARSE_WAYS: tuple[Mapping[str, Any], ...] = (
    *({"method": name, "dropout": 0.5} for name, method in METHODS.items() if method.sparse),
    {"method": "set", "optimizer": "sgd", "group_penalty": 1e-3},
    {"method": "static", "loss": "reconstruction"},
)
_DENSE_WAYS: tuple[Mapping[str, Any], ...] = ({"method": "dense", "dropout": 0.5}, {"method": "set", "engine": "dense"})


def warm_up(config: TrainingConfig, n_rows: int) -> None:
    """Run every compiled kernel that a training with these settings can call, once per process and batch size.

    Args:
        config: of the training.
        n_rows: its training rows.

    Kernels are compiled for the types of their arguments and for how a minibatch fills the registers, not for sizes, so
    that training tiny networks in every way serves all. The first process on a machine compiles for some seconds; later
    ones load the cache in about half a second. Where the dense engine may train, torch's optimizers are loaded too,
    which takes longer than that.

    Raises:
        InputError: the device is not there.
    """
    check_device(config.device)
    batch_size = min(config.batch_size, n_rows)
    sampled = batch_size if config.sampling == "per_step" else min(config.importance_rows, n_rows)
    _train_sparse(batch_size, sampled, config.threads)
    connections = int((1 - config.sparsity) * _MANY)
    at_most = {"connections": connections, "weights": _MANY, "batch_size": config.batch_size}
    if not METHODS[config.method].sparse or choose_engine(config.engine, config.device, **at_most) == "dense":
        _train_dense(batch_size, sampled, config.threads, config.device)


@functools.cache
def _train_sparse(batch_size: int, sampled: int, threads: int) -> None:
    SparseLinear(4, 2, 8, np.random.default_rng(0)).arrange(2)  # as only wider layers are
    for way in _SPARSE_WAYS:
        _train({**way, "engine": "sparse"}, batch_size, sampled, threads)
    for writeable in (True, False):  # tables that processes share are not
        values = np.ones(1, np.float32)
        values.flags.writeable = writeable
        rows, minibatch = np.zeros(1, np.int64), linear.aligned((1, WIDTH))
        linear.gather_sparse(np.array([0, 1]), np.zeros(1, np.int32), values, rows, minibatch)
        linear.gather(values[None], rows, minibatch)


@functools.cache
def _train_dense(batch_size: int, sampled: int, threads: int, device: str) -> None:
    for way in _DENSE_WAYS:
        _train({**way, "device": device}, batch_size, sampled, threads)


def _train(way: Mapping[str, Any], batch_size: int, sampled: int, threads: int) -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((max(batch_size, sampled, 2), _FEATURES), dtype=np.float32)
    part = Part(x, (x[:, 0] > 0).astype(np.int64), 2)
    config = TrainingConfig(
        sparsity=0.1, hidden=(8, 4), epochs=1, batch_size=batch_size, update_interval=1, threads=threads, **way
    )
    end = Trainer(part, part, config, rng, lambda: np.ones(_FEATURES)).run_epoch()
    targets = x if config.loss == "reconstruction" else part.y
    sample = Sample(x[:sampled], targets[:sampled], np.arange(_FEATURES))
    for metric in METRICS.values():
        metric.take(end.model, sample, rng)
