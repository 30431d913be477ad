"""The report's table of trade-offs between several objectives."""

from __future__ import annotations

from collections.abc import Sequence

from studies.choice.trade_offs import TradeOff
from studies.report.cells import Cell, Table
from studies.report.html import paragraph, table_of
from studies.report.pareto import axis_title
from studies.report.winners import ABSENT, settings_in_words

_MOST_TRADE_OFFS = 50


def trade_offs_part(trade_offs: Sequence[TradeOff]) -> str:
    """Return the trials that no other beats, as markup.

    Args:
        trade_offs: the finished search trials, at least one.
    """
    first, *others = trade_offs[0].objectives
    best = [trial for trial in trade_offs if trial.best]
    rows = [
        [
            Cell(trial.dataset, "name"),
            Cell(str(trial.number), "number"),
            Cell(trial.method),
            *(Cell(_objective(metric, value), "number") for metric, value in trial.objectives.items()),
            Cell(_objective(first, trial.confirmed[first]) if trial.confirmed else ABSENT, "number"),
            Cell(ABSENT if trial.sparsity is None else f"{trial.sparsity:g}", "number"),
            Cell(settings_in_words(trial.params), "code"),
        ]
        for trial in best[:_MOST_TRADE_OFFS]
    ]
    more = len(best) - len(rows)
    rest = paragraph(f"{more} more in pareto.csv.") if more > 0 else ""
    titles = [f"#{axis_title(metric)}" for metric in (first, *others)]
    head = ["Dataset", "#Trial", "Method", *titles, "#Confirmed", "#Sparsity", "Settings"]
    return table_of(Table("pareto", "Trade-offs", head, rows)) + rest


def _objective(metric: str, value: float) -> str:
    if metric == "k":
        return f"{value:.0f}"
    return f"{value:.3g}" if metric == "flops" else f"{value:.4f}"
