"""What a ranking is worth: the accuracy of a classifier that sees the top K columns only."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from dst.data.dataset import Matrix, Part
from dst.data.preparation import encoded_columns


def rank_columns(scores: npt.NDArray[np.float64], rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """Return column numbers by falling score, int64 ``(n_features,)``.

    Equal scores come in random order: a ranker that says nothing about many columns (an L1 model without coefficients,
    inputs without connections) must not gain from where a table's author put the informative ones.

    Args:
        scores: float64 ``(n_features,)``.
        rng: draws the order of equal scores.
    """
    shuffled = rng.permutation(len(scores))
    return shuffled[np.argsort(-scores[shuffled], kind="stable")]


def mean_scores(scores: Sequence[npt.NDArray[np.float64]]) -> npt.NDArray[np.float64]:
    """Return the mean of several trainings' scores, float64 ``(n_features,)``.

    Scores of different trainings live on different scales, so each is divided by the sum of its magnitudes first; most
    metrics are never negative, so that they sum to 1 then.

    Args:
        scores: each float64 ``(n_features,)``.
    """
    totals = [float(np.abs(one).sum()) for one in scores]
    shares = [one / total if total > 0 else one for one, total in zip(scores, totals, strict=True)]
    return np.asarray(np.mean(shares, axis=0), dtype=np.float64)


def svm_accuracy(fit_on: Part, score_on: Part, columns: npt.NDArray[np.int64]) -> float:
    """Return the accuracy on ``score_on`` of scikit-learn's default ``SVC()`` fitted on ``fit_on``, on ``columns``.

    Both parts are scaled already. Source of the protocol: Atashgahi et al., ECAI 2024, section 4.

    Args:
        fit_on: rows to fit on.
        score_on: rows to score on.
        columns: of the table, int64; the classifier sees all encodings of each. Of a sparse table only these are made
            dense.
    """
    from sklearn.svm import SVC

    encoded = encoded_columns(columns, fit_on.origin)
    classifier = SVC().fit(_dense_columns(fit_on.x, encoded), fit_on.y)
    return float(classifier.score(_dense_columns(score_on.x, encoded), score_on.y))


def _dense_columns(x: Matrix, columns: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
    chosen = x[:, columns]
    return chosen if isinstance(chosen, np.ndarray) else chosen.toarray()
