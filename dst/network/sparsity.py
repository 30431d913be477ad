"""Distributions of a network's connections among its layers."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

Shape = tuple[int, int]
"""``(n_in, n_out)`` of a layer."""


def erdos_renyi(shapes: Sequence[Shape], density: float) -> list[float]:
    """Return layer densities by the Erdos-Renyi rule.

    ``p_l = eps (n_in + n_out) / (n_in n_out)``: a layer gets connections in proportion to its neurons, so small layers
    are denser. ``eps`` solves ``sum_l p_l n_in n_out = density * sum_l n_in n_out``. A layer whose density would exceed
    1 is fixed at 1 and the rest are solved again.

    Args:
        shapes: ``(n_in, n_out)`` of every layer.
        density: share of all possible connections, in (0, 1].

    Source: Mocanu et al., Nature Communications 2018 (SET); Evci et al., ICML 2020, section 3.
    """
    sizes = [n_in * n_out for n_in, n_out in shapes]
    neurons = [n_in + n_out for n_in, n_out in shapes]
    full: set[int] = set()
    while True:
        open_layers = [layer for layer in range(len(shapes)) if layer not in full]
        if not open_layers:
            return [1.0] * len(shapes)
        budget = density * sum(sizes) - sum(sizes[layer] for layer in full)
        eps = budget / sum(neurons[layer] for layer in open_layers)
        above = {layer for layer in open_layers if eps * neurons[layer] > sizes[layer]}
        if not above:
            return [1.0 if layer in full else eps * neurons[layer] / sizes[layer] for layer in range(len(shapes))]
        full |= above


def uniform(shapes: Sequence[Shape], density: float) -> list[float]:
    """Return the same density for every layer."""
    return [density] * len(shapes)


Distribution = Callable[[Sequence[Shape], float], list[float]]

DISTRIBUTIONS: dict[str, Distribution] = {
    "uniform": uniform,
    "er": erdos_renyi,
    "erk": erdos_renyi,  # its kernel terms (Evci et al. 2020) vanish in linear layers, which have none
}


def connections(shapes: Sequence[Shape], sparsity: float, distribution: str = "er") -> list[int]:
    """Return how many connections each layer has, with the exact total ``round((1 - sparsity) * sum n_in n_out)``.

    Fractions are rounded by largest remainder, so that no rounding is lost. Every layer has at least one connection.

    Args:
        shapes: ``(n_in, n_out)`` of every layer.
        sparsity: in [0, 1).
        distribution: a name in :data:`DISTRIBUTIONS`.
    """
    sizes = np.array([n_in * n_out for n_in, n_out in shapes])
    total = max(round((1 - sparsity) * int(sizes.sum())), len(shapes))
    exact = np.array(DISTRIBUTIONS[distribution](shapes, total / int(sizes.sum()))) * sizes
    counts = np.clip(np.floor(exact + 1e-9).astype(np.int64), 1, sizes)
    by_remainder = np.argsort(counts - exact, kind="stable")
    while (missing := total - int(counts.sum())) != 0:
        for layer in by_remainder if missing > 0 else by_remainder[::-1]:
            step = int(np.sign(missing))
            if 1 <= counts[layer] + step <= sizes[layer]:
                counts[layer] += step
                break
        by_remainder = np.argsort(counts - exact, kind="stable")
    return [int(count) for count in counts]
