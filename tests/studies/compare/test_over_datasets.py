"""Ranks over datasets, beside the worked example of Demsar (JMLR 2006): table 6 and section 3.2.3."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from scipy.stats import friedmanchisquare

from studies.compare.over_datasets import mean_ranks_of
from studies.report.friedman import critical_difference, friedman

# C4.5, C4.5 with m, with cf, with both: areas under ROC curves on fourteen datasets
DEMSAR = pd.DataFrame(
    [
        (0.763, 0.768, 0.771, 0.798),
        (0.599, 0.591, 0.590, 0.569),
        (0.954, 0.971, 0.968, 0.967),
        (0.628, 0.661, 0.654, 0.657),
        (0.882, 0.888, 0.886, 0.898),
        (0.936, 0.931, 0.916, 0.931),
        (0.661, 0.668, 0.609, 0.685),
        (0.583, 0.583, 0.563, 0.625),
        (0.775, 0.838, 0.866, 0.875),
        (1.000, 1.000, 1.000, 1.000),
        (0.940, 0.962, 0.965, 0.962),
        (0.619, 0.666, 0.614, 0.669),
        (0.972, 0.981, 0.97501, 0.975),  # printed alike, but its ranks are 2 and 3
        (0.957, 0.978, 0.946, 0.970),
    ],
    columns=["C4.5", "C4.5+m", "C4.5+cf", "C4.5+m+cf"],
)


def test_the_published_example_to_its_printed_digits() -> None:
    found = friedman(DEMSAR)
    assert [round(rank, 3) for rank in found.mean_ranks] == [3.143, 2.0, 2.893, 1.964]
    assert round(found.chi_square, 2) == 9.28
    assert round(found.f, 2) == 3.69
    assert found.datasets == 14
    assert found.p < 0.05  # the critical value of F(3, 39) is 2.85
    assert round(critical_difference(4, 14), 2) == 1.25
    assert round(critical_difference(4, 14, 0.1), 2) == 1.12


@pytest.mark.parametrize(("entries", "q"), [(2, 1.960), (3, 2.343), (4, 2.569), (6, 2.850), (10, 3.164)])
def test_the_published_critical_values(entries: int, q: float) -> None:
    unit = math.sqrt(entries * (entries + 1) / 6)
    assert critical_difference(entries, 1) / unit == pytest.approx(q, abs=1e-3)


def test_without_ties_it_is_scipys() -> None:
    scores = pd.DataFrame(np.random.default_rng(0).permuted(np.tile(np.arange(5.0), (8, 1)), axis=1))
    expected = friedmanchisquare(*scores.to_numpy().T)
    found = friedman(scores)
    assert found.chi_square == pytest.approx(expected.statistic)
    assert found.chi_square_p == pytest.approx(expected.pvalue)


def test_entries_that_never_or_always_differ() -> None:
    same = friedman(pd.DataFrame([[0.5, 0.1 + 0.2, 0.3], [0.5, 0.3, 0.1 + 0.2]]).iloc[:, 1:])
    assert (same.chi_square, same.p) == (0.0, 1.0)
    always = friedman(pd.DataFrame([[0.1, 0.2, 0.3]] * 4))
    assert (always.f, always.p) == (math.inf, 0.0)


@pytest.mark.parametrize("scores", [[[0.1, 0.2]], [[0.1], [0.2]], [[0.1, math.nan], [0.2, 0.3]]])
def test_too_few_are_refused(scores: list[list[float]]) -> None:
    with pytest.raises(ValueError, match="two datasets and two entries with all scores are needed"):
        friedman(pd.DataFrame(scores))


def test_ranks_are_over_the_datasets_that_all_entries_have() -> None:
    means = [
        ("A", "one", "set", 0.9),
        ("A", "one", "lasso", 0.8),
        ("A", "two", "set", 0.7),
        ("B", "one", "set", 0.5),
        ("B", "one", "lasso", 0.6),
        ("B", "two", "set", 0.4),
        ("C", "one", "set", 0.1),
    ]
    table = pd.DataFrame(means, columns=["dataset", "study", "method", "mean"])
    found = mean_ranks_of(table)
    ranks = list(zip(found["study"], found["method"], found["mean_rank"], strict=True))
    assert ranks == [("one", "set", 1.5), ("one", "lasso", 1.5), ("two", "set", 3.0)]
    assert set(found["datasets"]) == {2}
    assert found["critical_difference"].iloc[0] == pytest.approx(critical_difference(3, 2))
    assert mean_ranks_of(table[table["dataset"] == "A"]).empty
    assert mean_ranks_of(table[table["method"] == "lasso"]).empty
