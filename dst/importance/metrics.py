"""Importance metrics: measures of how much a trained network uses each input feature, one function a metric.

Scores are float64 ``(n_features,)``, larger is more important; ``rows`` are float32 ``(n_rows, n_features)``. z_c is
the logit (or output) c, b runs over rows. :mod:`dst.training.importance_history` follows them through a training.
What computes them is imported where they are: their names are read by who trains nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import numpy as np
import numpy.typing as npt

from dst.data.dataset import Part
from dst.data.preparation import at_first_encoding, column_numbers

if TYPE_CHECKING:
    from dst.importance.gradients import Backward
    from dst.network.model import SparseMLP

Scores = npt.NDArray[np.float64]
Rows = npt.NDArray[np.float32]
Columns = npt.NDArray[np.int64]
Targets = npt.NDArray[np.int64] | npt.NDArray[np.float32]
"""Of rows: class codes ``(n_rows,)``, or float32 ``(n_rows, n_outputs)``."""

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
    (:mod:`dst.importance.gradients`). The gradient of a linear network is its weight.
    """
    if len(model.linears) == 1:
        return model.linears[0].input_strength()
    sums = np.zeros(rows.shape[1])
    for back, output in _each_logit(model, rows):
        back.add_magnitudes(output, sums)
    return sums / len(rows)


def squared_gradient(model: SparseMLP, rows: Rows) -> Scores:
    """Return the mean squared gradient of the logits with respect to each input, summed over logits.

    ``q_i = sum_c mean_b (d z_c(x_b) / d x_i)^2``: SmoothGrad-squared (Hooker et al., NeurIPS 2019) with rows and epochs
    in the place of noise. Beside :func:`neuron_attribution` it prefers inputs that matter much to few rows or logits.
    """
    return attribution_and_squares(model, rows)[1]


def attribution_and_squares(model: SparseMLP, rows: Rows) -> tuple[Scores, Scores]:
    """Return :func:`neuron_attribution` and :func:`squared_gradient`, of gradients that are computed once."""
    if len(model.linears) == 1:
        return model.linears[0].input_strength(), model.linears[0].input_squares()
    magnitudes, squares = np.zeros(rows.shape[1]), np.zeros(rows.shape[1])
    for back, output in _each_logit(model, rows):
        back.add_magnitudes_and_squares(output, magnitudes, squares)
    return magnitudes / len(rows), squares / len(rows)


def _each_logit(model: SparseMLP, rows: Rows) -> Iterator[tuple[Backward, int]]:
    """Yield each block of rows after it has gone forward with the number of each logit."""
    from dst.importance.gradients import backward, blocks

    for block in blocks(len(rows)):
        back = backward(model, rows[block])
        for output in range(model.linears[-1].out_features):
            yield back, output


