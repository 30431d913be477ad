"""Scoring of a ranking: the accuracy of a classifier that sees the top K columns only."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from dst.data.dataset import Part, as_array
from dst.data.preparation import encoded_columns
from dst.errors import InputError, unknown_name
from dst.rankers.scores import mean_scores as mean_scores
from dst.selection.order import rank_columns as rank_columns


@dataclass(frozen=True)
class ScorerResult:
    """Results of a classifier on judged rows.

    Attributes:
        accuracy: share of rows whose class is predicted.
        balanced_accuracy: mean over classes of the share of their rows whose class is predicted.
        macro_auc: mean over classes of the area under the ROC curve of the class against the others; classes that the
            fitted or the judged rows lack are left out, None where none is left.
    """

    accuracy: float
    balanced_accuracy: float
    macro_auc: float | None


def mean_result(results: Sequence[ScorerResult]) -> ScorerResult:
    """Return the mean of several results; of ``macro_auc`` where all have one, else None."""
    areas = [result.macro_auc for result in results if result.macro_auc is not None]
    return ScorerResult(
        accuracy=float(np.mean([result.accuracy for result in results])),
        balanced_accuracy=float(np.mean([result.balanced_accuracy for result in results])),
        macro_auc=float(np.mean(areas)) if len(areas) == len(results) else None,
    )


_TIES = 1  # the stream of a seed that orders equal scores


def tie_order(seed: int, inner_split: int = 0) -> np.random.Generator:
    """Return what draws the order of equal scores (:func:`rank_columns`) in a trial, or in a mean of several.

    Args:
        seed: of the trial; of a mean, that of its first.
        inner_split: whose ranking it is.
    """
    return np.random.default_rng([seed, inner_split, _TIES])


def svm_accuracy(fit_on: Part, score_on: Part, columns: npt.NDArray[np.int64]) -> float:
    """Return the accuracy on ``score_on`` of scikit-learn's default ``SVC()`` fitted on ``fit_on``, on ``columns``.

    Both parts are scaled already. Source of the protocol: Atashgahi et al., ECAI 2024, section 4.

    Args:
        fit_on: rows to fit on.
        score_on: rows to score on.
        columns: of the table, int64; the classifier sees all encodings of each. Of a sparse table only these are made
            dense.
    """
    return score_columns(fit_on, score_on, columns).accuracy


def score_columns(
    fit_on: Part, score_on: Part, columns: npt.NDArray[np.int64], scorer: str = "svm", *, seed: int = 0
) -> ScorerResult:
    """Fit a classifier on some columns of ``fit_on`` and say how well it does on ``score_on``.

    Args:
        fit_on: rows to fit on, scaled.
        score_on: rows to score on, scaled likewise.
        columns: of the table, int64; the classifier sees all encodings of each. Of a sparse table only these are made
            dense.
        scorer: a name in :data:`SCORERS`.
        seed: of a classifier that draws.

    Raises:
        InputError: no such scorer.
    """
    check_scorer(scorer)
    encoded = encoded_columns(columns, fit_on.origin)
    classifier = SCORERS[scorer](len(fit_on.y), seed).fit(as_array(fit_on.x[:, encoded]), fit_on.y)
    x = as_array(score_on.x[:, encoded])
    hits = classifier.predict(x) == score_on.y
    by_class = [hits[score_on.y == label].mean() for label in np.unique(score_on.y)]
    return ScorerResult(float(hits.mean()), float(np.mean(by_class)), _macro_auc(classifier, x, score_on.y))


@dataclass(frozen=True)
class NumbersResult:
    """Results of a regression on judged rows, means over outputs.

    Attributes:
        r2: share of the variance of the judged rows that is explained; below 0 where their mean is nearer.
        mae: mean absolute error, in the units of ``y``.
    """

    r2: float
    mae: float


def score_numbers(fit_on: Part, score_on: Part, columns: npt.NDArray[np.int64]) -> NumbersResult:
    """Fit scikit-learn's ``SVR()``, the counterpart of the scorer ``svm``, on some columns, and judge it on other rows.

    As the networks, and unlike ridge regression, it sees what is not linear.

    Args:
        fit_on: rows to fit on; ``y`` float32 ``(n_rows,)`` or ``(n_rows, n_outputs)``, each output scaled.
        score_on: rows to judge, two or more.
        columns: columns of the table.
    """
    from sklearn.svm import SVR

    encoded = encoded_columns(columns, fit_on.origin)
    x, judged = as_array(fit_on.x[:, encoded]), as_array(score_on.x[:, encoded])
    outputs = fit_on.y.reshape(len(fit_on.y), -1).T
    return judge_numbers(np.stack([SVR().fit(x, output).predict(judged) for output in outputs], axis=1), score_on.y)


def judge_numbers(predicted: npt.NDArray[Any], y: npt.NDArray[Any]) -> NumbersResult:
    """Return how near predictions are, ``(n_rows,)`` or ``(n_rows, n_outputs)`` each."""
    from sklearn.metrics import mean_absolute_error, r2_score

    predicted, y = (values.reshape(len(values), -1) for values in (predicted, y))
    return NumbersResult(float(r2_score(y, predicted)), float(mean_absolute_error(y, predicted)))


def check_scorer(scorer: str) -> None:
    """Refuse a name that is not in :data:`SCORERS`.

    Raises:
        InputError: no such scorer.
    """
    if scorer not in SCORERS:
        raise InputError(unknown_name("scorer", scorer, SCORERS))


def capped(part: Part, max_rows: int | None, rng: np.random.Generator) -> Part:
    """Return at most ``max_rows`` rows of a part, each class with its share (largest remainder), and one at least.

    Args:
        part: rows.
        max_rows: how many; None: all. More classes than this: a row of each.
        rng: draws which.
    """
    if max_rows is None or len(part.y) <= max_rows:
        return part
    labels, sizes = np.unique(part.y, return_counts=True)
    wanted = np.maximum(sizes * max_rows / len(part.y), 1.0)
    counts = np.floor(wanted).astype(np.int64)
    left = max(0, max_rows - int(counts.sum()))
    counts[np.argsort(-(wanted - counts), kind="stable")[:left]] += 1
    while counts.sum() > max(max_rows, len(labels)):
        counts[np.argmax(counts)] -= 1
    drawn = [
        rng.choice(np.flatnonzero(part.y == label), count, replace=False)
        for label, count in zip(labels, counts, strict=True)
    ]
    rows = np.sort(np.concatenate(drawn))
    return replace(part, x=part.x[rows], y=part.y[rows])


def _svm(n_rows: int, seed: int) -> Any:
    from sklearn.svm import SVC

    return SVC()


def _linear_svm(n_rows: int, seed: int) -> Any:
    from sklearn.svm import LinearSVC

    return LinearSVC(random_state=seed)


def _knn(n_rows: int, seed: int) -> Any:
    from sklearn.neighbors import KNeighborsClassifier

    return KNeighborsClassifier(n_neighbors=min(5, n_rows))


def _extra_trees(n_rows: int, seed: int) -> Any:
    from sklearn.ensemble import ExtraTreesClassifier

    return ExtraTreesClassifier(random_state=seed, n_jobs=1)


SCORERS: dict[str, Callable[[int, int], Any]] = {
    "svm": _svm,
    "linear_svm": _linear_svm,
    "knn": _knn,
    "extra_trees": _extra_trees,
}
"""Name -> from the number of fitted rows and a seed to a classifier with scikit-learn's defaults."""


def _macro_auc(classifier: Any, x: npt.NDArray[np.float32], y: npt.NDArray[np.int64]) -> float | None:
    """Return the mean over classes of the area under the ROC curve of the class against the others.

    The area is the Mann-Whitney statistic over the number of pairs: ranks of all classes at once take a twentieth of
    the time of as many curves, which took more than fitting the classifier.
    """
    from scipy.stats import rankdata

    rows = classifier.decision_function(x) if hasattr(classifier, "decision_function") else classifier.predict_proba(x)
    if rows.ndim == 1:  # two classes: the margin towards the second
        rows = np.stack([-rows, rows], axis=1)
    is_class = y[:, None] == classifier.classes_
    inside = is_class.sum(axis=0)
    pairs = inside * (len(y) - inside)
    statistic = np.where(is_class, rankdata(rows, axis=0), 0.0).sum(axis=0) - inside * (inside + 1) / 2
    known = pairs > 0
    return float(np.mean(statistic[known] / pairs[known])) if known.any() else None
