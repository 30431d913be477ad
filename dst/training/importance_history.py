"""The importance of inputs followed through a training.

The paper takes both its metrics at every optimizer step, on the step's own minibatch before the step, and sums over all
epochs; its code sums up to the best epoch. ``sampling: per_step`` does so. The default takes them once an epoch, before
its middle step, on a few training rows drawn anew each time: the midpoint rule for the same sum, at a small part of the
cost. :mod:`studies.analyses.importance_sampling` measures how well the two agree; taken at the ends of epochs instead,
they agree less where the best epoch comes early. A history that keeps one epoch takes its end: that network is the
best one.

The sum of a metric with a decay (:class:`dst.importance.metrics.Metric`) is multiplied with it before each sample is
added. ``loss_gradient`` has the decay of GradEnFS (Liu et al., AISTATS 2024), ``I = 0.9 I + g``, which remembers about
ten samples. Taken per step these are the last ten steps, as theirs, before the end of the best epoch or (their choice,
``all``) of the training. Taken per epoch they are the last ten epochs. Where one epoch counts, there is ``g`` alone.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from dst.data.dataset import Part, as_array
from dst.data.preparation import column_numbers
from dst.files.checkpoint import State
from dst.importance.metrics import METRICS, Rows, Sample, Scores, Targets, take_metrics
from dst.network.model import SparseMLP
from dst.training.batches import targets_of
from dst.training.config import TrainingConfig
from dst.training.result import EpochEnd, FitResult, StepStart
from dst.training.trainer import Trainer


class ImportanceHistory:
    """Sums metrics over the epochs (or steps) that count.

    Args:
        train: training rows.
        rng: draws the rows on which gradients are taken, and what metrics draw.
        config: names the metrics (``importances``), when they are taken (``sampling``), on how many rows
            (``importance_rows``) and what counts (``history``).
    """

    def __init__(self, train: Part, rng: np.random.Generator, config: TrainingConfig) -> None:
        self._x, self._targets, self._config = train.x, targets_of(train, config.loss), config
        self._columns = column_numbers(train)
        self._sums_up = config.history in ("best", "all")
        self._to_rows, self._to_metrics = rng.spawn(2)
        names = [name for name in config.importances if name in METRICS]
        self._sums = {name: np.zeros(train.x.shape[1]) for name in names}
        self._last = {name: np.zeros(train.x.shape[1]) for name in names}
        self._counted = {name: np.zeros(train.x.shape[1]) for name in names}

    def add_step(self, start: StepStart) -> None:
        """Take the network before a step, where this step is sampled."""
        if self._config.sampling == "per_step":
            self._take(start.model, self._sample(start.rows(), start.targets))
        elif self._sums_up and start.index == start.count // 2:
            self._take(start.model, self._draw())

    def add(self, end: EpochEnd) -> None:
        """Take the network at the end of an epoch, where this counts, and note whether what was taken so far counts."""
        if self._config.sampling == "per_epoch" and not self._sums_up:
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
        arrays = {f"{kind}.{name}": total.copy() for kind, sums in kinds for name, total in sums.items()}
        return State(
            arrays, {"to_rows": self._to_rows.bit_generator.state, "to_metrics": self._to_metrics.bit_generator.state}
        )

    def load_state_dict(self, state: State) -> None:
        """Go on from a state.

        Raises:
            ValueError: the state is of other metrics or another number of features.
        """
        names = {f"{kind}.{name}" for kind, sums in self._kinds().items() for name in sums}
        if state.arrays.keys() != names:
            rule = f"the state must hold {', '.join(sorted(names))}"
            raise ValueError(f"{rule}, it holds {', '.join(sorted(state.arrays))}")
        for kind, sums in self._kinds().items():
            for name, total in sums.items():
                saved = state.arrays[f"{kind}.{name}"]
                if saved.shape != total.shape:
                    raise ValueError(f"the state is of {saved.size} features, but there are {total.size}")
                total[:] = saved
        self._to_rows.bit_generator.state = state.progress["to_rows"]
        self._to_metrics.bit_generator.state = state.progress["to_metrics"]

    def _take(self, model: SparseMLP, sample: Sample) -> None:
        self._last |= take_metrics(self._sums, model, sample, self._to_metrics)
        for name, total in self._sums.items():
            total *= METRICS[name].decay
            total += self._last[name]

    def _draw(self) -> Sample:
        n_rows = self._x.shape[0]
        count = min(self._config.importance_rows, n_rows)
        chosen = np.sort(self._to_rows.choice(n_rows, count, replace=False))
        rows = as_array(self._x[chosen])
        return self._sample(rows, rows if self._targets is None else self._targets[..., chosen].T)

    def _sample(self, rows: Rows, targets: Targets) -> Sample:
        return Sample(rows, targets, self._columns, self._config.label_smoothing)

    def _kinds(self) -> dict[str, dict[str, Scores]]:
        return {"sum": self._sums, "last": self._last, "counted": self._counted}


def train_and_follow(
    train: Part,
    validation: Part,
    config: TrainingConfig,
    rng: np.random.Generator,
    histories: Iterable[ImportanceHistory],
) -> FitResult:
    """Train a network once and have several histories follow it, to compare what they make of the same training.

    Args:
        train: training rows.
        validation: decides when training stops.
        config: of the training; the histories have their own ``history``, ``sampling`` and ``importance_rows``.
        rng: of the training.
        histories: each is added to.

    Raises:
        DivergedError: a loss or a weight is not finite.
    """
    histories = tuple(histories)

    def before_step(start: StepStart) -> None:
        for history in histories:
            history.add_step(start)

    trainer = Trainer(train, validation, config, rng, before_step=before_step)
    while not trainer.done:
        end = trainer.run_epoch()
        for history in histories:
            history.add(end)
    return trainer.result()
