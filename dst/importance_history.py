"""The importance of inputs followed through a training.

The paper takes both its metrics at every optimizer step, on the step's own minibatch before the step, and sums over all
epochs; its code sums up to the best epoch. Here, unless told otherwise, they are taken at the end of each epoch, on
some training rows drawn anew each time, and summed up to the best one: over tens of epochs as many
different rows are seen, at a small part of the cost. ``sampling: per_step`` is the paper's way.
"""

from __future__ import annotations

import numpy as np

from dst.checkpoint import State
from dst.data.dataset import Matrix, as_array
from dst.importance import METRICS, Rows, Scores
from dst.model import SparseMLP
from dst.training import EpochEnd
from dst.training_config import TrainingConfig


class ImportanceHistory:
    """Sums metrics over the epochs (or steps) that count.

    Args:
        x: training rows, float32 ``(n_rows, n_features)``, dense or sparse.
        rng: draws the rows on which gradients are taken, and what metrics draw.
        config: names the metrics (``importances``), when they are taken (``sampling``), on how many rows
            (``importance_rows``) and what counts (``history``).
    """

    def __init__(self, x: Matrix, rng: np.random.Generator, config: TrainingConfig) -> None:
        self._x, self._config = x, config
        self._to_rows, self._to_metrics = rng.spawn(2)
        names = [name for name in config.importances if name in METRICS]
        self._sums = {name: np.zeros(x.shape[1]) for name in names}
        self._last = {name: np.zeros(x.shape[1]) for name in names}
        self._counted = {name: np.zeros(x.shape[1]) for name in names}

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
        """Return a metric's sum so far, float64 ``(n_features,)``, or None before the first or if it is not taken."""
        sums = self._sums.get(metric)
        return sums if sums is not None and sums.any() else None

    def scores(self) -> dict[str, Scores]:
        """Return what counts of each metric, float64 ``(n_features,)``."""
        return {name: scores.copy() for name, scores in self._counted.items()}

    def state_dict(self) -> State:
        """Return the sums, and where the generator of rows is."""
        kinds = self._kinds().items()
        arrays = {f"{kind}.{name}": one.copy() for kind, sums in kinds for name, one in sums.items()}
        return State(
            arrays, {"to_rows": self._to_rows.bit_generator.state, "to_metrics": self._to_metrics.bit_generator.state}
        )

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
        self._to_rows.bit_generator.state = state.progress["to_rows"]
        self._to_metrics.bit_generator.state = state.progress["to_metrics"]

    def _take(self, model: SparseMLP, rows: Rows) -> None:
        for name in self._sums:
            self._last[name] = METRICS[name](model, rows, self._to_metrics)
            self._sums[name] += self._last[name]

    def _draw(self) -> Rows:
        n_rows = self._x.shape[0]
        count = min(self._config.importance_rows, n_rows)
        return as_array(self._x[np.sort(self._to_rows.choice(n_rows, count, replace=False))])

    def _kinds(self) -> dict[str, dict[str, Scores]]:
        return {"sum": self._sums, "last": self._last, "counted": self._counted}
