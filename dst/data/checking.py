"""A look over a table before a study is run on it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Unpack

import numpy as np
import numpy.typing as npt

from dst.data.assembling import class_problems, seem_numbers
from dst.data.dataset import TableMatrix
from dst.data.known.files import file_sha256
from dst.data.known.registry import find_sha256
from dst.data.loading import path_name
from dst.data.readers import ReadOptions, Table, shorten, survey_table
from dst.data.readers.notes import note_lines
from dst.data.readers.table import missing_counts

_FEW_ROWS = 5  # below them a class cannot be in training, validation and test rows in its share


def check_file(
    path: str | Path,
    target: str | None = None,
    *,
    group: str | None = None,
    time: str | None = None,
    categorical: Sequence[str] = (),
    **options: Unpack[ReadOptions],
) -> dict[str, Any]:
    """Look over a table before a study is run on it.

    Args:
        path: a file that ``read_table`` reads.
        target: its label column, see ``read_table``.
        group: the column that says which rows belong together.
        time: the column that says when each row was taken.
        categorical: columns that hold categories though they look like numbers.
        options: how columns and cells are read, see ``ReadOptions``.

    Returns:
        A dict with the keys ``name`` (what ``load_dataset`` would call it), ``samples``, ``features``, ``classes`` (of
        a target of numbers 0), ``class_counts`` (rows by class, the largest first), ``sha256``, ``known`` (the
        registry's name for these bytes, or None) and ``problems`` (a list of sentences:
        what no command reads as it is, beginning with ``REFUSED``, each with what would read it; what was read though
        it may mean something else; classes that cannot be learnt or are small, missing values, constant columns,
        repeated rows). ``features`` counts the columns that are refused, which the other sentences leave out.

    Raises:
        InputError: the file is broken or has no such columns, or no column of it can be read, see ``read_table``.
    """
    path = Path(path).expanduser()
    table = survey_table(path, target, group=group, time=time, categorical=categorical, **options)
    sha256 = file_sha256(path)
    entry = find_sha256(sha256)
    counts = _class_counts(table.labels)
    return {
        "name": entry.name if entry else path_name(path),
        "samples": table.x.shape[0],
        "features": len(
            {*table.feature_names, *(note.column for note in table.notes if note.refused)} - {target, None}
        ),
        "classes": len(counts),
        "class_counts": counts,
        "sha256": sha256,
        "known": entry.name if entry else None,
        "problems": [
            *note_lines(table.notes),
            *class_problems(table.labels),
            *_numbers_problems(table.labels),
            *_small_classes(table.labels),
            *_feature_problems(table),
        ],
    }


def _class_counts(labels: npt.NDArray[Any]) -> dict[str, int]:
    if labels.dtype.kind == "f":
        return {}
    classes, counts = np.unique(labels, return_counts=True)
    order = np.argsort(-counts, kind="stable")
    return {str(classes[place]): int(counts[place]) for place in order}


def _numbers_problems(labels: npt.NDArray[Any]) -> list[str]:
    if labels.dtype.kind == "f":
        return [
            f"a target of numbers, {labels.min():g} to {labels.max():g}: for dst select; trials and studies classify"
        ]
    values = len(np.unique(labels))
    if seem_numbers(labels, values):
        return [f"a target of {values} different whole numbers: classes, or numbers (dst select --task regression)?"]
    return []


def _small_classes(labels: npt.NDArray[Any]) -> list[str]:
    if labels.dtype.kind == "f":
        return []
    classes, counts = np.unique(labels, return_counts=True)
    small = [str(label) for label in classes[(counts > 1) & (counts < _FEW_ROWS)]]
    return [f"classes with fewer than {_FEW_ROWS} rows ({len(small)}): {shorten(small)}"] if small else []


def _feature_problems(table: Table) -> list[str]:
    """Oddities of the features with which a study can run."""
    if not table.feature_names:
        return []
    problems = []
    missing = missing_counts(table.x)
    if missing.any():
        share = missing.sum() / (table.x.shape[0] * table.x.shape[1])
        lacking = [table.feature_names[column] for column in np.flatnonzero(missing)]
        problems.append(f"missing values: {missing.sum()} ({share:.1%}), in {len(lacking)} columns: {shorten(lacking)}")
    constant = [table.feature_names[column] for column in np.flatnonzero(_constant(table.x))]
    if constant:
        problems.append(f"constant columns ({len(constant)}): {shorten(constant)}")
    repeated = table.x.shape[0] - len(_rows(table.x))
    if repeated:
        problems.append(f"rows with the features of an earlier row: {repeated}")
    return problems


def _constant(x: TableMatrix) -> npt.NDArray[np.bool_]:
    """Return whether the values that a column has are all the same."""
    if isinstance(x, np.ndarray):
        return np.asarray(np.nanmin(x, axis=0) == np.nanmax(x, axis=0))
    low, high = (np.asarray(side(axis=0, explicit=False).todense()).ravel() for side in (x.nanmin, x.nanmax))
    return np.asarray(low == high)


def _rows(x: TableMatrix) -> set[bytes]:
    """Return a hash of each row, so that equal rows count once."""
    if isinstance(x, np.ndarray):
        return {hashlib.sha256(row + 0).digest() for row in x}  # + 0: -0.0 becomes 0.0
    x = x.copy()
    x.eliminate_zeros()
    x.sort_indices()
    bounds = zip(x.indptr[:-1], x.indptr[1:], strict=True)
    return {hashlib.sha256(x.indices[a:b].tobytes() + x.data[a:b].tobytes()).digest() for a, b in bounds}
