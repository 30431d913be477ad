"""A ranking of a table's columns by a selector, as a table and a chart."""

from __future__ import annotations

import logging
import os
import warnings
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from sklearn.exceptions import ConvergenceWarning

from dst.data import Dataset
from dst.errors import InputError
from dst.selector.selector import SparseFeatureSelector
from dst.selector.smaller_steps import in_words
from dst.stability import nogueira
from studies.report.drawing import drawn, shown_name, to_png
from studies.report.fit_progress import FitProgress
from studies.report.represented import stands_for
from studies.report.style import GRID, INK, MUTED
from studies.store.files import LONGEST_NAME, write_bytes, write_text

_LOG = logging.getLogger(__name__)

_BAR = "#0072b2"
_MOST_BARS = 40
_LONGEST_NAME = 32
_LONGEST_TITLE = 90
"""Characters beside a bar, and above the chart."""


@dataclass(frozen=True)
class StableColumns:
    """The columns that at least a share of the halves would select (stability selection).

    Attributes:
        threshold: the share.
        columns: how many there are.
        expected_false: how many of them are expected to say nothing of the target, at most
            (:func:`dst.stability.expected_false`).
    """

    threshold: float
    columns: int
    expected_false: float


@dataclass(frozen=True)
class TableRanking:
    """The columns of a table, ranked by a fitted selector, and the files that say so.

    Attributes:
        dataset: the table that was ranked.
        selector: as it was fitted.
        ranking: see :func:`ranked_table`.
        val_accuracy: mean accuracy of the networks on held-out rows at their best epochs; None where none was trained.
        out: the ranking as CSV.
        plot: its chart; None where it could not be drawn, of which a warning is logged.
    """

    dataset: Dataset
    selector: SparseFeatureSelector
    ranking: pd.DataFrame
    val_accuracy: float | None
    out: Path
    plot: Path | None

    @property
    def k(self) -> int:
        """Number of columns that are selected."""
        return self.selector.n_features_selected_

    @property
    def stability(self) -> float | None:
        """See :func:`stability_of`."""
        return stability_of(self.selector)

    @property
    def stable(self) -> list[StableColumns]:
        """The columns that most halves would select, by threshold; empty where no bound holds."""
        bounds = self.selector.expected_false_ or {}
        return [
            StableColumns(threshold, int((self.selector.stability_ >= threshold).sum()), bound)
            for threshold, bound in bounds.items()
        ]

    def training_in_words(self) -> str | None:
        """Return the networks' best epochs and learning rates; None where none was trained."""
        rates = sorted({each.lr for each in self.selector.training_ if each.lr is not None}, reverse=True)
        epochs = [epoch for each in self.selector.training_ for epoch in each.best_epochs]
        if not epochs:
            return None
        span = str(min(epochs)) if min(epochs) == max(epochs) else f"{min(epochs)} to {max(epochs)}"
        smaller = "" if rates == [self.selector.lr] else f" (asked for: {self.selector.lr:g})"
        return f"Best epochs: {span}; learning rate {', '.join(f'{rate:g}' for rate in rates)}{smaller}"

    def to_json(self) -> dict[str, Any]:
        """Return plain data, as ``dst select --json`` prints it, but for the seconds that the command took."""
        return {
            "dataset": self.dataset.name,
            "samples": self.dataset.n_samples,
            "features": self.dataset.n_features,
            "classes": self.dataset.n_classes,
            "k": self.k,
            "k_curve": [asdict(point) for point in self.selector.k_curve_],
            "method": self.selector.method,
            "importance": self.selector.importance_,
            "repeats": self.selector.n_repeats,
            "val_accuracy": self.val_accuracy,
            "training": [asdict(each) for each in self.selector.training_],
            "stability": self.stability,
            "resampling": self.selector.resampling,
            "stable": [asdict(columns) for columns in self.stable],
            "selected": self.ranking.head(self.k).to_dict("records"),
            "out": str(self.out),
            "plot": None if self.plot is None else str(self.plot),
        }


def rank_table(dataset: Dataset, selector: SparseFeatureSelector, out: Path, progress: FitProgress) -> TableRanking:
    """Fit a selector to a table, and write the ranked columns and a chart of the best.

    Args:
        dataset: the table to rank; all its rows are used.
        selector: not fitted yet; its settings suit the table.
        out: a path that :func:`check_out` accepts.
        progress: shows how far the fit is.

    Raises:
        InputError: the selector and the table do not suit one another.
        DivergedError: training diverged.
        OSError: a file cannot be written.
    """
    with progress, warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # said below, in one line
        selector.fit(dataset.x, dataset.y, on_epoch=progress.on_epoch)
    if (untrained := in_words(selector.training_)) is not None:
        _LOG.warning(untrained)
    ranking = ranked_table(selector, dataset.feature_names)
    k = selector.n_features_selected_
    plot = write_ranking(out, ranking, k, title=f"{dataset.name}: {k} columns that matter most")
    return TableRanking(dataset, selector, ranking, _accuracy(selector, progress), out, plot)


