"""Categories as numbers: a column of zeros and ones for each category that the fitted rows hold."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Codes = npt.NDArray[np.float32 | np.float64]


def one_hot(fit_codes: Codes, *others: Codes) -> tuple[Floats, ...]:
    """Encode one categorical column by the categories that its fitted rows hold.

    A missing code (NaN) is a category like any other, where the fitted rows hold one: that a value is missing may say
    something, and nothing has to be made up. A category that the fitted rows do not hold, missing or not, is encoded
    as zeros throughout.

    Args:
        fit_codes: float32 or float64 ``(n_rows,)``, whole numbers or NaN.
        others: the same column of other rows.

    Returns:
        For each argument float32 ``(n_rows, n_categories)`` of 0 and 1: known categories by rising code, the missing
        one last.
    """
    known = np.unique(fit_codes)  # NaN once, and last
    return tuple(
        ((codes[:, None] == known) | (np.isnan(codes)[:, None] & np.isnan(known))).astype(np.float32)
        for codes in (fit_codes, *others)
    )
