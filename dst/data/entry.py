"""Facts of a dataset that has a name, and the defaults of tables that have none."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from dst.data.dataset import Scaling, TableMatrix
from dst.data.readers import Table
from dst.errors import InputError


@dataclass(frozen=True)
class Entry:
    """A dataset known by name.

    Attributes:
        name: as the paper spells it.
        shape: rows and feature columns.
        n_classes: number of classes.
        kind: what sort of data it is.
        source: where it comes from, in words.
        citation: whose data it is.
        k: how many features a ranking is judged on.
        batch_size: rows in a training batch.
        file: the file's name, for data that is read.
        sha256: of that file's bytes; None where nobody here has seen them.
        urls: where the file can be fetched, the first choice first.
        openml: the dataset's number on OpenML, from whose copy ``file`` is made; None: it comes from ``urls``.
        generator: makes the table, for data that needs no file.
        scaling: the scaler of the paper's protocol.
        official_train_rows: the table's first rows, which are its official training part; the rest is the official
            test part. None: there are no official parts.
        official_train_counts: how many of these each class has, in the order of the class codes; a file of the right
            shape with its rows in another order is refused.
        pixels: columns are the pixels of square images, ``"rows"`` after rows or ``"columns"`` after columns; None:
            they are something else, or it is not known.
    """

    name: str
    shape: tuple[int, int]
    n_classes: int
    kind: str
    source: str
    citation: str
    k: int
    batch_size: int
    file: str | None = None
    sha256: str | None = None
    urls: tuple[str, ...] = ()
    openml: int | None = None
    generator: Callable[[], Table] | None = None
    scaling: Scaling = "standard"
    official_train_rows: int | None = None
    official_train_counts: tuple[int, ...] | None = None
    pixels: Literal["rows", "columns"] | None = None

    def check(self, shape: tuple[int, ...], y: npt.NDArray[np.int64]) -> None:
        """Raise an InputError if a table of that shape and those class codes is not this dataset."""
        found = (*shape, len(np.unique(y)))
        if found != (*self.shape, self.n_classes):
            raise InputError(
                f"{self.name} has {self.shape[0]} rows, {self.shape[1]} columns and {self.n_classes} classes, but the "
                f"table has {found[0]}, {found[1]} and {found[2]}"
            )
        if self.official_train_counts is not None:
            counts = tuple(np.bincount(y[: self.official_train_rows], minlength=self.n_classes).tolist())
            if counts != self.official_train_counts:
                raise InputError(
                    f"the first {self.official_train_rows} rows of {self.name} are its official training part, with "
                    f"{self.official_train_counts} rows of each class, but the table has {counts} there"
                )


def default_k(n_features: int) -> int:
    """The K of a table where none is named: 100, or a quarter of the columns, rounded up, where that is less."""
    return min(100, math.ceil(n_features / 4))


def like_numbers(n_values: int, n_rows: int) -> bool:
    """Whether whole numbers are of so many values that they seem to be measured: more than 50, each in few rows.

    Args:
        n_values: different numbers.
        n_rows: rows, of which there are fewer than ten for each number.
    """
    return n_values > 50 and n_rows < 10 * n_values


def default_batch_size(n_samples: int) -> int:
    """Rows in a training batch where nobody named it: 32 below 200 rows, else 100 (the paper's rule)."""
    return 32 if n_samples < 200 else 100


def default_scaling(x: TableMatrix) -> Scaling:
    """The scaling of columns where none is named: ``standard``, but ``maxabs`` where the table is to stay sparse."""
    return "standard" if isinstance(x, np.ndarray) else "maxabs"
