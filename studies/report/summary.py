"""The report's summary in words: which columns, how sure, how much better than the baselines, at which cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from cluster.ledger.entries import State
from dst.errors import listed
from dst.intervals import t_interval
from studies.choice.best import BestRow
from studies.report.cost import Cost
from studies.report.winners import accuracy_of, is_baseline

_NAMED = 8
"""Columns of a dataset that the summary names."""

_FEW = 3
"""Datasets below which a mean over datasets has no interval."""


@dataclass(frozen=True)
class Summary:
    """What a study found.

    Attributes:
        paragraphs: sentences about the whole study.
        findings: one entry a dataset.
    """

    paragraphs: Sequence[str]
    findings: Sequence[str]


def summary_of(
    best: Sequence[BestRow],
    best_by_method: Sequence[BestRow],
    trials: pd.DataFrame,
    cost: Cost,
    *,
    counts: Mapping[str, int],
    absent: Sequence[str],
) -> Summary:
    """Say what a study found.

    Args:
        best: the best configuration of each dataset.
        best_by_method: the same for each dataset and method.
        trials: the trials table.
        cost: of all datasets.
        counts: how many columns each dataset has, where that is known.
        absent: datasets that were left out because their files were not at hand.
    """
    first = f"{counted(len(trials), 'trial')} on {counted(trials['dataset'].nunique(), 'dataset')}."
    if best:
        won = sum(is_baseline(choice) for choice in best)
        first += f" Winners: {counted(len(best) - won, 'sparse network')}, {counted(won, 'baseline')}."
    if len(trials):
        failed = int((trials["state"] == State.FAILED).sum())
        first += f" The study took {_hours(cost.core_seconds)} on cores; " + (
            f"{counted(failed, 'trial')} failed." if failed else "no trial failed."
        )
    if absent:
        first += f" Left out, because their files were not at hand: {', '.join(absent)}."
    paragraphs = [first, *_beside_baselines(best, best_by_method)]
    return Summary(paragraphs, [_finding(choice, best_by_method, counts) for choice in best])


def _beside_baselines(best: Sequence[BestRow], best_by_method: Sequence[BestRow]) -> list[str]:
    """Return how far sparse networks are ahead of baselines, each the best of its kind on validation rows."""
    differences = []
    for dataset in (choice["dataset"] for choice in best):
        rows = [row for row in best_by_method if row["dataset"] == dataset and row["test_mean"] is not None]
        sparse = max((row for row in rows if not is_baseline(row)), key=_validation, default=None)
        rival = max((row for row in rows if is_baseline(row)), key=_validation, default=None)
        if sparse is not None and rival is not None:
            differences.append(100 * ((sparse["test_mean"] or 0.0) - (rival["test_mean"] or 0.0)))
    if not differences:
        return ["The study has no baseline beside its sparse networks, so it says nothing of their worth beside one."]
    mean = sum(differences) / len(differences)
    ahead = sum(difference > 0 for difference in differences)
    text = (
        f"On test rows, the sparse network that validation chose is {'ahead of' if mean >= 0 else 'behind'} the best "
        f"baseline by {abs(mean):.1f} points on average, and ahead on {ahead} of "
        f"{counted(len(differences), 'dataset')}"
    )
    if len(differences) < _FEW:
        return [f"{text}; that is too few datasets for an interval."]
    low, high = t_interval(differences)
    clear = "" if low > 0 or high < 0 else ", so that it may as well be none"
    return [f"{text} (95% interval over datasets: {low:+.1f} to {high:+.1f} points{clear})."]


def _validation(row: BestRow) -> float:
    return row["val_score"]


def _finding(choice: BestRow, best_by_method: Sequence[BestRow], counts: Mapping[str, int]) -> str:
    dataset, total = choice["dataset"], counts.get(choice["dataset"])
    of = "" if total is None else f" of {total:,}"
    kind = ", a baseline" if is_baseline(choice) else ""
    text = f"{dataset}: {choice['k']}{of} columns, by {choice['method']}{kind}."
    if choice["test_mean"] is not None:
        text += f" Test accuracy {accuracy_of(choice)}% with each seed's own columns"
        listed_score = choice["list_test_score"]
        text += "." if listed_score is None else f", {100 * listed_score:.1f}% with the one list below."
    rivals = [row for row in best_by_method if row["dataset"] == dataset and is_baseline(row) != is_baseline(choice)]
    rivals = [row for row in rivals if row["test_mean"] is not None]
    if rivals:
        rival = max(rivals, key=_validation)
        sort = "sparse network" if is_baseline(choice) else "baseline"
        text += f" The best {sort} on validation rows, {rival['method']}: {accuracy_of(rival)}%."
    if choice["stability"] is not None:
        text += f" Seeds {_agreement(choice['stability'])} on the columns (stability {choice['stability']:.2f})."
    enough = choice["smallest_k"]
    if enough is not None and enough < choice["k"]:
        text += f" {enough} columns would be about as good."
    if enough is not None and enough > choice["k"]:
        text += f" More columns would be better: {enough} is the smallest number about as good as the best."
    names = list(choice["feature_names"])
    more = len(names) - _NAMED
    end = f" and {more} more" if more > 0 else ""
    return f"{text} Best columns: {', '.join(names[:_NAMED])}{end}."


def _agreement(stability: float) -> str:
    """Return Nogueira's stability in words, by the bounds of Fleiss (1981) for kappa."""
    if stability < 0.4:
        return "agree poorly"
    return "agree fairly" if stability <= 0.75 else "agree well"


def counted(number: int, noun: str) -> str:
    """Return a number with its noun."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def baselines_note(best: Sequence[BestRow]) -> str:
    """Say where a baseline won; nothing where none did."""
    winners = sorted(choice["dataset"] for choice in best if is_baseline(choice))
    if not winners:
        return ""
    return (
        f"A baseline won on {listed(winners, 'and')}: no sparse network of this study reached its validation score. "
        "The feature list of such a dataset is the baseline's."
    )


def _hours(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} minutes" if seconds < 7200 else f"{seconds / 3600:.1f} hours"
