"""Entries two by two, beside SciPy's test, hand-counted wins and what the Bayesian test must say of clear cases."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from scipy.stats import beta, wilcoxon

from studies.compare.pairwise import ROPE, pairwise, signed_rank_posterior

DATASETS = [f"D{number}" for number in range(10)]


def table(**means: list[float]) -> pd.DataFrame:
    rows = [
        (dataset, "study", method, mean)
        for method, by_dataset in means.items()
        for dataset, mean in zip(DATASETS, by_dataset, strict=False)
    ]
    return pd.DataFrame(rows, columns=["dataset", "study", "method", "mean"])


def test_pairs_are_counted_tested_and_adjusted_for_all() -> None:
    steps = [0.001 * number for number in range(1, 11)]
    clear, middle, close = (
        [0.9 + step for step in steps],
        [0.7 - step for step in steps],
        [0.7 - step for step in steps],
    )
    close[0] += 0.003
    middle[1] += 0.004
    found = pairwise(table(middle=middle, clear=clear, close=close)).set_index(["method", "than_method"])
    assert list(found.index) == [("clear", "middle"), ("clear", "close"), ("middle", "close")]
    first = found.loc[("clear", "middle")]
    assert (first["wins"], first["ties"], first["losses"], first["datasets"]) == (10, 0, 0, 10)
    assert first["p"] == pytest.approx(wilcoxon([c - m for c, m in zip(clear, middle, strict=True)]).pvalue)
    assert first["p_holm"] == pytest.approx(3 * first["p"])
    assert (first["better"], first["alike"], first["worse"]) == (1.0, 0.0, 0.0)
    last = found.loc[("middle", "close")]
    assert (last["wins"], last["ties"], last["losses"]) == (1, 8, 1)
    assert last["difference"] == pytest.approx((0.004 - 0.003) / 10)
    assert (last["better"], last["alike"], last["worse"]) == (0.0, 1.0, 0.0), f"none differs by {ROPE}"


def test_two_entries_turned_round_are_as_likely_worse_as_better() -> None:
    up, down = [0.50, 0.62, 0.70, 0.81], [0.53, 0.60, 0.71, 0.80]
    ahead = pairwise(table(a=[score + 0.02 for score in up], b=down)).iloc[0]
    behind = pairwise(
        table(a=[score - 0.02 for score in up], b=[2 * u - d for u, d in zip(up, down, strict=True)])
    ).iloc[0]
    assert (ahead["method"], behind["method"]) == ("a", "b")
    assert ahead["better"] == pytest.approx(behind["better"], abs=0.03)  # two samples of the same posterior


@pytest.mark.parametrize(("size", "edge"), [(3, 1 / math.sqrt(2)), (1.5, 1 - 1 / math.sqrt(2))])
def test_equal_differences_are_as_likely_better_as_by_hand(size: float, edge: float) -> None:
    """With w the weight of the added 0: of large ones all pairs but two 0s count, 1 - w^2; of small ones (1 - w)^2."""
    better, alike, worse = signed_rank_posterior(np.full(4, size * ROPE))
    assert better == pytest.approx(beta.cdf(edge, 0.5, 4), abs=0.02)
    assert (better + alike, worse) == (pytest.approx(1), 0.0)
    assert signed_rank_posterior(np.full(4, -size * ROPE)) == (0.0, alike, better)


def test_without_two_common_datasets_there_is_nothing_to_compare() -> None:
    assert pairwise(table(a=[0.5], b=[0.6])).empty
    assert pairwise(table(a=[0.5, 0.6])).empty
