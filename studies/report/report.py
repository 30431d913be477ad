"""The report: the winners and their rivals, the cost of the search, the failures, and the making of the numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from dst.errors import listed
from studies.choice.best import BestRow
from studies.choice.feature_list import has_failed
from studies.choice.outer_splits import SplitRow
from studies.choice.trade_offs import TradeOff
from studies.report.cells import Table
from studies.report.cost import study_cost, total_cost
from studies.report.cost_table import cost_table, failures
from studies.report.enough_k import smallest_k_in_words
from studies.report.figures import Figure, Found, Section, figures_of, write_plots
from studies.report.html import (
    contents,
    figure,
    findings,
    page,
    paragraph,
    section,
    subheading,
    table_of,
    terms,
    unfolding,
)
from studies.report.learning import learning_curves
from studies.report.markdown import markdown_report
from studies.report.notes import method_notes
from studies.report.outer_splits import NOTE as OUTER_SPLITS_NOTE
from studies.report.outer_splits import outer_splits_table
from studies.report.pixels import pixel_maps
from studies.report.reproduce import Reproduction
from studies.report.selected import NOTE as SELECTED_NOTE
from studies.report.selected import left_out, selected_columns, selected_tables
from studies.report.summary import Summary, baselines_note, summary_of
from studies.report.trade_off_table import trade_offs_part
from studies.report.winners import methods_table, settings_table, shared_configurations, shared_table, winners_table
from studies.spec.objective import ObjectiveSpec
from studies.store.archive import StudyArchive
from studies.store.files import write_text

_FEW_DATASETS = 10
"""Datasets that Demsar asks for before mean ranks are compared."""

_COST_NOTE = "Core-seconds by what became of the work. Repeated is what was lost with processes that died."
_METHODS_NOTE = (
    "Accuracy in %, mean ± standard deviation over seeds. The configuration that validation chose is set off; "
    "where another one did better on the test rows, it stays the choice: test rows choose nothing."
)
_OVERALL_NOTE = (
    "Configurations of the search that finished on every dataset, by their mean rank among one another on validation "
    "rows. One of them for all datasets is simpler than the best of each, and usually worse."
)
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
    counts: Mapping[str, int] | None = None,
    reproduction: Reproduction | None = None,
    resolved: Mapping[str, Any] | None = None,
) -> None:
    """Write the figures under ``plots/``, and what shows everything: the page ``report.html``, and ``report.md``.

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
        counts: how many columns each dataset has.
        reproduction: what it takes to reproduce the study.
        resolved: what the study settled when it began: its search space, its data.

    Raises:
        OSError: a file cannot be written.
    """
    folder = archive.folder
    objective = ObjectiveSpec() if objective is None else objective
    resolved = resolved or {}
    found = Found(
        best,
        best_by_method,
        trials,
        objective.direction,
        trade_offs,
        curves=learning_curves(archive, best),
        pixels=pixel_maps(folder, best, resolved.get("datasets") or {}),
        space=_space_of(resolved),
    )
    documents = write_plots(folder, found)
    plots = figures_of(found)
    shown: dict[Section, str] = {"methods": "", "over_k": "", "search": "", "pareto": "", "columns": ""}
    for plot in plots:
        shown[plot.section] += _shown(documents, plot)
    costs = study_cost(archive, sorted(set(trials["dataset"])), cpus=cpus)
    cost = cost_table(trials, costs)
    summary = summary_of(best, best_by_method, trials, total_cost(costs.values()), counts=counts or {}, absent=absent)
    columns = selected_tables(folder, best)
    elsewhere = outer_splits_table(outer_splits or {})
    notes = {**method_notes(best, objective), **(remarks or {})}
    parts = {
        "Best configuration per dataset": _best_part(archive, best, objective),
        **({"Selected columns": _columns_part(columns, best, shown["columns"])} if columns else {}),
        **({"How many columns": paragraph(_OVER_K_NOTE) + shown["over_k"] + _enough(best)} if shown["over_k"] else {}),
        "Best of each method, on test rows": _methods_part(found, shown["methods"]),
        **({"On other outer splits": paragraph(OUTER_SPLITS_NOTE) + table_of(elsewhere)} if elsewhere else {}),
        "One configuration for all datasets": _overall_part(found),
        "The search": shown["search"] if trials["val_score"].notna().any() else paragraph("No trial has a score yet."),
        **(
            {"Trade-offs": paragraph(_TRADE_OFFS_NOTE) + trade_offs_part(trade_offs) + shown["pareto"]}
            if trade_offs
            else {}
        ),
        "Trials and cost": paragraph(_COST_NOTE) + (table_of(cost) if cost else paragraph("No trial has ended yet.")),
        "Failures": failures(trials),
        "How these numbers were made": terms(notes),
        **({"How to reproduce it": _reproduction_part(reproduction)} if reproduction else {}),
    }
    heading = title or folder.path.resolve().name
    top = _summary_part(summary) + contents(parts)
    write_text(folder.report, page(heading, top, [section(name, part) for name, part in parts.items()]))
    tables = [*winner_tables(best, best_by_method, objective), *columns, *filter(None, (elsewhere, cost))]
    pictures = [(plot.name, plot.caption) for plot in plots if plot.name in documents]
    write_text(folder.report_md, markdown_report(heading, summary, tables, pictures, notes, reproduction))


def _space_of(resolved: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Return the search space as it is noted; nothing of what is damaged there, which spoils no report."""
    noted = resolved.get("space")
    return (
        {name: domain for name, domain in noted.items() if isinstance(domain, Mapping)}
        if isinstance(noted, Mapping)
        else {}
    )


