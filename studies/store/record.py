"""Records: what became of each trial, one JSON file with an ``.npz`` of feature scores beside it.

The record is the truth about a trial's result. Its arrays are written first and the JSON last, each whole or not at
all, so that a JSON file that is there is complete, whenever the writer died.
"""

from __future__ import annotations

import io
import json
import math
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast, get_args

import numpy as np
import numpy.typing as npt

from cluster.ledger.entries import State, Ticket
from dst.errors import InputError
from dst.files.archive import read_arrays
from dst.rankers import RANKERS, used_settings
from studies.spec.documents import read_json
from studies.store.files import write_bytes, write_text
from studies.store.folder import StudyFolder
from studies.store.record_schema import (
    LIST,
    RECORD,
    SCHEMA,
    TEST,
    Ended,
    Kind,
    ListRecord,
    Record,
    Stage,
    TestRecord,
    problem_of,
)

if TYPE_CHECKING:
    from dst.trial.spec import TrialSpec

_RECORD_NAME = re.compile(r"(0|[1-9][0-9]*)\.json")
_LIST_NAME = re.compile(r"(0|[1-9][0-9]*)\.list-([1-9][0-9]*)\.json")


class RecordError(ValueError):
    """A record cannot be read, or is not a record; the message names the file."""


def trial_record(
    dataset: str,
    ticket: Ticket,
    trial: TrialSpec,
    state: Ended,
    reports: Mapping[int, float],
    *,
    batch_size: int,
    cpus: float,
    outcome: Mapping[str, Any] | None = None,
) -> Record:
    """Build the record of an ended trial.

    Args:
        dataset: its name.
        ticket: the trial as the ledger handed it out.
        trial: what was run.
        state: how it ended.
        reports: value by step, as it reported them.
        batch_size: the dataset's, which holds where the trial's settings have none.
        cpus: cores that the trial had to itself.
        outcome: what is known of it besides: a worker's results, ``seconds``, ``error``.
    """
    known = {
        "schema": SCHEMA,
        "dataset": dataset,
        "number": ticket.number,
        "stage": Stage(ticket.stage),
        "state": state,
        "source": ticket.attrs.get("source"),
        "seed": trial.seed,
        "seed_index": ticket.attrs.get("seed_index"),
        **trial.described(batch_size),
        "params": dict(ticket.params),
        "cpus": cpus,
        "split": trial.design.split,
        "k": trial.k,
        "scorer": trial.scorer,
        "scorer_max_rows": trial.max_rows,
        "reports": {str(step): value for step, value in reports.items()},
        "stopped_at": max(reports, default=None) if state == State.STOPPED else None,
        "error": None,
    }
    return cast(Record, known | dict(outcome or {}))


def write_record(
    folder: StudyFolder, record: Mapping[str, Any], arrays: Mapping[str, npt.ArrayLike] | None = None
) -> None:
    """Write a trial's record: first the arrays, then the document, each whole or not at all.

    Args:
        folder: the study's folder.
        record: plain data with at least ``schema``, ``dataset``, ``number``, ``stage`` and ``state``. NaN and the
            infinities become null.
        arrays: per importance metric the feature scores, ``(n_features,)``; stored as float64.

    Raises:
        RecordError: the record or an array breaks the layout; nothing has been written.
        OSError: the files cannot be written.
    """
    dataset, number = _identity(record)
    target = folder.record(dataset, number)
    text = _to_json(record, target)
    _check(record, target)
    if arrays:
        write_bytes(folder.scores(dataset, number), _to_npz(arrays, target))
    write_text(target, text)


def write_test(folder: StudyFolder, test: Mapping[str, Any]) -> None:
    """Write the test accuracies of a confirming trial beside its record.

    Args:
        folder: the study's folder.
        test: plain data with at least ``schema``, ``dataset``, ``number`` and ``importances``.

    Raises:
        RecordError: the document breaks the layout; nothing has been written.
        OSError: the file cannot be written.
    """
    target = folder.test(*_identity(test))
    text = _to_json(test, target)
    _check_identity(test, target)
    write_text(target, text)


