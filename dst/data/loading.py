"""From a name or a path to a checked dataset."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dst.data.dataset import Dataset
from dst.data.readers import READERS, Table, read_table, shorten, table_suffix
from dst.data.registry import DATASETS, Entry, default_batch_size, default_k, find_name, find_sha256
from dst.errors import InputError, unknown_name

DATA_DIR_VARIABLE = "DST_DATA_DIR"
"""The environment variable that names the folder with the registry's files."""


def load_dataset(
    ref: str | Path,
    *,
    target: str | None = None,
    k: int | None = None,
    batch_size: int | None = None,
    data_dir: str | Path | None = None,
) -> Dataset:
    """Load a dataset by its registry name or from a file.

    A file whose SHA-256 is in the registry gets that entry's name, kind, split, scaling, batch size and K. Any other
    file is named after its stem, is ``tabular``, and has the defaults of ``default_k`` and ``default_batch_size``.

    Args:
        ref: a name (case does not matter, nor ``-`` for ``_``) or a path; what ends in a suffix of ``READERS`` is a
            path.
        target: the label column of a file, see ``read_table``.
        k: how many features a ranking is judged on, ``1 <= k <= n_features``.
        batch_size: rows in a training batch, at least 1.
        data_dir: the folder of the registry's files; by default the environment variable ``DST_DATA_DIR`` names it.

    Raises:
        InputError: there is no such name or file, the file is not the one that the registry knows, it breaks a rule of
            ``read_table``, there are fewer than two classes, a class has a single row, or ``k`` or ``batch_size`` is
            out of range.
    """
    if k is not None and k < 1:
        raise InputError(f"k must be at least 1, but got {k}")
    if batch_size is not None and batch_size < 1:
        raise InputError(f"batch_size must be at least 1, but got {batch_size}")
    entry = None if _is_path(ref) else _entry(str(ref))
    if entry is None:
        path = Path(ref).expanduser()
        table, source = read_table(path, target), str(path)
        sha256 = _file_sha256(path)
        entry = find_sha256(sha256)
    else:
        if target is not None:
            raise InputError(f"target names the label column of a file, but {entry.name} knows its own labels")
        table, sha256 = _registry_table(entry, data_dir)
        source = entry.source
    name = _sanitised_stem(Path(ref)) if entry is None else entry.name
    n_samples, n_features = table.x.shape
    if k is not None and k > n_features:
        raise InputError(f"{name}: k must be at most the number of features, {n_features}, but got {k}")
    class_names, y = _encode(name, table.labels)
    official = None if entry is None else entry.official_train_rows
    return Dataset(
        name=name,
        x=table.x,
        y=y,
        feature_names=table.feature_names,
        class_names=class_names,
        k=k or (entry.k if entry else default_k(n_features)),
        batch_size=batch_size or (entry.batch_size if entry else default_batch_size(n_samples)),
        kind=entry.kind if entry else "tabular",
        sha256=sha256,
        source=source,
        scaling=entry.scaling if entry else "standard",
        official_test=None if official is None else np.arange(official, n_samples, dtype=np.int64),
    )


def list_datasets(data_dir: str | Path | None = None) -> list[dict[str, Any]]:
    """What the registry knows, one dict a dataset, in the registry's order; no data is read.

    Args:
        data_dir: the folder of the registry's files; by default the environment variable ``DST_DATA_DIR`` names it.

    Returns:
        Dicts with the keys ``name``, ``samples``, ``features``, ``classes``, ``kind``, ``available`` (embedded, or its
        file is in the folder), ``sha256`` (of the file; None for embedded data) and ``source``.
    """
    folder = _data_dir(data_dir)
    return [
        {
            "name": entry.name,
            "samples": entry.shape[0],
            "features": entry.shape[1],
            "classes": entry.n_classes,
            "kind": entry.kind,
            "available": entry.file is None or (folder is not None and (folder / entry.file).is_file()),
            "sha256": entry.sha256,
            "source": entry.source,
        }
        for entry in DATASETS.values()
    ]


