"""Agreement of the selections of several trainings, and how many of the columns they agree on may be false.

Each measure of agreement takes ``selected``, bool ``(n_selections, n_features)``: which columns each training selected.
All are 1 where every selection is the same; :func:`nogueira` and :func:`kuncheva` are 0 on average for random
selections, :func:`jaccard` is not, as it does not correct for chance.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Selected = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Stability:
    """A stability and its confidence interval.

    Attributes:
        value: 1 where all selections agree, about 0 where they are random.
        low: lower end of the interval.
        high: upper end of the interval.
    """

    value: float
    low: float
    high: float


def as_selected(selections: Iterable[Iterable[int]], n_features: int) -> Selected:
    """Return column numbers of several selections as bool ``(n_selections, n_features)``."""
    return np.array([np.isin(np.arange(n_features), list(columns)) for columns in selections], dtype=bool)


def nogueira(selected: Selected, confidence: float = 0.95) -> Stability:
    """Return the stability of Nogueira, Sechidis and Brown (JMLR 18, 2018), with its asymptotic interval.

    With M selections of d columns, ``p_f`` the share of selections that hold column f and ``k`` their mean size,

        value = 1 - (mean_f M / (M - 1) p_f (1 - p_f)) / (k/d (1 - k/d))                              (definition 4)
        phi_i = 1 / (k/d (1 - k/d)) * (mean_f z_if p_f - k_i k / d^2 + value/2 (2 k_i k / d^2 - k_i/d - k/d + 1))
        variance = 4 / M^2 sum_i (phi_i - mean phi)^2,   interval = value +- z sqrt(variance)            (section 5)

    Args:
        selected: bool ``(M, d)``, M >= 2.
        confidence: of the interval, in (0, 1).

    Returns:
        NaN throughout where no or every column is selected each time: there is no choice that could be stable.

    Raises:
        ValueError: fewer than two selections, or the confidence is outside (0, 1).
    """
    from scipy.special import ndtri  # scipy.stats, whose norm.ppf this is, takes a second to load

    _check(selected)
    if not 0 < confidence < 1:
        raise ValueError(f"0 < confidence < 1 must hold, but got confidence={confidence}")
    m, d = selected.shape
    z = selected.astype(np.float64)
    share, sizes = z.mean(axis=0), z.sum(axis=1)
    size = float(sizes.mean())
    by_chance = size / d * (1 - size / d)
    if by_chance == 0:
        return Stability(math.nan, math.nan, math.nan)
    value = 1 - float(np.mean(m / (m - 1) * share * (1 - share))) / by_chance
    phi = (
        (z * share).mean(axis=1)
        - sizes * size / d**2
        + value / 2 * (2 * sizes * size / d**2 - sizes / d - size / d + 1)
    ) / by_chance
    margin = float(ndtri((1 + confidence) / 2) * math.sqrt(4 / m**2 * np.square(phi - phi.mean()).sum()))
    return Stability(value, value - margin, value + margin)


def kuncheva(selected: Selected) -> float:
    """Return the mean over pairs of ``(r d - k^2) / (k (d - k))``, r columns in common (Kuncheva 2007).

    NaN where no or every column is selected. For selections of one size, which it asks for, it equals
    :func:`nogueira`.

    Raises:
        ValueError: fewer than two selections, or their sizes differ.
    """
    _check(selected)
    d = selected.shape[1]
    sizes = np.unique(selected.sum(axis=1))
    if len(sizes) > 1:
        raise ValueError(f"Kuncheva's index needs selections of one size, but got {sizes.tolist()} columns")
    k = int(sizes[0])
    if k in (0, d):
        return math.nan
    return float(
        np.mean([(int((a & b).sum()) * d - k**2) / (k * (d - k)) for a, b in itertools.combinations(selected, 2)])
    )


def jaccard(selected: Selected) -> float:
    """Return the mean over pairs of columns in common over columns in either; two empty selections agree.

    Raises:
        ValueError: fewer than two selections.
    """
    _check(selected)
    pairs = itertools.combinations(selected, 2)
    return float(np.mean([(a & b).sum() / (a | b).sum() if (a | b).any() else 1.0 for a, b in pairs]))


def expected_false(q: float, p: int, threshold: float) -> float:
    """Return a bound on the expected number of falsely selected columns in stability selection.

    Columns are selected that at least ``threshold`` of many rankings choose, each ranking made from one half of the
    rows alone. Of these at most ``q^2 / ((2 threshold - 1) p)`` are expected to say nothing of the target. Source:
    Meinshausen and Buehlmann (JRSS B 72, 2010), theorem 1. It assumes

    - subsamples of half the rows, drawn without looking at the columns; with complementary pairs, the two halves of
      one draw, any number of them will do (Shah and Samworth, JRSS B 75, 2013);
    - columns that say nothing are exchangeable: each is as likely to be chosen as any other of them;
    - the ranking is not worse than random guessing.

    With complementary pairs the same figure needs neither of the last two assumptions if what it counts is the selected
    columns that one half chooses with a probability of at most ``q / p`` (Shah and Samworth, theorem 1).

    Args:
        q: columns that each ranking chooses, fixed beforehand, or their expected number.
        p: columns of the table.
        threshold: share of rankings, in (1/2, 1].

    Raises:
        ValueError: a value breaks its rule.
    """
    if not 0 <= q <= p or p < 1:
        raise ValueError(f"0 <= q <= p and p >= 1 must hold, but got q={q}, p={p}")
    if not 0.5 < threshold <= 1:
        raise ValueError(f"1/2 < threshold <= 1 must hold, but got threshold={threshold}")
    return q**2 / ((2 * threshold - 1) * p)


def _check(selected: Selected) -> None:
    if selected.ndim != 2 or len(selected) < 2 or selected.shape[1] < 1:
        raise ValueError(f"two selections or more of the same columns are needed, but got an array {selected.shape}")
