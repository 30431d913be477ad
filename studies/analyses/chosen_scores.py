"""Test scores of what studies chose for each K, put beside one another: networks, rivals, the paper, parts of a choice.

Scores are rows of :mod:`studies.analyses.other_splits`, as shares.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from dst.rankers import method_groups
from dst.selection import metric_of, selection_of
from studies.choice.for_k import ANY
from studies.compare.reference import bound, paper_accuracy, paper_k
from studies.compare.statistics import over_datasets
from studies.store.archive import StudyArchive
from studies.store.record_schema import Importance, Stage, importances_of

NETWORK = "network"
"""The entry of the networks: of each dataset the method that validation rows put first."""

NOISY = "Madelon"
"""The dataset that has a K of its own, and stays out of means over datasets."""

_ENTRY = ["method", "rules"]


def with_networks_together(scores: pd.DataFrame) -> pd.DataFrame:
    """Return test scores with one entry for the networks: for each dataset, K and rules the method that was put first.

    Args:
        scores: rows of :mod:`studies.analyses.other_splits`.
    """
    networks = scores["method"].isin(method_groups()[NETWORK])
    ours = scores[networks]
    first = ours.groupby(["dataset", "rules", "k", "variant"])["place"].transform("min") == ours["place"]
    return pd.concat([ours[first].assign(method=NETWORK), scores[~networks]], ignore_index=True)


def mean_test_scores(scores: pd.DataFrame, k: int) -> pd.DataFrame:
    """Return the mean test score of each entry, a row per entry and a column per dataset; an entry has them all.

    Args:
        scores: rows of :mod:`studies.analyses.other_splits`, of one variant.
        k: number of columns; datasets with a K of their own stay out.
    """
    here = scores[(scores["k"] == k) & (scores["dataset"] != NOISY)]
    table = here.pivot_table("test_score", _ENTRY, "dataset", aggfunc="mean")
    return table.dropna()


def paired(scores: pd.DataFrame, k: int, ours: tuple[str, str] = (NETWORK, ANY)) -> pd.DataFrame:
    """Return what our entry is ahead of each other one, over datasets, on the test rows that both have.

    Args:
        scores: rows of :mod:`studies.analyses.other_splits`, of one variant, networks together.
        k: number of columns; datasets with a K of their own stay out.
        ours: method and rules of our entry.

    Returns:
        A row per entry that has all datasets of ours: ``splits`` (draws of test rows that both have, the fewest of a
        dataset), ``difference``, ``low`` and ``high`` (95%, Student's t over datasets), ``wins`` and ``losses``.
    """
    here = scores[(scores["k"] == k) & (scores["dataset"] != NOISY)]
    drawn = here["seed"].where(here["split"] != "paper", 0)  # the paper's split has the same test rows for every seed
    means = here.assign(draw=drawn).groupby([*_ENTRY, "dataset", "draw"])["test_score"].mean()
    entries = dict.fromkeys(zip(here["method"], here["rules"], strict=True))
    rows = []
    for method, rules in entries if ours in entries else ():
        if (method, rules) == ours:
            continue
        differences = (means.loc[ours] - means.loc[method, rules]).dropna().groupby("dataset").agg(["mean", "count"])
        if len(differences) == means.loc[ours].index.get_level_values("dataset").nunique():
            found = over_datasets(differences["mean"].round(12).to_numpy())
            rows.append({"method": method, "rules": rules, "splits": int(differences["count"].min()), **found})
    return pd.DataFrame(rows, columns=[*_ENTRY, "splits", "difference", "low", "high", "wins", "losses"])


def parts(scores: pd.DataFrame, k: int) -> pd.DataFrame:
    """Return what each part of the network's choice is worth: the choice less the same without it.

    Args:
        scores: rows of :mod:`studies.analyses.other_splits`, all variants, networks together.
        k: number of columns.

    Returns:
        A row per part that was tried: ``part`` (``rules=top``, or the variant), ``datasets`` on which it changes
        anything, ``difference`` with ``low`` and ``high`` (95%, Student's t over all datasets; one that it does not
        change counts as 0).
    """
    here = scores[(scores["k"] == k) & (scores["dataset"] != NOISY) & (scores["method"] == NETWORK)]
    chosen = here[(here["variant"] == "") & (here["rules"] == ANY)]
    others = {"rules=top": here[(here["variant"] == "") & (here["rules"] == "top")]}
    changed = here[(here["variant"] != "") & (here["rules"] == ANY)]
    others |= {str(variant): rows for variant, rows in changed.groupby("variant")}
    key = ["dataset", "seed"]
    datasets = sorted(chosen["dataset"].unique())
    found = []
    for part, rows in others.items():
        if rows.empty:
            continue
        both = chosen.merge(rows, on=key, suffixes=("", "_without"))
        by_dataset = (both["test_score"] - both["test_score_without"]).groupby(both["dataset"]).mean()
        differences = by_dataset.reindex(datasets, fill_value=0.0).round(12).to_numpy()
        found.append({**over_datasets(differences), "part": part, "datasets": len(by_dataset)})
    return pd.DataFrame(found, columns=["part", "datasets", "difference", "low", "high"])


def beside_paper(own: pd.DataFrame) -> pd.DataFrame:
    """Put the networks on the paper's own test rows beside its tables 6 and 4, at its K.

    Args:
        own: rows of :mod:`studies.analyses.other_splits` of the paper's split, networks together.

    Returns:
        A row per dataset: ``mean`` and ``std`` over seeds, ``dst_mean`` and ``dst_std`` of the best of the paper's six
        columns of networks, ``all_mean`` of the best of all its columns, and ``reached`` (at or above the networks'
        best less one standard error, a tenth of the variance of ten seeds), ``above`` (at or above their best) and
        ``above_all``; means are compared as published, rounded to two digits of percent.
    """
    published = paper_accuracy()
    networks = published[published["importance"].str.startswith("neuron")]
    rows = []
    ours = own[(own["method"] == NETWORK) & (own["rules"] == ANY) & (own["variant"] == "")]
    for dataset, of_dataset in ours.groupby("dataset", sort=False):
        scores = of_dataset[of_dataset["k"] == paper_k(str(dataset))]["test_score"]
        if scores.empty:
            continue
        theirs = networks[networks["dataset"] == dataset].sort_values("mean").iloc[-1]
        every = published[published["dataset"] == dataset]["mean"].max()
        mean = round(float(scores.mean()), 4)
        rows.append(
            {
                "dataset": dataset,
                "mean": mean,
                "std": float(scores.std(ddof=1)),
                "dst_mean": theirs["mean"],
                "dst_std": theirs["std"],
                "all_mean": every,
                "reached": mean >= bound(theirs["mean"], theirs["std"] / np.sqrt(_PAPER_SEEDS)),
                "above": mean >= theirs["mean"],
                "above_all": mean >= every,
            }
        )
    return pd.DataFrame(rows)


_PAPER_SEEDS = 10


def rankings_of(archive: StudyArchive) -> pd.DataFrame:
    """Return what each ranking of the search trials came to on validation rows, at the dataset's own K.

    Returns:
        A row per dataset, importance ``metric`` and ``rule``: ``trials``, and ``mean`` and ``best`` of their scores.
    """
    rows = [
        {"dataset": record["dataset"], "metric": metric_of(name), "rule": selection_of(name).name, "score": score}
        for record in archive.all_records()
        if record["stage"] == Stage.SEARCH
        for name, result in importances_of(record).items()
        if (score := result.get("val_svm_accuracy")) is not None
    ]
    scores = pd.DataFrame(rows).groupby(["dataset", "metric", "rule"], sort=False)["score"]
    return scores.agg(trials="count", mean="mean", best="max").reset_index()


def parts_of_training(archive: StudyArchive) -> pd.DataFrame:
    """Return what each ranking came to on validation rows, by the networks and rounds that it was made of.

    Args:
        archive: of a study that scores its trials at several K; its confirming trials are taken.

    Returns:
        A row per dataset, ``networks``, ``rounds``, importance ``metric``, ``rule`` and ``k``: ``trials``, and the
        ``mean`` of their scores.
    """
    rows: list[dict[str, Any]] = [
        {"dataset": record["dataset"], **parts, "metric": metric_of(name), "rule": selection_of(name).name, **scored}
        for record in archive.all_records()
        if record["stage"] == Stage.CONFIRM
        for used in [record.get("settings") or record["params"]]
        for parts in [{part: used.get(part, 1) for part in ("networks", "rounds")}]
        for name, result in importances_of(record).items()
        for scored in _scores_by_k(record["k"], result)
    ]
    key = ["dataset", "networks", "rounds", "metric", "rule", "k"]
    scores = pd.DataFrame(rows).groupby(key, sort=False)["score"]
    return scores.agg(trials="count", mean="mean").reset_index()


def _scores_by_k(k: int, result: Importance) -> list[dict[str, Any]]:
    """Return the accuracies on validation rows of a trial's ranking, at its own K and at the others."""
    by_k = {int(other): judged["accuracy"] for other, judged in result.get("by_k", {}).items()}
    by_k[k] = result.get("val_svm_accuracy")
    return [{"k": k, "score": score} for k, score in by_k.items() if score is not None]
