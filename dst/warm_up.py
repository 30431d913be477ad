"""Compiling what training runs, or loading it from Numba's cache, before a trial's clock starts."""

from __future__ import annotations

import functools

import numpy as np

from dst.data.dataset import Part
from dst.engines import check_device
from dst.importance import METRICS
from dst.topology import METHODS
from dst.training import Trainer, TrainingConfig

_ROWS, _FEATURES = 512, 64
"""Enough samples a minibatch for the first layer to be computed in tiles, by a step that is still short."""


def warm_up(config: TrainingConfig) -> None:
    """Run every compiled kernel that a training with these settings can call, once per process and thread count.

    Kernels are compiled for the types of their arguments, not for sizes, so that training tiny networks in every way
    serves all. The first process on a machine compiles for some seconds; later ones load the cache.

    Raises:
        InputError: the device is not there.
    """
    check_device(config.device)
    _train_in_every_way(config.threads)


@functools.cache
def _train_in_every_way(threads: int) -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((_ROWS, _FEATURES), dtype=np.float32)
    codes = Part(x, (x[:, 0] > 0).astype(np.int64), 2)
    small = {"hidden": (8, 4), "epochs": 1, "batch_size": _ROWS, "update_interval": 1, "threads": threads}
    ways = [{"method": method, "dropout": 0.5} for method in METHODS]
    ways += [{"method": "set", "optimizer": "sgd"}, {"method": "static", "loss": "reconstruction"}]
    for way in ways:
        config = TrainingConfig(**{"sparsity": 0.1, **small, **way})  # type: ignore[arg-type]
        end = Trainer(codes, codes, config, np.random.default_rng(0), lambda: np.ones(_FEATURES)).run_epoch()
        for metric in METRICS.values():
            metric(end.model, x[:1])
