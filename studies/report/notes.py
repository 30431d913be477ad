"""The report's notes on how its numbers were made."""

from __future__ import annotations

from collections.abc import Sequence

from dst.errors import listed
from studies.choice.best import BestRow
from studies.report.pareto import AXIS_TITLES
from studies.spec.objective import ObjectiveSpec


def method_notes(best: Sequence[BestRow], objective: ObjectiveSpec) -> dict[str, str]:
    """Return the account of how the numbers were made, by heading.

    Args:
        best: the best configuration of each dataset.
        objective: the metrics that were optimised.
    """
    seeds = sorted({choice["seeds"] for choice in best})
    again = f"over {listed(seeds, 'or')} seeds" if seeds else "over several seeds"
    opened = any(choice["test_mean"] is not None for choice in best)
    return {
        "Search": "Every trial trained on training rows, ranked the columns, fitted a classifier on its top columns "
        "and was scored on validation rows. Nothing in the search has seen a test row.",
        **_stopping_note(objective),
        "Confirming": f"{_leading(objective)} of a dataset were scored again on validation rows, {again} of network "
        f"and validation split; the best mean {_winning(objective)}.",
        "Test": "Then the test rows were opened, once per confirmed configuration: for the winner and for the best of "
        "each method, with a classifier fitted on training and validation rows."
        if opened
        else "The test rows have not been opened.",
        "Feature list": "Test accuracy and validation score are those of the columns that each seed selected. What "
        "you get is one list (features/), selected from the mean of the seeds' scores, so its columns are scored by "
        "themselves: on each seed's split a classifier fitted on training rows and judged on validation rows by its "
        f"{objective.judged_by_title}, and one fitted on both and judged on the test rows by its accuracy. The list's "
        f"validation {objective.judged_by_title} is optimistic: rows that validated one seed trained another's "
        "ranking. Its test accuracy is not: no ranking has seen a test row.",
        "Balanced, AUC": "Balanced accuracy and mean area under the ROC curve of each class against the others, on the "
        "validation rows, of each seed's own columns: the mean over seeds.",
        "Settings": "What the search varied. All that a trial was trained with, defaults included, is in the column "
        "settings of trials.csv; density is that of the network whether or not the search varied it.",
        "±": "Standard deviation over seeds on one fixed set of test rows: the spread of training, not of the data.",
        "Stability": "How far the seeds select the same columns: 1 for the same ones, 0 for what chance would give "
        "(Nogueira et al. 2018); its 95% interval is in best.csv.",
        "Files": "Every trial is in trials.csv, the ranked columns of a dataset in features/, the figures in plots/.",
    }


def _stopping_note(objective: ObjectiveSpec) -> dict[str, str]:
    if not objective.several:
        return {}
    wanted = listed([AXIS_TITLES[metric] for metric in objective.metrics], "and")
    return {
        "Objectives": f"The search looked for the best trade-offs between {wanted}.",
        "Stopping": "With several objectives no trial was stopped early: a pruner compares one value.",
    }


def _leading(objective: ObjectiveSpec) -> str:
    if not objective.several:
        return "The leading trials"
    return "The best trade-offs that lie furthest from one another, the best in the first objective among them,"


def _winning(objective: ObjectiveSpec) -> str:
    if not objective.several:
        return "won (ties: validation loss, then FLOPs)"
    return f"of the first objective, {AXIS_TITLES[objective.first]}, won (ties: the next objective)"
