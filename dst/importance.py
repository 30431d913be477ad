"""How much a trained network uses each input feature: one function a metric.

Scores are float64 ``(n_features,)``, larger is more important; ``rows`` are float32 ``(n_rows, n_features)``. z_c is
the logit (or output) c, b runs over rows. :mod:`dst.importance_history` follows them through a training.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import torch

from dst.gradients import backward, blocks
from dst.model import SparseMLP

Scores = npt.NDArray[np.float64]
Rows = npt.NDArray[np.float32]

INTEGRATION_STEPS = 32
"""Points on the way from the baseline to a row at which :func:`integrated_gradients` takes gradients."""


def neuron_strength(model: SparseMLP) -> Scores:
    """Return the sum of absolute weights that leave each input.

    ``s_i = sum_j |W1_ji|`` (Atashgahi et al., Machine Learning 2022, QuickSelection).
    """
    return model.linears[0].input_strength()


def neuron_attribution(model: SparseMLP, rows: Rows) -> Scores:
    """Return the mean absolute gradient of the logits with respect to each input, summed over logits.

    ``a_i = sum_c mean_b |d z_c(x_b) / d x_i|`` (Atashgahi et al., ECAI 2024, section 3.2), exactly
    (:mod:`dst.gradients`). The gradient of a linear network is its weight.
    """
    if len(model.linears) == 1:
        return model.linears[0].input_strength()
    sums = np.zeros(rows.shape[1])
    for block in blocks(rows):
        back = backward(model, block)
        for output in range(model.linears[-1].out_features):
            back.add_magnitudes(output, sums)
    return sums / len(rows)


def gradient_x_input(model: SparseMLP, rows: Rows) -> Scores:
    """Return the mean absolute product of input and gradient, summed over logits.

    ``g_i = sum_c mean_b |x_bi d z_c(x_b) / d x_i|`` (Shrikumar et al. 2016). It tells features apart that are of
    different scale.
    """
    return integrated_gradients(model, rows, steps=1, at=(1.0,))


def integrated_gradients(
    model: SparseMLP, rows: Rows, *, steps: int = INTEGRATION_STEPS, at: tuple[float, ...] | None = None
) -> Scores:
    """Return the mean absolute integrated gradient from the zero input, summed over logits.

    ``t_i = sum_c mean_b |x_bi integral_0^1 d z_c(a x_b) / d x_i da|`` (Sundararajan et al. 2017), the integral by the
    midpoint rule. After standard scaling zero is the mean row.

    Args:
        model: the network.
        rows: see above.
        steps: how many points the rule has.
        at: the points in [0, 1] themselves, instead.
    """
    points = tuple((np.arange(steps) + 0.5) / steps) if at is None else at
    sums = np.zeros(rows.shape[1])
    n_outputs = model.linears[-1].out_features
    if len(model.linears) == 1:
        magnitude: Scores = np.abs(rows).mean(axis=0, dtype=np.float64)
        return model.linears[0].input_strength() * magnitude
    for block in blocks(rows):
        ways = [backward(model, np.float32(point) * block) for point in points]
        for output in range(n_outputs):
            mean = sum(way.gradient(output)[:, : len(block)] for way in ways) / len(points)
            sums += np.abs(block.T * mean).sum(axis=1, dtype=np.float64)
    return sums / len(rows)


def permutation(
    model: SparseMLP, rows: Rows, labels: npt.NDArray[np.int64], rng: np.random.Generator, *, repeats: int = 1
) -> Scores:
    """Return how much accuracy falls when a column's values are dealt out anew among the rows.

    ``p_i = acc(X) - mean_r acc(X with column i permuted)`` (Breiman 2001; Fisher et al. 2019); below 0 where accuracy
    rises. It takes ``n_features * repeats`` passes forward, by far the most of all metrics.

    Args:
        model: the network.
        rows: validation rows.
        labels: their class codes, int64 ``(n_rows,)``.
        rng: draws the permutations.
        repeats: permutations a column.
    """
    x = torch.from_numpy(np.ascontiguousarray(rows.T)).to(model.device)
    codes = torch.from_numpy(labels).to(model.device)

    def accuracy() -> float:
        with torch.no_grad():
            return float((model.columns(x).argmax(dim=0) == codes).double().mean())

    whole, drops = accuracy(), np.zeros(rows.shape[1])
    for column in range(rows.shape[1]):
        kept = x[column].clone()
        for _ in range(repeats):
            x[column] = kept[torch.from_numpy(rng.permutation(len(rows))).to(model.device)]
            drops[column] += (whole - accuracy()) / repeats
        x[column] = kept
    return drops


def random_importance(model: SparseMLP, rng: np.random.Generator) -> Scores:
    """Return independent draws from [0, 1): the baseline that every metric has to beat."""
    return rng.random(model.linears[0].in_features)


METRICS: dict[str, Callable[[SparseMLP, Rows, np.random.Generator], Scores]] = {
    "neuron_strength": lambda model, rows, rng: neuron_strength(model),
    "neuron_attribution": lambda model, rows, rng: neuron_attribution(model, rows),
    "gradient_x_input": lambda model, rows, rng: gradient_x_input(model, rows),
    "integrated_gradients": lambda model, rows, rng: integrated_gradients(model, rows),
    "random": lambda model, rows, rng: random_importance(model, rng),
}
"""The metrics that are followed through a training, taken on training rows."""

HELD_OUT_METRICS: dict[str, Callable[[SparseMLP, Rows, npt.NDArray[np.int64], np.random.Generator], Scores]] = {
    "permutation": permutation
}
"""The metrics that are taken once, of the network of the best epoch, on validation rows and their labels."""
