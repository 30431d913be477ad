"""Tables from the named variables of an archive: a matrix, and a vector of labels."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from dst.data.dataset import TableMatrix
from dst.data.precision import float_type, merged_integers
from dst.data.readers.columns import check_unique, find_column, number_categories, to_groups, to_times
from dst.data.readers.levels import levels_problem
from dst.data.readers.table import Roles, Table, check_rows, numbered, shorten, to_target
from dst.data.readers.wholes import merged_sentence
from dst.errors import InputError
from dst.files.limits import check_columns

FEATURES = ("X", "x", "fea", "data")
"""Names under which the archives of this field keep the features; the first one present counts."""

LABELS = ("Y", "y", "gnd", "target", "labels")
"""Names under which they keep the labels."""


def wanted_names(names: Iterable[str], roles: Roles, features: str | None = None) -> tuple[str, dict[str, str]]:
    """The names of the variables to read.

    Args:
        names: the variables that the archive holds.
        roles: what the caller named.
        features: the variable with the features, where the archive's layout says so.

    Returns:
        The features' variable, and by role (``target``, ``group``, ``time``) those of the vectors beside it.

    Raises:
        InputError: there are no features or labels, or not the ones named.
    """
    names = list(names)
    found = features or _first(names, FEATURES)
    vectors = {"target": _first(names, (roles.target,) if roles.target else LABELS)}
    for role, name in (("group", roles.group), ("time", roles.time)):
        if name is not None:
            vectors[role] = _first(names, (name,))
    return found, vectors


def from_variables(
    features: str,
    x: Any,
    vectors: Mapping[str, tuple[str, Any]],
    roles: Roles,
    names: Sequence[str] | None = None,
) -> Table:
    """The table of a matrix and the vectors beside it.

    Args:
        features: the matrix's name.
        x: an array or a scipy.sparse matrix, as it was read; a sparse one stays sparse.
        vectors: by role the name and the values of the labels, groups and times.
        roles: its ``categorical`` columns are read; they must be columns of an array.
        names: of the columns; None: ``f0``, ``f1``, ... .

    Raises:
        InputError: the matrix is none or not numeric, a vector is none, the labels are not classes.
    """
    _check_numeric(features, x)
    matrix = _floats(x)
    columns: dict[str, Any] = {}
    for role, (name, values) in vectors.items():
        try:
            columns[role] = _vector(values)
            if role == "target":
                columns[role] = to_target(columns[role], roles.task)
        except InputError as error:
            raise InputError(f"{name}: {error}") from error
    names = numbered(matrix.shape[1]) if names is None else tuple(names)
    if len(names) != matrix.shape[1]:
        raise InputError(f"every column needs a name, but there are {matrix.shape[1]} columns and {len(names)} names")
    check_unique(names)
    categories = {}
    for name in roles.categorical:
        column = find_column(name, names)
        if not isinstance(matrix, np.ndarray):
            raise InputError(f"a categorical column must be in a table that is not sparse, but {name!r} is")
        matrix[:, column], categories[column] = number_categories(x[:, column])
        problem = levels_problem(name, len(categories[column]), int((~np.isnan(matrix[:, column])).sum()))
        if problem:
            raise InputError(f"{problem}; leave the column out (--drop)")
    _check_integers(x, names, categories)
    return Table(
        matrix,
        columns["target"],
        names,
        categories,
        groups=to_groups(vectors["group"][0], _series(columns["group"])) if "group" in columns else None,
        times=to_times(vectors["time"][0], _series(columns["time"])) if "time" in columns else None,
    )


def sparse_matrix(layout: str, shape: Any, data: Any, indices: Any, indptr: Any, n_rows: int | None) -> Any:
    """A SciPy sparse array out of the parts that a file holds, once they are known to fit together.

    Args:
        layout: ``csr`` or ``csc``.
        shape: rows and columns, as the file says.
        data: the values that are not zero.
        indices: the column (``csr``) or row (``csc``) of each.
        indptr: where each row (``csr``) or column (``csc``) begins among them.
        n_rows: how many rows there are labels for; None: unknown.

    Raises:
        InputError: the parts do not make a matrix.
    """
    from scipy import sparse

    makers = {"csr": sparse.csr_array, "csc": sparse.csc_array}
    if layout not in makers:
        raise InputError(f"a sparse matrix must be saved as {' or '.join(makers)}, but this one is {layout!r}")
    size = np.asarray(shape).reshape(-1)
    if size.dtype.kind not in "iu" or len(size) != 2 or (size < 0).any():
        raise InputError(f"a sparse matrix must have rows and columns, but its shape is {shape}")
    rows, columns = map(int, size)
    if n_rows is not None:
        check_rows("label", (rows, columns), n_rows)
    check_columns(columns)
    major, minor = (rows, columns) if layout == "csr" else (columns, rows)
    _check_parts(data, indices, indptr, major, minor)
    return makers[layout]((data, indices, indptr), shape=(rows, columns))


def _check_parts(data: Any, indices: Any, indptr: Any, major: int, minor: int) -> None:
    """Raise an InputError unless the parts make a matrix; SciPy looks at fewer of these when there are no values.

    Args:
        data: the values.
        indices: where each lies in its row (``csr``) or column (``csc``), below ``minor``.
        indptr: where each of the ``major`` rows or columns begins, and where the last one ends.
        major: how many rows (``csr``) or columns (``csc``) there are.
        minor: how many columns or rows.
    """
    if any(part.ndim != 1 for part in (data, indices, indptr)):
        problem = "they must be vectors"
    elif any(part.dtype.kind not in "iu" for part in (indices, indptr)):
        problem = "indices must be whole numbers"
    elif len(indptr) != major + 1:
        problem = f"{major} rows or columns need {major + 1} bounds, but there are {len(indptr)}"
    elif indptr[0] != 0 or (indptr[1:] < indptr[:-1]).any():
        problem = "bounds must begin at 0 and never fall"
    elif not indptr[-1] <= len(data) == len(indices):
        problem = f"{indptr[-1]} values are bounded, but there are {len(data)} with {len(indices)} indices"
    elif len(indices) and not 0 <= indices.min() <= indices.max() < minor:
        problem = f"indices must be in 0 .. {minor - 1}, but reach from {indices.min()} to {indices.max()}"
    else:
        return
    raise InputError(f"the parts of the sparse matrix do not fit together: {problem}")


def _check_numeric(name: str, x: Any) -> None:
    if x.ndim != 2:
        raise InputError(f"{name} must be a table of shape (rows, columns), but its shape is {x.shape}")
    if x.dtype.kind not in "biuf":
        raise InputError(f"{name} must be numeric, but its type is {x.dtype}")
    check_columns(x.shape[1])


def _floats(x: Any) -> TableMatrix:
    """The features as floats: an array in C order of its own, or a CSR array without repeated entries."""
    from scipy import sparse

    with np.errstate(over="ignore"):  # a long double beyond float64 becomes infinite: check_table says so
        if isinstance(x, np.ndarray):
            return np.array(x, dtype=float_type(x.dtype), order="C")
        matrix = sparse.csr_array(x).astype(float_type(x.dtype))
    matrix.sum_duplicates()
    return matrix


def _check_integers(x: Any, names: Sequence[str], categories: Mapping[int, Any]) -> None:
    """Raise an InputError if a column of numbers holds integers that become one as floats."""
    if x.dtype.kind not in "iu" or not x.size:
        return
    stored = x if isinstance(x, np.ndarray) else x.data
    if not len(stored) or max(abs(int(stored.min())), abs(int(stored.max()))) <= 2**53:
        return
    by_column = x if isinstance(x, np.ndarray) else x.tocsc()
    for column, name in enumerate(names):
        if column not in categories:
            values = by_column[:, [column]]
            merged = merged_integers(values[:, 0] if isinstance(values, np.ndarray) else values.data)
            if merged is not None:
                says = merged_sentence(name, merged)
                raise InputError(f"{says}: name it as categorical, subtract what they share, or leave it out")


def _vector(values: Any) -> npt.NDArray[Any]:
    """One dimension out of a column, a row or MATLAB's cell array of strings."""
    array = np.asarray(values.toarray() if hasattr(values, "toarray") else values)
    if array.size != max(array.shape, default=0):
        raise InputError(f"labels, groups and times must be one a row, but their shape is {array.shape}")
    if array.dtype.kind == "O":
        import pandas as pd

        cells = [np.asarray(cell) for cell in array.flat]
        words = np.array([str(cell.item()) if cell.size == 1 and cell.dtype.kind != "O" else "" for cell in cells])
        missing = pd.isna(array.reshape(-1))
        if missing.any():  # what is missing stays so, whatever the vector is for
            words = words.astype(object)
            words[missing] = None
        return words
    return array.reshape(-1)


def _first(names: list[str], wanted: tuple[str, ...]) -> str:
    found = next((name for name in wanted if name in names), None)
    if found is None:
        raise InputError(f"needs a variable {' or '.join(wanted)}, but holds {shorten(names)}")
    return found


def _series(values: npt.NDArray[Any]) -> Any:
    import pandas as pd

    return pd.Series(values)
