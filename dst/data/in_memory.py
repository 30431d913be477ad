"""Datasets from what a program already holds: a pandas DataFrame, or arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np
import numpy.typing as npt

from dst.data.assembling import assemble, safe_name, table_sha256
from dst.data.dataset import Dataset
from dst.data.masked import with_gaps, without_mask
from dst.data.readers import ReadOptions, Roles, Table
from dst.data.readers.columns import check_names, from_frame_columns
from dst.data.readers.table import check_table, with_float_type
from dst.data.readers.variables import from_variables
from dst.errors import InputError

if TYPE_CHECKING:
    import pandas as pd


def from_frame(
    frame: pd.DataFrame,
    *,
    target: str,
    name: str = "frame",
    k: int | None = None,
    batch_size: int | None = None,
    group: str | None = None,
    time: str | None = None,
    categorical: Sequence[str] = (),
    **options: Unpack[ReadOptions],
) -> Dataset:
    """The dataset of a DataFrame, whose index plays no part.

    Args:
        frame: one column a feature and one with the labels; columns of words or pandas categories are categorical.
        target: the label column.
        name: what the dataset is called; letters, digits, ``_``, ``-`` and ``.`` only.
        k: how many columns a ranking is judged on; None: 100, at most a quarter of the columns.
        batch_size: rows in a training batch.
        group: the column that says which rows belong together; no feature.
        time: the column that says when each row was taken; no feature.
        categorical: columns that hold categories though they look like numbers.
        options: how columns and cells are read, see ``ReadOptions``, also for numbers and dates that are text.

    Raises:
        InputError: what ``load_dataset`` raises on such a table.
    """
    from pandas import DataFrame

    if not isinstance(frame, DataFrame):
        raise InputError(f"{name}: frame must be a pandas DataFrame, but is a {type(frame).__name__}")
    named = frame.set_axis([str(column) for column in frame.columns], axis=1)
    try:
        roles = Roles.of(target, group, time, categorical, **options)
        check_names(list(named.columns), roles)
        table = from_frame_columns(named.reset_index(drop=True), roles)
    except InputError as error:
        raise InputError(f"{name}: {error}") from error.__cause__
    return _dataset(table, name, "a pandas DataFrame", k, batch_size)


def from_arrays(
    x: Any,
    y: npt.ArrayLike,
    feature_names: Sequence[str] | None = None,
    *,
    name: str = "arrays",
    k: int | None = None,
    batch_size: int | None = None,
    groups: npt.ArrayLike | None = None,
    times: npt.ArrayLike | None = None,
    categorical: Sequence[str] = (),
) -> Dataset:
    """The dataset of a matrix and its labels; a sparse matrix stays sparse, no array is changed.

    Args:
        x: numbers of shape ``(n_samples, n_features)``, an array or a scipy.sparse matrix; what is NaN, or masked in a
            masked array, is a missing value.
        y: one label a row, words or whole numbers; none may be masked.
        feature_names: one name a column; None: ``f0``, ``f1``, ... .
        name: what the dataset is called; letters, digits, ``_``, ``-`` and ``.`` only.
        k: how many columns a ranking is judged on; None: 100, at most a quarter of the columns.
        batch_size: rows in a training batch.
        groups: one a row: which rows belong together.
        times: one a row: when it was taken, a number or a date.
        categorical: the names of columns that hold categories though they look like numbers.

    Raises:
        InputError: what ``load_dataset`` raises on such a table.
    """
    beside = {"target": ("y", y), "group": ("groups", groups), "time": ("times", times)}
    names = None if feature_names is None else [str(column) for column in feature_names]
    try:
        matrix = x if hasattr(x, "toarray") else _array("x", without_mask(x))
        vectors = {role: (what, _vector(what, values)) for role, (what, values) in beside.items() if values is not None}
        table = from_variables("x", matrix, vectors, Roles(categorical=tuple(categorical)), names)
    except InputError as error:
        raise InputError(f"{name}: {error}") from error.__cause__
    return _dataset(table, name, "arrays", k, batch_size)


def _array(what: str, values: Any, dtype: Any = None) -> npt.NDArray[Any]:
    try:
        return np.asarray(values, dtype=dtype)
    except (TypeError, ValueError) as error:
        raise InputError(f"{what} must be an array, or lists of equal length, but it is neither: {error}") from error


def _vector(what: str, values: Any) -> npt.NDArray[Any]:
    """Labels, groups or times; what is masked, and NaN among the words of a list, stays missing in NumPy's hands."""
    values = with_gaps(values)
    array = _array(what, values)
    is_list_of_words = array.dtype.kind in "SU" and not hasattr(values, "dtype")
    return _array(what, values, object) if is_list_of_words else array


def _dataset(table: Table, name: str, source: str, k: int | None, batch_size: int | None) -> Dataset:
    if safe_name(name) != name:
        raise InputError(
            f"a dataset's name is letters, digits, '_', '-' and '.', as {safe_name(name)!r}, but got {name!r}"
        )
    try:
        check_table(table)
    except InputError as error:
        raise InputError(f"{name}: {error}") from error.__cause__
    table = with_float_type(table)
    return assemble(table, name=name, sha256=table_sha256(table), source=source, k=k, batch_size=batch_size)
