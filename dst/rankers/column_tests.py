"""Filters' statistics of a column that has several encodings: of the column as a whole, with its degrees of freedom."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
from scipy.optimize import brentq
from scipy.special import betaincc, betainccinv, betaln

from dst.data.dataset import Part, as_array
from dst.data.preparation import encodings_of
from dst.rankers.mutual_information import corrected_information, mutual_information

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_LEAST = 1e-280
"""Below this probability the tail of a beta distribution is computed by its logarithm."""


def encoded_blocks(part: Part) -> Iterator[tuple[Ints, Floats | None, Floats]]:
    """Yield the columns of a table that are no plain numbers, in the table's order.

    Args:
        part: rows.

    Yields:
        The column's encoded columns; its numbers, float64 ``(n_rows,)``, or None where it has none; its zeros and ones,
        float64 ``(n_rows, n_ones)``: an indicator of missing numbers, or one for each category.
    """
    if part.origin is None or part.n_numbers is None:
        return
    encodings = encodings_of(part.origin)
    for column in np.unique(part.origin[part.n_numbers :]):
        encoded = encodings[column]
        block = as_array(part.x[:, encoded]).astype(np.float64)
        n_numbers = int((encoded < part.n_numbers).sum())
        yield encoded, block[:, 0] if n_numbers else None, block[:, n_numbers:]


def share_of_variance(numbers: Floats | None, ones: Floats, labels: Ints) -> float:
    """Return the share of variance between classes that a column of numbers would need to be as unlikely by chance.

    A column that spans r dimensions (categories less one; a number and its indicator: two) has with the c classes the
    canonical correlations ``rho_i``, ``i = 1 .. s = min(r, c - 1)``. Under no effect ``sum_i rho_i^2 / s`` (Pillai's
    trace over s; for categories the chi-squared statistic over ``n s``, Cramer's V squared) follows about
    ``Beta(d1 / 2, d2 / 2)`` with ``d1 = s max(r, c - 1)`` and ``d2 = s (n - 1 - max(r, c - 1))`` (Pillai's F; exact
    for normal numbers and s = 1), so that a random column of many categories reaches a large share. The share of a
    number is that of the F test, ``Beta((c - 1) / 2, (n - c) / 2)``. Returned is the quantile of the latter with the
    upper probability that the column has in the former: without effect, a column of any number of categories has the
    distribution of a number.

    Args:
        numbers: ``(n_rows,)``, or None.
        ones: ``(n_rows, n_ones)``.
        labels: class codes ``(n_rows,)``.
    """
    n, c = len(labels), len(np.unique(labels))
    if numbers is None:
        codes, counts = ones.argmax(axis=1), np.zeros((ones.shape[1], int(labels.max()) + 1))
        np.add.at(counts, (codes, labels), 1.0)
        rows, columns = counts.sum(axis=1, keepdims=True), counts.sum(axis=0, keepdims=True)
        expected = rows * columns / n
        present = expected > 0
        trace = float(((counts - expected)[present] ** 2 / expected[present]).sum()) / n
        r = int((rows > 0).sum()) - 1
    else:
        centred = np.column_stack([numbers, ones])
        centred = centred - centred.mean(axis=0)
        basis, sizes, _ = np.linalg.svd(centred, full_matrices=False)
        basis = basis[:, sizes > sizes[0] * n * np.finfo(np.float64).eps] if sizes[0] > 0 else basis[:, :0]
        r = basis.shape[1]
        sums = (basis[labels == label].sum(axis=0) / math.sqrt((labels == label).sum()) for label in np.unique(labels))
        trace = float(sum((block**2).sum() for block in sums))
    wide, s = max(r, c - 1), min(r, c - 1)
    if s == 0 or wide >= n - 1:  # constant, or no degree of freedom is left
        return 0.0
    share = min(trace / s, 1.0)
    if r == 1:
        return share
    return _same_tail(share, s * wide / 2, s * (n - 1 - wide) / 2, (c - 1) / 2, (n - c) / 2)


def information(
    numbers: Floats | None, ones: Floats, labels: Ints, n_neighbors: int, rng: np.random.Generator
) -> float:
    """Return the mutual information of a column and the classes in nats, less what no effect would give, at least 0.

    Categories are counted, and the expectation of that count under independence is taken off
    (:func:`dst.rankers.mutual_information.corrected_information`). A number x with an indicator m has by the chain rule
    ``I(x, m; y) = I(m; y) + P(m = 0) I(x; y | m = 0)``, the second term estimated on the rows that have the number.

    Args:
        numbers: ``(n_rows,)``, or None.
        ones: ``(n_rows, n_ones)``.
        labels: class codes ``(n_rows,)``.
        n_neighbors: of the estimate for numbers.
        rng: draws the noise that parts equal numbers.
    """
    if numbers is None:
        return corrected_information(ones.argmax(axis=1), labels)
    missing = ones[:, 0] == 1
    counted = corrected_information(missing.astype(np.int64), labels)
    if missing.all():
        return counted
    estimated = mutual_information(numbers[~missing], labels[~missing], n_neighbors, rng)
    return counted + float((~missing).mean()) * estimated


def _same_tail(x: float, a: float, b: float, to_a: float, to_b: float) -> float:
    """Return the value whose upper probability under ``Beta(to_a, to_b)`` is that of x under ``Beta(a, b)``."""
    tail = float(betaincc(a, b, x))
    if tail > _LEAST:
        return float(betainccinv(to_a, to_b, tail))
    if x >= 1.0:
        return 1.0
    log_tail = _log_tail(x, a, b)
    low, high = float(betainccinv(to_a, to_b, _LEAST)), 1.0 - 2.0**-53
    if _log_tail(low, to_a, to_b) <= log_tail:
        return low
    if _log_tail(high, to_a, to_b) > log_tail:
        return high
    return float(brentq(lambda value: _log_tail(value, to_a, to_b) - log_tail, low, high, xtol=1e-15))


def _log_tail(x: float, a: float, b: float) -> float:
    """Return the logarithm of the upper probability of ``Beta(a, b)`` at x, also where that is below every float.

    It is ``log I_y(b, a)`` with ``y = 1 - x``, by the series
    ``y^b x^a / (b B(a, b)) sum_k y^k prod_{j < k} (a + b + j) / (b + 1 + j)`` (DLMF 8.17.8), whose terms are positive
    and which is short where the tail is small.
    """
    y = 1.0 - x
    total, term, k = 1.0, 1.0, 0
    while term > 1e-17 * total:
        term *= y * (a + b + k) / (b + 1 + k)
        total += term
        k += 1
    return b * math.log(y) + a * math.log(x) - math.log(b) - float(betaln(a, b)) + math.log(total)
