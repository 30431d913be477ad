"""Statistics of accuracies over datasets: mean ranks, and the paper's claims as paired differences."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.stats import permutation_test, rankdata, wilcoxon

from dst.intervals import t_interval

_PAIR_COLUMNS = ["better", "than", "datasets", "difference", "low", "high", "wins", "losses", "p", "p_holm"]
_RIVAL_COLUMNS = ["dataset", "importance", "rival", "seeds", "set_mean", "rival_mean", "difference", "low", "high"]
_RIVAL_COLUMNS += ["seconds", "rival_seconds"]
_REFERENCE_COLUMNS = ["entry", "reference_mean", "mean", "datasets", "difference", "low", "high", "wins", "losses", "p"]

NETWORKS = ("dense", "set", "rigl")
"""The paper's networks; everything else is a rival."""


def mean_ranks(accuracy: pd.DataFrame) -> pd.DataFrame:
    """Return each entry's mean rank over the datasets of all networks, as the paper's appendix B ranks them.

    Entries that some of these datasets lack are left out: they would be ranked on easier or harder company.

    Args:
        accuracy: columns ``dataset``, ``method``, ``importance``, ``mean`` and ``paper_mean`` (NaN: there is none).
    """
    accuracy = accuracy[accuracy["dataset"].isin(common_datasets(accuracy))]
    datasets = accuracy["dataset"].nunique()
    rows = accuracy[accuracy.groupby(["method", "importance"])["dataset"].transform("nunique") == datasets]
    shared = rows.groupby(["method", "importance"])["paper_mean"].transform(lambda means: means.notna().all())
    both = rows[shared.astype(bool)]
    ranks = {
        "rank": rows.groupby("dataset")["mean"].rank(ascending=False),
        "shared_rank": both.groupby("dataset")["mean"].rank(ascending=False),
        "paper_rank": both.groupby("dataset")["paper_mean"].rank(ascending=False),
    }
    table = rows[["method", "importance"]].assign(**ranks)
    means = table.groupby(["method", "importance"], as_index=False).mean()
    return means.assign(datasets=datasets).sort_values("rank", kind="stable", ignore_index=True)


def common_datasets(table: pd.DataFrame) -> set[str]:
    """Return the datasets that all networks of a table have; all of them where there is no network.

    Args:
        table: columns ``dataset``, ``method`` and ``importance``.
    """
    networks = table[table["method"].isin(NETWORKS)]
    entries = [set(rows) for _, rows in networks.groupby(["method", "importance"])["dataset"]]
    return set.intersection(*entries) if entries else set(table["dataset"])


def paired_differences(accuracy: pd.DataFrame) -> pd.DataFrame:
    """Put the paper's claims to the test, and every rival beside SET: one entry less another, over datasets.

    The claims: attribution is better than strength, for each kind of network; sparse networks are better than dense
    ones, and SET better than RigL, for each of both metrics.

    Args:
        accuracy: columns ``dataset``, ``method``, ``importance`` and ``mean``.

    Returns:
        A row per pair of entries that share two datasets or more: ``better`` and ``than`` (``method, importance``),
        ``datasets``, ``difference`` (mean over datasets), ``low`` and ``high`` (its 95% interval, Student's t),
        ``wins`` and ``losses`` (datasets), ``p`` of Wilcoxon's signed-rank test, two-sided (1: nothing differs), and
        ``p_holm``, adjusted by Holm for all claims, or for all rivals, together.
    """
    strength, attribution = "neuron_strength", "neuron_attribution"
    pairs = [((method, attribution), (method, strength)) for method in NETWORKS]
    for metric in (attribution, strength):
        pairs += [(("set", metric), (other, metric)) for other in ("dense", "rigl")]
    entries = {
        (str(rows["method"].iloc[0]), str(rows["importance"].iloc[0])): rows.set_index("dataset")["mean"]
        for _, rows in accuracy.groupby(["method", "importance"])
    }
    claims = len(pairs)
    rivals = [entry for entry in entries if entry[0] not in NETWORKS]
    pairs += [(("set", attribution), rival) for rival in rivals]
    rows: list[dict[str, Any]] = []
    for family in (pairs[:claims], pairs[claims:]):
        tested: list[dict[str, Any]] = []
        for better, than in family:
            if better in entries and than in entries:
                differences = (entries[better] - entries[than]).dropna().round(12).to_numpy()
                if len(differences) > 1:
                    tested.append({"better": ", ".join(better), "than": ", ".join(than), **over_datasets(differences)})
        for row, adjusted in zip(tested, holm([row["p"] for row in tested]), strict=True):
            rows.append({**row, "p_holm": adjusted})
    return pd.DataFrame(rows, columns=_PAIR_COLUMNS)


