"""Each seed's test accuracies on its own columns, one row each: what is compared between studies and with papers.

Those of feature lists, the mean rankings over seeds, are in ``best.csv`` and ``best_by_method.csv``.

The table stands in the study's folder as ``test_scores.csv`` and needs nothing else to be read, so that it can be
committed where records are too large.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from dst.errors import InputError
from studies.store.archive import StudyArchive
from studies.store.folder import StudyFolder
from studies.store.record_codec import RecordError
from studies.store.record_schema import importances_of

OPENED_COLUMNS: Mapping[str, str] = {
    "dataset": "string",
    "method": "string",
    "importance": "string",
    "k": "int64",
    "seed_index": "int64",
    "test_accuracy": "float64",
    "val_accuracy": "float64",
    "val_loss": "float64",
    "coverage": "float64",
    "number": "int64",
    "sparsity": "float64",
    "l2": "float64",
    "epochs": "Int64",
    "flops": "float64",
    "seconds": "float64",
}
"""Columns and their pandas dtypes; a missing float is NaN. Accuracies and coverage are shares, seconds the trial's."""

_INFORMATIVE = "informative_"
"""Starts the names of columns that a generator made informative."""


def opened_scores(
    archive: StudyArchive, feature_names: Mapping[str, Sequence[str]], chosen: Container[tuple[str, int]]
) -> pd.DataFrame:
    """Gather what was opened for seeds: a row per dataset, confirming trial, importance metric and K.

    ``number`` is the search trial whose configuration it is. ``coverage`` is the share of a generated table's
    informative columns among the first K, where K is at least their number, as in the paper's appendix C.

    Args:
        archive: holds the results on test rows.
        feature_names: the column names of each dataset.
        chosen: dataset and number of the configurations whose scores count; before a study was extended, others may
            have been chosen and opened.

    Raises:
        RecordError: a record is damaged.
    """
    rows = [
        row
        for name, names in feature_names.items()
        for row in _rows(archive, name, names)
        if (name, row["number"]) in chosen
    ]
    return pd.DataFrame(
        {name: pd.Series([row[name] for row in rows], dtype=dtype) for name, dtype in OPENED_COLUMNS.items()}
    )


def read_opened_scores(folder: Path) -> pd.DataFrame:
    """Read the table from a study's folder, or from one that holds it alone.

    Raises:
        InputError: the file is missing, or is not such a table.
    """
    path = StudyFolder(folder).test_scores
    try:
        table = pd.read_csv(path, dtype=dict(OPENED_COLUMNS))
    except FileNotFoundError:
        raise InputError(
            f"{folder} has no {path.name}: it must be the folder of a study that has opened test rows; "
            "`dst report DIR` writes the file again from a study's records"
        ) from None
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read as test scores ({' '.join(str(error).split())})") from error
    missing = [name for name in OPENED_COLUMNS if name not in table.columns]
    if missing:
        raise InputError(
            f"{path}: test scores have the columns {', '.join(OPENED_COLUMNS)}, but lack {', '.join(missing)}"
        )
    return table[list(OPENED_COLUMNS)]


def _rows(archive: StudyArchive, dataset: str, names: Sequence[str]) -> Iterator[dict[str, Any]]:
    informative = {column for column, name in enumerate(names) if name.startswith(_INFORMATIVE)}
    for record in archive.records(dataset):
        test = archive.test(dataset, record["number"]) if record["seed_index"] is not None else None
        for importance, opened in ({} if test is None else test["importances"]).items():
            found = importances_of(record).get(importance)
            if found is None:
                path = archive.folder.test(dataset, record["number"])
                raise RecordError(f"{path}: has test scores of {importance!r}, of which the trial has no results")
            by_k = opened.get("by_k", {str(record["k"]): opened["test_svm_accuracy"]})
            ranked = found.get("ranked", found["selected"])
            for k, accuracy in sorted((int(k), accuracy) for k, accuracy in by_k.items()):
                counts = k == record["k"]
                validation = found["val_svm_accuracy"] if counts else found["by_k"][str(k)]["accuracy"]
                hits = len(informative.intersection(ranked[:k]))
                yield {
                    **{name: record.get(name) for name in OPENED_COLUMNS},
                    "importance": importance,
                    "k": k,
                    "test_accuracy": accuracy,
                    "val_accuracy": validation,
                    "coverage": hits / len(informative) if 0 < len(informative) <= k else None,
                    "number": record["source"],
                    "seconds": (record.get("seconds") or {}).get("total"),
                }
