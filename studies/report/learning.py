"""The learning curves of the winners: the losses of each confirming training over its epochs."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Drawing
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from studies.choice.best import BestRow
from studies.report.style import MUTED, panels
from studies.store.archive import StudyArchive

_COLUMNS = ["dataset", "seed_index", "split", "epoch", "train_loss", "val_loss"]
_MOST_EPOCHS = 400
_TRAINING, _VALIDATION = "#56b4e9", "#d55e00"


def learning_curves(archive: StudyArchive, best: Sequence[BestRow]) -> pd.DataFrame:
    """Return the losses of the winners' confirming trials, by epoch.

    Args:
        archive: of the study whose records are read.
        best: the best configuration of each dataset.

    Returns:
        ``dataset``, ``seed_index``, ``split`` (each trial trains one network a split), ``epoch`` from 1,
        ``train_loss`` and ``val_loss``. Of long trainings every second, third, ... epoch, at most 400 of them. Nothing
        of a winner that trains no epochs.

    Raises:
        RecordError: a record is damaged.
    """
    rows = []
    for choice in best:
        for record in archive.records(choice["dataset"]):
            if record.get("source") != choice["number"]:
                continue
            for split, curve in enumerate(record.get("curves") or ()):
                training, validation = curve.get("train_loss") or [], curve.get("val_loss") or []
                step = max(1, -(-len(validation) // _MOST_EPOCHS))
                for epoch in range(0, min(len(training), len(validation)), step):
                    losses = (training[epoch], validation[epoch])
                    rows.append([choice["dataset"], record["seed_index"], split, epoch + 1, *losses])
    return pd.DataFrame(rows, columns=_COLUMNS)


def loss_over_epochs(curves: pd.DataFrame) -> Drawing:
    """Draw the training and validation losses of :func:`learning_curves`, a panel per dataset, a line a training."""

    def panel(axes: Axes, dataset: str) -> None:
        for _, rows in curves[curves["dataset"] == dataset].groupby(["seed_index", "split"]):
            axes.plot(rows["epoch"], rows["train_loss"], color=_TRAINING, linewidth=0.8, alpha=0.7)
            axes.plot(rows["epoch"], rows["val_loss"], color=_VALIDATION, linewidth=1.0, alpha=0.8, linestyle="--")
        axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
        axes.tick_params(colors=MUTED)

    legend = [
        Line2D([], [], color=_TRAINING, label="training"),
        Line2D([], [], color=_VALIDATION, linestyle="--", label="validation"),
    ]
    return panels(sorted(curves["dataset"].unique()), panel, "epoch", "loss", legend)