def winner_tables(best: Sequence[BestRow], best_by_method: Sequence[BestRow], objective: ObjectiveSpec) -> list[Table]:
    """Return the tables of the winners, their settings and the methods, but for those that have no rows."""
    tables = [winners_table(best, objective), settings_table(best), methods_table(best, best_by_method)]
    return [table for table in tables if table.rows]


def _summary_part(summary: Summary) -> str:
    return "".join(paragraph(text, "") for text in summary.paragraphs) + findings(summary.findings)


def _shown(documents: Mapping[str, str], plot: Figure) -> str:
    if plot.name not in documents:
        return paragraph(f"The figure {plot.name} could not be drawn; its numbers are in plots/{plot.name}.csv.")
    return figure(documents[plot.name], plot.name, plot.caption)


def _best_part(archive: StudyArchive, best: Sequence[BestRow], objective: ObjectiveSpec) -> str:
    if not best:
        return paragraph("No dataset has a winner yet.")
    note = baselines_note(best)
    tables = table_of(winners_table(best, objective)) + _lists_note(archive, best)
    return (paragraph(note) if note else "") + tables + subheading("Settings") + table_of(settings_table(best))


def _columns_part(columns: Sequence[Table], best: Sequence[BestRow], figures: str) -> str:
    return paragraph(SELECTED_NOTE) + figures + selected_columns(columns) + left_out(best)


def _methods_part(found: Found, figures: str) -> str:
    if not found.best_by_method:
        return paragraph("No configuration has been confirmed yet.")
    part = paragraph(_METHODS_NOTE) + table_of(methods_table(found.best, found.best_by_method))
    if all(choice["test_mean"] is None for choice in found.best_by_method):
        return part
    if found.ranked is None:
        words = "Mean ranks need two methods and two datasets that both have, so there are none."
    else:
        _, test = found.ranked
        words = (
            f"Friedman's test of whether the methods differ at all, over {test.datasets} datasets: p = {test.p:.2g} "
            "(Iman and Davenport's F)."
        )
        words += " With so few datasets only large differences show." if test.datasets < _FEW_DATASETS else ""
    return part + figures + paragraph(words)


def _overall_part(found: Found) -> str:
    shared = shared_configurations(found.trials, found.direction)
    if found.trials["dataset"].nunique() < 2:
        return paragraph("The study has one dataset.")
    if len(shared):
        return paragraph(_OVERALL_NOTE) + table_of(shared_table(shared))
    words = "No configuration finished on every dataset: the search proposed others for each."
    if found.ranks is not None:
        first = found.ranks.iloc[0]
        words += (
            f" Of the methods, each at its best of each dataset, {first['method']} has the best mean rank on test "
            f"rows: {first['mean_rank']:.2f} of {len(found.ranks)} over {first['datasets']} datasets."
        )
    return paragraph(words)


def _reproduction_part(reproduction: Reproduction) -> str:
    return terms(reproduction.terms) + table_of(reproduction.data) + unfolding("The spec", reproduction.spec)


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