def check_file(path: str | Path, target: str | None = None) -> dict[str, Any]:
    """Look over a table before a study is run on it.

    Args:
        path: a file that ``read_table`` reads.
        target: its label column, see ``read_table``.

    Returns:
        A dict with the keys ``name`` (what ``load_dataset`` would call it), ``samples``, ``features``, ``classes``,
        ``sha256``, ``known`` (the registry's name for these bytes, or None) and ``problems`` (a list of sentences:
        classes that cannot be learnt, constant columns, repeated rows).

    Raises:
        InputError: the file cannot be read, see ``read_table``.
    """
    path = Path(path).expanduser()
    table = read_table(path, target)
    sha256 = _file_sha256(path)
    entry = find_sha256(sha256)
    return {
        "name": entry.name if entry else _sanitised_stem(path),
        "samples": table.x.shape[0],
        "features": table.x.shape[1],
        "classes": len(np.unique(table.labels)),
        "sha256": sha256,
        "known": entry.name if entry else None,
        "problems": [*_class_problems(table.labels), *_feature_problems(table)],
    }


def _is_path(ref: str | Path) -> bool:
    return isinstance(ref, Path) or table_suffix(ref) is not None


def _entry(ref: str) -> Entry | None:
    """The registry's entry; None where the reference is a file instead."""
    entry = find_name(ref)
    if entry is None and not Path(ref).expanduser().exists():
        raise InputError(f"{unknown_name('dataset', ref, DATASETS)}; a path must end in one of {', '.join(READERS)}")
    return entry


def _registry_table(entry: Entry, data_dir: str | Path | None) -> tuple[Table, str]:
    """An entry's table and its SHA-256."""
    if entry.generator is not None:
        table = entry.generator()
        return table, hashlib.sha256(table.x.tobytes() + table.labels.tobytes()).hexdigest()
    folder = _data_dir(data_dir)
    if folder is None:
        raise InputError(f"{entry.name} is read from {entry.file}: set {DATA_DIR_VARIABLE} to the folder that holds it")
    path = folder / str(entry.file)
    if not path.is_file():
        raise InputError(
            f"{entry.name} is read from {entry.file}, which is not in {folder}: "
            f"set {DATA_DIR_VARIABLE} to the folder that holds it"
        )
    sha256 = _file_sha256(path)
    if sha256 != entry.sha256:
        raise InputError(
            f"{path} is not the registry's {entry.name}: its SHA-256 must be {entry.sha256}, but is {sha256}; "
            f"to use it as a table of your own, give its path under another name"
        )
    return read_table(path), sha256


def _data_dir(data_dir: str | Path | None) -> Path | None:
    """The folder of the registry's files: the argument, else the environment's, else None."""
    given = str(data_dir) if data_dir is not None else os.environ.get(DATA_DIR_VARIABLE, "")
    return Path(given).expanduser() if given else None


def _file_sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sanitised_stem(path: Path) -> str:
    """A file's name without its suffix, of letters, digits, ``_``, ``-`` and ``.`` only: it names folders later."""
    stem = path.name[: -len(table_suffix(path) or "")]
    return re.sub(r"[^A-Za-z0-9_.-]+", "_", stem).strip("._") or "table"


def _encode(name: str, labels: npt.NDArray[Any]) -> tuple[tuple[str, ...], npt.NDArray[np.int64]]:
    """Class names in sorted order, and each row's position among them."""
    problems = _class_problems(labels)
    if problems:
        raise InputError(f"{name}: {problems[0]}")
    classes, codes = np.unique(labels, return_inverse=True)
    return tuple(map(str, classes)), codes.astype(np.int64)


def _class_problems(labels: npt.NDArray[Any]) -> list[str]:
    """Why these labels cannot be learnt, if so."""
    classes, counts = np.unique(labels, return_counts=True)
    if len(classes) < 2:
        return [f"at least two classes are needed, but every label is {str(classes[0])!r}"]
    single = [str(label) for label in classes[counts == 1]]
    return [f"every class needs two rows or more, but these have one: {shorten(single)}"] if single else []


def _feature_problems(table: Table) -> list[str]:
    """What is odd about the features, though a study can run on them."""
    problems = []
    constant = [table.feature_names[column] for column in np.flatnonzero((table.x == table.x[0]).all(axis=0))]
    if constant:
        problems.append(f"constant columns ({len(constant)}): {shorten(constant)}")
    repeated = len(table.x) - len({hashlib.sha256(row).digest() for row in table.x + 0})  # + 0: -0.0 becomes 0.0
    if repeated:
        problems.append(f"rows with the features of an earlier row: {repeated}")
    return problems
