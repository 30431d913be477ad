"""What a ranking is worth: the accuracy of a classifier that sees the top K columns only."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from dst.data.dataset import Part


def rank_columns(scores: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """Return column numbers by falling score, int64 ``(n_features,)``; equal scores in column order."""
    return np.argsort(-scores, kind="stable")


def svm_accuracy(fit_on: Part, score_on: Part, columns: npt.NDArray[np.int64]) -> float:
    """Return the accuracy on ``score_on`` of scikit-learn's default ``SVC()`` fitted on ``fit_on``, on ``columns``.

    Both parts are scaled already. Source of the protocol: Atashgahi et al., ECAI 2024, section 4.
    """
    from sklearn.svm import SVC

    classifier = SVC().fit(fit_on.x[:, columns], fit_on.y)
    return float(classifier.score(score_on.x[:, columns], score_on.y))
