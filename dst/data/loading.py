"""Loading a checked dataset by its name or its path."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Unpack

from dst.data.assembling import assemble, check_numbers, check_unsaid, safe_name, table_sha256
from dst.data.dataset import Dataset
from dst.data.entry import Entry
from dst.data.known.files import DATA_DIR_VARIABLE, data_folder, file_sha256, read_entry
from dst.data.known.registry import DATASETS, find_name, find_sha256
from dst.data.readers import READERS, ReadOptions, Table, read_table, table_suffix
from dst.errors import AbsentDataError, InputError, unknown_name

_SPELLING = ("decimal", "thousands", "missing_values", "separator")


def load_dataset(
    ref: str | Path,
    *,
    target: str | None = None,
    k: int | None = None,
    batch_size: int | None = None,
    group: str | None = None,
    time: str | None = None,
    categorical: Sequence[str] = (),
    data_dir: str | Path | None = None,
    task: str = "classification",
    **options: Unpack[ReadOptions],
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
        group: the column of a file that says which rows belong together, see ``read_table``.
        time: the column of a file that says when each row was taken, see ``read_table``.
        categorical: columns of a file that hold categories though they look like numbers, see ``read_table``.
        data_dir: the folder of the registry's files; None: see ``data_folder``.
        task: what a file's target is, see ``read_table``; ``auto`` refuses what may be either
            (:func:`dst.data.assembling.check_unsaid`). Trials and studies take classes alone.
        options: how columns and cells of a file are read, see ``ReadOptions``.

    Raises:
        InputError: there is no such name or file, the file is not the one that the registry knows, it breaks a rule of
            ``read_table``, there are fewer than two classes, a class has a single row, or ``k`` or ``batch_size`` is
            out of range.
    """
    check_numbers(k, batch_size)
    entry = None if _is_path(ref) else _entry(str(ref))
    if entry is None:
        path = Path(ref).expanduser()
        table = read_table(path, target, group=group, time=time, categorical=categorical, task=task, **options)
        if task == "auto":
            check_unsaid(table.labels, path.name)
        source = str(path)
        sha256 = file_sha256(path)
        entry = find_sha256(sha256)
    else:
        if task == "regression":
            raise InputError(f"task regression is for a file whose target holds numbers, but {entry.name} has classes")
        _check_no_roles(entry, {"target": target, "group": group, "time": time, "categorical": categorical, **options})
        table, sha256 = _registry_table(entry, data_dir)
        source = entry.source
    name = path_name(Path(ref)) if entry is None else entry.name
    return assemble(table, name=name, sha256=sha256, source=source, entry=entry, k=k, batch_size=batch_size)


def list_datasets(data_dir: str | Path | None = None) -> list[dict[str, Any]]:
    """The registry, one dict a dataset, in the registry's order; no data is read.

    Args:
        data_dir: the folder of the registry's files; None: see ``data_folder``.

    Returns:
        Dicts with the keys ``name``, ``samples``, ``features``, ``classes``, ``kind``, ``available`` (embedded, or its
        file is in the folder), ``sha256`` (of the file; None for embedded data, and where it is not known) and
        ``source``.
    """
    folder = data_folder(data_dir)
    return [
        {
            "name": entry.name,
            "samples": entry.shape[0],
            "features": entry.shape[1],
            "classes": entry.n_classes,
            "kind": entry.kind,
            "available": entry.file is None or (folder / entry.file).is_file(),
            "sha256": entry.sha256,
            "source": entry.source,
        }
        for entry in DATASETS.values()
    ]


def path_name(path: Path) -> str:
    """The name of a file's table: the file's name without its suffix, made safe to name folders."""
    return safe_name(path.name[: -len(table_suffix(path) or "")])


def _is_path(ref: str | Path) -> bool:
    return isinstance(ref, Path) or table_suffix(ref) is not None


def _entry(ref: str) -> Entry | None:
    """The registry's entry; None where the reference is a file instead."""
    entry = find_name(ref)
    if entry is None and not Path(ref).expanduser().is_file():
        raise InputError(f"{unknown_name('dataset', ref, DATASETS)}; a path must end in one of {', '.join(READERS)}")
    return entry


def _check_no_roles(entry: Entry, roles: dict[str, Any]) -> None:
    named = next((role for role, given in roles.items() if given), None)
    if named == "target":
        raise InputError(f"target names the label column of a file, but {entry.name} knows its own labels")
    if named is not None:
        what = "says how a file is read" if named in _SPELLING else "names columns of a file"
        raise InputError(f"{named} {what}, but {entry.name} has a name, and no such columns")


def _registry_table(entry: Entry, data_dir: str | Path | None) -> tuple[Table, str]:
    """An entry's table and its SHA-256."""
    if entry.generator is not None:
        table = entry.generator()
        return table, table_sha256(table)
    folder = data_folder(data_dir)
    path = folder / str(entry.file)
    if not path.is_file():
        raise AbsentDataError(
            f"{entry.name} is read from {entry.file}, which is not in {folder}: `dst datasets fetch {entry.name}` "
            f"fetches it, or set {DATA_DIR_VARIABLE} to the folder that holds it"
        )
    return read_entry(entry, path)
