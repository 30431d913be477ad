"""A table whose columns repeat one another."""

from __future__ import annotations

import numpy as np
import pandas as pd

from dst.data import Dataset, from_arrays

SOURCES, COPIES = 4, 5


def repeating(n: int = 240, noise: int = 10, seed: int = 0) -> Dataset:
    """Two classes that four numbers decide; each has five noisy copies, side by side, the first number's the strongest.

    The columns of highest score are copies of one number, which says a part of what the four say together.
    """
    rng = np.random.default_rng(seed)
    sources = rng.standard_normal((n, SOURCES))
    y = (sources @ np.linspace(1.6, 1.0, SOURCES) > 0).astype(np.int64)
    copies = np.repeat(sources, COPIES, axis=1) + 0.1 * rng.standard_normal((n, SOURCES * COPIES))
    x = np.hstack([copies, rng.standard_normal((n, noise))]).astype(np.float32)
    return from_arrays(x, y, name="repeating", k=SOURCES)


def frame_of(dataset: Dataset) -> pd.DataFrame:
    """Return a dataset of numbers as a frame with its labels in the column ``label``."""
    return pd.DataFrame(dataset.x, columns=list(dataset.feature_names)).assign(
        label=[dataset.class_names[code] for code in dataset.y]
    )
