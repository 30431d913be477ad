"""Selections of a trial: one training is scored by each, on training rows alone."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from dst import InputError, SparseFeatureSelector, TrialSpec, run_trial
from dst.data import trial_data
from dst.scoring import mean_scores, score_columns, tie_order
from dst.selection import SELECTION_RULES, Selection, metric_of, select_columns, selection_of
from tests.support.repeating_table import COPIES, SOURCES, repeating

EVERY = ("top", "greedy", "threshold:0.3", "decorrelated", "determinantal", "mrmr:0.5")


def sources_of(columns):
    """The numbers that columns are copies of."""
    return {column // COPIES for column in columns if column < SOURCES * COPIES}


@pytest.mark.parametrize("method", ["f_score", "l1_logistic", "set"])
def test_one_training_is_scored_by_every_selection(method):
    data = repeating()
    spec = TrialSpec(method, {"epochs": 5, "hidden": (16, 8)}, k=4, k_values=(2,), inner_splits=2, seed=3)
    plain, several = run_trial(data, spec), run_trial(data, dataclasses.replace(spec, selections=EVERY))
    parts = list(trial_data(data, spec.design, keep=False).parts)
    assert {metric_of(name) for name in several.importances} == set(plain.importances)
    assert len(several.importances) == len(EVERY) * len(plain.importances)
    for name, found in several.importances.items():
        metric, selection = metric_of(name), selection_of(name)
        if selection.name == "top":
            assert found.to_json() == plain.importances[name].to_json()
        scores = [ranking.scores[metric] for ranking in plain.rankings]
        accuracies = []
        for number, (train, validation) in enumerate(parts):
            columns = select_columns(
                scores[number], train, 4, selection.rule, selection.strength, rng=tie_order(spec.seed, number)
            )
            accuracies.append(score_columns(train, validation, columns).accuracy)
        assert found.val_svm_accuracy == np.mean(accuracies)
        (first, _), *_ = parts
        listed = select_columns(
            mean_scores(scores), first, 4, selection.rule, selection.strength, rng=tie_order(spec.seed)
        )
        assert found.selected == tuple(listed.tolist())


def test_a_rule_finds_all_that_decides_where_the_highest_scores_repeat_one_column():
    found = run_trial(
        repeating(), TrialSpec("f_score", k=SOURCES, selections=("top", "greedy", "threshold"))
    ).importances
    assert len(sources_of(found["f_score"].selected)) < SOURCES
    for name in ("f_score+greedy", "f_score+threshold"):
        assert len(sources_of(found[name].selected)) == SOURCES
        assert found[name].val_svm_accuracy > found["f_score"].val_svm_accuracy + 0.05


@pytest.mark.parametrize("splits", [1, 2])
def test_with_one_split_each_rule_selects_once_and_with_several_once_more(splits, monkeypatch):
    data, calls = repeating(), []
    columns = Selection.columns

    def counted(selection, *given):
        calls.append(selection.name)
        return columns(selection, *given)

    monkeypatch.setattr(Selection, "columns", counted)
    spec = TrialSpec("f_score", k=6, inner_splits=splits, seed=2, selections=EVERY)
    found = run_trial(data, spec).importances
    repeated = [rule for rule in EVERY if rule != "top"]
    assert sorted(rule for rule in calls if rule != "top") == sorted(repeated * (1 if splits == 1 else splits + 1))
    (train, _), *_ = trial_data(data, spec.design, keep=False).parts
    for name, importance in found.items():
        again = columns(selection_of(name), importance.scores, train, 6, tie_order(2))
        assert importance.ranked == tuple(again.tolist())


@pytest.mark.parametrize("rule", SELECTION_RULES)
def test_no_rule_reads_a_validation_or_a_test_row(rule):
    """Of the F score, which reads none itself; test rows are no part of what a trial is given."""
    spec = TrialSpec("f_score", k=6, inner_splits=2, selections=(rule,))
    data = trial_data(repeating(), spec.design, keep=True)
    rng = np.random.default_rng(1)
    other = dataclasses.replace(
        data,
        parts=tuple(
            (train, dataclasses.replace(part, x=rng.permuted(50 * part.x, axis=1), y=1 - part.y))
            for train, part in data.parts
        ),
    )
    (before,), (after,) = (run_trial(given, spec).importances.values() for given in (data, other))
    assert before.ranked == after.ranked
    assert before.val_svm_accuracy > after.val_svm_accuracy + 0.2


def test_a_selection_that_there_is_not_is_refused():
    for name, message in (
        ("gredy", "unknown selection rule 'gredy': did you mean 'greedy'"),
        ("greedy:much", "a selection is a rule, or a rule and its strength as in greedy:0.5, but got 'greedy:much'"),
        ("threshold:2", r"0 <= strength <= 1 of the rule 'threshold' must hold, but got strength=2"),
    ):
        with pytest.raises(InputError, match=message):
            run_trial(repeating(), TrialSpec("f_score", selections=(name,)))
        with pytest.raises(InputError, match=message):
            SparseFeatureSelector(2, method="f_score", selection=name).fit(
                *map(np.asarray, (repeating().x, repeating().y))
            )


def test_a_selector_selects_by_the_rule_and_says_what_each_column_stands_for(tmp_path):
    data = repeating()
    made = {"method": "f_score", "n_repeats": 3, "random_state": 0}
    top = SparseFeatureSelector(SOURCES, **made).fit(data.x, data.y)
    greedy = SparseFeatureSelector(SOURCES, selection="greedy", **made).fit(data.x, data.y)
    assert greedy.scores_.tolist() == top.scores_.tolist()
    chosen = greedy.order_[:SOURCES]
    assert len(sources_of(top.order_[:SOURCES])) < len(sources_of(chosen)) == SOURCES
    assert set(chosen) == set(greedy.get_support(indices=True))
    assert sorted(greedy.order_) == list(range(data.n_features))
    others = [column for column in greedy.order_ if column not in chosen]
    assert (np.diff(greedy.scores_[others]) <= 0).all()
    for column in chosen.tolist():
        stands_for = greedy.stand_ins_[column]
        assert {other for other, _ in stands_for} | {column} == {
            other for other in range(SOURCES * COPIES) if other // COPIES == column // COPIES
        }
        for other, r in stands_for:
            assert r == pytest.approx(abs(np.corrcoef(data.x[:, column], data.x[:, other])[0, 1]), abs=1e-5)
    greedy.save(tmp_path / "selector.npz")
    loaded = SparseFeatureSelector.load(tmp_path / "selector.npz")
    assert loaded.stand_ins_ == greedy.stand_ins_
    assert loaded.order_.tolist() == greedy.order_.tolist()
