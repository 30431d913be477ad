"""Scalers: fitted on some rows, applied to these and others."""

from __future__ import annotations

from typing import get_args

import numpy as np

from dst.data.dataset import Matrix, Scaling, TableMatrix
from dst.errors import InputError, unknown_name

SCALINGS: tuple[Scaling, ...] = get_args(Scaling)
"""Scalers by name."""


def scale(kind: Scaling, fit_rows_x: TableMatrix, *others: TableMatrix) -> tuple[Matrix, ...]:
    """Scale tables by what the first of them holds.

    Args:
        kind: ``standard``: mean 0 and variance 1 in each column; ``minmax``: between 0 and 1 in each column;
            ``maxabs``: divided by the largest absolute value of each column, which leaves zeros zero.
        fit_rows_x: float32 or float64 ``(n_rows, n_features)``, finite, what the scaler is fitted on; a column that is
            constant here is only shifted (``maxabs``: a column of zeros stays as it is).
        others: tables with the same columns, of the same type.

    Returns:
        The scaled tables in the order given, float32, none of them a view of its argument: arrays in C order, or CSR
        arrays where the argument is one.

    Raises:
        InputError: the kind is unknown, or a sparse table is to be scaled by anything but ``maxabs``: every zero would
            become another number, and the table dense.
    """
    from sklearn.preprocessing import MaxAbsScaler, MinMaxScaler, StandardScaler

    scalers = {"standard": StandardScaler, "minmax": MinMaxScaler, "maxabs": MaxAbsScaler}
    if kind not in scalers:
        raise InputError(unknown_name("scaling", kind, scalers))
    if kind != "maxabs" and not isinstance(fit_rows_x, np.ndarray):
        raise InputError(f"a sparse table must be scaled by 'maxabs', which keeps its zeros, but got scaling {kind!r}")
    tables = (fit_rows_x, *others)
    if kind != "maxabs" and fit_rows_x.dtype == np.float64:
        # Both are blind to a shift. After this one all that is rounded is as small as the column's spread; ``minmax``
        # multiplies before it subtracts.
        least = np.min(fit_rows_x, axis=0)
        tables = tuple(x - least for x in tables)
    scaler = scalers[kind]().set_output(transform="default").fit(tables[0])
    with np.errstate(over="ignore"):  # a column of denormal spread scales beyond float32, and is held at its bounds
        return tuple(_finite(scaler.transform(x)) for x in tables)


def _finite(x: TableMatrix) -> Matrix:
    from scipy.sparse import csr_array

    if isinstance(x, np.ndarray):
        return np.ascontiguousarray(np.nan_to_num(x.astype(np.float32, copy=False)))
    return csr_array((np.nan_to_num(x.data.astype(np.float32, copy=False)), x.indices, x.indptr), shape=x.shape)
