"""The seam of the science: what a ranker takes and returns."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from dst.data.dataset import Part
from dst.training import Curves, EpochEnd

OnEpoch = Callable[[EpochEnd], None]


@dataclass(frozen=True)
class FeatureScores:
    """One score per column and metric, and what it took to get them.

    Attributes:
        scores: metric name to float64 ``(n_features,)``, larger is better.
        engine: what computed the model: ``sparse`` or ``dense`` for networks, ``scikit-learn``, or ``none``.
        seconds: wall time by phase.
        val_loss: mean cross-entropy of the ranker's own model on the validation rows, where it has one.
        val_accuracy: accuracy of that model, where it has one.
        epochs: trained epochs, 0 for rankers without.
        best_epoch: the epoch that the scores belong to, 0 for rankers without.
        nnz: non-zero weights by layer.
        dense_size: weights of the dense model of the same shape.
        flops: theoretical training FLOPs, where there is a count.
        flops_ratio: ``flops`` over that of the dense model for the same epochs.
        curves: one value an epoch.
    """

    scores: dict[str, npt.NDArray[np.float64]]
    engine: str
    seconds: dict[str, float]
    val_loss: float | None = None
    val_accuracy: float | None = None
    epochs: int = 0
    best_epoch: int = 0
    nnz: tuple[int, ...] = ()
    dense_size: int = 0
    flops: float | None = None
    flops_ratio: float | None = None
    curves: Curves = field(default_factory=Curves)


class Ranker(Protocol):
    """Ranks the columns of a table.

    It may fit on ``train`` and use ``validation`` to decide when to stop; it never sees test rows.
    """

    def __call__(
        self, train: Part, validation: Part, config: Any, rng: np.random.Generator, on_epoch: OnEpoch
    ) -> FeatureScores:
        """Return a score for each column of ``train.x``."""
