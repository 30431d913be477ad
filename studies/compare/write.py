"""Writing a comparison with the paper: its tables and figures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from matplotlib.figure import Figure

from studies.compare.figures import accuracy_beside_paper, accuracy_over_k, mean_rank
from studies.compare.paper import PaperComparison
from studies.compare.small_tables import to_csv
from studies.report.drawing import drawn_both
from studies.store.files import write_bytes, write_text


def write_comparison(found: PaperComparison, out: Path) -> None:
    """Write the tables (CSV, shares rather than percent) and figures (PNG, SVG) of a comparison with the paper.

    Raises:
        OSError: a file cannot be written.
    """
    for name, table in found.tables().items():
        write_text(out / f"{name}.csv", to_csv(table))
    figures: dict[str, Callable[[], Figure]] = {
        "accuracy": lambda: accuracy_beside_paper(found.accuracy),
        "ranks": lambda: mean_rank(found.ranks),
    }
    if len(found.over_k):
        figures["over_k"] = lambda: accuracy_over_k(found.over_k)
    for name, draw in figures.items():
        both = drawn_both(name, draw)
        if both is not None:
            write_text(out / f"{name}.svg", both[0])
            write_bytes(out / f"{name}.png", both[1])
