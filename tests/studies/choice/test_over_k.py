"""A configuration's validation score over K, from its confirming seeds."""

from __future__ import annotations

import pytest
from scipy import stats

from studies.choice.best import best_row
from studies.choice.over_k import OverK, over_k
from studies.choice.selection import Confirmed
from studies.spec.objective import ObjectiveSpec

ACCURACY = ObjectiveSpec()


def record(k, counts, **by_k):
    """A confirming seed: its score at the K that counts, and at others."""
    found = {"val_svm_accuracy": counts, "val_balanced_accuracy": None if counts is None else counts / 2}
    others = {
        name.removeprefix("k"): {"accuracy": value, "balanced_accuracy": value / 2} for name, value in by_k.items()
    }
    if others:
        found["by_k"] = {str(k): {"accuracy": counts, "balanced_accuracy": counts / 2}, **others}
    return {
        "dataset": "d",
        "method": "set",
        "params": {},
        "k": k,
        "sparsity": 0.9,
        "importances": {"a": {"selected": [0], **found}},
    }


def configuration(*records):
    return Confirmed(1, records, "a", (0.0,), complete=True)


def test_the_curve_and_the_smallest_k_by_hand():
    seeds = [record(40, 1.0, k10=0.75, k20=0.89), record(40, 0.875, k10=0.8125, k20=0.87)]
    found = over_k(configuration(*seeds), ACCURACY)
    # The best mean, 0.9375 at 40, has a standard error of 0.0625: 0.88 is within it, 0.78 is not.
    assert found.smallest == 20
    assert [point.k for point in found.curve] == [10, 20, 40]
    assert [point.mean for point in found.curve] == pytest.approx([0.78125, 0.88, 0.9375])
    low, high = stats.t.interval(0.95, 1, loc=0.88, scale=0.01)
    assert (found.curve[1].low, found.curve[1].high) == pytest.approx((low, min(high, 1)))


def test_the_result_is_the_one_by_which_the_study_compares():
    seeds = [record(40, 0.9, k10=0.8), record(40, 0.8, k10=0.7)]
    found = over_k(configuration(*seeds), ObjectiveSpec(metric="val_balanced_accuracy"))
    assert [point.mean for point in found.curve] == pytest.approx([0.375, 0.425])
    by_loss = over_k(configuration(*seeds), ObjectiveSpec(metric="val_loss"))
    assert [point.mean for point in by_loss.curve] == pytest.approx([0.75, 0.85])


def test_one_k_is_no_choice_and_one_seed_has_no_interval():
    alone = over_k(configuration(record(40, 0.9), record(40, 0.8)), ACCURACY)
    assert ([point.k for point in alone.curve], alone.smallest) == ([40], None)
    one_seed = over_k(configuration(record(40, 0.9, k10=0.8)), ACCURACY)
    assert [(point.low, point.high) for point in one_seed.curve] == [(None, None)] * 2
    assert one_seed.smallest is None


def test_only_a_k_that_all_seeds_have_counts():
    seeds = [record(40, 0.9, k10=0.8), record(40, 0.8, k20=0.7)]
    assert [point.k for point in over_k(configuration(*seeds), ACCURACY).curve] == [40]
    assert over_k(configuration(record(40, None), record(40, 0.8)), ACCURACY) == OverK()


def test_a_row_has_both():
    seeds = configuration(record(40, 0.9, k10=0.9), record(40, 0.8, k10=0.8))
    row = best_row(seeds, [0], ["a"], [None, None], over_k=over_k(seeds, ACCURACY))
    assert row["smallest_k"] == 10
    assert [set(point) for point in row["k_curve"]] == [{"k", "mean", "low", "high"}] * 2
    bare = best_row(seeds, [0], ["a"], [None, None])
    assert (bare["smallest_k"], bare["k_curve"]) == (None, [])
