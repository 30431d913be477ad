from __future__ import annotations

import pytest

from studies.choice.best import best_row
from studies.choice.selection import confirmed, to_confirm, to_open
from studies.spec.objective import ObjectiveSpec

ACCURACY = ObjectiveSpec()
LOSS = ObjectiveSpec(metric="val_loss")


def search(number, score, method="set", state="finished", loss=1.0, flops=1.0, **params):
    return {
        "number": number,
        "state": state,
        "method": method,
        "val_score": score,
        "val_loss": loss,
        "flops": flops,
        "params": {"method": method, "l2": number, **params},
    }


def confirm(source, seed_index, method="set", state="finished", loss=1.0, flops=1.0, **accuracies):
    return {
        "dataset": "d",
        "number": 100 + 10 * source + seed_index,
        "source": source,
        "seed_index": seed_index,
        "state": state,
        "method": method,
        "params": {"method": method},
        "val_score": max(accuracies.values(), default=None),
        "val_loss": loss,
        "flops": flops,
        "flops_ratio": 0.1,
        "sparsity": 0.9,
        "k": 2,
        "importances": {name: {"val_svm_accuracy": value} for name, value in accuracies.items()},
    }


@pytest.mark.parametrize(
    ("records", "top", "objective", "expected"),
    [
        ([search(0, 0.5), search(1, 0.9), search(2, 0.7)], 2, ACCURACY, [1, 2]),
        ([search(0, 0.5), search(1, 0.9), search(2, 0.7)], 2, LOSS, [0, 2]),
        # Ties: lower loss, then fewer FLOPs, then the earlier trial.
        (
            [search(0, 0.9, loss=2), search(1, 0.9, flops=2), search(2, 0.9), search(3, 0.9)],
            4,
            ACCURACY,
            [2, 3, 1, 0],
        ),
        # Neither stopped nor failed trials, whatever value they carry.
        ([search(0, 0.99, state="stopped"), search(1, None, state="failed"), search(2, 0.1)], 5, ACCURACY, [2]),
        # The best of each method is confirmed too.
        ([search(0, 0.9), search(1, 0.8), search(2, 0.3, "rigl"), search(3, 0.2, "rigl")], 1, ACCURACY, [0, 2]),
        # Equal configurations count once.
        ([search(0, 0.9, l2=7), search(1, 0.9, l2=7), search(2, 0.1)], 2, ACCURACY, [0, 2]),
        ([], 3, ACCURACY, []),
        # A ranker without loss and FLOPs comes after one with, at the same score.
        ([search(0, 0.9, "random", loss=None, flops=None), search(1, 0.9)], 1, ACCURACY, [1, 0]),
    ],
)
def test_who_is_confirmed(records, top, objective, expected):
    assert to_confirm(records, top=top, objective=objective) == expected


def ranked(records, seeds=2, **objective):
    found = confirmed(records, seeds=seeds, objective=ObjectiveSpec(**objective))
    return [(one.number, one.importance, pytest.approx(one.score)) for one in found]


def test_the_best_mean_over_seeds_wins_with_one_metric_for_all_seeds():
    records = [
        confirm(1, 0, neuron_strength=1.0, neuron_attribution=0.6),
        confirm(1, 1, neuron_strength=0.2, neuron_attribution=0.7),  # strength 0.6, attribution 0.65
        confirm(2, 0, neuron_strength=0.7, neuron_attribution=0.1),
        confirm(2, 1, neuron_strength=0.6, neuron_attribution=0.1),  # strength 0.65: a tie, decided by number
    ]
    assert ranked(records) == [(1, "neuron_attribution", 0.65), (2, "neuron_strength", 0.65)]
    assert ranked(records, importance="neuron_strength") == [(2, "neuron_strength", 0.65), (1, "neuron_strength", 0.6)]