def _accuracy(selector: SparseFeatureSelector, progress: FitProgress) -> float | None:
    """Return the mean accuracy of the networks on held-out rows, with all columns; None where none was trained."""
    known = [each.val_accuracy for each in selector.training_ if each.val_accuracy is not None]
    several_rounds = (selector.settings or {}).get("rounds", 1) > 1  # of these the progress knows the first
    return progress.accuracy if several_rounds or not known else float(np.mean(known))


def check_out(out: Path, source: str) -> None:
    """Refuse a path where a ranking cannot, or must not, be written.

    Raises:
        InputError: it does not end in ``.csv``, is a folder, is the table itself, has a name that is too long, of
            itself or of a folder, or lies where nothing can be written.
    """
    if out.suffix.lower() != ".csv":
        raise InputError(f"--out must end in .csv (the chart is written beside it as .png), but got {out}")
    if any(len(os.fsencode(part)) > LONGEST_NAME for part in out.parts):
        raise InputError(f"--out must have names of at most {LONGEST_NAME} bytes, but got {out}")
    try:
        _check_place(out, source)
    except OSError as error:
        raise InputError(f"--out must be a path that can be written to, but got {out} ({error.strerror})") from error


def _check_place(out: Path, source: str) -> None:
    folder = next(parent for parent in out.absolute().parents if parent.exists())
    if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
        raise InputError(f"--out must lie in a folder that can be written to, but {folder} cannot: got {out}")
    if out.is_dir():
        raise InputError(f"--out must name a file, but {out} is a folder")
    if out.resolve() == Path(source).expanduser().resolve():
        raise InputError(f"--out must not be the table itself, but got {out}")


def ranked_table(selector: SparseFeatureSelector, names: tuple[str, ...]) -> pd.DataFrame:
    """Return a row per column, best first, with the columns of :func:`studies.report.tables.feature_table`."""
    order = selector.order_
    return pd.DataFrame(
        {
            "rank": np.arange(1, len(order) + 1),
            "column": order,
            "name": [names[column] for column in order],
            "score": selector.scores_[order],
            "stability": selector.stability_[order],
            "stands_for": [stands_for(selector.stand_ins_.get(column, ()), names) for column in order.tolist()],
        }
    )


def stability_of(selector: SparseFeatureSelector) -> float | None:
    """Return Nogueira's stability of what each network alone would select; None where it is not defined."""
    selected: npt.NDArray[np.bool_] = selector.selections_
    if len(selected) < 2 or selected.all():
        return None
    return nogueira(selected).value


def write_ranking(out: Path, ranking: pd.DataFrame, k: int, *, title: str) -> Path | None:
    """Write a ranking as CSV, and its best columns as a bar chart beside it.

    Returns:
        The chart's path; None where it could not be drawn, of which a warning is logged.

    Raises:
        OSError: a file cannot be written.
    """
    write_text(out, ranking.to_csv(index=False, lineterminator="\n"))
    chart = drawn("the chart", lambda: to_png(bars(ranking, k, title)))
    if chart is None:
        return None
    plot = out.with_suffix(".png")
    write_bytes(plot, chart)
    return plot


def bars(ranking: pd.DataFrame, k: int, title: str) -> Figure:
    """Draw the scores of the best columns, one bar each, pale where few networks would select the column.

    Args:
        ranking: see :func:`ranked_table`.
        k: number of columns that are selected; at most 40 are drawn.
        title: stands above the chart.
    """
    best = ranking.head(min(k, _MOST_BARS))
    figure = Figure(figsize=(7.2, 1.3 + 0.24 * len(best)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    places = np.arange(len(best))
    names = [shown_name(name, _LONGEST_NAME) for name in best["name"]]
    for place, score, stability in zip(places, best["score"], best["stability"], strict=True):
        axes.barh(place, 100 * score, height=0.72, color="white")  # hides the grid behind a pale bar
        axes.barh(place, 100 * score, height=0.72, color=_BAR, alpha=0.25 + 0.75 * stability)
    axes.set_yticks(places, names, fontsize=8.5, color=INK)
    axes.set_ylim(len(best) - 0.4, -0.6)
    axes.set_xlabel("share of all importance, % (pale: fewer of the networks select it)", fontsize=8.5, color=MUTED)
    axes.tick_params(axis="x", labelsize=8.5, labelcolor=MUTED, color=GRID)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x", color=GRID, linewidth=0.7)
    axes.set_axisbelow(True)
    for side in ("top", "right", "left", "bottom"):
        axes.spines[side].set_visible(False)
    title = shown_name(title, _LONGEST_TITLE)
    shown = title if k <= len(best) else f"{title} (the first {len(best)})"
    figure.suptitle(shown, x=0.01, ha="left", fontsize=10.5, fontweight="bold", color=INK)
    return figure
