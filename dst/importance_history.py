"""The importance of inputs followed through a training.

The paper takes both its metrics at every optimizer step, on the step's own minibatch before the step, and sums over all
epochs; its code sums up to the best epoch. Here, unless told otherwise, they are taken at the end of each epoch, on
:data:`SAMPLED_ROWS` training rows drawn anew each time, and summed up to the best one: over tens of epochs as many
different rows are seen, at a small part of the cost. ``sampling: per_step`` is the paper's way.
"""

from __future__ import annotations

import numpy as np

from dst.checkpoint import State
from dst.data.dataset import Matrix
from dst.importance import METRICS, Rows, Scores
from dst.model import SparseMLP
from dst.training import EpochEnd
from dst.training_config import TrainingConfig

SAMPLED_ROWS = 16
"""Training rows on which gradients are taken once an epoch."""


class ImportanceHistory:
    """Sums metrics over the epochs (or steps) that count.

    Args:
        x: training rows, float32 ``(n_rows, n_features)``, dense or sparse.
        rng: draws the rows on which gradients are taken.
        config: names the metrics (``importances``), how often they are taken (``sampling``) and what counts
            (``history``).
    """

    def __init__(self, x: Matrix, rng: np.random.Generator, config: TrainingConfig) -> None:
        self._x, self._rng, self._config = x, rng, config
        self._sums = {name: np.zeros(x.shape[1]) for name in config.importances}
        self._last = {name: np.zeros(x.shape[1]) for name in config.importances}
        self._counted = {name: np.zeros(x.shape[1]) for name in config.importances}

    def add_step(self, model: SparseMLP, rows: Rows) -> None:
        """Take the network before a step on a minibatch ``(n, n_features)``, where every step is sampled."""
        self._take(model, rows)

    def add(self, end: EpochEnd) -> None:
        """Take the network at the end of an epoch, and note whether what was summed so far counts."""
        if self._config.sampling == "per_epoch":
            self._take(end.model, self._draw())
        for name in self._sums:
            match self._config.history:
                case "best" if end.improved:
                    self._counted[name][:] = self._sums[name]
                case "best_epoch" if end.improved:
                    self._counted[name][:] = self._last[name]
                case "all":
                    self._counted[name][:] = self._sums[name]
                case "last":
                    self._counted[name][:] = self._last[name]

    def running(self, metric: str) -> Scores | None:
        """Return a metric's sum so far, float64 ``(n_features,)``, or None before the first."""
        return self._sums[metric] if self._sums[metric].any() else None

    def scores(self) -> dict[str, Scores]:
        """Return what counts of each metric, float64 ``(n_features,)``."""
        return {name: scores.copy() for name, scores in self._counted.items()}

    def state_dict(self) -> State:
        """Return the sums, and where the generator of rows is."""
        kinds = self._kinds().items()
        arrays = {f"{kind}.{name}": one.copy() for kind, sums in kinds for name, one in sums.items()}
        return State(arrays, {"rng": self._rng.bit_generator.state})

    def load_state_dict(self, state: State) -> None:
        """Go on from a state.

        Raises:
            ValueError: the state is of another number of features.
        """
        for kind, sums in self._kinds().items():
            for name, one in sums.items():
                theirs = state.arrays[f"{kind}.{name}"]
                if theirs.shape != one.shape:
                    raise ValueError(f"the state is of {theirs.size} features, but there are {one.size}")
                one[:] = theirs
        self._rng.bit_generator.state = state.progress["rng"]

    def _take(self, model: SparseMLP, rows: Rows) -> None:
        for name in self._sums:
            self._last[name] = METRICS[name](model, rows, self._rng)
            self._sums[name] += self._last[name]

    def _draw(self) -> Rows:
        n_rows = self._x.shape[0]
        rows = self._x[np.sort(self._rng.choice(n_rows, min(SAMPLED_ROWS, n_rows), replace=False))]
        return rows if isinstance(rows, np.ndarray) else rows.toarray()

    def _kinds(self) -> dict[str, dict[str, Scores]]:
        return {"sum": self._sums, "last": self._last, "counted": self._counted}
