"""Accuracy over the strength of weight decay: ``python -m studies.analyses.weight_decay``.

The paper's published code takes a softmax over the rows of a minibatch before the cross-entropy (see
:mod:`studies.analyses.published_loss`). At initialisation that divides gradients by about the rows of a batch, so that
the paper's L2 of 5e-5 to 1e-3 weighs more there than beside the cross-entropy of the classes; how much more changes as
training goes on. Here SET is trained with the latter over a range of L2, at the sparsity of the paper's table 6, and
importance is summed up both to the best epoch and over all epochs, from the same training: the published code does
about the first, the text says the second. A row of the table is a dataset, an L2, one of these sums and an importance
metric: the validation accuracy of the SVM on the top K over seeds. No test row is looked at.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from dst.data import Dataset, Design, load_dataset, trial_data
from dst.errors import InputError
from dst.scoring import rank_columns, score_columns
from dst.training.config import TrainingConfig
from dst.training.importance_history import ImportanceHistory, train_and_follow
from studies.compare.reference import paper_k, paper_sparsity
from studies.compare.small_tables import print_and_keep

DATASETS = ("COIL20", "BASEHOCK", "PCMAC", "RELATHE", "Madelon")
L2_VALUES = (1e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1)
HISTORIES = ("best", "all")


def measure(data: Dataset, config: TrainingConfig, k: int, seed: int) -> Iterator[dict[str, Any]]:
    """Train once and score every ranking that comes of it on validation rows.

    Args:
        data: the dataset.
        config: of the training; its ``history`` is not looked at.
        k: columns.
        seed: draws validation rows (the paper's split) and all of the training.

    Yields:
        A row per sum (:data:`HISTORIES`) and importance metric.
    """
    train, validation = next(iter(trial_data(data, Design(split="paper", seed=seed), keep=False).parts))
    histories = {  # the same rows for both
        name: ImportanceHistory(train, np.random.default_rng([seed, 1]), dataclasses.replace(config, history=name))
        for name in HISTORIES
    }
    result = train_and_follow(train, validation, config, np.random.default_rng([seed, 0]), histories.values())
    for name, history in histories.items():
        for metric, scores in history.scores().items():
            columns = rank_columns(scores, np.random.default_rng(seed))[:k]
            yield {
                "dataset": data.name,
                "sparsity": config.sparsity,
                "l2": config.l2,
                "history": name,
                "importance": metric,
                "k": k,
                "val_accuracy": score_columns(train, validation, columns, "svm", seed=seed).accuracy,
                "val_loss": result.val_loss,
                "best_epoch": result.best_epoch,
            }


def over_seeds(rows: Sequence[dict[str, Any]]) -> pd.DataFrame:
    """Return a row per dataset, L2, sum and metric: ``seeds``, means, and ``std`` of the accuracy over seeds."""
    key = ["dataset", "sparsity", "l2", "history", "importance", "k"]
    return (
        pd.DataFrame(rows)
        .groupby(key, sort=False)
        .agg(
            seeds=("val_accuracy", "size"),
            val_accuracy=("val_accuracy", "mean"),
            std=("val_accuracy", "std"),
            val_loss=("val_loss", "mean"),
            best_epoch=("best_epoch", "mean"),
        )
        .reset_index()
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table; return 2 if data is not at hand or a value is wrong."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--datasets", nargs="+", default=DATASETS, metavar="NAME", help="of the paper")
    parser.add_argument("--l2", nargs="+", type=float, default=L2_VALUES, metavar="L2")
    parser.add_argument("--seeds", type=int, default=5, help="trainings for each row (default 5, at least 2)")
    parser.add_argument("--epochs", type=int, default=200, help="the most epochs of a training (default 200)")
    parser.add_argument("--out", type=Path, help="a CSV file for the rows")
    options = parser.parse_args(arguments)
    if options.seeds < 2:
        parser.error(f"--seeds >= 2 must hold, but got {options.seeds}")
    trainings: dict[str, tuple[Dataset, list[TrainingConfig]]] = {}
    try:
        for name in options.datasets:
            sparsity, data = paper_sparsity(name), load_dataset(name)
            sizes = {"batch_size": data.batch_size, "epochs": options.epochs}
            trainings[name] = (data, [TrainingConfig(sparsity=sparsity, l2=l2, **sizes) for l2 in options.l2])
    except InputError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    rows: list[dict[str, Any]] = []
    for name, (data, configs) in trainings.items():
        for config in configs:
            for seed in range(options.seeds):
                rows += measure(data, config, paper_k(name), seed)
        sys.stderr.write(f"{name}: done\n")
    print_and_keep(over_seeds(rows), options.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
