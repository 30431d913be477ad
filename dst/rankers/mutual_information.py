"""Mutual information between one column and the classes.

scikit-learn's ``mutual_info_classif`` estimates the same, with a tree for each class and column; in one dimension
sorting does, in a fraction of the time.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.special import digamma

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_NOISE = 1e-10
"""Of the noise that parts equal values, over the mean magnitude of the scaled column, as in scikit-learn."""


def mutual_information(column: Floats, labels: Ints, n_neighbors: int, rng: np.random.Generator) -> float:
    """Return the mutual information in nats, never negative.

    A column of at most two values is counted; any other is scaled to variance 1, gets a noise that parts equal values,
    and is estimated.

    Args:
        column: ``(n_rows,)``.
        labels: class codes ``(n_rows,)``.
        n_neighbors: of the estimate.
        rng: draws the noise.
    """
    low, high = column.min(), column.max()
    if low == high:
        return 0.0
    upper = column == high
    if bool(np.all(upper | (column == low))):
        return counted_information(upper.astype(np.int64), labels)
    scaled = column / column.std()
    noise = _NOISE * max(1.0, float(np.abs(scaled).mean())) * rng.standard_normal(len(column))
    return estimated_information(scaled + noise, labels, n_neighbors)


def counted_information(values: Ints, labels: Ints) -> float:
    """Return ``sum_xy p(x, y) log(p(x, y) / (p(x) p(y)))`` of two columns of codes."""
    joint = np.zeros((values.max() + 1, labels.max() + 1))
    np.add.at(joint, (values, labels), 1 / len(labels))
    expected = joint.sum(axis=1, keepdims=True) * joint.sum(axis=0, keepdims=True)
    present = joint > 0
    return max(0.0, float((joint[present] * np.log(joint[present] / expected[present])).sum()))


def corrected_information(values: Ints, labels: Ints) -> float:
    """Return the counted information less its expectation under independence, at least 0.

    The expectation is over all ways to pair the values with the labels, both as often as they are (Vinh, Epps and
    Bailey, "Information theoretic measures for clusterings comparison", JMLR 2010, equation 24a): about
    ``(n_values - 1) (n_classes - 1) / (2 n)``, more than what most columns tell where there are many values.
    """
    from sklearn.metrics.cluster import contingency_matrix, expected_mutual_information

    pairs = contingency_matrix(labels, values, sparse=True)
    return max(0.0, counted_information(values, labels) - float(expected_mutual_information(pairs, len(labels))))


def estimated_information(column: Floats, labels: Ints, n_neighbors: int) -> float:
    """Return Ross's estimate for a column without equal values.

    ``psi(N) + <psi(k)> - <psi(N_c)> - <psi(m)>``: of the N rows, N_c have the row's class, and m (with itself) lie
    nearer than its k-th neighbour within the class (B. C. Ross, "Mutual information between discrete and continuous
    data sets", PLoS ONE 2014, equation 2). Small classes have fewer neighbours; those of one row are left out.

    Args:
        column: ``(n_rows,)``.
        labels: class codes ``(n_rows,)``.
        n_neighbors: k.
    """
    order = np.argsort(column)
    column, labels = column[order], labels[order]
    sizes = np.bincount(labels)
    paired = sizes[labels] > 1
    column, labels = column[paired], labels[paired]
    if not len(column):
        return 0.0
    radius = np.empty_like(column)
    for label in np.flatnonzero(sizes > 1):
        members = labels == label
        radius[members] = _neighbour_distance(column[members], min(n_neighbors, sizes[label] - 1))
    k = np.minimum(n_neighbors, sizes[labels] - 1)
    nearer = _count_nearer(column, radius)
    terms = digamma(k) - digamma(sizes[labels]) - digamma(nearer)
    return max(0.0, float(digamma(len(column)) + terms.mean()))


def _neighbour_distance(values: Floats, k: int) -> Floats:
    """Return each sorted value's distance to its k-th neighbour: the nearest window of ``k + 1`` values around it."""
    n = len(values)
    distance = np.full(n, np.inf)
    for left in range(k + 1):
        inside = slice(left, n - k + left)  # whose window starts `left` places before it
        window = np.maximum(values[inside] - values[: n - k], values[k:] - values[inside])
        distance[inside] = np.minimum(distance[inside], window)
    return distance


def _count_nearer(values: Floats, radius: Floats) -> Ints:
    """Count the sorted values that lie nearer to each value than its radius, itself included."""
    below = np.searchsorted(values, values - radius, side="right")
    above = np.searchsorted(values, values + radius, side="left")
    # A sum is rounded where a difference of neighbours is exact: decide the values at the edge by their difference.
    last = len(values) - 1
    below -= (below > 0) & (values - values[np.maximum(below - 1, 0)] < radius)
    below += values - values[np.minimum(below, last)] >= radius
    above += (above <= last) & (values[np.minimum(above, last)] - values < radius)
    above -= values[np.maximum(above - 1, 0)] - values >= radius
    return np.asarray(np.maximum(above - below, 1), np.int64)
