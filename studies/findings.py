"""What accuracies over datasets say: mean ranks, and the paper's claims as paired differences."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.stats import wilcoxon

from studies.intervals import t_interval

_PAIR_COLUMNS = ["better", "than", "datasets", "difference", "low", "high", "wins", "losses", "p"]


def mean_ranks(accuracy: pd.DataFrame) -> pd.DataFrame:
    """Return each entry's mean rank over datasets, as the paper's appendix B ranks them.

    Entries that some of the datasets lack are left out: they would be ranked on easier or harder company.

    Args:
        accuracy: columns ``dataset``, ``method``, ``importance``, ``mean`` and ``paper_mean`` (NaN: there is none).
    """
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


def paired_differences(accuracy: pd.DataFrame) -> pd.DataFrame:
    """Put the paper's claims to the test, and every rival beside SET: one entry less another, over datasets.

    The claims: attribution is better than strength, for each kind of network; sparse networks are better than dense
    ones, and SET better than RigL, for each of both metrics.

    Args:
        accuracy: columns ``dataset``, ``method``, ``importance`` and ``mean``.

    Returns:
        A row per pair of entries that share two datasets or more: ``better`` and ``than`` (``method, importance``),
        ``datasets``, ``difference`` (mean over datasets), ``low`` and ``high`` (its 95% interval, Student's t),
        ``wins`` and ``losses`` (datasets), and ``p`` of Wilcoxon's signed-rank test, two-sided (1: nothing differs).
    """
    strength, attribution = "neuron_strength", "neuron_attribution"
    networks = ("dense", "set", "rigl")
    pairs = [((method, attribution), (method, strength)) for method in networks]
    for metric in (attribution, strength):
        pairs += [(("set", metric), (other, metric)) for other in ("dense", "rigl")]
    entries = {
        (str(rows["method"].iloc[0]), str(rows["importance"].iloc[0])): rows.set_index("dataset")["mean"]
        for _, rows in accuracy.groupby(["method", "importance"])
    }
    rivals = [entry for entry in entries if entry[0] not in networks]
    pairs += [(("set", attribution), rival) for rival in rivals]
    rows = []
    for one, other in pairs:
        if one in entries and other in entries:
            differences = (entries[one] - entries[other]).dropna().to_numpy()
            if len(differences) > 1:
                rows.append({"better": ", ".join(one), "than": ", ".join(other), **_over_datasets(differences)})
    return pd.DataFrame(
        rows, columns=["better", "than", "datasets", "difference", "low", "high", "wins", "losses", "p"]
    )


def _over_datasets(differences: npt.NDArray[np.float64]) -> dict[str, float]:
    low, high = t_interval(differences.tolist())
    return {
        "datasets": len(differences),
        "difference": float(differences.mean()),
        "low": low,
        "high": high,
        "wins": int((differences > 0).sum()),
        "losses": int((differences < 0).sum()),
        "p": float(wilcoxon(differences).pvalue) if differences.any() else 1.0,
    }
