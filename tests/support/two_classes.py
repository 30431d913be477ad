"""A table on which studies are quick."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd


def write_two_classes(path: Path, seed: int, *, rows: int, columns: int, decided_by: tuple[int, int]) -> Path:
    """Write columns ``f0``, ``f1``, ... of noise and a ``label`` that the difference of two of them decides."""
    x = np.random.default_rng(seed).normal(size=(rows, columns))
    frame = pd.DataFrame(x, columns=[f"f{i}" for i in range(columns)])
    first, second = decided_by
    frame["label"] = np.where(x[:, first] - x[:, second] > 0, "yes", "no")
    frame.to_csv(path, index=False)
    return path
