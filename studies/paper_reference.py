"""The paper's tables (``paper_tables/README.md`` names their source), in this project's words and units."""

from __future__ import annotations

from importlib import resources

import pandas as pd

SINGLE = "-"
"""Stands for the importance metric of a ranker that has one only, which the paper does not name."""


def paper_k(dataset: str) -> int:
    """Return the number of columns that the paper's tables are about."""
    return 20 if dataset == "Madelon" else 100


def paper_accuracy() -> pd.DataFrame:
    """Return tables 6 and 4, one row per dataset, method and importance metric.

    Returns:
        Columns ``dataset``, ``method``, ``importance`` (:data:`SINGLE` for table 4), ``mean`` and ``std`` (shares, not
        percent) and ``sparsity`` (NaN for table 4).
    """
    networks, rivals = _read("table6_accuracy"), _read("table4_baselines")
    table = pd.concat([networks, rivals.assign(importance=SINGLE)], ignore_index=True)
    return pd.DataFrame(
        {
            "dataset": table["dataset"],
            "method": table["method"],
            "importance": table["importance"],
            "mean": table["accuracy_mean"] / 100,
            "std": table["accuracy_std"] / 100,
            "sparsity": table["sparsity"],
        }
    )


def paper_flops() -> pd.DataFrame:
    """Return table 5: columns ``dataset``, ``method``, ``importance`` and ``flops`` (a count, not 10^12)."""
    wide = _read("table5_tflops").rename(columns={"dense_attr": "dense", "set_attr": "set"})
    table = wide.melt("dataset", var_name="method", value_name="flops")
    importance = table["method"].map({"dense": "neuron_attribution", "set": "neuron_attribution"}).fillna(SINGLE)
    return table.assign(importance=importance, flops=table["flops"] * 1e12)[
        ["dataset", "method", "importance", "flops"]
    ]


def paper_coverage() -> pd.DataFrame:
    """Return figure 8: columns ``dataset`` (``synthetic_N``), ``method``, ``importance`` and ``coverage`` (a share)."""
    table = _read("figure8_synthetic_coverage")
    return pd.DataFrame(
        {
            "dataset": "synthetic_" + table["n_samples"].astype(str),
            "method": table["method"],
            "importance": table["importance"],
            "coverage": table["coverage_top100"],
        }
    )


def _read(name: str) -> pd.DataFrame:
    with resources.files("studies").joinpath("paper_tables", f"{name}.csv").open(encoding="utf-8") as file:
        return pd.read_csv(file)
