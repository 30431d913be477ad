"""NumPy's masked arrays: masked values are missing, whatever lies under the mask."""

from __future__ import annotations

from typing import Any

import numpy as np

from dst.data.precision import float_type


def without_mask(x: Any) -> Any:
    """Return a masked array of numbers as an ordinary one with NaN where it is masked, and anything else as it is.

    Args:
        x: numbers of any shape; integers become floats where some are masked.
    """
    if not isinstance(x, np.ma.MaskedArray):
        return x
    if not np.ma.is_masked(x) or x.dtype.kind not in "biufO":
        return x.data
    values = x.data.astype(x.dtype if x.dtype.kind == "O" else float_type(x.dtype))
    values[np.ma.getmaskarray(x)] = np.nan
    return values


def with_gaps(values: Any) -> Any:
    """Return a masked array as an ordinary one of objects with None where it is masked, and anything else as it is."""
    if not isinstance(values, np.ma.MaskedArray) or not np.ma.is_masked(values):
        return values
    objects = values.data.astype(object)
    objects[np.ma.getmaskarray(values)] = None
    return objects