def write_list(folder: StudyFolder, measured: Mapping[str, Any]) -> None:
    """Write what a feature list is worth under the design of a confirming trial beside its record.

    Args:
        folder: the study's folder.
        measured: plain data with at least ``schema``, ``dataset``, ``number``, ``seeds``, ``importance``, ``columns``,
            ``validation`` and ``test``.

    Raises:
        RecordError: the document breaks the layout; nothing has been written.
        OSError: the file cannot be written.
    """
    target = folder.list_scores(*_identity(measured), measured["seeds"])
    text = _to_json(measured, target)
    _check_identity(measured, target)
    write_text(target, text)


def read_record(path: Path) -> Record:
    """Read one record, as it would be written today (:func:`_as_of_today`).

    Raises:
        RecordError: the file is missing, is not JSON, or does not hold the record that its name says.
    """
    document = _read_json(path)
    _check(document, path)
    _check_types(document, path)
    record = cast(Record, document | {"stage": Stage(document["stage"]), "state": State(document["state"])})
    return _as_of_today(record)


def read_test(folder: StudyFolder, dataset: str, number: int) -> TestRecord | None:
    """Read the test accuracies of a confirming trial, or return None while its test rows have not been opened.

    Raises:
        RecordError: the file is there but damaged.
    """
    return cast(TestRecord | None, _read_beside(folder.test(dataset, number), TEST))


def read_list(folder: StudyFolder, dataset: str, number: int, seeds: int) -> ListRecord | None:
    """Read what the feature list of so many seeds is worth under a confirming trial's design; None: not measured.

    Raises:
        RecordError: the file is there but damaged.
    """
    return cast(ListRecord | None, _read_beside(folder.list_scores(dataset, number, seeds), LIST))


def iter_lists(folder: StudyFolder, dataset: str) -> Iterator[ListRecord]:
    """Read all that was measured of a dataset's feature lists, earlier ones over fewer seeds included.

    Raises:
        RecordError: a file is damaged.
    """
    part = folder.record(dataset, 0).parent
    matches = (_LIST_NAME.fullmatch(path.name) for path in part.iterdir()) if part.is_dir() else ()
    for number, seeds in sorted((int(match[1]), int(match[2])) for match in matches if match is not None):
        document = read_list(folder, dataset, number, seeds)
        if document is not None:
            yield document


def read_scores(folder: StudyFolder, dataset: str, number: int) -> dict[str, npt.NDArray[np.float64]]:
    """Read a trial's feature scores: per importance metric a float64 array ``(n_features,)``.

    Raises:
        RecordError: the file is missing or damaged.
    """
    path = folder.scores(dataset, number)
    try:
        scores = read_arrays(path)
    except (OSError, InputError) as error:
        raise RecordError(f"{path}: cannot be read as feature scores ({error})") from error
    for name, values in scores.items():
        if values.ndim != 1 or values.dtype != np.float64:
            raise RecordError(
                f"{path}: scores are float64 of shape (n_features,), but {name!r} is {values.dtype} {values.shape}"
            )
        if not np.isfinite(values).all():
            raise RecordError(f"{path}: scores are finite, but {name!r} has {values[~np.isfinite(values)][0]}")
    return scores


def iter_records(folder: StudyFolder, dataset: str | None = None) -> Iterator[Record]:
    """Read all records, by dataset and then by number; files that are no records, or not yet, are passed over.

    Args:
        folder: the study's folder.
        dataset: only this dataset's records.

    Raises:
        RecordError: a record is damaged.
    """
    if dataset is not None:
        parts = [folder.record(dataset, 0).parent]
    elif folder.records.is_dir():
        parts = sorted(path for path in folder.records.iterdir() if path.is_dir())
    else:
        parts = []
    for part in parts:
        for number in _numbers(part):
            yield read_record(part / f"{number}.json")


