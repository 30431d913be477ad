"""The report: the winners and their rivals, the cost of the search, the failures, and the making of the numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, get_args

import pandas as pd

from cluster.ledger.entries import State
from dst.errors import listed
from dst.rankers import RANKERS
from studies.choice.best import BestRow
from studies.choice.feature_list import has_failed
from studies.choice.outer_splits import SplitRow
from studies.choice.trade_offs import TradeOff
from studies.report.cost import Cost, as_mib, study_cost, total_cost
from studies.report.enough_k import smallest_k_in_words
from studies.report.figures import Figure, axis_title, figures_of, write_plots
from studies.report.html import cell, code_cell, figure, name_cell, page, paragraph, row, section, table, terms
from studies.report.notes import method_notes
from studies.report.outer_splits import NOTE as OUTER_SPLITS_NOTE
from studies.report.outer_splits import outer_splits_table
from studies.report.selected import NOTE as SELECTED_NOTE
from studies.report.selected import selected_table
from studies.spec.objective import ObjectiveSpec
from studies.store.archive import StudyArchive
from studies.store.files import write_text
from studies.store.record_schema import Ended, Stage

_ABSENT = "—"
_NOT_MEASURED = "not measured"
_MAX_FAILURES = 50
_MAX_TRADE_OFFS = 50
_TRADE_OFFS_NOTE = (
    "Finished trials of the search that no other one beats: none is at least as good in every objective and better in "
    "one. Confirmed: the mean of the first objective over seeds, where the trial was trained again."
)
_OVER_K_NOTE = (
    "Every confirming seed was scored on several K from one training. Validation rows choose K: the smallest whose "
    "mean over seeds lies within one standard error of the best. The interval is Student's t, 95%, over seeds, each "
    "with a network and validation rows of its own. Test accuracies by K are in test_scores.csv."
)


def write_report(
    archive: StudyArchive,
    best: Sequence[BestRow],
    best_by_method: Sequence[BestRow],
    trials: pd.DataFrame,
    *,
    objective: ObjectiveSpec | None = None,
    trade_offs: Sequence[TradeOff] = (),
    outer_splits: Mapping[str, Sequence[SplitRow]] | None = None,
    title: str | None = None,
    cpus: float = 1.0,
    absent: Sequence[str] = (),
    remarks: Mapping[str, str] | None = None,
) -> None:
    """Write the figures under ``plots/`` and the page that shows everything, ``report.html``.

    Args:
        archive: of the study that the page is about.
        best: the best configuration of each dataset, keys as in :data:`studies.report.tables.BEST_COLUMNS`.
        best_by_method: the same for each dataset and method.
        trials: the trials table (:func:`studies.report.tables.trials_table`).
        objective: the metrics that were optimised; None: the default of a spec.
        trade_offs: with several objectives, the finished search trials.
        outer_splits: methods on other outer splits, by dataset.
        title: the page's heading; the folder's name when None.
        cpus: cores that a trial had to itself, for its cost, where its record does not say.
        absent: datasets that the study left out because their files were not at hand.
        remarks: further remarks on how the numbers were made, by heading.

    Raises:
        OSError: a file cannot be written.
    """
    folder = archive.folder
    objective = ObjectiveSpec() if objective is None else objective
    documents = write_plots(folder, best, best_by_method, trials, objective.direction, trade_offs)
    shown = {"methods": "", "over_k": "", "search": "", "pareto": ""}
    for plot in figures_of(best_by_method, trade_offs):
        shown[plot.section] += _shown(documents, plot)
    opened = any(choice["test_mean"] is not None for choice in best_by_method)
    selected = selected_table(folder, best)
    elsewhere = outer_splits_table(outer_splits or {})
    scored = bool(trials["val_score"].notna().any())
    sections = [
        section(
            "Best configuration per dataset",
            _best_table(best, objective) + _lists_note(archive, best),
            _baselines_note(best),
        ),
        section(
            "Best of each method, on test rows",
            _methods_table(best, best_by_method) + (shown["methods"] if opened else ""),
            "Accuracy in %, mean ± standard deviation over seeds. The configuration that validation chose is set off; "
            "where another one did better on the test rows, it stays the choice: test rows choose nothing.",
        ),
        *([section("On other outer splits", elsewhere, OUTER_SPLITS_NOTE)] if elsewhere else []),
        *([section("How many columns", shown["over_k"] + _enough(best), _OVER_K_NOTE)] if shown["over_k"] else []),
        *([section("Selected columns", selected, SELECTED_NOTE)] if selected else []),
        section(
            "The search",
            shown["search"] if scored else paragraph("No trial has a score yet."),
        ),
        *([section("Trade-offs", _trade_offs(trade_offs, shown["pareto"]), _TRADE_OFFS_NOTE)] if trade_offs else []),
        section(
            "Trials and cost",
            _cost_table(trials, study_cost(archive, sorted(set(trials["dataset"])), cpus=cpus)),
            "Core-seconds by what became of the work. Repeated is what was lost with processes that died.",
        ),
        section("Failures", _failures(trials)),
        section("How these numbers were made", terms({**method_notes(best, objective), **(remarks or {})})),
    ]
    write_text(folder.report, page(title or folder.path.resolve().name, _summary(best, trials, absent), sections))


def _shown(documents: Mapping[str, str], plot: Figure) -> str:
    if plot.name not in documents:
        return paragraph(f"The figure {plot.name} could not be drawn; its numbers are in the tables.")
    return figure(documents[plot.name], plot.name, plot.caption)


def is_baseline(choice: BestRow) -> bool:
    """Say whether a row of ``best`` trains no sparse network: another kind of ranker, or a dense network."""
    return choice["method"] not in RANKERS or not RANKERS[choice["method"]].sparse


def _summary(best: Sequence[BestRow], trials: pd.DataFrame, absent: Sequence[str]) -> str:
    text = f"{_count(len(trials), 'trial')} on {_count(trials['dataset'].nunique(), 'dataset')}."
    if best:
        won = sum(is_baseline(choice) for choice in best)
        text += f" Winners: {_count(len(best) - won, 'sparse network')}, {_count(won, 'baseline')}."
    if absent:
        text += f" Left out, because their files were not at hand: {', '.join(absent)}."
    return text


def _best_table(best: Sequence[BestRow], objective: ObjectiveSpec) -> str:
    if not best:
        return paragraph("No dataset has a winner yet.")
    head = [
        "Dataset",
        "Method",
        "#Test accuracy, %",
        "#Validation score",
        "#Balanced",
        "#AUC",
        "#List: test accuracy, %",
        f"#List: validation {objective.judged_by_title}",
        "#Features",
        "#Stability",
        "#Density",
        "#FLOPs / dense",
    ]
    rows = [
        row(
            [
                name_cell(choice["dataset"]),
                cell(choice["method"], tag="baseline" if is_baseline(choice) else ""),
                cell(_accuracy(choice), "number chosen"),
                cell(f"{choice['val_score']:.4f}", "number"),
                *(cell(_share(choice[key], _ABSENT), "number") for key in ("val_balanced_accuracy", "val_macro_auc")),
                cell(_list_accuracy(choice), "number"),
                cell(_share(choice["list_val_score"], _NOT_MEASURED), "number"),
                cell(str(choice["k"]), "number"),
                cell(_ABSENT if choice["stability"] is None else f"{choice['stability']:.2f}", "number"),
                cell(_ABSENT if choice["sparsity"] is None else f"{100 * (1 - choice['sparsity']):.3g}%", "number"),
                cell(_ABSENT if choice["flops_ratio"] is None else f"{choice['flops_ratio']:.2g}", "number"),
                code_cell(_settings(choice["params"])),
            ]
        )
        for choice in best
    ]
    return table([*head, "Settings"], rows)


def _lists_note(archive: StudyArchive, best: Sequence[BestRow]) -> str:
    """Say where lists were not measured, and what measures them; an attempt that failed is not repeated."""
    lacking = [choice for choice in best if choice["list_test_score"] is None]
    failed = sorted(choice["dataset"] for choice in lacking if has_failed(archive, choice))
    waiting = sorted({choice["dataset"] for choice in lacking}.difference(failed))
    notes = ""
    if failed:
        notes += paragraph(f"The feature list of {listed(failed, 'and')} could not be measured.")
    if waiting:
        notes += paragraph(
            f"The feature list of {listed(waiting, 'and')} was not measured: run the study again to do so."
        )
    return notes


def _enough(best: Sequence[BestRow]) -> str:
    """Say which K is enough for each winner, where that is known."""
    return "".join(paragraph(f"{words}.") for row in best if (words := smallest_k_in_words(row)) is not None)


def _share(share: float | None, absent: str) -> str:
    return absent if share is None else f"{share:.4f}"


def _list_accuracy(choice: BestRow) -> str:
    return _NOT_MEASURED if choice["list_test_score"] is None else f"{100 * choice['list_test_score']:.1f}"


def _baselines_note(best: Sequence[BestRow]) -> str:
    winners = sorted(choice["dataset"] for choice in best if is_baseline(choice))
    if not winners:
        return ""
    return (
        f"A baseline won on {listed(winners, 'and')}: no sparse network of this study reached its validation score. "
        "The feature list of such a dataset is the baseline's."
    )


def _methods_table(best: Sequence[BestRow], best_by_method: Sequence[BestRow]) -> str:
    if not best_by_method:
        return paragraph("No configuration has been confirmed yet.")
    methods = sorted({choice["method"] for choice in best_by_method})
    accuracies = {(choice["dataset"], choice["method"]): _accuracy(choice) for choice in best_by_method}
    chosen = {(choice["dataset"], choice["method"]) for choice in best}
    rows = []
    for dataset in sorted({choice["dataset"] for choice in best_by_method}):
        places = [(dataset, method) for method in methods]
        kinds = ["number chosen" if place in chosen else "number" for place in places]
        cells = [cell(accuracies.get(place, _ABSENT), kind) for place, kind in zip(places, kinds, strict=True)]
        rows.append(row([name_cell(dataset), *cells]))
    return table(["Dataset", *(f"#{method}" for method in methods)], rows)


def _cost_table(trials: pd.DataFrame, costs: Mapping[str, Cost]) -> str:
    if trials.empty:
        return paragraph("No trial has ended yet.")
    head = ["Dataset", "#Finished", "#Stopped", "#Failed", "#Of these confirming"]
    cost = ["#Core-seconds", "#useful", "#stopped", "#failed", "#repeated", "#Peak memory"]
    parts = [(str(name), part) for name, part in trials.groupby("dataset")]
    rows = [row([name_cell(name), *_cost_cells(part, costs[name])]) for name, part in parts]
    if len(parts) > 1:
        rows.append(row([name_cell("all"), *_cost_cells(trials, total_cost(costs.values()))], "total"))
    return table([*head, *cost], rows)


def _cost_cells(trials: pd.DataFrame, cost: Cost) -> list[str]:
    counts = [int((trials["state"] == state).sum()) for state in get_args(Ended)]
    counts.append(int((trials["stage"] == Stage.CONFIRM).sum()))
    spent = (cost.core_seconds, cost.useful, cost.stopped, cost.failed, cost.repeated)
    peak = _ABSENT if cost.peak_rss_bytes is None else as_mib(cost.peak_rss_bytes)
    texts = [*map(str, counts), *(f"{seconds:,.1f}" if seconds < 100 else f"{seconds:,.0f}" for seconds in spent), peak]
    return [cell(text, "number") for text in texts]


def _failures(trials: pd.DataFrame) -> str:
    failed = trials[trials["state"] == State.FAILED]
    if failed.empty:
        return paragraph("None.")
    rows = [
        row(
            [
                name_cell(trial["dataset"]),
                cell(str(trial["number"]), "number"),
                cell(trial["stage"]),
                cell(_ABSENT if pd.isna(trial["method"]) else trial["method"]),
                code_cell("no message" if pd.isna(trial["error"]) else trial["error"]),
            ]
        )
        for trial in failed.head(_MAX_FAILURES).to_dict("records")
    ]
    more = len(failed) - len(rows)
    rest = paragraph(f"{more} more in trials.csv.") if more > 0 else ""
    return table(["Dataset", "#Trial", "Stage", "Method", "Last line of the error"], rows) + rest


def _trade_offs(trade_offs: Sequence[TradeOff], figures: str) -> str:
    first, *others = trade_offs[0].objectives
    best = [trial for trial in trade_offs if trial.best]
    titles = [f"#{axis_title(metric)}" for metric in (first, *others)]
    rows = [
        row(
            [
                name_cell(trial.dataset),
                cell(str(trial.number), "number"),
                cell(trial.method),
                *(cell(_objective(metric, value), "number") for metric, value in trial.objectives.items()),
                cell(_objective(first, trial.confirmed[first]) if trial.confirmed else _ABSENT, "number"),
                cell(_ABSENT if trial.sparsity is None else f"{trial.sparsity:g}", "number"),
                code_cell(_settings(trial.params)),
            ]
        )
        for trial in best[:_MAX_TRADE_OFFS]
    ]
    more = len(best) - len(rows)
    rest = paragraph(f"{more} more in pareto.csv.") if more > 0 else ""
    head = ["Dataset", "#Trial", "Method", *titles, "#Confirmed", "#Sparsity", "Settings"]
    return table(head, rows) + rest + figures


def _objective(metric: str, value: float) -> str:
    if metric == "k":
        return f"{value:.0f}"
    return f"{value:.3g}" if metric == "flops" else f"{value:.4f}"


def _accuracy(choice: BestRow) -> str:
    if choice["test_mean"] is None:
        return "not opened"
    spread = "" if choice["test_std"] is None else f" ± {100 * choice['test_std']:.1f}"
    return f"{100 * choice['test_mean']:.1f}{spread}"


def _settings(params: Mapping[str, Any]) -> str:
    shown = {
        key: params[key] for key in sorted(params) if key not in ("method", "sparsity") and params[key] is not None
    }
    return ", ".join(f"{key}={_short(value)}" for key, value in shown.items())


def _short(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