def test_a_ranker_without_the_named_metric_is_judged_on_its_own():
    assert ranked([confirm(1, 0, coefficient=0.4)], seeds=1, importance="neuron_strength") == [(1, "coefficient", 0.4)]


def test_incomplete_configurations_come_last():
    records = [confirm(1, 0, a=0.9), confirm(1, 1, state="failed"), confirm(2, 0, a=0.5), confirm(2, 1, a=0.5)]
    assert [number for number, *_ in ranked(records)] == [2, 1]


def test_ties_go_to_lower_loss_then_fewer_flops():
    records = [confirm(1, 0, loss=2, a=0.5), confirm(2, 0, flops=3, a=0.5), confirm(3, 0, flops=2, a=0.5)]
    assert [number for number, *_ in ranked(records, seeds=1)] == [3, 2, 1]


def test_a_loss_objective_is_minimised_over_seeds():
    records = [confirm(1, 0, loss=0.4, a=0.9), confirm(2, 0, loss=0.3, a=0.1)]
    assert ranked(records, seeds=1, metric="val_loss") == [(2, "a", 0.3), (1, "a", 0.4)]


def test_test_rows_are_opened_for_the_winner_and_the_best_of_each_method():
    records = [confirm(1, 0, a=0.9), confirm(2, 0, a=0.8), confirm(3, 0, "rigl", a=0.1), confirm(4, 0, "rigl", a=0.2)]
    found = confirmed(records, seeds=1, objective=ACCURACY)
    assert [one.number for one in to_open(found)] == [1, 4]


def test_a_row_reports_mean_and_sample_deviation_of_opened_tests():
    (one,) = confirmed(
        [confirm(1, 0, a=0.9), confirm(1, 1, a=0.7)],
        seeds=2,
        objective=ACCURACY,
    )
    tests = [{"importances": {"a": {"test_svm_accuracy": value}}} for value in (0.5, 0.7)]
    row = best_row(one, [4, 2], "abcde", tests)
    assert row["val_score"] == pytest.approx(0.8)
    assert row["test_mean"] == pytest.approx(0.6)
    assert row["test_std"] == pytest.approx(0.02**0.5)
    assert (row["seeds"], row["features"], row["flops_ratio"]) == (2, [4, 2], pytest.approx(0.1))
    for incomplete in ([tests[0], None], [tests[0], {"importances": {}, "error": "boom"}]):
        assert best_row(one, [4, 2], "abcde", incomplete)["test_mean"] is None


@pytest.mark.parametrize(
    ("accuracies", "best"),
    [
        ({"neuron_strength": 0.6, "neuron_attribution": 0.7}, "neuron_attribution"),
        ({"neuron_strength": 0.6, "random": 0.9, "permutation": 0.8}, "neuron_strength"),
        ({"random": 0.5}, "random"),
        ({"random": 0.5, "permutation": 0.8}, "permutation"),
    ],
)
def test_controls_are_never_the_best_of_several(accuracies, best):
    assert ACCURACY.best_ranking(accuracies) == best
    assert ObjectiveSpec(importance="l1_coefficient").best_ranking(accuracies) == best, "a ranker that lacks it"


def test_a_shrinking_objective_chooses_what_is_good_everywhere_and_reports_plain_means():
    """Greedy is ahead in two configurations; that top is ahead by less in the third is within its seeds' luck."""
    steady, lucky = ((0.5, 0.5), (0.7, 0.7)), ((0.82, 0.62), (0.62, 0.78))
    records = [
        confirm(source, seed, **{"neuron_strength": top[seed], "neuron_strength+greedy": greedy[seed]})
        for source, (top, greedy) in enumerate([steady, steady, lucky])
        for seed in range(2)
    ]
    assert ranked(records)[0] == (2, "neuron_strength", 0.72)
    assert [name for _, name, _ in ranked(records, shrink=True)] == ["neuron_strength+greedy"] * 3
    assert ranked(records, shrink=True)[0] == (2, "neuron_strength+greedy", 0.70)
