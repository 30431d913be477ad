"""Records as JSON and as arrays: what is written, and checks of what is read."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

import numpy as np
import numpy.typing as npt

from cluster.ledger.entries import State
from dst.errors import InputError
from dst.selection import selection_of
from studies.spec.documents import read_json
from studies.store.record_schema import RECORD, SCHEMA, Ended, Kind, Stage, problem_of


class RecordError(ValueError):
    """A record cannot be read, or is not a record; the message names the file."""


def read_document(path: Path) -> dict[str, Any]:
    """Return the mapping in a JSON file.

    Raises:
        RecordError: it cannot be read, or holds no mapping.
    """
    try:
        document = read_json(path)
    except (OSError, ValueError) as error:
        raise RecordError(f"{path}: cannot be read as a record ({error})") from error
    if not isinstance(document, dict):
        raise RecordError(f"{path}: a record is a JSON object, but this is a {type(document).__name__}")
    return document


_ALWAYS = ("method", "params", "seed", "seed_index", "source", "k", "reports", "error")
_WHEN_FINISHED = ("val_score", "importance", "importances", "val_loss")


def check_record(record: Mapping[str, Any], path: Path) -> None:
    """Refuse a trial's record that is another's, or lacks what its stage and state have."""
    check_identity(record, path)
    for key, valid in (("stage", tuple(Stage)), ("state", get_args(Ended))):
        if record.get(key) not in valid:
            raise RecordError(f"{path}: {key} is one of {', '.join(valid)}, but got {record.get(key)!r}")
    needed = _ALWAYS + (_WHEN_FINISHED if record["state"] == State.FINISHED else ())
    missing = [key for key in needed if key not in record]
    if missing:
        raise RecordError(f"{path}: a {record['state']} record has {', '.join(needed)}, but lacks {', '.join(missing)}")
    _check_rankings(record, path)


def _check_rankings(record: Mapping[str, Any], path: Path) -> None:
    """Refuse results of a ranking that there is not, and a ranking that counts without results."""
    results = record.get("importances")
    if not isinstance(results, Mapping):  # of another type, which the schema refuses, or not there
        return
    for name in results:
        try:
            selection_of(name)
        except InputError as error:
            raise RecordError(f"{path}: importances has {name!r}: {error}") from error
    counts = record.get("importance")
    if results and isinstance(counts, str) and counts not in results:
        raise RecordError(f"{path}: importance is one of {', '.join(results)}, but got {counts!r}")


def read_beside(path: Path, kind: Kind) -> dict[str, Any] | None:
    """Read what stands beside a record, or return None where there is nothing."""
    if not path.exists():
        return None
    document = read_document(path)
    check_identity(document, path)
    check_types(document, path, kind)
    return document


def check_types(document: Mapping[str, Any], path: Path, kind: Kind = RECORD) -> None:
    """Refuse a document whose values have other types than :mod:`studies.store.record_schema` says."""
    problem = problem_of(document, kind)
    if problem is not None:
        raise RecordError(f"{path}: {problem}")


def identity_of(document: Mapping[str, Any]) -> tuple[str, int]:
    """Return the dataset and the number that a document is of."""
    dataset, number = document.get("dataset"), document.get("number")
    if not isinstance(dataset, str) or not isinstance(number, int) or number < 0:
        raise RecordError(
            f"a record names its dataset and its number (0, 1, ...), but got dataset={dataset!r}, number={number!r}"
        )
    return dataset, number


def check_identity(document: Mapping[str, Any], path: Path) -> None:
    """Check that a document is what its path says: ``records/DATASET/NUMBER.json``, or what stands beside it."""
    if document.get("schema") != SCHEMA:
        raise RecordError(f"{path}: schema {SCHEMA} is what can be read, but got {document.get('schema')!r}")
    expected = (path.parent.name, path.name.split(".")[0])
    given = (document.get("dataset"), str(document.get("number")))
    if given != expected:
        raise RecordError(f"{path}: holds the record {given[0]}/{given[1]}, but its name says {'/'.join(expected)}")


def to_json(document: Mapping[str, Any], path: Path) -> str:
    """Return a document as its file holds it; what is not finite is null."""
    try:
        return json.dumps(_plain(document), sort_keys=True, allow_nan=False) + "\n"
    except TypeError as error:
        raise RecordError(f"{path}: a record holds what JSON can hold ({error})") from error


def _plain(value: Any) -> Any:
    """Return the value as JSON knows it: numpy numbers and arrays unwrapped, what is not finite as None."""
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value


def to_npz(arrays: Mapping[str, npt.ArrayLike], path: Path) -> bytes:
    """Return feature scores, each ``(n_features,)``, as the bytes of an ``.npz`` of float64."""
    vectors: dict[str, Any] = {name: np.asarray(values, dtype=np.float64) for name, values in arrays.items()}
    for name, vector in vectors.items():
        if vector.ndim != 1:
            raise RecordError(f"{path}: scores have the shape (n_features,), but {name!r} has {vector.shape}")
    buffer = io.BytesIO()
    np.savez(buffer, **vectors)
    return buffer.getvalue()
