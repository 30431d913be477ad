"""The configuration and the ranking that are best for one K, of a study that scored several from each training.

Validation rows alone choose: the scores of confirming trials, averaged over their seeds.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from dst.selection import TOP, selection_of
from studies.choice.over_k import MEASURES
from studies.choice.selection import Confirmed, confirmed
from studies.store.archive import StudyArchive
from studies.store.record_schema import Importance, Record, Stage, importances_of

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
        place: of the method among all of the study, 1 is best.
        val_score: mean over the confirming seeds of the first objective.
    """

    records: tuple[Record, ...]
    importance: str
    rules: str
    k: int
    place: int
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
    """Return for each method the configuration and ranking that the study's own rule puts first for K columns.

    The rule is :func:`studies.choice.selection.confirmed`, with each ranking's scores at K; for the study's own K the
    first choice is its winner. Methods whose trials were not scored on K columns are left out, and configurations with
    a failed seed.

    Args:
        archive: of a finished study.
        dataset: one of its datasets.
        k: number of columns.

    Returns:
        Those by all rankings, the best method first, then those by the top of a list.
    """
    seeds, objective = archive.spec.confirm.seeds, archive.spec.objective
    records = [record for record in archive.records(dataset) if record["stage"] == Stage.CONFIRM]
    by_number = {record["number"]: record for record in records}
    found = []
    for rules in (ANY, TOP):
        judged = [_at_k(record, k, rules) for record in records]
        first_of_method: dict[str, Confirmed] = {}
        for configuration in confirmed(filter(None, judged), seeds=seeds, objective=objective):
            if configuration.complete:
                first_of_method.setdefault(configuration.method, configuration)
        for place, configuration in enumerate(first_of_method.values(), 1):
            of_seeds = tuple(by_number[record["number"]] for record in configuration.records)
            found.append(Choice(of_seeds, configuration.importance, rules, k, place, configuration.score))
    return found


def _at_k(record: Record, k: int, rules: str) -> Record | None:
    """Return a record as if K were its own, with the rankings that are compared; None where it was not scored so."""
    kept: dict[str, Importance] = {}
    for name, result in importances_of(record).items():
        scored: Mapping[str, Any] | None = {} if record["k"] == k else result.get("by_k", {}).get(str(k))
        if scored is not None and (rules == ANY or selection_of(name).name == TOP):
            scores = {name: scored[measure] for name, measure in MEASURES.items() if measure in scored}
            kept[name] = cast("Importance", {**result, **scores})
    return cast("Record", {**record, "importances": kept, "k": k}) if kept else None


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
            choices = choices[:1]
        for choice in choices:
            by_configuration[choice.method, choice.number].append(choice)
    return [tuple(choices) for choices in by_configuration.values()]
