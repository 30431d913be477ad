"""The result of a trial: by ranking, and over all inner splits."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from dst.rankers import FeatureScores
from dst.scoring import ScorerResult


@dataclass(frozen=True)
class Importance:
    """The result of a trial by one ranking: an importance metric, and what a selection makes of its scores.

    Attributes:
        scores: float64 ``(n_features,)``, the metric's: the mean over inner splits of scores normalised to sum 1.
        ranked: the selected columns, best first, as many as the largest K; where a selection looks at rows, these are
            the training rows of the first inner split.
        by_k: mean over inner splits of how well the scorer, fitted on the training rows, does on validation rows, on
            the K columns that the split itself selects; by K.
        k: the K that counts.
    """

    scores: npt.NDArray[np.float64]
    ranked: tuple[int, ...]
    by_k: dict[int, ScorerResult]
    k: int

    @property
    def selected(self) -> tuple[int, ...]:
        """The K columns, best first."""
        return self.ranked[: self.k]

    @property
    def val_svm_accuracy(self) -> float:
        """The scorer's accuracy on the K columns; its name is that of the default scorer."""
        return self.by_k[self.k].accuracy

    def to_json(self) -> dict[str, Any]:
        """Return plain data; ``by_k`` and ``ranked`` where there is more than one K."""
        counts = self.by_k[self.k]
        document: dict[str, Any] = {
            "val_svm_accuracy": counts.accuracy,
            "val_balanced_accuracy": counts.balanced_accuracy,
            "val_macro_auc": counts.macro_auc,
            "selected": list(self.selected),
        }
        if len(self.by_k) > 1:
            document["by_k"] = {str(k): dataclasses.asdict(result) for k, result in self.by_k.items()}
            document["ranked"] = list(self.ranked)
        return document


@dataclass(frozen=True)
class TrialResult:
    """The result of a trial; lists run over inner splits.

    Attributes:
        importances: the result by each ranking, whose name is the metric's, or ``METRIC+SELECTION``
            (:mod:`dst.selection.named`).
        rankings: what the ranker returned for each inner split, with one score for each of the table's columns.
        k: how many columns were scored.
        data_sha256: of all that was read (:class:`dst.data.TrialData`).
        split_sha256: of the rows of all parts.
        absent_classes: the classes that the training rows of at least one inner split lack.
        seconds: wall time by phase and in ``total``, which does not count ``warm_up``: loading or compiling kernels
            before the first training, once in a process.
        peak_rss_bytes: peak resident memory of the process while the trial ran.
    """

    importances: dict[str, Importance]
    rankings: tuple[FeatureScores, ...]
    k: int
    data_sha256: str
    split_sha256: str
    absent_classes: tuple[str, ...]
    seconds: dict[str, float]
    peak_rss_bytes: int

    @property
    def epochs(self) -> int:
        """The number of epochs trained, summed over inner splits."""
        return sum(ranking.epochs for ranking in self.rankings)

    def to_json(self) -> dict[str, Any]:
        """Return plain data: what a trial determines of a record and of ``dst trial --json``.

        ``epochs``, ``flops`` and ``seconds`` are totals over inner splits, losses, accuracies and ``best_epoch`` means;
        ``nnz`` is the same in each, and ``bytes`` (what training holds, by kind) is the first's.
        """
        first = self.rankings[0]
        return {
            "k": self.k,
            "data_sha256": self.data_sha256,
            "split_sha256": self.split_sha256,
            "absent_classes": list(self.absent_classes),
            "epochs": self.epochs,
            "best_epoch": _mean([ranking.best_epoch for ranking in self.rankings]) if self.epochs else None,
            "val_loss": _mean([ranking.val_loss for ranking in self.rankings]),
            "val_accuracy": _mean([ranking.val_accuracy for ranking in self.rankings]),
            "nnz": list(first.nnz),
            "sparsity_actual": 1 - sum(first.nnz) / first.dense_size if first.dense_size else None,
            "flops": _total([ranking.flops for ranking in self.rankings]),
            "flops_ratio_to_dense": _mean([ranking.flops_ratio for ranking in self.rankings]),
            "engine": first.engine,
            "device": first.device,
            "bytes": dict(first.memory),
            "seconds": self.seconds,
            "peak_rss_bytes": self.peak_rss_bytes,
            "importances": {name: importance.to_json() for name, importance in self.importances.items()},
        }


def _mean(values: list[float] | list[int] | list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if len(known) == len(values) else None


def _total(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.sum(known)) if len(known) == len(values) else None
