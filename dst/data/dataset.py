"""A table with labels, as every other module sees it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, overload

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from scipy.sparse import csr_array

Scaling = Literal["standard", "minmax", "maxabs"]
Matrix: TypeAlias = "npt.NDArray[np.float32] | csr_array"
"""Scaled rows, as rankers take them."""

TableMatrix: TypeAlias = "npt.NDArray[np.float32 | np.float64] | csr_array"
"""A table before it is scaled, in float32 or float64 (:mod:`dst.data.precision`)."""


@overload
def as_array(x: Matrix) -> npt.NDArray[np.float32]: ...


@overload
def as_array(x: TableMatrix) -> npt.NDArray[np.float32 | np.float64]: ...


def as_array(x: TableMatrix) -> npt.NDArray[np.float32 | np.float64]:
    """Return a table as a dense array of its type, float32 or float64; a dense one is not copied."""
    return x if isinstance(x, np.ndarray) else x.toarray()


@dataclass(frozen=True)
class Dataset:
    """A table with a target, and what is known about it.

    Attributes:
        name: the registry's name, or the file's stem; letters, digits, ``_``, ``-`` and ``.`` only.
        x: features of shape ``(n_samples, n_features)``, finite and within float32, or NaN where a value is missing: an
            array in C order, or a sparse CSR array; float32, or float64 where float32 would lose what scaling shows
            (:mod:`dst.data.precision`). A categorical column holds the codes ``0 .. n - 1`` of its categories.
        y: class codes, int64 of shape ``(n_samples,)``, ``0 .. n_classes - 1``; every code occurs at least twice. Or,
            where ``load_dataset`` was asked for them, numbers, float64.
        feature_names: one name a column.
        class_names: one name a class, in the order of the codes; of numbers none.
        k: how many features a ranking is judged on.
        batch_size: rows in a training batch.
        kind: what sort of data it is (``image``, ``text``, ``biological``, ``tabular``, ...).
        sha256: of the file's bytes; of ``x`` and ``y`` for data without a file.
        source: where it comes from: a path, or words.
        scaling: the scaler that the paper's protocol names for it; a sparse table knows ``maxabs`` alone.
        official_test: row numbers of an official test part, int64, or None.
        categories: the names of the categories of each categorical column, by column number.
        groups: a code a row, int64 ``(n_samples,)``: rows of one group stay in one part; None: no groups.
        times: when each row was taken, float64 ``(n_samples,)``, in any unit; None: unknown.
        notes: what was noticed while the table was read: what may mean something else than it was read as, and what
            would say so.
    """

    name: str
    x: TableMatrix
    y: npt.NDArray[Any]
    feature_names: tuple[str, ...]
    class_names: tuple[str, ...]
    k: int
    batch_size: int
    kind: str
    sha256: str
    source: str
    scaling: Scaling = "standard"
    official_test: npt.NDArray[np.int64] | None = None
    categories: Mapping[int, tuple[str, ...]] = field(default_factory=dict)
    groups: npt.NDArray[np.int64] | None = None
    times: npt.NDArray[np.float64] | None = None
    notes: tuple[str, ...] = ()

    @property
    def n_samples(self) -> int:
        """Number of rows."""
        return int(self.x.shape[0])

    @property
    def n_features(self) -> int:
        """Number of columns."""
        return int(self.x.shape[1])

    @property
    def n_classes(self) -> int:
        """Number of classes in the whole table (a training part may lack some)."""
        return len(self.class_names)

    @cached_property
    def content_sha256(self) -> str:
        """SHA-256 of all that a result can depend on: values, labels, categories, groups, times, test part, scaling.

        ``sha256`` names a file; this is what was read from it, and what was removed from that afterwards.
        """
        digest = hashlib.sha256()
        arrays: tuple[Any, ...] = (self.y, self.groups, self.times, self.official_test)
        if isinstance(self.x, np.ndarray):
            arrays += (self.x,)
        else:
            arrays += (self.x.indptr.astype(np.int64), self.x.indices.astype(np.int64), self.x.data)
        words = {
            "shape": [None if array is None else [str(array.dtype), *array.shape] for array in arrays],
            "classes": self.class_names,
            "categories": {str(column): names for column, names in sorted(self.categories.items())},
            "scaling": self.scaling,
        }
        digest.update(json.dumps(words).encode())
        for array in arrays:
            if array is not None:
                digest.update(np.ascontiguousarray(array).data)
        return digest.hexdigest()


@dataclass(frozen=True)
class Part:
    """Some rows of a dataset, encoded, imputed and scaled: ready for a ranker or a scorer.

    Attributes:
        x: float32 ``(n_rows, n_encoded)``, finite: an array in C order, or a sparse CSR array.
        y: int64 class codes ``(n_rows,)``.
        n_classes: classes in the whole table.
        origin: the table's column that each encoded column comes from, int64 ``(n_encoded,)``; None: they are the same.
        n_numbers: how many of the first encoded columns are scaled numbers, the others being zeros and ones; None: all.
    """

    x: Matrix
    y: npt.NDArray[np.int64]
    n_classes: int
    origin: npt.NDArray[np.int64] | None = None
    n_numbers: int | None = None
