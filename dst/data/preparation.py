"""Preparation of rows for a ranker: imputed, scaled and encoded by what the fitted rows hold alone.

Numbers are imputed, then scaled. Columns of zeros and ones follow them and stay as they are: the indicators of missing
numbers, then the encodings of categories. ``Part.origin`` says which of the table's columns each comes from.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from dst.data.dataset import Dataset, Matrix, Part, Scaling, TableMatrix, as_array
from dst.data.encoding import one_hot
from dst.data.imputing import check_policy, impute
from dst.data.readers.table import missing_counts
from dst.data.scaling import scale
from dst.data.splits import Rows, Split
from dst.errors import InputError


def prepare(
    dataset: Dataset, split: Split, *, policy: str | None = None, indicators: bool = False
) -> tuple[Part, Part]:
    """The training and the validation part, prepared by the training rows alone.

    Args:
        dataset: the table.
        split: its rows.
        policy: what stands in for a missing number, a name in :data:`dst.data.imputing.POLICIES`; None: none may miss.
        indicators: whether a column of zeros and ones is added for each column of numbers that the fitted rows do not
            hold completely: 1 where the value is missing.

    Raises:
        InputError: numbers are missing and there is no policy; policy and scaling do not go with a sparse table; the
            training rows hold fewer than two classes.
    """
    return _parts(dataset, split.train, split.validation, policy, indicators)


def prepare_test(
    dataset: Dataset, split: Split, *, policy: str | None = None, indicators: bool = False
) -> tuple[Part, Part]:
    """The development part (training and validation rows, in the table's order) and the test part.

    Both are prepared by the development rows alone; arguments and errors are those of :func:`prepare`.
    """
    return _parts(dataset, np.union1d(split.train, split.validation), split.test, policy, indicators)


def column_numbers(part: Part) -> npt.NDArray[np.int64]:
    """Return the number of the column that each encoded column comes from, int64 ``(n_encoded,)``.

    Columns are counted from 0 without gaps, in the table's order.
    """
    if part.origin is None:
        return np.arange(part.x.shape[1])
    return np.unique(part.origin, return_inverse=True)[1].astype(np.int64)


def encodings_of(columns: npt.NDArray[np.int64], n_columns: int = 0) -> list[npt.NDArray[np.int64]]:
    """Return the encoded columns of each column, ascending.

    Args:
        columns: of each encoded column, from 0; what :func:`column_numbers` returned, or with gaps ``Part.origin``.
        n_columns: how many columns there are at least; the last of a table may have no encodings.
    """
    return np.split(np.argsort(columns, kind="stable"), np.cumsum(np.bincount(columns, minlength=n_columns))[:-1])


def at_first_encoding(scores: npt.NDArray[np.float64], columns: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Return scores of columns as scores of encoded columns, float64 ``(n_encoded,)``.

    Each stands at the first encoding of its column, the others have 0.

    Args:
        scores: float64 ``(n_columns,)``.
        columns: what :func:`column_numbers` returned.
    """
    encoded = np.zeros(len(columns))
    encoded[np.unique(columns, return_index=True)[1]] = scores
    return encoded


def encoded_columns(columns: npt.NDArray[np.int64], origin: npt.NDArray[np.int64] | None) -> npt.NDArray[np.int64]:
    """Return the encoded columns of some columns of the table; in the table's order where it has encodings."""
    return columns if origin is None else np.flatnonzero(np.isin(origin, columns))


def _parts(
    dataset: Dataset, fit_rows: Rows, judged_rows: Rows, policy: str | None, indicators: bool
) -> tuple[Part, Part]:
    check_policy(dataset, policy)
    present = np.unique(dataset.y[fit_rows])
    if len(present) < 2:
        raise InputError(
            f"{dataset.name}: the {len(fit_rows)} training rows must hold two classes or more, "
            f"but all are {dataset.class_names[present[0]]!r}"
        )
    fit_x, judged_x, origin, n_numbers = encode(
        dataset.x[fit_rows],
        dataset.x[judged_rows],
        categorical=sorted(dataset.categories),
        scaling=dataset.scaling,
        policy=policy,
        indicators=indicators,
    )
    return (
        Part(fit_x, dataset.y[fit_rows], dataset.n_classes, origin, n_numbers),
        Part(judged_x, dataset.y[judged_rows], dataset.n_classes, origin, n_numbers),
    )


def encode(
    fit_x: TableMatrix,
    judged_x: TableMatrix,
    *,
    categorical: Sequence[int],
    scaling: Scaling,
    policy: str | None,
    indicators: bool,
) -> tuple[Matrix, Matrix, npt.NDArray[np.int64] | None, int | None]:
    """Impute, scale and encode two tables by what the first of them holds.

    Args:
        fit_x: float32 or float64 ``(n_rows, n_features)``, NaN where a value is missing.
        judged_x: other rows of the same columns.
        categorical: columns that hold category codes, rising.
        scaling: how numbers are scaled, a name in :data:`dst.data.scaling.SCALINGS`.
        policy: what stands in for a missing number, a name in :data:`dst.data.imputing.POLICIES`; None: none may miss.
        indicators: whether a column of zeros and ones is added for each column of numbers that ``fit_x`` does not hold
            completely: 1 where the value is missing.

    Returns:
        Both tables, float32 and finite, the column that each encoded one comes from, int64, and how many of the first
        encoded ones are numbers; None and None: they are the same.

    Raises:
        InputError: policy or scaling do not go with a sparse table.
    """
    n_features = int(fit_x.shape[1])
    numbers = np.setdiff1d(np.arange(n_features), np.array(categorical, dtype=np.int64))
    tables: tuple[TableMatrix, ...] = (fit_x, judged_x)
    if len(numbers) < n_features:
        tables = tuple(x[:, numbers] for x in tables)
    lacking = np.flatnonzero(missing_counts(tables[0])) if indicators else np.array([], dtype=np.int64)
    added = [_indicators(tables, numbers, lacking)] if len(lacking) else []
    added += [_categories(fit_x, judged_x, column) for column in categorical]
    if policy is not None:
        tables = impute(policy, *tables)
    if len(numbers):
        tables = scale(scaling, *tables)
    if not added:
        return tables[0], tables[1], None, None
    origin = np.concatenate([numbers, *(columns for _, columns in added)])
    fit, judged = (beside([tables[i], *(blocks[i] for blocks, _ in added)]) for i in (0, 1))
    return fit, judged, origin, len(numbers)


Added = tuple[tuple[Matrix, Matrix], npt.NDArray[np.int64]]


def _indicators(
    tables: tuple[TableMatrix, ...], numbers: npt.NDArray[np.int64], lacking: npt.NDArray[np.int64]
) -> Added:
    fit, judged = (np.isnan(as_array(x[:, lacking])).astype(np.float32) for x in tables)
    return (fit, judged), numbers[lacking]


def _categories(fit_x: TableMatrix, judged_x: TableMatrix, column: int) -> Added:
    fit, judged = one_hot(*(as_array(x[:, [column]])[:, 0] for x in (fit_x, judged_x)))
    return (fit, judged), np.full(fit.shape[1], column, dtype=np.int64)


def beside(blocks: Sequence[Matrix]) -> Matrix:
    """Return tables of the same rows joined column by column: float32, sparse where one of them is, else dense."""
    from scipy.sparse import csr_array, hstack

    arrays = [block for block in blocks if isinstance(block, np.ndarray)]
    if len(arrays) == len(blocks):
        return np.ascontiguousarray(np.hstack(arrays), dtype=np.float32)
    return csr_array(hstack([csr_array(block) for block in blocks], format="csr", dtype=np.float32))
