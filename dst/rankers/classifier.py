"""Loss and accuracy, on the validation rows, of a scikit-learn classifier that a ranker fitted."""

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
