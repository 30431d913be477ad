"""The heat map of images: what each pixel is worth, and which pixels are selected."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Drawing
from matplotlib.lines import Line2D

from dst.data.entry import Entry
from dst.data.known.registry import find_name, find_sha256
from studies.choice.best import BestRow
from studies.report.style import panels
from studies.store.folder import StudyFolder

_MARK = "#d55e00"


@dataclass(frozen=True)
class PixelMap:
    """The pixels of a dataset of square images.

    Attributes:
        scores: float64 ``(side, side)``, in image shape.
        selected: bool ``(side, side)``.
    """

    scores: npt.NDArray[np.float64]
    selected: npt.NDArray[np.bool_]


def pixel_maps(folder: StudyFolder, best: Sequence[BestRow], data: Mapping[str, Any]) -> dict[str, PixelMap]:
    """Return the pixels of each dataset whose columns are known to be pixels.

    Args:
        folder: of the study, whose feature lists are read.
        best: the best configuration of each dataset.
        data: by dataset what ``study.yaml`` notes of it, by which it is looked up in the registry.
    """
    maps = {}
    for choice in best:
        entry = _entry(choice["dataset"], data.get(choice["dataset"]) or {})
        if entry is None or entry.pixels is None or not folder.features(choice["dataset"]).exists():
            continue
        table = pd.read_csv(folder.features(choice["dataset"]), usecols=["column", "score"])
        side = math.isqrt(len(table))
        if side * side != len(table):
            continue
        flat = table.sort_values("column")["score"].to_numpy(dtype=float)
        chosen = np.zeros(len(flat), dtype=bool)
        chosen[list(choice["features"])] = True
        order: Literal["C", "F"] = "F" if entry.pixels == "columns" else "C"
        maps[choice["dataset"]] = PixelMap(
            flat.reshape(side, side, order=order), chosen.reshape(side, side, order=order)
        )
    return maps


def _entry(dataset: str, noted: Mapping[str, Any]) -> Entry | None:
    """Return the entry of a table whose file is known, or that is made and has the name and shape of the entry."""
    if noted.get("sha256") and (known := find_sha256(str(noted["sha256"]))) is not None:
        return known
    named = find_name(dataset)
    made = named is not None and named.file is None and named.shape == (noted.get("samples"), noted.get("features"))
    return named if made else None


def selected_pixels(maps: Mapping[str, PixelMap]) -> Drawing:
    """Draw the scores of all pixels in image shape, and a ring around those that are selected, a panel per dataset."""

    def panel(axes: Axes, dataset: str) -> None:
        pixels = maps[dataset]
        axes.imshow(pixels.scores, cmap="cividis", interpolation="nearest")
        rows, columns = np.nonzero(pixels.selected)
        axes.plot(
            columns, rows, "s", markerfacecolor="none", markeredgecolor="white", markersize=5, markeredgewidth=2.2
        )
        axes.plot(columns, rows, "s", markerfacecolor="none", markeredgecolor=_MARK, markersize=5, markeredgewidth=1.2)
        axes.set_xticks([])
        axes.set_yticks([])
        axes.grid(False)

    frame = Line2D([], [], linestyle="", marker="s", markerfacecolor="none", markeredgecolor=_MARK, label="selected")
    legend = [frame, Line2D([], [], linestyle="", label="the brighter, the higher the score")]
    return panels(sorted(maps), panel, "", "", legend, panel_height=3.0)


def pixel_table(maps: Mapping[str, PixelMap]) -> pd.DataFrame:
    """Return what :func:`selected_pixels` draws: ``dataset``, ``row``, ``column``, ``score`` and ``selected``."""
    parts = []
    for dataset, pixels in maps.items():
        rows, columns = np.indices(pixels.scores.shape)
        parts.append(
            pd.DataFrame(
                {
                    "dataset": dataset,
                    "row": rows.ravel(),
                    "column": columns.ravel(),
                    "score": pixels.scores.ravel(),
                    "selected": pixels.selected.ravel(),
                }
            )
        )
    return pd.concat(parts) if parts else pd.DataFrame(columns=["dataset", "row", "column", "score", "selected"])
