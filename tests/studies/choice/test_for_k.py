"""Tests of what is chosen for one K of several."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from studies.choice.for_k import Wanted, choices_of, chosen_for
from studies.choice.selection import confirmed
from studies.spec.objective import ObjectiveSpec
from studies.store.archive import StudyArchive
from studies.store.folder import StudyFolder

FINISHED = Path(__file__).parents[1] / "earlier" / "finished"
TABLE = "breast_cancer"


@pytest.fixture(scope="module")
def archive() -> StudyArchive:
    return StudyArchive(StudyFolder(FINISHED))


def record(source: int, seed_index: int, method: str, accuracies: dict[str, tuple[float, float]]) -> dict[str, Any]:
    """A confirming trial: by ranking the accuracies with 25 and with 100 columns."""
    importances = {
        name: {"val_svm_accuracy": few, "by_k": {"25": {"accuracy": few}, "100": {"accuracy": many}}}
        for name, (few, many) in accuracies.items()
    }
    at = {
        "stage": "confirm",
        "state": "finished",
        "source": source,
        "seed_index": seed_index,
        "number": 10 * source + seed_index,
    }
    return {**at, "method": method, "k": 25, "val_loss": 1.0, "flops": 1.0, "importances": importances}


def made_archive(records: list[dict[str, Any]]) -> Any:
    spec = SimpleNamespace(objective=ObjectiveSpec(), confirm=SimpleNamespace(seeds=2))
    return SimpleNamespace(spec=spec, records=lambda dataset: records)


def test_each_k_has_the_configuration_and_the_ranking_of_its_own_highest_mean() -> None:
    few, many = (
        {"strength": (0.5, 0.9), "strength+greedy": (0.8, 0.7)},
        {"strength": (0.6, 0.6), "strength+greedy": (0.7, 0.7)},
    )
    records = [record(3, seed, "set", few) for seed in (0, 1)] + [record(4, seed, "set", many) for seed in (0, 1)]
    records += [record(5, 0, "rigl", {"strength": (1.0, 1.0)})]  # a seed has failed
    found = {
        (choice.k, choice.rules): (choice.number, choice.importance, choice.val_score)
        for k in (25, 100)
        for choice in chosen_for(made_archive(records), "table", k)
    }
    assert found == {
        (25, "any"): (3, "strength+greedy", 0.8),
        (25, "top"): (4, "strength", 0.6),
        (100, "any"): (3, "strength", 0.9),
        (100, "top"): (3, "strength", 0.9),
    }
    assert chosen_for(made_archive(records), "table", 50) == []


def test_the_studys_own_rule_chooses_with_shrunken_means_where_it_says_so() -> None:
    """The luckiest ranking of one configuration wins by plain means; all differences within its noise, none is left."""
    lucky = [{"strength": (0.5, 0.7), "attribution": (0.6, 0.4)}, {"strength": (0.7, 0.5), "attribution": (0.4, 0.7)}]
    records = [record(3, seed, "set", accuracies) for seed, accuracies in enumerate(lucky)]
    records += [record(4, seed, "set", {"strength": (0.6, 0.6), "attribution": (0.6, 0.5)}) for seed in (0, 1)]
    archive = made_archive(records)
    [plain, _] = chosen_for(archive, "table", 25)
    archive.spec.objective = ObjectiveSpec(shrink=True)
    [shrunken, _] = chosen_for(archive, "table", 25)
    expected = confirmed(records, seeds=2, objective=archive.spec.objective)[0]
    assert (shrunken.number, shrunken.importance) == (expected.number, expected.importance)
    assert plain.val_score == 0.6


def test_the_winner_is_of_the_method_that_is_best(archive: StudyArchive) -> None:
    k = archive.records(TABLE)[0]["k"]
    every = [choice for choices in choices_of(archive, TABLE, Wanted((k,))) for choice in choices]
    assert {choice.method for choice in every} == {"set", "l1_logistic", "random"}
    [[winner]] = choices_of(archive, TABLE, Wanted((k,), winner=True))
    assert winner.val_score == max(choice.val_score for choice in every)
    [[only]] = choices_of(archive, TABLE, Wanted((k,), ("random",), winner=True))
    assert only.method == "random"
