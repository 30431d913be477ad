"""Studies beside the paper's tables: pure functions from test scores to tables.

Intervals are Student's t, 95%, over the seeds of a configuration. Seeds share their test rows, so that an interval is
about training and the draw of validation rows, not about which rows were held out.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from dst.errors import InputError
from dst.intervals import t_interval
from dst.selection import TOP, selection_of
from studies.compare.reference import SINGLE, bound, paper_accuracy, paper_coverage, paper_flops, paper_k
from studies.compare.statistics import beside_rivals, common_datasets, mean_ranks, paired_differences

_ENTRY = ["dataset", "method", "importance"]


@dataclass(frozen=True)
class PaperComparison:
    """A study, or several, beside the paper.

    Attributes:
        accuracy: a row per dataset of the paper, method and importance metric at the paper's K: ``k``, ``seeds``,
            ``mean``, ``std``, ``low`` and ``high`` (interval of the mean), ``paper_mean``, ``paper_std``,
            ``difference`` (ours less the paper's), ``within`` (the paper's mean lies in the interval), ``reached`` (our
            mean is the paper's less one of its standard deviations, or more), ``sparsity`` and ``paper_sparsity``;
            missing where the paper has none; ``seconds``, a trial's on average.
        flops: a row per dataset, method and importance metric of table 5: ``flops``, ``paper_flops``, ``ratio``.
        ranks: a row per method and importance metric: ``rank``, the mean over ``datasets`` of its rank by mean accuracy
            among all entries there (1 is best, equal ones share their mean rank), ``paper_rank`` and ``shared_rank``,
            the same among the entries that we and the paper have on those datasets.
        pairs: the paper's claims as paired differences over datasets
            (:func:`studies.compare.statistics.paired_differences`).
        pairs_few: the same at the least K that was scored, over the paper's datasets but Madelon, which has one K only;
            empty where that is the paper's K.
        rivals: SET beside each rival over datasets (:func:`studies.compare.statistics.beside_rivals`).
        over_k: a row per method, importance metric and K on the paper's datasets but Madelon that all networks have:
            ``datasets`` and the ``mean`` of their mean accuracies, of the entries that have them all too.
        coverage: a row per generated dataset, method and importance metric of figure 8: ``seeds``, ``coverage``,
            ``low``, ``high``, ``paper_coverage``, ``difference``.
        missing: the paper's datasets that no study has.
    """

    accuracy: pd.DataFrame
    flops: pd.DataFrame
    ranks: pd.DataFrame
    pairs: pd.DataFrame
    pairs_few: pd.DataFrame
    rivals: pd.DataFrame
    over_k: pd.DataFrame
    coverage: pd.DataFrame
    missing: tuple[str, ...]

    def tables(self) -> dict[str, pd.DataFrame]:
        """Return the tables by name."""
        return {
            "accuracy": self.accuracy,
            "flops": self.flops,
            "ranks": self.ranks,
            "pairs": self.pairs,
            "pairs_few": self.pairs_few,
            "rivals": self.rivals,
            "over_k": self.over_k,
            "coverage": self.coverage,
        }


def compare_with_paper(studies: Mapping[str, pd.DataFrame]) -> PaperComparison:
    """Put the test scores of some studies beside the paper's tables 4, 5 and 6, its mean ranks and its figure 8.

    Args:
        studies: tables of :func:`studies.report.test_scores.opened_scores` by name; no dataset, method and importance
            metric may be in two of them.

    Raises:
        InputError: two studies have the same entry.
    """
    scores = _joined(studies)
    published = paper_accuracy()
    at_k = scores[scores["dataset"].isin(published["dataset"]) & (scores["k"] == scores["dataset"].map(paper_k))]
    places = {name: place for place, name in enumerate(dict.fromkeys(published["dataset"]))}
    at_k = at_k.sort_values("dataset", key=lambda names: names.map(places), kind="stable")
    accuracy = _summary(at_k, "test_accuracy", ["k", "sparsity"])
    accuracy = accuracy.merge(at_k.groupby(_ENTRY, sort=False)["seconds"].mean().reset_index(), on=_ENTRY)
    names = {"mean": "paper_mean", "std": "paper_std", "sparsity": "paper_sparsity"}
    accuracy = _beside(accuracy, published.rename(columns=names))
    known = accuracy["paper_mean"].notna()
    accuracy["difference"] = accuracy["mean"] - accuracy["paper_mean"]
    within = accuracy["paper_mean"].between(accuracy["low"], accuracy["high"])
    accuracy["within"] = within.astype("boolean").where(known & accuracy["low"].notna())
    reached = accuracy["mean"] >= bound(accuracy["paper_mean"], accuracy["paper_std"])
    accuracy["reached"] = reached.astype("boolean").where(known)
    studied = set(accuracy["dataset"])
    others = scores[scores["dataset"].isin(set(published["dataset"]) - {"Madelon"})]
    few = others[(others["k"] == others["k"].min()) & (others["k"] < others["dataset"].map(paper_k).astype(float))]
    return PaperComparison(
        accuracy=accuracy,
        flops=_flops(at_k),
        ranks=mean_ranks(accuracy),
        pairs=paired_differences(accuracy),
        pairs_few=paired_differences(_summary(few, "test_accuracy")),
        rivals=beside_rivals(at_k),
        over_k=_over_k(others),
        coverage=_coverage(scores),
        missing=tuple(name for name in dict.fromkeys(published["dataset"]) if name not in studied),
    )


def _joined(studies: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    tables = [scores.assign(study=name) for name, scores in studies.items()]
    joined = pd.concat(tables, ignore_index=True)
    entries = joined[[*_ENTRY, "study"]].drop_duplicates()
    several = entries[entries.duplicated(_ENTRY, keep=False)]
    if len(several):
        first = several.iloc[0]
        entry = [str(first[name]) for name in _ENTRY]
        holders = sorted(several.loc[(several[_ENTRY] == first[_ENTRY]).all(axis=1), "study"])
        raise InputError(f"each entry once, but {', '.join(holders)} all have {', '.join(entry)}")
    return joined


def _summary(scores: pd.DataFrame, value: str, constants: Sequence[str] = ()) -> pd.DataFrame:
    """Return mean, standard deviation and interval over the seeds of each entry."""
    rows = []
    for _, seeds in scores.groupby(_ENTRY, sort=False):
        values = seeds[value].tolist()
        low, high = t_interval(values)
        rows.append(
            {
                **{name: seeds[name].iloc[0] for name in (*_ENTRY, *constants)},
                "seeds": len(values),
                "mean": round(statistics.fmean(values), 12),  # shares of few rows are often equal: rounding hides none
                "std": float(np.std(values, ddof=1)) if len(values) > 1 else math.nan,
                "low": low,
                "high": high,
            }
        )
    return pd.DataFrame(rows, columns=[*_ENTRY, *constants, "seeds", "mean", "std", "low", "high"])


def _beside(ours: pd.DataFrame, paper: pd.DataFrame) -> pd.DataFrame:
    """Join the paper's columns to our entries; a ranker with one metric joins whatever we call that.

    The paper takes the columns of highest score: what a selection rule made of them stands beside no figure of it.
    """
    single = set(paper.loc[paper["importance"] == SINGLE, "method"])
    plain = ours["importance"].map(lambda ranking: selection_of(ranking).name == TOP)
    key = ours["importance"].where(~(ours["method"].isin(single) & plain), SINGLE)
    joined = ours.assign(_key=key).merge(
        paper.rename(columns={"importance": "_key"}), how="left", on=["dataset", "method", "_key"]
    )
    return joined.drop(columns="_key")


def _flops(at_k: pd.DataFrame) -> pd.DataFrame:
    means = at_k.groupby(_ENTRY, sort=False)["flops"].mean().reset_index()
    table = _beside(means, paper_flops().rename(columns={"flops": "paper_flops"}))
    table = table[table["paper_flops"].notna() & table["flops"].notna()].reset_index(drop=True)
    return table.assign(ratio=table["flops"] / table["paper_flops"])


def _over_k(scores: pd.DataFrame) -> pd.DataFrame:
    entry = ["method", "importance", "k"]
    scores = scores[scores["dataset"].isin(common_datasets(scores))]
    means = scores.groupby(["dataset", *entry], sort=False)["test_accuracy"].mean().reset_index()
    table = means.groupby(entry)["test_accuracy"].agg(["count", "mean"]).reset_index()
    table = table.rename(columns={"count": "datasets"})
    return table[table["datasets"] == scores["dataset"].nunique()].reset_index(drop=True)


def _coverage(scores: pd.DataFrame) -> pd.DataFrame:
    paper = paper_coverage().rename(columns={"coverage": "paper_coverage"})
    # The first K at which coverage is known is the number of informative columns.
    known = scores[scores["coverage"].notna() & scores["dataset"].isin(paper["dataset"])]
    known = known[known["k"] == known.groupby("dataset")["k"].transform("min")]
    table = _beside(_summary(known, "coverage"), paper).rename(columns={"mean": "coverage"})
    return table.assign(difference=table["coverage"] - table["paper_coverage"])
