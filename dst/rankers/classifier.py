"""Loss and accuracy, on the validation rows, of a scikit-learn model that a ranker fitted."""

from __future__ import annotations

from typing import Any

import numpy as np

from dst.data.dataset import Part

_LEAST = 1e-15
"""Probabilities below this count as this, so that one row that is surely wrong does not make the loss infinite."""


def judge(model: Any, validation: Part) -> tuple[float, float]:
    """Return a fitted classifier's mean cross-entropy and its accuracy on the validation rows.

    A class that the fitted rows lack has probability 0.

    Args:
        model: has ``classes_`` and ``predict_proba``.
        validation: rows.
    """
    predicted = np.zeros((len(validation.y), validation.n_classes))
    predicted[:, model.classes_] = model.predict_proba(validation.x)
    at_label = predicted[np.arange(len(validation.y)), validation.y]
    loss = float(-np.log(np.clip(at_label, _LEAST, None)).mean())
    return loss, float((predicted.argmax(axis=1) == validation.y).mean())


def judge_regression(model: Any, validation: Part) -> tuple[float, float]:
    """Return a fitted regression's mean squared error and its R squared on the validation rows, means over outputs.

    Args:
        model: has ``predict``.
        validation: rows whose ``y`` holds numbers.
    """
    from sklearn.metrics import mean_squared_error, r2_score

    predicted = model.predict(validation.x).reshape(validation.y.shape)
    return float(mean_squared_error(validation.y, predicted)), float(r2_score(validation.y, predicted))
