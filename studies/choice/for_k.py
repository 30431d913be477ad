"""The configuration and the ranking that are best for one K, of a study that scored several from each training.

Validation rows alone choose: the scores of confirming trials, averaged over their seeds.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import numpy as np

from dst.selection import TOP, selection_of
from studies.choice.over_k import scores_by_k
from studies.choice.selection import confirmed
from studies.store.archive import StudyArchive
from studies.store.record_schema import Record, Stage, importances_of

ANY = "any"
"""All rankings of a study are compared; the other word is ``top``."""


@dataclass(frozen=True)
class Choice:
    """A configuration and the ranking of it that are best for one K.

    Attributes:
        records: the configuration's confirming trials, by seed.
        importance: the ranking.
        rules: the rankings that were compared, ``any`` or ``top``.
        k: the number of columns.
        val_score: mean over the confirming seeds.
    """

    records: tuple[Record, ...]
    importance: str
    rules: str
    k: int
    val_score: float

    @property
    def number(self) -> int | None:
        """The search trial that the configuration comes from."""
        return self.records[0]["source"]

    @property
    def method(self) -> str:
        """The ranker."""
        return self.records[0]["method"]


def chosen_for(archive: StudyArchive, dataset: str, k: int) -> list[Choice]:
    """Return for each method the configuration and ranking with the best mean validation score of K columns.

    Ties go to the configuration that the study ranks first, then to the ranking that comes first in its records.
    Methods whose trials were not scored on K columns are left out, and configurations with a failed seed.

    Args:
        archive: of a finished study.
        dataset: one of its datasets.
        k: number of columns.
    """
    spec, objective = archive.spec, archive.spec.objective
    records = [record for record in archive.records(dataset) if record["stage"] == Stage.CONFIRM]
    best: dict[tuple[str, str], Choice] = {}
    for configuration in confirmed(records, seeds=spec.confirm.seeds, objective=objective):
        if not configuration.complete:
            continue
        for name in objective.counting(importances_of(configuration.records[0])):
            by_seed = [scores_by_k(record, name, objective.judged_by).get(k) for record in configuration.records]
            known = [score for score in by_seed if score is not None]
            if len(known) < len(by_seed):
                continue
            for rules in (ANY, TOP) if selection_of(name).name == TOP else (ANY,):
                found = Choice(configuration.records, name, rules, k, float(np.mean(known)))
                before = best.get((configuration.method, rules))
                if before is None or found.val_score > before.val_score:
                    best[configuration.method, rules] = found
    return list(best.values())


@dataclass(frozen=True)
class Wanted:
    """What is chosen for.

    Attributes:
        ks: numbers of columns; for a dataset whose own K is none of them that one alone.
        methods: those that are taken; none: all.
        winner: of all methods the best alone, for each K and by all rankings.
    """

    ks: tuple[int, ...]
    methods: tuple[str, ...] = ()
    winner: bool = False


def choices_of(archive: StudyArchive, dataset: str, wanted: Wanted) -> list[tuple[Choice, ...]]:
    """Return the choices of a dataset for each K, those of one configuration together.

    Args:
        archive: of a finished study.
        dataset: one of its datasets.
        wanted: what is chosen for.
    """
    records = archive.records(dataset)
    own = records[0]["k"] if records else None
    by_configuration: dict[tuple[str, int | None], list[Choice]] = defaultdict(list)
    for k in wanted.ks if own is None or own in wanted.ks else (own,):
        choices = chosen_for(archive, dataset, k)
        if wanted.methods:
            choices = [choice for choice in choices if choice.method in wanted.methods]
        if wanted.winner and choices:
            choices = [max((choice for choice in choices if choice.rules == ANY), key=lambda choice: choice.val_score)]
        for choice in choices:
            by_configuration[choice.method, choice.number].append(choice)
    return [tuple(choices) for choices in by_configuration.values()]
