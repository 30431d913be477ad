"""The export of a dataset's winner: a spec, ranked columns and a selector to use."""

from __future__ import annotations

import json
import secrets
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from dst.data import Dataset, remove_values
from dst.errors import InputError, unknown_name
from dst.importance.metrics import METRICS
from dst.selection import metric_of, selection_of
from dst.selector.selector import SparseFeatureSelector
from studies.choice.best import BestRow
from studies.report.fit_progress import FitProgress
from studies.report.ranking import ranked_table
from studies.report.results import collect
from studies.report.write import winner_spec
from studies.spec.dataset import DatasetSpec
from studies.spec.study import StudySpec
from studies.store.archive import StudyArchive
from studies.store.files import TEMP_SUFFIX, write_text

_OWN = ("sparsity", "l2", "hidden", "epochs", "patience", "batch_size", "lr", "threads")
"""Settings that the selector has as parameters of their own."""

_SCORES = ("val_score", "test_mean", "list_val_score", "list_test_score")
_OF_THE_STUDY = ("number", "method", "importance", "params", *_SCORES)
"""Keys of the winner in ``export.json``. The study measured its own list, not the one of the refitted selector."""


def export_best(
    archive: StudyArchive, name: str, to: Path, progress: Callable[[int, int], FitProgress]
) -> dict[str, Any]:
    """Refit the winner of a dataset on all rows, and write spec, ranked columns, selector and where they come from.

    A network is trained for each confirming seed, each with a fifth of all rows held out to decide when to stop; their
    scores are averaged. The files are written to a folder beside ``to``, which takes its name when all are there.

    Args:
        archive: of a study that has confirmed configurations.
        name: one of its datasets.
        to: the folder to write, which does not exist or is empty.
        progress: shows how far the fit is, made from the number of networks and of epochs.

    Returns:
        What ``export.json`` holds.

    Raises:
        InputError: there is no such study or dataset, nothing is confirmed yet, or the data has changed since.
        RecordError: a record is damaged.
        OSError: a file cannot be written.
    """
    spec, names = archive.spec, archive.datasets
    if name not in names:
        raise InputError(unknown_name("dataset", name, names))
    rows = collect(archive, [name]).best
    if not rows:
        raise InputError(
            f"{archive.folder.path} has no confirmed configuration of {name} yet: run the study to its end first"
        )
    row = rows[0]
    use = spec.datasets[names.index(name)]
    dataset = _load(use, name, archive.resolved["datasets"][name])
    selector = _selector(spec, use, dataset, row)
    trainings = {"networks": 1, "rounds": 1} | dict(selector.settings or {})
    epochs = int(selector.epochs) * trainings["networks"] * trainings["rounds"]
    with progress(row["seeds"], epochs) as shown:
        selector.fit(dataset.x, dataset.y, on_epoch=shown.on_epoch)
    selector.set_feature_names(dataset.feature_names)
    document = {
        "dataset": name,
        "sha256": dataset.sha256,
        "content_sha256": dataset.content_sha256,
        "samples": dataset.n_samples,
        "features": dataset.n_features,
        "classes": list(dataset.class_names),
        "categories": {dataset.feature_names[column]: list(values) for column, values in dataset.categories.items()},
        "k": row["k"],
        "repeats": row["seeds"],
        "selected": [dataset.feature_names[column] for column in selector.order_[: row["k"]]],
        "study": {key: value for key, value in row.items() if key in _OF_THE_STUDY},
        "versions": archive.resolved.get("versions", {}),
    }
    to = to.expanduser().resolve()
    to.parent.mkdir(parents=True, exist_ok=True)
    temporary = to.with_name(f".{to.name}.{secrets.token_hex(4)}{TEMP_SUFFIX}")
    temporary.mkdir()
    try:
        write_text(temporary / "spec.yaml", winner_spec(spec, use, row))
        ranking = ranked_table(selector, dataset.feature_names)
        write_text(temporary / "features.csv", ranking.to_csv(index=False, lineterminator="\n"))
        write_text(temporary / "export.json", json.dumps(document, indent=2) + "\n")
        selector.save(temporary / "selector.npz")
        temporary.replace(to)  # takes the place of an empty folder
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    return document


def _load(use: DatasetSpec, name: str, resolved: Mapping[str, Any]) -> Dataset:
    """Return the table as the study used it."""
    dataset = use.load_table()
    if use.removal is not None:
        dataset = remove_values(dataset, use.removal)
    noted = resolved.get("content_sha256")
    if dataset.content_sha256 != noted:
        raise InputError(f"{name} has changed since the study: its content's SHA-256 must be {noted}")
    return dataset


def _selector(spec: StudySpec, use: DatasetSpec, dataset: Dataset, row: BestRow) -> SparseFeatureSelector:
    from dst.rankers import RANKERS, parameters
    from dst.training.config import TrainingConfig

    method = row["method"]
    settings = {"batch_size": dataset.batch_size, **spec.training.settings(), **row["params"]}
    settings = {key: value for key, value in settings.items() if key in parameters(method)}
    if settings.get("rounds", 1) == 1:
        settings.pop("importances", None)  # the winner's is enough
    elif RANKERS[method].is_network:  # all decide on the columns that stay
        settings.setdefault("importances", TrainingConfig().importances)
    own = {key: settings.pop(key) for key in _OWN if key in settings}
    return SparseFeatureSelector(
        row["k"],
        method=method,
        importance=metric_of(row["importance"]) if RANKERS[method].is_network else next(iter(METRICS)),
        selection=selection_of(row["importance"]).name,
        smaller_steps=False,  # the study chose the learning rate
        n_repeats=row["seeds"],
        task="classification",
        impute=use.missing.policy if use.missing else None,
        indicators=bool(use.missing and use.missing.indicators),
        categorical=sorted(dataset.categories),
        scaling=dataset.scaling,
        settings=settings or None,
        random_state=spec.seed,
        **own,
    )
