"""How much a trained network uses each input feature.

Both metrics are functions of a network (and some rows); :class:`ImportanceHistory` sums them over the epochs up to the
best one. One training serves all metrics.

The paper takes both at every optimizer step, on the step's own minibatch, and sums over all epochs; its code sums up to
the best epoch. Here they are taken once at the end of each epoch, attribution on the same 100 training rows each time,
which costs a small part of that.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import torch

from dst.checkpoint import State
from dst.data.dataset import Matrix
from dst.kernels.rows import padded
from dst.model import SparseMLP
from dst.training import EpochEnd

Scores = npt.NDArray[np.float64]
Rows = npt.NDArray[np.float32]

ATTRIBUTION_ROWS = 100
"""Training rows on which neuron attribution is sampled once an epoch."""


def neuron_strength(model: SparseMLP, rows: Rows) -> Scores:
    """Return the sum of absolute weights that leave each input, float64 ``(n_features,)``.

    ``s_i = sum_j |W1_ji|`` (Atashgahi et al., Machine Learning 2022, QuickSelection). ``rows`` are not used.
    """
    return model.linears[0].input_strength()


def neuron_attribution(model: SparseMLP, rows: Rows) -> Scores:
    """Return the mean absolute gradient of the logits with respect to each input, float64 ``(n_features,)``.

    ``a_i = sum_c mean_b |d z_c(x_b) / d x_i|`` (Atashgahi et al., ECAI 2024, section 3.2): for every class its logit is
    propagated back through the sparse layers for all rows at once, so time is proportional to
    ``n_classes * nnz * n_rows`` and no Jacobian is stored.

    Args:
        model: the network.
        rows: float32 ``(n_rows, n_features)``.
    """
    n_rows = len(rows)
    x = torch.zeros((rows.shape[1], padded(n_rows)), device=model.device)
    x[:, :n_rows] = torch.from_numpy(rows).T
    *hidden, last = model.linears
    active = []
    with torch.no_grad():
        for layer in hidden:
            x = torch.relu(layer(x))
            active.append(x > 0)
        total = torch.zeros(rows.shape[1], dtype=torch.float64, device=model.device)
        seed = torch.zeros((last.out_features, x.shape[1]), device=model.device)
        for output in range(last.out_features):
            seed.zero_()
            seed[output, :n_rows] = 1.0
            gradient = last.input_gradient(seed)
            for layer, mask in zip(reversed(hidden), reversed(active), strict=True):
                gradient = layer.input_gradient(gradient * mask)
            total += gradient.abs().sum(dim=1)
    return (total / n_rows).cpu().numpy()


METRICS: dict[str, Callable[[SparseMLP, Rows], Scores]] = {
    "neuron_strength": neuron_strength,
    "neuron_attribution": neuron_attribution,
}


class ImportanceHistory:
    """Sums every metric over the epochs up to the best one.

    Attribution is sampled at the end of each epoch on the same training rows, drawn once; a metric that reads the
    loss, labels or validation rows has no place here.

    Args:
        x: training rows, float32 ``(n_rows, n_features)``, dense or sparse.
        rng: draws the rows on which gradients are taken.
    """

    def __init__(self, x: Matrix, rng: np.random.Generator) -> None:
        count = min(ATTRIBUTION_ROWS, x.shape[0])
        rows = x[np.sort(rng.choice(x.shape[0], count, replace=False))]
        self._rows = rows if isinstance(rows, np.ndarray) else rows.toarray()
        self._sums = {name: np.zeros(x.shape[1]) for name in METRICS}
        self._at_best = {name: np.zeros(x.shape[1]) for name in METRICS}

    def add(self, end: EpochEnd) -> None:
        """Take the network at the end of an epoch."""
        for name, metric in METRICS.items():
            self._sums[name] += metric(end.model, self._rows)
            if end.improved:
                self._at_best[name][:] = self._sums[name]

    def running(self, metric: str) -> Scores | None:
        """Return a metric's sum over the epochs so far, float64 ``(n_features,)``, or None before the first."""
        return self._sums[metric] if self._sums[metric].any() else None

    def scores(self) -> dict[str, Scores]:
        """Return each metric's sum up to the best epoch, float64 ``(n_features,)``."""
        return {name: scores.copy() for name, scores in self._at_best.items()}

    def state_dict(self) -> State:
        """Return the sums; the rows come from the generator that the constructor was given."""
        both = (("sum", self._sums), ("best", self._at_best))
        return State({f"{kind}.{name}": one.copy() for kind, sums in both for name, one in sums.items()}, {})

    def load_state_dict(self, state: State) -> None:
        """Go on from a state.

        Raises:
            ValueError: the state is of another number of features.
        """
        for kind, sums in (("sum", self._sums), ("best", self._at_best)):
            for name, one in sums.items():
                theirs = state.arrays[f"{kind}.{name}"]
                if theirs.shape != one.shape:
                    raise ValueError(f"the state is of {theirs.size} features, but there are {one.size}")
                one[:] = theirs
