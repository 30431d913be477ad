"""Assembly of a checked dataset from a table and what is known about it."""

from __future__ import annotations

import hashlib
import re
from typing import Any

import numpy as np
import numpy.typing as npt

from dst.data.dataset import Dataset, TableMatrix
from dst.data.entry import Entry, default_batch_size, default_k, default_scaling, like_numbers
from dst.data.readers import Table, shorten
from dst.data.readers.notes import note_lines
from dst.errors import InputError
from dst.files.plain import plain


def assemble(
    table: Table,
    *,
    name: str,
    sha256: str,
    source: str,
    entry: Entry | None = None,
    k: int | None = None,
    batch_size: int | None = None,
) -> Dataset:
    """The dataset of a table; ``entry`` has the registry's settings where these are its data.

    Raises:
        InputError: ``k`` or ``batch_size`` is out of range, there are fewer than two classes, a class has a single row,
            or the table is not what the entry says.
    """
    k, batch_size = check_numbers(k, batch_size)
    n_samples, n_features = table.x.shape
    if k is not None and k > n_features:
        raise InputError(f"{name}: k must be at most the number of features, {n_features}, but got {k}")
    problems = class_problems(table.labels)
    if problems:
        raise InputError(f"{name}: {problems[0]}")
    y, classes = _target(table.labels)
    if entry is not None:
        entry.check(table.x.shape, y)
    official = None if entry is None else entry.official_train_rows
    return Dataset(
        name=name,
        x=_with_small_indices(table.x),
        y=y,
        feature_names=table.feature_names,
        class_names=tuple(map(str, classes)),
        k=k or (entry.k if entry else default_k(n_features)),
        batch_size=batch_size or (entry.batch_size if entry else default_batch_size(n_samples)),
        kind=entry.kind if entry else "tabular",
        sha256=sha256,
        source=source,
        scaling=entry.scaling if entry else default_scaling(table.x),
        official_test=None if official is None else np.arange(official, n_samples, dtype=np.int64),
        categories=table.categories,
        groups=table.groups,
        times=table.times,
        notes=tuple(note_lines(table.notes)) if entry is None else (),
    )


def _target(labels: npt.NDArray[Any]) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Return class codes and the classes; of a target of numbers these, and no class."""
    if labels.dtype.kind == "f":
        return labels.astype(np.float64), np.array([])
    classes, codes = np.unique(labels, return_inverse=True)
    return codes.astype(np.int64), classes


def _with_small_indices(x: TableMatrix) -> TableMatrix:
    """The same table; a sparse one with indices of 32 bits where they suffice: liblinear takes no others."""
    if isinstance(x, np.ndarray) or max(x.nnz, *x.shape) > np.iinfo(np.int32).max:
        return x
    from scipy.sparse import csr_array

    indices, indptr = (part.astype(np.int32, copy=False) for part in (x.indices, x.indptr))
    return csr_array((x.data, indices, indptr), shape=x.shape)


def check_numbers(k: int | None, batch_size: int | None) -> tuple[int | None, int | None]:
    """Return both as numbers of Python.

    Raises:
        InputError: one is no whole number, or out of range whatever the table.
    """
    numbers = {"k": plain(k), "batch_size": plain(batch_size)}
    for name, number in numbers.items():
        if number is not None and (not isinstance(number, int) or isinstance(number, bool)):
            raise InputError(f"{name} must be a whole number, but got {number!r}")
        if number is not None and number < 1:
            raise InputError(f"{name} must be at least 1, but got {number}")
    return numbers["k"], numbers["batch_size"]


def class_problems(labels: npt.NDArray[Any]) -> list[str]:
    """Why these labels cannot be learnt, if so."""
    if labels.dtype.kind == "f":
        return [] if len(np.unique(labels)) > 1 else [f"the target must vary, but is {labels[0]:g} in every row"]
    classes, counts = np.unique(labels, return_counts=True)
    if len(classes) < 2:
        return [f"at least two classes are needed, but every label is {str(classes[0])!r}"]
    single = [str(label) for label in classes[counts == 1]]
    if not single:
        return []
    hint = "; if they are numbers: dst select --task regression" if seem_numbers(labels, len(classes)) else ""
    return [f"every class needs two rows or more, but these have one: {shorten(single)}{hint}"]


def seem_numbers(labels: npt.NDArray[Any], classes: int) -> bool:
    """Whether labels are whole numbers of so many values that they seem to be measured."""
    return labels.dtype.kind in "iu" and like_numbers(classes, len(labels))


def check_unsaid(labels: npt.NDArray[Any], name: str) -> None:
    """Refuse labels that may be numbers as well, where nobody has said which they are.

    Raises:
        InputError: it is so.
    """
    classes = len(np.unique(labels))
    if seem_numbers(labels, classes):
        raise InputError(
            f"{name}: the target has {classes} different whole numbers in {len(labels)} rows: say --task regression, "
            "if they are numbers, or --task classification"
        )


def table_sha256(table: Table) -> str:
    """The SHA-256 of what a table holds: features, labels and, where there are some, categories, groups and times."""
    x = table.x
    parts = [x] if isinstance(x, np.ndarray) else [x.data, x.indices.astype(np.int64), x.indptr.astype(np.int64)]
    digest = hashlib.sha256()
    for part in (*parts, table.labels, table.groups, table.times):
        if part is not None:
            digest.update(np.ascontiguousarray(part).tobytes())
    for column, names in sorted(table.categories.items()):
        digest.update(repr((column, names)).encode())
    return digest.hexdigest()


def safe_name(words: str) -> str:
    """These words as letters, digits, ``_``, ``-`` and ``.`` only: they name folders later."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "_", words).strip("._") or "table"
