"""Every entry of studies beside every other one, over the datasets that all of them have.

Wilcoxon's signed-rank test with Holm's adjustment asks whether two differ at all (Demsar, JMLR 7, 2006, section 3.1.3);
the Bayesian signed-rank test asks how likely it is that one is better by more than what matters (Benavoli, Corani,
Demsar and Zaffalon, "Time for a Change", JMLR 18, 2017, section 4.2).
"""

from __future__ import annotations

import itertools

import pandas as pd
from baycomp import SignedRankTest

from studies.compare.over_datasets import common_scores, mean_ranks_of
from studies.compare.statistics import holm, over_datasets

ROPE = 0.01
"""Region of practical equivalence: mean accuracies that differ by no more, a point, are alike (as in the source)."""

SAMPLES = 5000
"""Draws of the posterior: a probability of one half then has a standard error of 0.007."""

_ENTRIES = ("study", "method", "than_study", "than_method")
_FOUND = ("datasets", "difference", "low", "high", "wins", "ties", "losses", "p", "p_holm")
_PROBABLE = ("better", "alike", "worse")


def pairwise(table: pd.DataFrame) -> pd.DataFrame:
    """Compare the entries of studies two by two.

    Args:
        table: of :func:`studies.compare.studies.compare_studies`.

    Returns:
        A row per pair of entries, the one of the lower mean rank first: ``difference`` of accuracies, its mean over
        ``datasets``, with ``low`` and ``high`` (95%, Student's t), ``wins``, ``ties`` and ``losses`` (datasets), ``p``
        of Wilcoxon's signed-rank test, two-sided, and ``p_holm``, adjusted for all pairs; and how likely it is that the
        first is ``better`` by more than :data:`ROPE`, ``alike``, or ``worse``. Nothing where mean ranks are none
        (:func:`studies.compare.over_datasets.mean_ranks_of`).
    """
    ranked, scores = mean_ranks_of(table), common_scores(table)
    rows = []
    for first, than in itertools.combinations(zip(ranked["study"], ranked["method"], strict=True), 2):
        pair = scores[first].to_numpy(), scores[than].to_numpy()
        found = over_datasets((pair[0] - pair[1]).round(12))
        probable = SignedRankTest.probs(*pair, ROPE, nsamples=SAMPLES, random_state=0)
        rows.append(
            {
                **dict(zip(_ENTRIES, (*first, *than), strict=True)),
                **found,
                "ties": found["datasets"] - found["wins"] - found["losses"],
                **dict(zip(_PROBABLE, map(float, probable), strict=True)),
            }
        )
    for row, adjusted in zip(rows, holm([row["p"] for row in rows]), strict=True):
        row["p_holm"] = adjusted
    return pd.DataFrame(rows, columns=[*_ENTRIES, *_FOUND, *_PROBABLE])
