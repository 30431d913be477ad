"""Studies beside one another: a pure function from test scores to a table.

Intervals are Student's t, 95%, over the seeds of a configuration for a mean, with Welch's degrees of freedom for the
difference of two. Seeds share their test rows, so that an interval is about training and the draw of validation rows,
not about which rows were held out.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import pandas as pd

from dst.intervals import t_interval, welch_interval


def compare_studies(studies: Mapping[str, pd.DataFrame], chosen: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Put studies beside one another, at the importance metric and K that each chose for a dataset and method.

    Args:
        studies: tables of :func:`studies.report.test_scores.opened_scores` by name; others are compared with the first.
        chosen: each study's ``best_by_method.csv``.

    Returns:
        A row per dataset, method and study: ``importance``, ``k``, ``seeds``, ``mean``, ``std``, ``low``, ``high``, and
        against the first study that has the dataset and method: ``difference``, ``difference_low`` and
        ``difference_high`` (Welch) and ``differs`` (the interval does not hold 0).
    """
    parts: dict[tuple[str, str], list[tuple[str, pd.DataFrame]]] = {}
    for study, scores in studies.items():
        for choice in chosen[study].itertuples():
            same = (scores["dataset"] == choice.dataset) & (scores["method"] == choice.method)
            same &= (scores["importance"] == choice.importance) & (scores["k"] == choice.k)
            if same.any():
                parts.setdefault((str(choice.dataset), str(choice.method)), []).append((study, scores[same]))
    rows = []
    for (dataset, method), entries in parts.items():
        reference = entries[0][1]["test_accuracy"].tolist()
        for number, (study, scores) in enumerate(entries):
            values = scores["test_accuracy"].tolist()
            low, high = t_interval(values)
            first = number == 0
            between = (math.nan, math.nan) if first else welch_interval(values, reference)
            rows.append(
                {
                    "dataset": dataset,
                    "method": method,
                    "study": study,
                    "importance": scores["importance"].iloc[0],
                    "k": int(scores["k"].iloc[0]),
                    "seeds": len(values),
                    "mean": float(np.mean(values)),
                    "std": float(np.std(values, ddof=1)) if len(values) > 1 else math.nan,
                    "low": low,
                    "high": high,
                    "difference": math.nan if first else float(np.mean(values) - np.mean(reference)),
                    "difference_low": between[0],
                    "difference_high": between[1],
                    "differs": pd.NA if math.isnan(between[0]) else not between[0] <= 0 <= between[1],
                }
            )
    columns = ["dataset", "method", "study", "importance", "k", "seeds", "mean", "std", "low", "high"]
    columns += ["difference", "difference_low", "difference_high", "differs"]
    return pd.DataFrame(rows, columns=columns).astype({"differs": "boolean"})
