"""Small tables with everything that preparation deals with, and what hypothesis draws of them."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st
from scipy.sparse import csr_array

from dst.data import Dataset, Scaling, Split


def table(x: np.ndarray | csr_array, categories: tuple[int, ...] = (), scaling: Scaling = "standard") -> Dataset:
    """A table of two classes in turn; the columns named hold codes 0 to 2."""
    return Dataset(
        name="made",
        x=x,
        y=(np.arange(x.shape[0]) % 2).astype(np.int64),
        feature_names=tuple(f"f{column}" for column in range(x.shape[1])),
        class_names=("a", "b"),
        k=1,
        batch_size=8,
        kind="tabular",
        sha256="",
        source="made",
        scaling=scaling,
        categories=dict.fromkeys(categories, ("x", "y", "z")),
    )


def values(rng: np.random.Generator, n_rows: int, categories: tuple[int, ...], gaps: float) -> np.ndarray:
    """Five columns of numbers and codes, of which a share is missing."""
    x = rng.normal(3.0, 2.0, size=(n_rows, 5)).astype(np.float32)
    x[:, list(categories)] = rng.integers(0, 3, size=(n_rows, len(categories)))
    x[rng.random(x.shape) < gaps] = np.nan
    return x


@st.composite
def prepared_cases(draw: st.DrawFn) -> tuple[Dataset, Split, str, bool]:
    """A table with gaps and categories, dense or sparse, a split of it, a policy and whether there are indicators."""
    rng = np.random.default_rng(draw(st.integers(0, 9999)))
    categories = draw(st.sampled_from([(), (1,), (0, 4), (0, 1, 2, 3, 4)]))
    x = values(rng, 24, categories, draw(st.sampled_from([0.0, 0.2, 0.6])))
    sparse = draw(st.booleans())
    scaling = "maxabs" if sparse else draw(st.sampled_from(["standard", "minmax", "maxabs"]))
    policy = draw(st.sampled_from(["mean", "median", "zero"] + ["knn"] * (not sparse)))
    order = rng.permutation(24)
    split = Split(*(np.sort(part) for part in (order[:14], order[14:19], order[19:])))
    dataset = table(csr_array(x) if sparse else x, categories, scaling)
    return dataset, split, policy, draw(st.booleans())


def dense(x: np.ndarray | csr_array) -> np.ndarray:
    """The same numbers as an array."""
    return x if isinstance(x, np.ndarray) else x.toarray()
