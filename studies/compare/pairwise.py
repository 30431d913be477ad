"""Every entry of studies beside every other one, over the datasets that all of them have.

Wilcoxon's signed-rank test with Holm's adjustment asks whether two differ at all (Demsar, JMLR 7, 2006, section 3.1.3);
the Bayesian signed-rank test asks how likely it is that one is better by more than what matters (Benavoli, Corani,
Demsar and Zaffalon, "Time for a Change", JMLR 18, 2017, section 4.2).
"""

from __future__ import annotations

import itertools

import numpy as np
import numpy.typing as npt
import pandas as pd

from studies.compare.over_datasets import common_scores, mean_ranks_of
from studies.compare.statistics import holm, over_datasets

ROPE = 0.01
"""Region of practical equivalence: mean accuracies that differ by no more, a point, are alike (as in the source)."""

SAMPLES = 5000
"""Draws of the posterior: a probability of one half then has a standard error of 0.007."""

_ENTRIES = ("study", "method", "than_study", "than_method")
_FOUND = ("datasets", "difference", "low", "high", "wins", "ties", "losses", "p", "p_holm")
_PROBABLE = ("better", "alike", "worse")


def signed_rank_posterior(differences: npt.NDArray[np.float64], rope: float = ROPE) -> tuple[float, float, float]:
    """Return how likely it is that one entry is better than another by more than a rope, alike, or worse.

    With weights w of the differences d, drawn from a Dirichlet distribution that gives 1 to each dataset and 1/2 to a
    difference of 0 that is added, ``sum w_i w_j`` over the pairs with ``(d_i + d_j) / 2`` above the rope, within it and
    below it are the three shares of a draw (pairs on its edge count for half); each is as likely as it is the largest.
    Source: Benavoli et al., "A Bayesian Wilcoxon signed-rank test based on the Dirichlet process", ICML 2014.

    Args:
        differences: one less the other, a number a dataset, ``(n,)``.
        rope: of mean differences, as large on either side.
    """
    d = np.concatenate([[0.0], differences])
    means = (d[:, None] + d) / 2
    weights = np.random.default_rng(0).dirichlet([0.5, *np.ones(len(differences))], SAMPLES)
    above, below = (
        np.einsum("si,ij,sj->s", weights, np.heaviside(sign * means - rope, 0.5), weights, optimize=True)
        for sign in (1, -1)
    )
    largest = np.argmax([above, 1 - above - below, below], axis=0)
    better, alike, worse = (np.bincount(largest, minlength=3) / SAMPLES).tolist()
    return better, alike, worse


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
        probable = signed_rank_posterior(pair[0] - pair[1])
        rows.append(
            {
                **dict(zip(_ENTRIES, (*first, *than), strict=True)),
                **found,
                "ties": found["datasets"] - found["wins"] - found["losses"],
                **dict(zip(_PROBABLE, probable, strict=True)),
            }
        )
    for row, adjusted in zip(rows, holm([row["p"] for row in rows]), strict=True):
        row["p_holm"] = adjusted
    return pd.DataFrame(rows, columns=[*_ENTRIES, *_FOUND, *_PROBABLE])
