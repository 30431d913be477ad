"""Records: what became of each trial, one JSON file with an ``.npz`` of feature scores beside it.

The record is the truth about a trial's result. Its arrays are written first and the JSON last, each whole or not at
all, so that a JSON file that is there is complete, whenever the writer died.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np
import numpy.typing as npt

from cluster.ledger.entries import State, Ticket
from dst.errors import InputError
from dst.files.archive import read_arrays
from dst.rankers import RANKERS, used_settings
from studies.store.files import write_bytes, write_text
from studies.store.folder import StudyFolder
from studies.store.record_codec import (
    RecordError,
    check_identity,
    check_record,
    check_types,
    identity_of,
    read_beside,
    read_document,
    to_json,
    to_npz,
)
from studies.store.record_schema import (
    LIST,
    SCHEMA,
    SPLIT,
    TEST,
    Ended,
    ListRecord,
    Record,
    SplitRecord,
    Stage,
    TestRecord,
)

if TYPE_CHECKING:
    from dst.trial.spec import TrialSpec

_RECORD_NAME = re.compile(r"(0|[1-9][0-9]*)\.json")
_SPLIT_NAME = re.compile(r"(0|[1-9][0-9]*)\.split-(0|[1-9][0-9]*)\.json")
_LIST_NAME = re.compile(r"(0|[1-9][0-9]*)\.list-([1-9][0-9]*)\.json")


def trial_record(
    dataset: str,
    ticket: Ticket,
    trial: TrialSpec,
    state: Ended | Literal[State.RUNNING],
    reports: Mapping[int, float],
    *,
    batch_size: int,
    cpus: float,
    outcome: Mapping[str, Any] | None = None,
) -> Record:
    """Build the record of an ended trial, or of one that runs, which is not written.

    Args:
        dataset: name of the trial's dataset.
        ticket: the trial as the ledger handed it out.
        trial: the specification that was run.
        state: the final state, or ``running``.
        reports: value by step, as it reported them.
        batch_size: the dataset's, which holds where the trial's settings have none.
        cpus: cores that the trial had to itself.
        outcome: further keys of the record: a worker's results, ``seconds``, ``error``.
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
    dataset, number = identity_of(record)
    target = folder.record(dataset, number)
    text = to_json(record, target)
    check_record(record, target)
    if arrays:
        write_bytes(folder.scores(dataset, number), to_npz(arrays, target))
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
    _write_beside(folder.test(*identity_of(test)), test)


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
    _write_beside(folder.list_scores(*identity_of(measured), measured["seeds"]), measured)


def write_split(folder: StudyFolder, tested: Mapping[str, Any]) -> None:
    """Write what a confirming trial's configuration came to on another outer split beside its record.

    Args:
        folder: the study's folder.
        tested: plain data with at least ``schema``, ``dataset``, ``number``, ``index``, ``importance``, ``k`` and
            ``test``.

    Raises:
        RecordError: the document breaks the layout; nothing has been written.
        OSError: the file cannot be written.
    """
    _write_beside(folder.outer_split(*identity_of(tested), tested["index"]), tested)


def _write_beside(target: Path, document: Mapping[str, Any]) -> None:
    text = to_json(document, target)
    check_identity(document, target)
    write_text(target, text)


def read_record(path: Path) -> Record:
    """Read one record, as it would be written today (:func:`_as_of_today`).

    Raises:
        RecordError: the file is missing, is not JSON, or does not hold the record that its name says.
    """
    document = read_document(path)
    check_record(document, path)
    check_types(document, path)
    record = cast(Record, document | {"stage": Stage(document["stage"]), "state": State(document["state"])})
    return _as_of_today(record)


def read_test(folder: StudyFolder, dataset: str, number: int) -> TestRecord | None:
    """Read the test accuracies of a confirming trial, or return None while its test rows have not been opened.

    Raises:
        RecordError: the file is there but damaged.
    """
    return cast(TestRecord | None, read_beside(folder.test(dataset, number), TEST))


def read_list(folder: StudyFolder, dataset: str, number: int, seeds: int) -> ListRecord | None:
    """Read what the feature list of so many seeds is worth under a confirming trial's design; None: not measured.

    Raises:
        RecordError: the file is there but damaged.
    """
    return cast(ListRecord | None, read_beside(folder.list_scores(dataset, number, seeds), LIST))


def read_split(folder: StudyFolder, dataset: str, number: int, index: int) -> SplitRecord | None:
    """Read what a confirming trial's configuration came to on another outer split; None: it was not tested there.

    Raises:
        RecordError: the file is there but damaged.
    """
    return cast(SplitRecord | None, read_beside(folder.outer_split(dataset, number, index), SPLIT))


def measured_lists(folder: StudyFolder, dataset: str) -> list[tuple[int, int]]:
    """Return the confirming trial and the count of seeds of each list that was measured, earlier ones included."""
    return _named(folder, dataset, _LIST_NAME)


def tested_splits(folder: StudyFolder, dataset: str) -> list[tuple[int, int]]:
    """Return the confirming trial and the index of each outer split that was tested, for earlier choices included."""
    return _named(folder, dataset, _SPLIT_NAME)


def _named(folder: StudyFolder, dataset: str, name: re.Pattern[str]) -> list[tuple[int, int]]:
    part = folder.record(dataset, 0).parent
    matches = (name.fullmatch(path.name) for path in part.iterdir()) if part.is_dir() else ()
    return sorted((int(match[1]), int(match[2])) for match in matches if match is not None)


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


_DESCRIBED: tuple[Literal["sparsity"], Literal["l2"]] = ("sparsity", "l2")


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