def _as_of_today(record: Record) -> Record:
    """Return a record with what those lack that were written before ``settings`` were recorded.

    They have ``sparsity`` and ``l2`` only where the search space varied them. Nothing else in a spec sets these two,
    and their defaults have never changed, so that they are the ranker's defaults; of other settings that cannot be
    said, so ``settings`` is None.
    """
    if "settings" in record:
        return record
    record["settings"] = None
    if record["method"] in RANKERS:
        defaults = used_settings(record["method"], {})
        for name in _DESCRIBED:
            if record.get(name) is None and name not in record["params"]:
                record[name] = defaults.get(name)
    return record


def _numbers(part: Path) -> list[int]:
    if not part.is_dir():
        return []
    matches = (_RECORD_NAME.fullmatch(path.name) for path in part.iterdir())
    return sorted(int(match[1]) for match in matches if match is not None)


def _read_json(path: Path) -> dict[str, Any]:
    try:
        document = read_json(path)
    except (OSError, ValueError) as error:
        raise RecordError(f"{path}: cannot be read as a record ({error})") from error
    if not isinstance(document, dict):
        raise RecordError(f"{path}: a record is a JSON object, but this is a {type(document).__name__}")
    return document


_DESCRIBED: tuple[Literal["sparsity"], Literal["l2"]] = ("sparsity", "l2")

_ALWAYS = ("method", "params", "seed", "seed_index", "source", "k", "reports", "error")
_WHEN_FINISHED = ("val_score", "importance", "importances", "val_loss")


def _check(record: Mapping[str, Any], path: Path) -> None:
    _check_identity(record, path)
    for key, valid in (("stage", tuple(Stage)), ("state", get_args(Ended))):
        if record.get(key) not in valid:
            raise RecordError(f"{path}: {key} is one of {', '.join(valid)}, but got {record.get(key)!r}")
    needed = _ALWAYS + (_WHEN_FINISHED if record["state"] == State.FINISHED else ())
    missing = [key for key in needed if key not in record]
    if missing:
        raise RecordError(f"{path}: a {record['state']} record has {', '.join(needed)}, but lacks {', '.join(missing)}")


def _read_beside(path: Path, kind: Kind) -> dict[str, Any] | None:
    """Read what stands beside a record, or return None where there is nothing."""
    if not path.exists():
        return None
    document = _read_json(path)
    _check_identity(document, path)
    _check_types(document, path, kind)
    return document


def _check_types(document: Mapping[str, Any], path: Path, kind: Kind = RECORD) -> None:
    problem = problem_of(document, kind)
    if problem is not None:
        raise RecordError(f"{path}: {problem}")


def _identity(document: Mapping[str, Any]) -> tuple[str, int]:
    dataset, number = document.get("dataset"), document.get("number")
    if not isinstance(dataset, str) or not isinstance(number, int) or number < 0:
        raise RecordError(
            f"a record names its dataset and its number (0, 1, ...), but got dataset={dataset!r}, number={number!r}"
        )
    return dataset, number


def _check_identity(document: Mapping[str, Any], path: Path) -> None:
    """Check that a document is what its path says: ``records/DATASET/NUMBER.json``, or what stands beside it."""
    if document.get("schema") != SCHEMA:
        raise RecordError(f"{path}: schema {SCHEMA} is what can be read, but got {document.get('schema')!r}")
    expected = (path.parent.name, path.name.split(".")[0])
    given = (document.get("dataset"), str(document.get("number")))
    if given != expected:
        raise RecordError(f"{path}: holds the record {given[0]}/{given[1]}, but its name says {'/'.join(expected)}")


def _to_json(document: Mapping[str, Any], path: Path) -> str:
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


def _to_npz(arrays: Mapping[str, npt.ArrayLike], path: Path) -> bytes:
    vectors: dict[str, Any] = {name: np.asarray(values, dtype=np.float64) for name, values in arrays.items()}
    for name, vector in vectors.items():
        if vector.ndim != 1:
            raise RecordError(f"{path}: scores have the shape (n_features,), but {name!r} has {vector.shape}")
    buffer = io.BytesIO()
    np.savez(buffer, **vectors)
    return buffer.getvalue()
