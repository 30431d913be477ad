"""Imputation of missing numbers: policies that are fitted on some rows and applied to these and others."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from dst.data.dataset import Dataset, TableMatrix
from dst.data.readers.table import missing_counts, shorten
from dst.errors import InputError, unknown_name

NEIGHBOURS = 5
"""Rows of which ``knn`` takes the mean."""


def impute(policy: str, fit_rows_x: TableMatrix, *others: TableMatrix) -> tuple[TableMatrix, ...]:
    """Fill in what is missing (NaN), by what the first table holds.

    Args:
        policy: ``mean`` or ``median`` of the column; ``zero``: the number 0, before scaling; ``knn``: the mean of the
            column over the 5 nearest rows of the first table that have it, by the Euclidean distance over the columns
            that two rows share, each divided by its standard deviation (Troyanskaya et al. 2001). A column that the
            first table lacks altogether becomes 0.
        fit_rows_x: float32 or float64 ``(n_rows, n_columns)``, NaN where a value is missing: what the policy is fitted
            on. The zeros that a sparse table does not store are values.
        others: tables with the same columns.

    Returns:
        The filled tables in the order given, of their type; those that lack nothing are passed through.

    Raises:
        InputError: the policy is unknown, or does not go with a sparse table.
    """
    if policy not in POLICIES:
        raise InputError(unknown_name("missing-data policy", policy, POLICIES))
    tables = (fit_rows_x, *others)
    if not any(_lacks(x) for x in tables):
        return tables
    return POLICIES[policy](tables)


def check_policy(dataset: Dataset, policy: str | None) -> None:
    """Refuse a table that lacks numbers where nothing says what to do about it, or what is said is unknown.

    A missing category needs no policy (:mod:`dst.data.encoding`).

    Raises:
        InputError: numbers are missing and there is no policy, or the policy is unknown.
    """
    if policy is not None:
        if policy not in POLICIES:
            raise InputError(unknown_name("missing-data policy", policy, POLICIES))
        return
    counts = missing_counts(dataset.x)
    counts[list(dataset.categories)] = 0
    columns = [dataset.feature_names[column] for column in np.flatnonzero(counts)]
    if columns:
        raise InputError(
            f"{dataset.name}: {int(counts.sum())} values are missing, in {len(columns)} columns ({shorten(columns)}), "
            f"and nothing says what stands in for them: missing.policy (dst trial, dst select: --impute) is one of "
            f"{', '.join(POLICIES)}"
        )


def _lacks(x: TableMatrix) -> bool:
    values = x if isinstance(x, np.ndarray) else x.data
    return bool(np.isnan(values).any())


def _simple(strategy: str) -> Callable[[tuple[TableMatrix, ...]], tuple[TableMatrix, ...]]:
    def fill(tables: tuple[TableMatrix, ...]) -> tuple[TableMatrix, ...]:
        from scipy.sparse import csc_array, csr_array
        from sklearn.impute import SimpleImputer

        imputer = SimpleImputer(strategy=strategy, fill_value=0.0, keep_empty_features=True)
        imputer.set_output(transform="default")
        if isinstance(tables[0], np.ndarray):
            imputer.fit(tables[0])
            return tuple(imputer.transform(x) for x in tables)
        imputer.fit(csc_array(tables[0]))  # a column's values lie together there, as scikit-learn needs them
        return tuple(csr_array(imputer.transform(csc_array(x))) for x in tables)

    return fill


def _knn(tables: tuple[TableMatrix, ...]) -> tuple[TableMatrix, ...]:
    from sklearn.impute import KNNImputer

    dense = [x for x in tables if isinstance(x, np.ndarray)]
    if len(dense) < len(tables):
        raise InputError("the missing-data policy 'knn' needs a dense table: choose mean, median or zero")
    fit = dense[0]
    known = ~np.isnan(fit)
    count = np.maximum(known.sum(axis=0), 1)
    mean = np.where(known, fit, 0).sum(axis=0, dtype=np.float64) / count
    spread = np.sqrt(np.square(np.where(known, fit - mean, 0)).sum(axis=0) / count)
    spread[spread == 0] = 1.0
    imputer = KNNImputer(n_neighbors=NEIGHBOURS, keep_empty_features=True).set_output(transform="default")
    imputer.fit((fit - mean) / spread)
    empty = ~known.any(axis=0)
    filled: list[TableMatrix] = []
    for x in dense:
        guess = np.asarray(imputer.transform((x - mean) / spread) * spread + mean, dtype=fit.dtype)
        guess[:, empty] = 0.0
        filled.append(np.where(np.isnan(x), guess, x))
    return tuple(filled)


POLICIES: dict[str, Callable[[tuple[TableMatrix, ...]], tuple[TableMatrix, ...]]] = {
    "mean": _simple("mean"),
    "median": _simple("median"),
    "zero": _simple("constant"),
    "knn": _knn,
}
"""Name -> what fills in tables by what the first of them holds."""
