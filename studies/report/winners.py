"""Tables of the report on what was chosen: winners, their settings, methods, and one configuration for all datasets."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from cluster.ledger.entries import Direction
from dst.rankers import RANKERS
from studies.choice.best import BestRow
from studies.report.cells import Cell, Table
from studies.spec.objective import ObjectiveSpec
from studies.store.record_schema import Stage

ABSENT = "—"
NOT_MEASURED = "not measured"
_MOST_SHARED = 20


def is_baseline(choice: BestRow) -> bool:
    """Say whether a row of ``best`` trains no sparse network: another kind of ranker, or a dense network."""
    return choice["method"] not in RANKERS or not RANKERS[choice["method"]].sparse


def winners_table(best: Sequence[BestRow], objective: ObjectiveSpec) -> Table:
    """Return a row per dataset: its winner and what that is worth.

    Args:
        best: the best configuration of each dataset.
        objective: the metrics that were optimised.
    """
    head = [
        "Dataset",
        "Method",
        "#Test accuracy, %",
        "#Validation score",
        "#Balanced",
        "#AUC",
        "#List: test accuracy, %",
        f"#List: validation {objective.judged_by_title}",
        "#Columns",
        "#Stability",
        "#Density",
        "#FLOPs / dense",
    ]
    rows = [
        [
            Cell(choice["dataset"], "name"),
            Cell(choice["method"], tag="baseline" if is_baseline(choice) else ""),
            Cell(accuracy_of(choice), "number", chosen=True),
            Cell(f"{choice['val_score']:.4f}", "number"),
            Cell(_share(choice["val_balanced_accuracy"], ABSENT), "number"),
            Cell(_share(choice["val_macro_auc"], ABSENT), "number"),
            Cell(list_accuracy(choice), "number"),
            Cell(_share(choice["list_val_score"], NOT_MEASURED), "number"),
            Cell(str(choice["k"]), "number"),
            Cell(ABSENT if choice["stability"] is None else f"{choice['stability']:.2f}", "number"),
            Cell(ABSENT if choice["sparsity"] is None else f"{100 * (1 - choice['sparsity']):.3g}%", "number"),
            Cell(ABSENT if choice["flops_ratio"] is None else f"{choice['flops_ratio']:.2g}", "number"),
        ]
        for choice in best
    ]
    return Table("best", "Best configuration per dataset", head, rows)


def settings_table(best: Sequence[BestRow]) -> Table:
    """Return a row per dataset: the ranking that counts and the parameters of its winner."""
    rows = [
        [
            Cell(choice["dataset"], "name"),
            Cell(choice["method"]),
            Cell(choice["importance"]),
            Cell(settings_in_words(choice["params"]), "code"),
        ]
        for choice in best
    ]
    return Table("settings", "Settings of the winners", ["Dataset", "Method", "Ranking", "Settings"], rows)


def methods_table(best: Sequence[BestRow], best_by_method: Sequence[BestRow]) -> Table:
    """Return a row per dataset with the test accuracy of each method's best configuration."""
    methods = sorted({choice["method"] for choice in best_by_method})
    accuracies = {(choice["dataset"], choice["method"]): accuracy_of(choice) for choice in best_by_method}
    chosen = {(choice["dataset"], choice["method"]) for choice in best}
    rows = [
        [
            Cell(dataset, "name"),
            *(
                Cell(accuracies.get((dataset, method), ABSENT), "number", chosen=(dataset, method) in chosen)
                for method in methods
            ),
        ]
        for dataset in sorted({choice["dataset"] for choice in best_by_method})
    ]
    return Table("methods", "Test accuracy of each method, %", ["Dataset", *(f"#{name}" for name in methods)], rows)


def shared_configurations(trials: pd.DataFrame, direction: Direction) -> pd.DataFrame:
    """Rank the configurations that finished in the search on every dataset by their mean rank over datasets.

    Args:
        trials: the trials table (:func:`studies.report.tables.trials_table`).
        direction: of the validation score.

    Returns:
        A row per configuration, best first: ``params`` (JSON), ``mean_rank`` among these (1 is best) and ``val_score``,
        the mean over datasets. Nothing where there is one dataset, or no configuration that all of them tried.
    """
    finished = trials[(trials["stage"] == Stage.SEARCH) & (trials["state"] == "finished") & trials["val_score"].notna()]
    scores = finished.pivot_table("val_score", "params", "dataset").dropna()
    if scores.shape[1] < 2 or scores.empty or scores.shape[1] < trials["dataset"].nunique():
        return pd.DataFrame(columns=["params", "mean_rank", "val_score"])
    ranks = scores.rank(ascending=direction == "minimize").mean(axis=1)
    table = pd.DataFrame({"params": scores.index, "mean_rank": ranks.to_numpy(), "val_score": scores.mean(axis=1)})
    return table.sort_values("mean_rank", kind="stable", ignore_index=True)


def shared_table(shared: pd.DataFrame) -> Table:
    """Return the configurations of :func:`shared_configurations` with the best mean ranks."""
    rows = []
    for entry in shared.head(_MOST_SHARED).to_dict("records"):
        params = json.loads(entry["params"])
        rows.append(
            [
                Cell(f"{entry['mean_rank']:.2f}", "number"),
                Cell(f"{entry['val_score']:.4f}", "number"),
                Cell(str(params.get("method", ABSENT))),
                Cell(settings_in_words(params, without=("method",)), "code"),
            ]
        )
    head = ["#Mean rank", "#Validation score, mean", "Method", "Settings"]
    return Table("overall", "One configuration for all datasets, by mean rank", head, rows)


def accuracy_of(choice: BestRow) -> str:
    """Return the test accuracy of a row in percent, with its deviation over seeds."""
    if choice["test_mean"] is None:
        return "not opened"
    spread = "" if choice["test_std"] is None else f" ± {100 * choice['test_std']:.1f}"
    return f"{100 * choice['test_mean']:.1f}{spread}"


def list_accuracy(choice: BestRow) -> str:
    """Return the test accuracy of a row's feature list in percent."""
    return NOT_MEASURED if choice["list_test_score"] is None else f"{100 * choice['list_test_score']:.1f}"


def settings_in_words(params: Mapping[str, Any], without: Sequence[str] = ("method", "sparsity")) -> str:
    """Return parameters as ``name=value``, by name, but for those in ``without`` and those without a value."""
    shown = {key: params[key] for key in sorted(params) if key not in without and params[key] is not None}
    return ", ".join(f"{key}={_short(value)}" for key, value in shown.items())


def _share(share: float | None, absent: str) -> str:
    return absent if share is None else f"{share:.4f}"


def _short(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