def loss_gradient(model: SparseMLP, rows: Rows, targets: Targets, *, label_smoothing: float = 0.0) -> Scores:
    """Return the mean absolute gradient of the rows' losses with respect to each input.

    ``g_i = mean_b |d l(z(x_b), y_b) / d x_i|`` (GradEnFS: Liu et al., AISTATS 2024). The loss l is that of row b alone,
    so that scores do not depend on how many rows there are. Rows that the network is sure of count little.

    Args:
        model: the network.
        rows: float32 ``(n_rows, n_features)``.
        targets: class codes, int64 ``(n_rows,)``, for the cross-entropy, or float32 ``(n_rows, n_outputs)`` for the
            squared error, the mean over outputs.
        label_smoothing: of the cross-entropy.
    """
    from dst.importance.gradients import backward, blocks
    from dst.kernels.losses import loss_and_gradient

    sums = np.zeros(rows.shape[1])
    for block in blocks(len(rows)):
        back = backward(model, rows[block])
        outputs = np.ascontiguousarray(back.outputs())
        gradient = np.empty_like(outputs)
        of_outputs = cast("Targets", np.ascontiguousarray(targets[block].T))
        loss_and_gradient(outputs, of_outputs, gradient, label_smoothing)
        gradient *= np.float32(len(rows[block]))  # of each row's loss, not of their mean
        back.add_magnitudes_of(gradient, sums)
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
    midpoint rule. Zero is the mean row after standard scaling, and for encoded categories: none of them.

    Args:
        model: the network.
        rows: float32 ``(n_rows, n_features)``, over which the mean is taken.
        steps: how many points the rule has.
        at: the points in [0, 1] themselves, instead.
    """
    from dst.importance.gradients import backward, blocks

    points = tuple((np.arange(steps) + 0.5) / steps) if at is None else at
    sums = np.zeros(rows.shape[1])
    n_outputs = model.linears[-1].out_features
    if len(model.linears) == 1:
        magnitude: Scores = np.abs(rows).mean(axis=0, dtype=np.float64)
        return model.linears[0].input_strength() * magnitude
    for part in (rows[block] for block in blocks(len(rows))):
        ways = [backward(model, np.float32(point) * part) for point in points]
        for output in range(n_outputs):
            mean = sum(way.gradient(output)[:, : len(part)] for way in ways) / len(points)
            sums += np.abs(part.T * mean).sum(axis=1, dtype=np.float64)
    return sums / len(rows)


def random_importance(columns: Columns, rng: np.random.Generator) -> Scores:
    """Return a draw from [0, 1) for each column of the table: the baseline that every metric has to beat.

    Args:
        columns: the column that each feature, an encoded column, comes from
            (:func:`dst.data.preparation.column_numbers`); the draw stands at the first of a column's encodings.
        rng: draws.
    """
    return at_first_encoding(rng.random(int(columns.max()) + 1), columns)


def permutation_importance(model: SparseMLP, part: Part, rng: np.random.Generator) -> Scores:
    """Return the fall in accuracy on validation rows (:func:`dst.importance.permutation.permutation`).

    A column's stands at the first of its encodings. Unlike all other metrics it has seen the labels of these rows.
    """
    from dst.importance.permutation import permutation

    columns = column_numbers(part)
    return at_first_encoding(permutation(model, part.x, part.y, columns, rng), columns)


@dataclass(frozen=True)
class Sample:
    """Training rows on which metrics are taken, and what belongs to them.

    Attributes:
        rows: float32 ``(n_rows, n_features)``.
        targets: what the training loss compares the outputs on them with.
        columns: the column of the table that each feature comes from, int64 ``(n_features,)``.
        label_smoothing: of the training.
    """

    rows: Rows
    targets: Targets
    columns: Columns
    label_smoothing: float = 0.0


@dataclass(frozen=True)
class Metric:
    """A metric that is followed through a training.

    Attributes:
        take: returns the scores of a network on a sample.
        decay: what the sum of the scores so far is multiplied with before those of the next sample are added.
    """

    take: Callable[[SparseMLP, Sample, np.random.Generator], Scores]
    decay: float = 1.0


METRICS: dict[str, Metric] = {
    "neuron_strength": Metric(lambda model, sample, rng: neuron_strength(model)),
    "neuron_attribution": Metric(lambda model, sample, rng: neuron_attribution(model, sample.rows)),
    "gradient_x_input": Metric(lambda model, sample, rng: gradient_x_input(model, sample.rows)),
    "integrated_gradients": Metric(lambda model, sample, rng: integrated_gradients(model, sample.rows)),
    "squared_gradient": Metric(lambda model, sample, rng: squared_gradient(model, sample.rows)),
    "loss_gradient": Metric(
        lambda model, sample, rng: loss_gradient(
            model, sample.rows, sample.targets, label_smoothing=sample.label_smoothing
        ),
        decay=0.9,
    ),
    "random": Metric(lambda model, sample, rng: random_importance(sample.columns, rng)),
}
"""The metrics that are followed through a training, taken on training rows.

The decay of ``loss_gradient`` is its authors'. They take it at every step: it remembers about the last ten.
"""


HELD_OUT_METRICS: dict[str, Callable[[SparseMLP, Part, np.random.Generator], Scores]] = {
    "permutation": lambda model, part, rng: permutation_importance(model, part, rng)
}
"""The metrics that are taken once, of the network of the best epoch, on validation rows and their labels."""

CONTROLS = ("random", "permutation")
"""Metrics that never count as the ``best`` of several: a baseline, and one that has seen the labels it is judged by."""


def take_metrics(names: Iterable[str], model: SparseMLP, sample: Sample, rng: np.random.Generator) -> dict[str, Scores]:
    """Return the scores of several of :data:`METRICS` of a network on a sample, by name.

    Each is what its own ``take`` returns, bit by bit; gradients that two of them are made of are computed once.

    Args:
        names: of the metrics, in the order in which they draw.
        model: the network.
        sample: the rows.
        rng: draws.
    """
    names = tuple(names)
    both = ("neuron_attribution", "squared_gradient")
    shared: dict[str, Scores] = {}
    if set(both) <= set(names):
        shared = dict(zip(both, attribution_and_squares(model, sample.rows), strict=True))
    return {name: shared[name] if name in shared else METRICS[name].take(model, sample, rng) for name in names}
