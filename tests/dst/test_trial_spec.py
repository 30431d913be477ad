"""What a trial is: one design, given whole, in words, or both."""

from __future__ import annotations

import dataclasses

import pytest

from dst import TrialSpec
from dst.data import Design

DESIGN = Design("paper", seed=3, test_seed=2, count=4, policy="mean", indicators=True)
TRIAL = TrialSpec("set", {"sparsity": 0.5}, seed=7, k=2, k_values=(1, 3), max_rows=50, design=DESIGN)


def test_the_design_of_a_trial_is_given_whole_in_words_or_both() -> None:
    words = {"split": "paper", "split_seed": 3, "test_seed": 2, "inner_splits": 4, "impute": "mean", "indicators": True}
    assert TrialSpec("set", **words).design == DESIGN == TrialSpec("set", design=DESIGN).design
    assert TrialSpec("set", design=DESIGN, split_seed=8).design == dataclasses.replace(DESIGN, seed=8)
    assert TrialSpec("set", seed=5).design == Design(seed=5)
    assert TrialSpec("set", seed=5, split_seed=None).design == Design(seed=5)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"impute": None}, {"policy": None}),
        ({"indicators": False}, {"indicators": False}),
        ({"inner_splits": None}, {"count": None}),
        ({"split_seed": None}, {"seed": 7}),
        ({"seed": 9, "split_seed": None}, {"seed": 9}),
        ({"seed": 9}, {}),
        ({"method": "rigl"}, {}),
    ],
    ids=str,
)
def test_a_replaced_word_changes_that_field_of_the_design(change, expected) -> None:
    changed = dataclasses.replace(TRIAL, **change)
    assert changed.design == dataclasses.replace(DESIGN, **expected)
    assert TrialSpec(**changed.to_json()) == changed
