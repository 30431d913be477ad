"""A table that three columns decide, and settings with which every ranker is quick on it."""

from __future__ import annotations

import numpy as np

from dst.data.dataset import Dataset

FAST = {
    "hidden": (30, 10),
    "epochs": 15,
    "patience": 5,
    "sparsity": 0.6,
    "units": 20,
    "trees": 50,
    "dae_epochs": 10,
    "lambda_start": 20.0,
    "path_multiplier": 2.0,
    "dense_iterations": 100,
    "path_iterations": 5,
    "phases": 5,
}


def informative(n: int = 600, n_features: int = 40, seed: int = 0) -> Dataset:
    """Three classes that the columns 3, 11 and 29 decide; the last 100 rows are the official test part."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, n_features)).astype(np.float32)
    y = np.argmax(x[:, [3, 11, 29]], axis=1).astype(np.int64)
    return Dataset(
        name="informative",
        x=x,
        y=y,
        feature_names=tuple(f"c{i}" for i in range(n_features)),
        class_names=("a", "b", "c"),
        k=3,
        batch_size=32,
        kind="tabular",
        sha256="",
        source="test",
        official_test=np.arange(n - 100, n),
    )
