"""Training rows of a small table with numbers, categories, an indicator, copies and a constant column."""

from __future__ import annotations

import dataclasses

import numpy as np
from scipy.sparse import csr_array

from dst.data.dataset import Part

COPIED, COPY, CONSTANT, CATEGORY, WITH_INDICATOR = 0, 7, 8, 9, 4


def coded_table(seed: int = 0, n_rows: int = 90) -> Part:
    """Ten columns, fourteen encoded ones: 7 repeats 0, 8 is constant, 9 has four levels, 4 an indicator besides."""
    rng = np.random.default_rng(seed)
    numbers = rng.standard_normal((n_rows, 9)) @ (np.eye(9) + 0.3 * rng.standard_normal((9, 9)))
    numbers[:, COPY] = numbers[:, COPIED]
    numbers[:, CONSTANT] = 0.7
    numbers[rng.random(numbers.shape) < 0.2] = 0.0  # something to store sparsely
    numbers[:, COPY] = numbers[:, COPIED]
    numbers[:, CONSTANT] = 0.7
    levels = rng.integers(0, 4, n_rows)
    x = np.column_stack([numbers, rng.random(n_rows) < 0.3, levels[:, None] == np.arange(4)]).astype(np.float32)
    origin = np.array([*range(9), WITH_INDICATOR, *[CATEGORY] * 4])
    hidden = numbers[:, 0] + numbers[:, 1] - numbers[:, 2] + levels + 0.5 * rng.standard_normal(n_rows)
    return Part(x, np.digitize(hidden, np.quantile(hidden, [0.3, 0.6])), 3, origin, 9)


def as_sparse(part: Part) -> Part:
    """The same rows, stored sparsely."""
    return dataclasses.replace(part, x=csr_array(part.x))
