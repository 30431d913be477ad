"""From rows of a table to scaled parts; a scaler never sees the rows that it is judged on."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from dst.data.dataset import Dataset, Part, Scaling
from dst.data.splits import Rows, Split
from dst.errors import InputError, unknown_name

Matrix = npt.NDArray[np.float32]


def scale(kind: Scaling, fit_rows_x: Matrix, *others: Matrix) -> tuple[Matrix, ...]:
    """Scale tables by what the first of them holds.

    Args:
        kind: ``standard``: mean 0 and variance 1 in each column; ``minmax``: between 0 and 1 in each column.
        fit_rows_x: ``(n_rows, n_features)``, what the scaler is fitted on; a column that is constant here is only
            shifted.
        others: tables with the same columns.

    Returns:
        The scaled tables in the order given, float32, C order, none of them a view of its argument.

    Raises:
        InputError: the kind is unknown.
    """
    from sklearn.preprocessing import MinMaxScaler, StandardScaler

    scalers = {"standard": StandardScaler, "minmax": MinMaxScaler}
    if kind not in scalers:
        raise InputError(unknown_name("scaling", kind, scalers))
    scaler = scalers[kind]().fit(fit_rows_x)
    with np.errstate(over="ignore"):  # a column of denormal spread scales beyond float32, and is held at its bounds
        scaled = [np.nan_to_num(scaler.transform(x)) for x in (fit_rows_x, *others)]
    return tuple(np.ascontiguousarray(x, dtype=np.float32) for x in scaled)


def prepare(dataset: Dataset, split: Split) -> tuple[Part, Part]:
    """The training and the validation part, scaled by the training rows alone."""
    return _parts(dataset, split.train, split.validation)


def prepare_test(dataset: Dataset, split: Split) -> tuple[Part, Part]:
    """The development part (training and validation rows, in the table's order) and the test part.

    Both are scaled by the development rows alone.
    """
    return _parts(dataset, np.union1d(split.train, split.validation), split.test)


def _parts(dataset: Dataset, fit_rows: Rows, judged_rows: Rows) -> tuple[Part, Part]:
    fit_x, judged_x = scale(dataset.scaling, dataset.x[fit_rows], dataset.x[judged_rows])
    return (
        Part(x=fit_x, y=dataset.y[fit_rows], n_classes=dataset.n_classes),
        Part(x=judged_x, y=dataset.y[judged_rows], n_classes=dataset.n_classes),
    )
