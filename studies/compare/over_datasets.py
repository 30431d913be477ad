"""Entries of several studies over the datasets that all of them have, by mean rank."""

from __future__ import annotations

import pandas as pd

from studies.report.friedman import critical_difference, friedman

_RANK_COLUMNS = ["study", "method", "mean_rank", "datasets", "friedman_p", "critical_difference"]


def common_scores(table: pd.DataFrame) -> pd.DataFrame:
    """Return mean accuracies on the datasets that all entries have, a row each, with a column per study and method.

    Args:
        table: of :func:`studies.compare.studies.compare_studies`.
    """
    return table.pivot_table("mean", "dataset", ["study", "method"], sort=False).dropna()


def mean_ranks_of(table: pd.DataFrame) -> pd.DataFrame:
    """Rank the entries of studies over the datasets that all of them have.

    Args:
        table: of :func:`studies.compare.studies.compare_studies`.

    Returns:
        A row per study and method, best first: ``mean_rank`` over ``datasets``, and for all alike ``friedman_p`` and
        ``critical_difference``. Nothing where there are fewer than two entries, or datasets that all of them have.
    """
    wide = common_scores(table)
    if min(wide.shape) < 2:
        return pd.DataFrame(columns=_RANK_COLUMNS)
    test = friedman(wide)
    entries = [(str(column[0]), str(column[1])) for column in wide.columns]
    rows = [
        {"study": study, "method": method, "mean_rank": rank, "datasets": test.datasets, "friedman_p": test.p}
        for (study, method), rank in zip(entries, test.mean_ranks, strict=True)
    ]
    difference = critical_difference(len(rows), test.datasets)
    ranks = pd.DataFrame(rows).assign(critical_difference=difference)
    return ranks.sort_values("mean_rank", kind="stable", ignore_index=True)
