"""Tables and figure of the study ``missing_data``: ``python -m studies.analyses.missing_data``.

With ``--study DIR`` the confirming trials of a finished study are gathered into ``trials.csv`` first. From that file
alone come ``summary.csv`` (mean and standard deviation over seeds) and ``accuracy.png`` and ``.svg``.

Accuracy is the network's own, on the validation rows of each seed, at the epoch with the lowest validation loss; it
answers how well such a network trains on incomplete data. ``svm_accuracy`` is that of the scorer on the columns that
the network selects.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from cluster.ledger.entries import State
from dst.errors import InputError
from studies.report.drawing import write_figure
from studies.report.style import GRID, INK, MUTED
from studies.spec.dataset import MissingSpec
from studies.store.archive import StudyArchive
from studies.store.files import write_text
from studies.store.folder import StudyFolder
from studies.store.record_codec import RecordError
from studies.store.record_schema import Stage, importances_of

FOLDER = Path("studies") / "results" / "missing_data"
"""Where the tables and the figure are, in this repository."""

KEYS = ["dataset", "mechanism", "rate", "method", "sparsity"]
_COLUMNS = [*KEYS, "seed_index", "accuracy", "svm_accuracy", "val_loss", "best_epoch", "data_sha256"]
_COLOURS = ("#0072b2", "#56b4e9", "#009e73", "#e69f00", "#d55e00", "#cc79a7")
_MARKERS = ("o", "s", "^", "D", "v", "P")


def gather(folder: StudyFolder) -> pd.DataFrame:
    """Return a row for each finished confirming trial of a study.

    Raises:
        InputError: the folder holds no study.
        RecordError: a record is damaged.
    """
    archive = StudyArchive(folder)
    rows = []
    for use, name in zip(archive.spec.datasets, archive.datasets, strict=True):
        missing = use.missing or MissingSpec()
        rows += [
            {
                **record,
                "dataset": name.removesuffix(missing.suffix),
                "mechanism": missing.mechanism if missing.rate else "none",
                "rate": missing.rate,
                "accuracy": record["val_accuracy"],
                "svm_accuracy": importances_of(record)[str(record["importance"])]["val_svm_accuracy"],
                "data_sha256": record["data_sha256"][:12],
            }
            for record in archive.records(name)
            if record["stage"] == Stage.CONFIRM and record["state"] == State.FINISHED
        ]
    table = pd.DataFrame(rows, columns=_COLUMNS).round({"accuracy": 5, "svm_accuracy": 5, "val_loss": 5})
    return table.sort_values([*KEYS, "seed_index"], ignore_index=True)


def summarise(trials: pd.DataFrame) -> pd.DataFrame:
    """Return mean and standard deviation of both accuracies over seeds, and the number of seeds."""
    groups = trials.groupby(KEYS, sort=True)
    table = groups[["accuracy", "svm_accuracy"]].agg(["mean", "std"])
    table.columns = ["_".join(column) for column in table.columns]
    return table.assign(seeds=groups.size(), best_epoch_mean=groups["best_epoch"].mean()).round(4).reset_index()


def accuracy_over_sparsity(summary: pd.DataFrame) -> Figure:
    """Draw the network's accuracy over sparsity, a line a missing rate.

    There is a column for each dataset and mechanism and a row for each method. The dense network stands to the left of
    each panel; bars are standard deviations over seeds.

    Args:
        summary: from :func:`summarise`.
    """
    pairs = summary.loc[summary["rate"] > 0, ["dataset", "mechanism"]].drop_duplicates()
    order = ("mcar", "mar", "mnar")
    columns = sorted(pairs.itertuples(index=False, name=None), key=lambda pair: (pair[0], order.index(pair[1])))
    methods = [method for method in summary["method"].drop_duplicates() if method != "dense"]
    rates = sorted(summary["rate"].unique())
    sparsities = sorted(summary["sparsity"].unique())  # 0 is the dense network; in equal steps, or the high ones crowd
    figure = Figure(figsize=(2.5 * len(columns) + 0.6, 2.5 * len(methods) + 0.9), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(len(methods), len(columns), sharex=True, sharey="col", squeeze=False)
    for row, method in enumerate(methods):
        for column, (dataset, mechanism) in enumerate(columns):
            here = summary[(summary["dataset"] == dataset) & summary["mechanism"].isin([mechanism, "none"])]
            _draw(panels[row, column], here, method, rates, sparsities)
            panels[row, column].set_title(
                f"{dataset}, {mechanism.upper()}\n{method}", loc="left", fontsize=8.5, fontweight="bold", color=INK
            )
        panels[row, 0].set_ylabel("network's validation accuracy", fontsize=8.5, color=MUTED)
    for axes in panels[-1]:
        axes.set_xlabel("sparsity", fontsize=8.5, color=MUTED)
    handles = {
        label: line for axes in panels.flat for line, label in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    labels = sorted(handles, key=lambda label: float(label.split("%")[0]))
    figure.legend(
        [handles[label] for label in labels],
        labels,
        loc="outside upper left",
        ncols=len(labels),
        frameon=False,
        fontsize=8.5,
        labelcolor=INK,
    )
    return figure


def _draw(axes: Axes, rows: pd.DataFrame, method: str, rates: Sequence[float], sparsities: Sequence[float]) -> None:
    for place, rate in enumerate(rates):
        line = rows[(rows["rate"] == rate) & rows["method"].isin([method, "dense"])].sort_values("sparsity")
        if line.empty:
            continue
        axes.errorbar(
            np.searchsorted(sparsities, line["sparsity"]) + 0.06 * (place - len(rates) / 2),  # bars side by side
            100 * line["accuracy_mean"],
            100 * line["accuracy_std"],
            color=_COLOURS[place],
            marker=_MARKERS[place],
            markersize=4,
            linewidth=1.3,
            elinewidth=0.7,
            label=f"{100 * rate:g}% missing",
        )
    axes.set_xticks(range(len(sparsities)), [f"{100 * at:g}%" if at else "dense" for at in sparsities])
    axes.set_ylim(top=min(axes.get_ylim()[1], 101))  # bars are not bounded, accuracies are
    axes.yaxis.set_major_formatter(FuncFormatter(lambda at, _: f"{at:g}%"))
    axes.tick_params(labelsize=7.5, colors=MUTED, length=0)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(GRID)
    axes.grid(color=GRID, linewidth=0.6)
    axes.set_axisbelow(True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the tables and the figure; return 2 if there is nothing to write them from."""
    parser = argparse.ArgumentParser(description="Tables and figure of the study missing_data.")
    parser.add_argument("--study", type=Path, help="a finished study's folder; default: the committed trials.csv")
    parser.add_argument("--out", type=Path, default=FOLDER, help=f"where they are written (default {FOLDER})")
    options = parser.parse_args(arguments)
    listing = options.out / "trials.csv"
    try:
        if options.study is not None:
            write_text(listing, gather(StudyFolder(options.study)).to_csv(index=False))
        summary = summarise(pd.read_csv(listing))
        write_text(options.out / "summary.csv", summary.to_csv(index=False))
        figure = accuracy_over_sparsity(summary)
        for suffix in (".png", ".svg"):
            write_figure(figure, options.out / f"accuracy{suffix}")
    except (InputError, RecordError, OSError) as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    sys.stdout.write(f"{options.out}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
