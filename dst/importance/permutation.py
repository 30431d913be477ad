"""Permutation importance: how much accuracy falls when a column's values are dealt out anew among the rows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from scipy.sparse import csc_array, csr_array

from dst.data.dataset import Matrix, as_array
from dst.data.preparation import encodings_of
from dst.network.layers import SparseLinear
from dst.network.model import Layer, SparseMLP

_ROWS = 4096
"""Rows that go through the network at once."""

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]


def permutation(
    model: SparseMLP, x: Matrix, labels: Ints, columns: Ints, rng: np.random.Generator, *, repeats: int = 1
) -> npt.NDArray[np.float64]:
    """Return how much accuracy falls when a column's values are dealt out anew among the rows.

    ``p_i = acc(X) - mean_r acc(X with column i permuted)`` (Breiman 2001; Fisher et al. 2019); below 0 where accuracy
    rises, 0 for a column without connections. All encodings of a column move together. Only the first layer's
    connections of that column are computed again, but all of the other layers: ``n_columns * repeats`` passes through
    these.

    Args:
        model: the network, on the CPU.
        x: validation rows, float32 ``(n_rows, n_encoded)``.
        labels: their class codes, int64 ``(n_rows,)``.
        columns: the column that each encoded column comes from (:func:`dst.data.preparation.column_numbers`).
        rng: draws the permutations.
        repeats: permutations a column.

    Returns:
        float64 ``(n_columns,)``.
    """
    first, *others = model.linears
    by_input = _by_input(first)
    by_column: Any = x if isinstance(x, np.ndarray) else csc_array(x)  # columns of CSR are searched for in all rows
    encodings = encodings_of(columns)
    n_columns, n_rows = len(encodings), len(labels)
    connected = np.flatnonzero(np.bincount(columns, weights=np.diff(by_input.indptr)))
    seeds = rng.integers(2**63, size=(n_columns, repeats))
    lost = np.zeros(n_columns)
    for block, sums in _sums(first, x):
        whole = _hits(others, sums, labels[block])
        for column in connected:
            values = as_array(by_column[:, encodings[column]])
            weights = by_input[:, encodings[column]].tocsr()
            neurons = np.flatnonzero(np.diff(weights.indptr))
            before = sums[neurons]
            for seed in seeds[column]:
                order = np.random.default_rng(seed).permutation(n_rows)
                sums[neurons] = before + weights[neurons] @ (values[order[block]] - values[block]).T
                lost[column] += whole - _hits(others, sums, labels[block])
            sums[neurons] = before
    return lost / (repeats * n_rows)


def _by_input(layer: Layer) -> csc_array:
    """Return the weight of a layer, float32 ``(n_out, n_in)``."""
    if not isinstance(layer, SparseLinear):
        return csc_array(layer.masked_weight().detach().numpy())
    indptr, indices, values = layer.csr()
    return csc_array(csr_array((values, indices, indptr), shape=(layer.out_features, layer.in_features)))


def _sums(layer: Layer, x: Matrix) -> Iterator[tuple[slice, Floats]]:
    """Yield blocks of rows and what the first layer makes of them, float32 ``(n_out, n_block)``."""
    for low in range(0, x.shape[0], _ROWS):
        block = slice(low, min(low + _ROWS, x.shape[0]))
        with torch.no_grad():
            yield block, layer(torch.from_numpy(np.ascontiguousarray(as_array(x[block]).T))).numpy()


def _hits(layers: list[Layer], sums: Floats, labels: Ints) -> int:
    """Return how many rows the network gets right, from the sums of its first layer."""
    x = torch.from_numpy(sums)
    with torch.no_grad():
        for layer in layers:
            x = layer(torch.relu(x))
    return int((x.argmax(dim=0).numpy() == labels).sum())
