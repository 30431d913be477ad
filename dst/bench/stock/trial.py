"""A trial as one would write it without this package: the same steps, by a masked network in torch.

What makes it a fair peer: the same splits, preparation, configuration, patience, number of attribution rows and
scorer as :func:`dst.trial.run.run_trial`; fused Adam, masks that multiply in place, tensors made once a split,
gradients of the outputs alone. It keeps no copy of the best weights, no record and no curves.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from dst.bench.stock.masked_network import MaskedNetwork
from dst.bench.stock.settings import MaskedSettings, StockSettings
from dst.data import Dataset, TrialData, trial_data
from dst.data.dataset import Part
from dst.data.shadows import columns_of
from dst.scoring import rank_columns, score_columns

Scores = dict[str, npt.NDArray[np.float64]]
"""By metric, each ``(n_features,)``."""


@dataclass(frozen=True)
class StockEpoch:
    """Report at the end of an epoch, or of the trial.

    Attributes:
        epoch: of all inner splits, from 1; at the end how many there were.
        val_loss: lowest so far, mean over the inner splits begun.
        score: None; at the end the best validation accuracy of the scorer on the top K, mean over inner splits.
    """

    epoch: int
    val_loss: float
    score: float | None = None


def stock_trial(data: Dataset | TrialData, settings: StockSettings) -> Iterator[StockEpoch]:
    """Run a trial; yield at the end of each epoch, and last of all with the score.

    Args:
        data: the dataset, or what was split and prepared already.
        settings: all else.
    """
    torch.set_num_threads(1)
    if isinstance(data, Dataset):
        data = trial_data(data, settings.design, keep=False)
    lowest: list[float] = []
    accuracies: dict[str, list[float]] = {}
    epochs = 0
    for number, (train, validation) in enumerate(data.parts):
        seed = settings.seed + number
        lowest.append(math.inf)
        scores: Scores = {}
        if isinstance(settings.ranking, MaskedSettings):
            for loss, scores in _epochs(train, validation, settings.ranking, seed):  # noqa: B007 - the last ones count
                epochs += 1
                lowest[-1] = min(lowest[-1], loss)
                yield StockEpoch(epochs, float(np.mean(lowest)))
        else:
            lowest[-1], scores = _l1(train, validation, settings.ranking, seed)
        for name, values in scores.items():
            pooled = columns_of(train, data.n_features).pooled(values, "root_mean_square")
            columns = rank_columns(pooled, np.random.default_rng(seed))
            judged = score_columns(train, validation, columns[: settings.k], settings.scorer, seed=settings.seed)
            accuracies.setdefault(name, []).append(judged.accuracy)
    best = max(float(np.mean(values)) for values in accuracies.values())
    yield StockEpoch(epochs, float(np.mean(lowest)), best)


def _l1(train: Part, validation: Part, c: float, seed: int) -> tuple[float, Scores]:
    """Fit an L1 logistic regression, one class against the rest; return its validation loss and coefficients."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import log_loss
    from sklearn.multiclass import OneVsRestClassifier

    model = OneVsRestClassifier(LogisticRegression(l1_ratio=1.0, C=c, solver="liblinear", random_state=seed))
    model.fit(train.x, train.y)
    loss = log_loss(validation.y, model.predict_proba(validation.x), labels=model.classes_)
    coefficients = np.vstack([estimator.coef_ for estimator in model.estimators_])
    return float(loss), {"l1_coefficient": np.abs(coefficients).sum(axis=0).astype(np.float64)}


def _epochs(train: Part, validation: Part, config: MaskedSettings, seed: int) -> Iterator[tuple[float, Scores]]:
    """Train a masked network; yield each epoch's validation loss and the scores summed up to the best epoch."""
    to_draw = torch.Generator().manual_seed(seed)
    (x, y), (val_x, val_y) = _tensors(train), _tensors(validation)
    network = MaskedNetwork(x.shape[1], train.n_classes, config, to_draw)
    sample = x[torch.randperm(len(x), generator=to_draw)[: config.attribution_rows]]
    sums = {name: torch.zeros(x.shape[1], dtype=torch.float64) for name in ("neuron_strength", "neuron_attribution")}
    at_best = {name: total.numpy().copy() for name, total in sums.items()}
    total = config.epochs * -(-len(x) // config.batch_size)
    steps = itertools.count(1)
    lowest, since = math.inf, 0
    for _ in range(config.epochs):
        for rows in torch.split(torch.randperm(len(x), generator=to_draw), config.batch_size):
            network.step(x[rows], y[rows], next(steps), total)
        loss = network.loss(val_x, val_y)
        sums["neuron_strength"] += network.strength()
        sums["neuron_attribution"] += network.attribution(sample)
        since += 1
        if loss < lowest:
            lowest, since = loss, 0
            at_best = {name: total.numpy().copy() for name, total in sums.items()}
        yield loss, at_best
        if since >= config.patience:
            return


def _tensors(part: Part) -> tuple[torch.Tensor, torch.Tensor]:
    x = part.x if isinstance(part.x, np.ndarray) else part.x.toarray()
    return torch.tensor(x), torch.tensor(part.y)
