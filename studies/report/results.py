"""Results of a study so far, read from its folder alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from dst.errors import InputError
from studies.choice.best import BestRow, best_row, stability_of
from studies.choice.feature_list import columns_of, list_scores
from studies.choice.outer_splits import SplitRow, split_rows
from studies.choice.over_k import over_k
from studies.choice.selection import Confirmed, confirmed, to_confirm, to_open
from studies.choice.trade_offs import TradeOff, trade_offs
from studies.store.archive import StudyArchive
from studies.store.folder import StudyFolder
from studies.store.record_codec import RecordError
from studies.store.record_schema import Stage


@dataclass(frozen=True)
class Results:
    """The confirmed configurations of a study.

    Attributes:
        best: a row per dataset, keys as in :data:`studies.report.tables.BEST_COLUMNS`.
        best_by_method: the same per dataset and method.
        feature_names: the column names of each dataset in ``best``.
        trade_offs: the finished search trials of all datasets, where there are several objectives.
        outer_splits: the winner and the best of each other method on other outer splits, by dataset.
    """

    best: list[BestRow]
    best_by_method: list[BestRow]
    feature_names: dict[str, list[str]]
    trade_offs: list[TradeOff] = field(default_factory=list)
    outer_splits: dict[str, list[SplitRow]] = field(default_factory=dict)


def confirmed_of(archive: StudyArchive, dataset: str) -> list[Confirmed]:
    """Return a dataset's confirmed configurations, best first.

    A study that was extended may have confirmed others before, that are no longer among those it chooses.

    Raises:
        RecordError: the records do not fit together.
    """
    spec, records = archive.spec, archive.records(dataset)
    with _fitting_together(archive.folder, dataset):
        search = (record for record in records if record["stage"] == Stage.SEARCH)
        chosen = to_confirm(search, top=spec.confirm.top, objective=spec.objective)
        return confirmed(
            (record for record in records if record["stage"] == Stage.CONFIRM and record["source"] in chosen),
            seeds=spec.confirm.seeds,
            objective=spec.objective,
        )


@contextmanager
def _fitting_together(folder: StudyFolder, dataset: str) -> Iterator[None]:
    """Name the folder whose records are each well-formed, but lack what the others have."""
    try:
        yield
    except (InputError, RecordError):
        raise
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        cause = f"{type(error).__name__}: {' '.join(str(error).split())}"
        raise RecordError(f"{folder.records / dataset}: its records do not fit together ({cause})") from error


def collect(archive: StudyArchive, datasets: Sequence[str] | None = None) -> Results:
    """Gather the confirmed configurations of a study, with their test accuracies where these were opened.

    Args:
        archive: of the study whose records are read.
        datasets: those to gather; None: all.

    Raises:
        RecordError: a record is damaged.
    """
    results = Results([], [], {})
    spec = archive.spec
    for dataset in archive.datasets if datasets is None else datasets:
        ranked = confirmed_of(archive, dataset)
        if spec.objective.several:
            search = (record for record in archive.records(dataset) if record["stage"] == Stage.SEARCH)
            means = {configuration.number: configuration.scores for configuration in ranked if configuration.complete}
            results.trade_offs.extend(trade_offs(search, means, spec.objective))
        if not ranked:
            continue
        names = results.feature_names[dataset] = archive.columns(dataset)
        with _fitting_together(archive.folder, dataset):
            opened = to_open(ranked)
            rows = [_row(archive, configuration, names) for configuration in opened]
            if found := split_rows(archive, opened):
                results.outer_splits[dataset] = found
        results.best.append(rows[0])
        results.best_by_method.extend(rows)
    return results


def _row(archive: StudyArchive, configuration: Confirmed, names: Sequence[str]) -> BestRow:
    columns = columns_of(archive, configuration, names, configuration.records[0]["k"])
    tests = [archive.test(record["dataset"], record["number"]) for record in configuration.records]
    scores = list_scores(archive, configuration, columns)
    return best_row(
        configuration,
        columns,
        names,
        tests,
        stability=stability_of(configuration, len(names)),
        list_val_score=scores.validation,
        list_test_score=scores.test,
        over_k=over_k(configuration, archive.spec.objective),
    )
