"""Removing values on purpose, to see what missing data costs.

Rubin (Biometrika 1976) tells apart what the absence of a value depends on: on nothing (MCAR, missing completely at
random), on values that are there (MAR, missing at random), or on the value that is gone (MNAR, missing not at random).

Every column loses the same share of its values, within one. In a column, the value of row ``i`` goes with probability
``1 / (1 + exp(-(a + s_i)))``; the intercept ``a`` is not estimated, but set between two of the draws so that exactly as
many go as shall (logistic masking as in Muzellec et al., "Missing data imputation using optimal transport", ICML 2020,
with the count made exact). The mechanisms differ in ``s_i`` alone:

``mcar``
    0, so every set of that many values is equally likely.
``mar``
    2 times the standardised value of the nearest earlier column, in a random order of columns, that row ``i`` still has
    by then; 0 where it has none. The absence of a column's values thus depends on values that stay, so the pattern
    as a whole is missing at random at any rate (given two constants a column: mean and standard deviation are those of
    all its values); in the first column of the order, and in rows that have lost all, it is by chance. The higher the
    rate, the fewer values are left to depend on.
``mnar``
    2 times the standardised value itself: large values go first.

At a factor of 2, one standard deviation up multiplies the odds of being missing by 7.4.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from dst.data.dataset import Dataset
from dst.errors import InputError, unknown_name
from dst.files.plain import make_plain

SLOPE = 2.0
"""How much a standard deviation adds to the logit of being missing."""

Floats = npt.NDArray[np.float32]
Score = Callable[[Floats, Floats], Floats]


@dataclass(frozen=True)
class Removal:
    """The values that are removed.

    Attributes:
        rate: the share of the values that are there, in [0, 1).
        mechanism: a name in :data:`MECHANISMS`.
        seed: of all draws, not negative.
    """

    rate: float
    mechanism: str = "mcar"
    seed: int = 0

    def __post_init__(self) -> None:
        make_plain(self)
        if not 0 <= self.rate < 1:
            raise InputError(f"0 <= rate < 1 must hold, but got rate={self.rate}")
        if self.mechanism not in MECHANISMS:
            raise InputError(unknown_name("missing-data mechanism", self.mechanism, MECHANISMS))
        if self.seed < 0:
            raise InputError(f"seed >= 0 must hold, but got seed={self.seed}")


def remove_values(dataset: Dataset, removal: Removal) -> Dataset:
    """Return the table without some of its values: NaN in training, validation and test rows alike.

    Exactly ``round(rate * values)`` go, half to even. The same removal of the same table is always the same; with
    ``mcar`` and ``mnar``, what a lower rate removes is also removed by a higher one of the same seed, if no column
    lacks more values than another before (else a column may lose one value less at the higher rate). Labels, groups and
    times are never removed. Codes of categories are values: large ones go first with ``mnar``.

    Args:
        dataset: a dense table; what it lacks already stays missing.
        removal: what is removed.

    Raises:
        InputError: the table is sparse, or ``mar`` has a single column to work with.
    """
    if removal.rate == 0:
        return dataset
    if not isinstance(dataset.x, np.ndarray):
        raise InputError(f"{dataset.name}: values can be removed from a dense table only, but this one is sparse")
    if removal.mechanism == "mar" and dataset.n_features < 2:
        raise InputError(f"{dataset.name}: mechanism 'mar' needs two columns or more, but there is one")
    x = dataset.x.copy()
    score = MECHANISMS[removal.mechanism]
    to_order, to_round, to_draw = np.random.default_rng(removal.seed).spawn(3)
    counts = _share_out((~np.isnan(x)).sum(axis=0), removal.rate, to_round)
    driver = np.zeros(len(x), np.float32)
    for column in to_order.permutation(x.shape[1]):
        values = x[:, column]  # a view
        own = _standardised(values)
        noise = to_draw.logistic(size=len(x))
        keys = np.where(np.isnan(values), -np.inf, SLOPE * score(own, driver) + noise)
        values[np.argpartition(-keys, counts[column] - 1)[: counts[column]]] = np.nan
        driver = np.where(np.isnan(values), driver, own)
    return replace(dataset, x=x)


def _share_out(present: npt.NDArray[np.int64], rate: float, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """Return how many values each column loses: its share rounded down, and one more for some of them, by chance."""
    quota = rate * present
    counts: npt.NDArray[np.int64] = np.floor(quota).astype(np.int64)
    order = rng.permutation(len(present))
    order = order[np.argsort(-(quota - counts)[order], kind="stable")]
    counts[order[: round(rate * int(present.sum())) - int(counts.sum())]] += 1
    return counts


def _standardised(values: npt.NDArray[np.float32 | np.float64]) -> Floats:
    known = values[~np.isnan(values)].astype(np.float64)
    spread = known.std() if len(known) else 0.0
    if not spread > 0:
        return np.where(np.isnan(values), np.float32(np.nan), np.float32(0))
    return np.asarray((values - known.mean()) / spread, dtype=np.float32)


def _nothing(own: Floats, driver: Floats) -> Floats:
    return np.zeros_like(own)


def _driver(own: Floats, driver: Floats) -> Floats:
    return driver


def _own(own: Floats, driver: Floats) -> Floats:
    return own


MECHANISMS: dict[str, Score] = {"mcar": _nothing, "mar": _driver, "mnar": _own}
"""Name -> ``score(own, driver)``: what the logit of being missing is proportional to, float32 ``(n_rows,)`` each."""