def signed_rank_p(differences: npt.NDArray[np.float64]) -> float:
    """Return the two-sided p of Wilcoxon's signed-rank test, 1 where nothing differs.

    It is :func:`scipy.stats.wilcoxon`'s. Where that goes through all signs, at most 13 differences of which some are
    equal or zero, it does so one by one; here it is one call, some thirty times as fast.

    Args:
        differences: ``(n,)``.
    """
    zeros = int((differences == 0).sum())
    if zeros == len(differences):
        return 1.0
    if len(differences) > 13 or (not zeros and len(np.unique(np.abs(differences))) == len(differences)):
        return float(wilcoxon(differences).pvalue)

    def ranks_above_zero(signed: npt.NDArray[np.float64], axis: int) -> npt.NDArray[np.float64]:
        ranks = rankdata(np.abs(signed), axis=axis) - zeros  # zeros come first, and have no sign
        above: npt.NDArray[np.float64] = (ranks * (signed > 0)).sum(axis=axis)
        return above

    found = permutation_test((differences,), ranks_above_zero, permutation_type="samples", vectorized=True)
    return float(found.pvalue)


def holm(p: Sequence[float]) -> list[float]:
    """Adjust p-values for being many.

    Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal of Statistics, 1979.

    Args:
        p: of the tests of one family.

    Returns:
        In the same order, each at least as large as before and at most 1.
    """
    adjusted = [0.0] * len(p)
    largest = 0.0
    for rank, place in enumerate(sorted(range(len(p)), key=p.__getitem__)):
        largest = max(largest, min(1.0, (len(p) - rank) * p[place]))
        adjusted[place] = largest
    return adjusted


def beside_rivals(scores: pd.DataFrame) -> pd.DataFrame:
    """Put SET beside every entry that is no network, dataset by dataset: are the minutes of training worth it?

    Seeds share their test rows, and both sides of a seed their validation rows, so that seeds are paired. The interval
    is about seeds alone: one test row of lymphoma is five percentage points.

    Args:
        scores: opened test scores at one K a dataset.

    Returns:
        A row per dataset, importance metric of SET and rival: ``rival`` (``method, importance``), ``seeds`` that both
        have, ``set_mean``, ``rival_mean``, ``difference`` (SET less the rival), ``low`` and ``high`` (95%, Student's
        t), and ``seconds`` and ``rival_seconds``, the mean time of a training.
    """
    rows = []
    for dataset, here in scores.groupby("dataset", sort=False):
        entries = {
            (str(method), str(importance)): rows_of.drop_duplicates("seed_index").set_index("seed_index")
            for (method, importance), rows_of in here.groupby(["method", "importance"], sort=False)
        }
        ours = [entry for entry in entries if entry[0] == "set"]
        rivals = [entry for entry in entries if entry[0] not in NETWORKS]
        for network, rival in itertools.product(ours, rivals):
            both = pd.concat({"set": entries[network], "rival": entries[rival]}, axis="columns", join="inner")
            accuracy = both.xs("test_accuracy", axis="columns", level=1)
            differences = (accuracy["set"] - accuracy["rival"]).round(12)
            low, high = t_interval(differences.tolist())
            rows.append(
                {
                    "dataset": dataset,
                    "importance": network[1],
                    "rival": ", ".join(rival),
                    "seeds": len(both),
                    "set_mean": accuracy["set"].mean(),
                    "rival_mean": accuracy["rival"].mean(),
                    "difference": round(float(differences.mean()), 12),
                    "low": low,
                    "high": high,
                    "seconds": both["set", "seconds"].mean(),
                    "rival_seconds": both["rival", "seconds"].mean(),
                }
            )
    return pd.DataFrame(rows, columns=_RIVAL_COLUMNS)


def beside_reference(accuracy: pd.DataFrame, reference: pd.DataFrame) -> pd.DataFrame:
    """Put each entry beside the same one of other studies, over the datasets that both have.

    Args:
        accuracy: columns ``dataset``, ``method``, ``importance`` and ``mean``.
        reference: the same, of the other studies.

    Returns:
        A row per entry that both have on two datasets or more: ``entry`` (``method, importance``), ``reference_mean``
        and ``mean`` over ``datasets``, and ``difference`` (less the reference) to ``p`` as in
        :func:`paired_differences`.
    """
    key = ["dataset", "method", "importance"]
    both = accuracy[[*key, "mean"]].merge(reference[[*key, "mean"]], on=key, suffixes=("", "_reference"))
    rows = []
    for (method, importance), here in both.groupby(["method", "importance"], sort=False):
        if len(here) > 1:
            differences = (here["mean"] - here["mean_reference"]).round(12).to_numpy()
            means = {"reference_mean": here["mean_reference"].mean(), "mean": here["mean"].mean()}
            rows.append({"entry": f"{method}, {importance}", **means, **over_datasets(differences)})
    return pd.DataFrame(rows, columns=_REFERENCE_COLUMNS)


def over_datasets(differences: npt.NDArray[np.float64]) -> dict[str, float]:
    """Return what differences between two entries come to.

    Args:
        differences: one a dataset, ``(n,)``.

    Returns:
        ``datasets``, ``difference`` to ``losses`` and ``p`` as in :func:`paired_differences`.
    """
    low, high = t_interval(differences.tolist())
    return {
        "datasets": len(differences),
        "difference": float(differences.mean()),
        "low": low,
        "high": high,
        "wins": int((differences > 0).sum()),
        "losses": int((differences < 0).sum()),
        "p": signed_rank_p(differences),
    }
