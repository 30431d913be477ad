from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from dst import InputError, TrialSpec, load_dataset, run_trial, score_on_test
from dst.data import Part
from dst.scoring import SCORERS, ScorerResult, capped, mean_scores, score_columns


@pytest.mark.parametrize("scorer", SCORERS)
def test_every_scorer_tells_a_column_that_matters_from_noise(scorer):
    rng = np.random.default_rng(0)
    y = np.arange(300) % 3
    x = rng.standard_normal((300, 2), dtype=np.float32)
    x[:, 0] += 5 * y
    fit, judged = Part(x[:200], y[:200], 3), Part(x[200:], y[200:], 3)
    good, bad = (score_columns(fit, judged, np.array([column]), scorer) for column in (0, 1))
    assert good.macro_auc > 0.7 > bad.macro_auc
    assert good.accuracy > 0.6 > bad.accuracy
    assert score_columns(fit, judged, np.array([0]), scorer) == good


def test_balanced_accuracy_and_auc_by_hand():
    # knn over 2 rows predicts class 0 throughout (ties go to the first class): 3 of 4 right; recalls 1 and 0.
    fit = Part(np.array([[0.0], [1.0]], np.float32), np.array([0, 1]), 2)
    judged = Part(np.array([[0.0], [0.0], [0.0], [1.0]], np.float32), np.array([0, 0, 0, 1]), 2)
    assert score_columns(fit, judged, np.array([0]), "knn") == ScorerResult(0.75, 0.5, 0.5)
    # Its margins order all rows rightly.
    assert score_columns(fit, judged, np.array([0]), "svm") == ScorerResult(1.0, 1.0, 1.0)


@pytest.mark.parametrize("scorer", SCORERS)
def test_auc_is_the_mean_of_scikit_learns_over_classes(scorer):
    """Margins and shares of votes, which are often equal; classes that no judged row or no fitted row has."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, 4, 200)
    x = rng.integers(0, 6, (200, 3)).astype(np.float32) + y[:, None]
    fit = Part(x[:120][y[:120] != 3], y[:120][y[:120] != 3], 4)
    judged = Part(x[120:][y[120:] != 1], y[120:][y[120:] != 1], 4)
    classifier = SCORERS[scorer](len(fit.y), 0).fit(fit.x, fit.y)
    of = "decision_function" if hasattr(classifier, "decision_function") else "predict_proba"
    rows = getattr(classifier, of)(judged.x)
    areas = [roc_auc_score(judged.y == label, rows[:, column]) for column, label in enumerate((0, 1, 2)) if label != 1]
    assert score_columns(fit, judged, np.arange(3), scorer).macro_auc == pytest.approx(np.mean(areas), abs=1e-12)


def test_auc_of_one_class_is_none():
    fit = Part(np.array([[0.0], [1.0]], np.float32), np.array([0, 1]), 2)
    judged = Part(np.zeros((2, 1), np.float32), np.array([0, 0]), 2)
    assert score_columns(fit, judged, np.array([0])).macro_auc is None


@given(st.lists(st.integers(1, 60), min_size=2, max_size=6), st.integers(1, 200))
def test_a_cap_keeps_every_class_and_its_share(sizes, max_rows):
    y = np.repeat(np.arange(len(sizes)), sizes)
    part = Part(np.arange(len(y), dtype=np.float32)[:, None], y, len(sizes))
    few = capped(part, max_rows, np.random.default_rng(0))
    assert len(few.y) == min(len(y), max(max_rows, len(sizes)))
    counts = np.bincount(few.y, minlength=len(sizes))
    assert (counts >= 1).all()
    assert (counts <= sizes).all()
    if max_rows >= len(y):
        assert few is part
    assert (y[few.x[:, 0].astype(int)] == few.y).all()
    assert (np.diff(few.x[:, 0]) > 0).all()


def test_mean_scores_weigh_trainings_alike():
    assert mean_scores([np.array([1.0, 3.0]), np.array([30.0, 10.0])]).tolist() == [0.5, 0.5]
    assert mean_scores([np.zeros(2), np.array([0.0, 4.0])]).tolist() == [0.0, 0.5]


def test_one_training_is_scored_at_several_k():
    data = load_dataset("wine")
    spec = TrialSpec("set", {"epochs": 3, "hidden": (16, 8)}, k=4, inner_splits=2)
    more = dataclasses.replace(spec, k_values=(2, 9), scorer="linear_svm", max_rows=60)
    result = run_trial(data, more)
    for name, one in result.importances.items():
        assert list(one.by_k) == [2, 4, 9]
        assert len(one.ranked) == 9
        assert one.selected == one.ranked[:4] == run_trial(data, spec).importances[name].selected
        document = one.to_json()
        assert document["val_balanced_accuracy"] == document["by_k"]["4"]["balanced_accuracy"]
        assert document["val_svm_accuracy"] == document["by_k"]["4"]["accuracy"]
    assert 0 < score_on_test(data, more, {"x": (0, 6)})["x"] <= 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"k_values": (14,)}, "k=14, 13 columns"),
        ({"scorer": "svn"}, "did you mean 'svm'"),
        ({"max_rows": 0}, "max_rows"),
    ],
)
def test_wrong_scoring_is_refused_before_training(change, message):
    with pytest.raises(InputError, match=message):
        run_trial(load_dataset("wine"), TrialSpec("random", **change))
