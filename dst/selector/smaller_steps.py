"""A ranking by networks that learnt for a while, with smaller steps where they did not.

A network whose validation loss is lowest after its first epoch, or before its connections have moved twice, has
overshot: on a table of a hundred rows an epoch is four steps. Its importance is then nearly that of a network as it was
drawn, the same for every method. At a tenth of the learning rate the same network passes through more steps before its
loss rises.
"""

from __future__ import annotations

import dataclasses
import math
import warnings
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import numpy as np

from dst.data.dataset import Part
from dst.rankers.base import FeatureScores, OnEpoch
from dst.rankers.successive import rank_table


@dataclass(frozen=True)
class Trained:
    """The training behind a ranking.

    Attributes:
        lr: learning rate; None where no network was trained.
        best_epochs: the epoch of the lowest validation loss of each network, from 1.
        at_once: see :func:`best_at_once`.
        val_accuracy: mean accuracy of the networks (of numbers: R squared) on held-out rows; of several rounds that of
            the last.
    """

    lr: float | None
    best_epochs: tuple[int, ...]
    at_once: bool
    val_accuracy: float | None

    @classmethod
    def of(cls, config: Any, ranking: FeatureScores, n_rows: int) -> Trained:
        """Return what the settings and the result of a ranking on ``n_rows`` training rows say of its training."""
        if not ranking.best_epochs:
            return cls(None, (), False, None)
        at_once = best_at_once(config, ranking.best_epochs, n_rows)
        return cls(config.lr, ranking.best_epochs, at_once, ranking.val_accuracy)

    @classmethod
    def load(cls, saved: Mapping[str, Any]) -> Trained:
        """Return what ``dataclasses.asdict`` took apart."""
        return cls(**{**saved, "best_epochs": tuple(saved["best_epochs"])})


SMALLER = 0.1
"""Factor of the learning rate from one attempt to the next."""

ATTEMPTS = 3
"""How often a ranking is made at most, the first time included."""


UPDATES = 2
"""How often connections should have moved, or could have, up to the best epoch."""


def best_at_once(config: Any, best_epochs: Sequence[int], n_rows: int) -> bool:
    """Say whether a network was best after its first epoch, or before connections moved twice, with epochs to go.

    Args:
        config: the ranker's settings.
        best_epochs: the epoch of the lowest validation loss of each network, from 1.
        n_rows: training rows.
    """
    steps = -(-n_rows // config.batch_size)
    enough = max(2, math.ceil(UPDATES * config.update_interval / steps))
    return bool(min(best_epochs) < min(enough, config.epochs))


def rank_with_smaller_steps(
    method: str,
    train: Part,
    held_out: Part,
    config: Any,
    rng: np.random.Generator,
    on_epoch: OnEpoch,
    *,
    n_features: int,
    attempts: int = ATTEMPTS,
) -> tuple[FeatureScores, Trained]:
    """Return a ranking (:func:`dst.rankers.successive.rank_table`, whose arguments it takes) and its training.

    Where :func:`best_at_once` says so it is made again from the same draws at a tenth of the learning rate. If every
    attempt is best at once, the one with the lowest validation loss counts. What trains no network runs once.

    Args:
        method: a name in :data:`dst.rankers.RANKERS`.
        train: rows to fit on.
        held_out: rows that decide when to stop.
        config: the ranker's settings.
        rng: draws.
        on_epoch: called at the end of every epoch of every attempt, of which each begins at 1.
        n_features: columns of the table.
        attempts: how many there are at most, the first included.
    """
    tried: list[tuple[FeatureScores, Trained]] = []
    while True:
        ranking = rank_table(method, train, held_out, config, deepcopy(rng), on_epoch, n_features=n_features)
        tried.append((ranking, Trained.of(config, ranking, len(train.y))))
        if not tried[-1][1].at_once:
            return tried[-1]
        if len(tried) >= attempts:
            return min(tried, key=lambda attempt: float(attempt[0].val_loss or 0.0))
        config = dataclasses.replace(config, lr=SMALLER * config.lr)


def in_words(trained: Sequence[Trained]) -> str | None:
    """Return the warning that rankings by networks which did not learn call for, or None.

    Args:
        trained: the trainings of all rankings.
    """
    at_once = sum(each.at_once for each in trained)
    if not at_once:
        return None
    return (
        f"{at_once} of {len(trained)} rankings are by networks whose held-out loss is lowest after a few steps, "
        "whatever the learning rate: they hardly say more than networks that were never trained; f_score, l1_logistic "
        "or extra_trees may rank better"
    )


def warn_of_untrained(trained: Sequence[Trained]) -> None:
    """Warn, as scikit-learn's models that did not converge do, of rankings by networks that did not learn."""
    from sklearn.exceptions import ConvergenceWarning

    words = in_words(trained)
    if words is not None:
        warnings.warn(words, ConvergenceWarning, stacklevel=3)
