"""The paper's tables (``paper_tables/README.md`` names their source), in this project's words and units."""

from __future__ import annotations

import math
from importlib import resources
from typing import Any, TypeVar

import pandas as pd

from dst.data import DATASETS
from dst.errors import InputError
from dst.training.result import training_flops

SINGLE = "-"
"""Stands for the importance metric of a ranker that has one only, which the paper does not name."""


def paper_k(dataset: str) -> int:
    """Return the number of columns that the paper's tables are about."""
    return 20 if dataset == "Madelon" else 100


def paper_sparsity(dataset: str) -> float:
    """Return the sparsity of SET in table 6.

    Raises:
        InputError: the dataset is none of the paper's.
    """
    networks = _read("table6_accuracy").query("method == 'set' and importance == 'neuron_attribution'")
    found = dict(zip(networks["dataset"], networks["sparsity"], strict=True))
    if dataset not in found:
        raise InputError(f"a dataset must be of the paper: {', '.join(found)}, but got {dataset}")
    return float(found[dataset])


Level = TypeVar("Level", float, "pd.Series[Any]")


def bound(mean: Level, std: Level) -> Level:
    """Return what an accuracy must reach to be at the level of a mean of the paper's: that less a standard deviation.

    Another draw of seeds would give such a difference. Shares or percent, as they are given.
    """
    return mean - std


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


def paper_rows() -> pd.DataFrame:
    """Return on how many rows table 5 says that STG was trained, beside how many there are in table 2.

    STG trains a network 1000-100 for 200 epochs there, with no early stopping, so that its FLOPs give the rows.

    Returns:
        Columns ``dataset``, ``rows`` (all but the paper's test rows) and ``implied_rows``, uncertain by up to 3% since
        table 5 is rounded.
    """
    rows = []
    for row in paper_flops().query("method == 'stg'").to_dict("records"):
        entry = DATASETS[row["dataset"]]
        n_rows, n_features = entry.shape
        weights = n_features * 1000 + 1000 * 100 + 100 * entry.n_classes
        development_rows = entry.official_train_rows or n_rows - math.ceil(0.2 * n_rows)
        implied = round(row["flops"] / training_flops(weights, 1, 200))
        rows.append({"dataset": entry.name, "rows": development_rows, "implied_rows": implied})
    return pd.DataFrame(rows)


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
    with resources.files("studies.compare").joinpath("paper_tables", f"{name}.csv").open(encoding="utf-8") as file:
        return pd.read_csv(file)
