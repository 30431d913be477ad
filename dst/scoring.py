"""What a ranking is worth: the accuracy of a classifier that sees the top K columns only."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from dst.data.dataset import Part


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


def svm_accuracy(fit_on: Part, score_on: Part, columns: npt.NDArray[np.int64]) -> float:
    """Return the accuracy on ``score_on`` of scikit-learn's default ``SVC()`` fitted on ``fit_on``, on ``columns``.

    Both parts are scaled already. Source of the protocol: Atashgahi et al., ECAI 2024, section 4.
    """
    from sklearn.svm import SVC

    classifier = SVC().fit(fit_on.x[:, columns], fit_on.y)
    return float(classifier.score(score_on.x[:, columns], score_on.y))
