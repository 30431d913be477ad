"""Agreement of importances taken once an epoch with the paper's, taken at every step.

``python -m studies.analyses.importance_sampling`` trains SET on five real datasets, takes ``neuron_attribution`` and
``neuron_strength`` in both ways of one and the same training (``sampling: per_epoch`` and ``per_step``), sums both up
to the best epoch, and prints a row per dataset, metric and seed: Spearman's rank correlation over all columns and the
share of the top 100 columns (Madelon: 20) that both choose. ``--out`` writes the rows as CSV.

Equal values are ordered by the training's seed, in both ways alike. ``studies/results/importance_sampling`` was
computed when they came by column; whether ties reach the last of the top columns there was not looked at.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from dst.data import load_dataset
from dst.data.trial_data import Design, trial_data
from dst.errors import InputError
from dst.scoring import rank_columns, tie_order
from dst.training.config import TrainingConfig
from dst.training.importance_history import ImportanceHistory, train_and_follow
from studies.store.files import write_text

DATASETS = ("COIL20", "Isolet", "BASEHOCK", "ORL", "Madelon")


def agreement(name: str, seed: int, sparsity: float) -> Iterator[dict[str, Any]]:
    """Train once and compare.

    Args:
        name: a dataset of the registry.
        seed: draws validation rows (the paper's split) and all of the training.
        sparsity: of the network.

    Yields:
        A row per metric.

    Raises:
        InputError: the dataset is not at hand, or the sparsity is out of its range.
    """
    from scipy.stats import spearmanr

    data = load_dataset(name)
    train, validation = next(iter(trial_data(data, Design(split="paper", seed=seed), keep=False).parts))
    config = TrainingConfig(sparsity=sparsity, batch_size=data.batch_size)
    to_train, *to_sample = np.random.default_rng(seed).spawn(3)
    histories = {
        sampling: ImportanceHistory(train, stream, replace(config, sampling=sampling))
        for sampling, stream in zip(("per_epoch", "per_step"), to_sample, strict=True)
    }

    best_epoch = train_and_follow(train, validation, config, to_train, histories.values()).best_epoch
    ours, theirs = (history.scores() for history in histories.values())
    for metric in config.importances:
        tops = [set(rank_columns(scores[metric], tie_order(seed))[: data.k].tolist()) for scores in (ours, theirs)]
        yield {
            "dataset": name,
            "metric": metric,
            "sparsity": sparsity,
            "seed": seed,
            "rows": config.importance_rows,
            "best_epoch": best_epoch,
            "spearman": round(float(spearmanr(ours[metric], theirs[metric]).statistic), 4),
            "top": data.k,
            "overlap": len(tops[0] & tops[1]) / data.k,
        }


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the rows and the least agreement by dataset; return 2 if data is not at hand or a value is wrong."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--datasets", nargs="+", default=DATASETS, metavar="NAME")
    parser.add_argument("--seeds", type=int, default=3, help="trainings per dataset (default 3)")
    parser.add_argument("--sparsity", type=float, default=0.95)
    parser.add_argument("--out", type=Path, help="a CSV file for the rows")
    options = parser.parse_args(arguments)
    if options.seeds < 1:
        parser.error(f"--seeds must be at least 1, but got {options.seeds}")
    try:
        rows = [
            row
            for name in options.datasets
            for seed in range(options.seeds)
            for row in agreement(name, seed, options.sparsity)
        ]
    except InputError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    table = pd.DataFrame(rows)
    least = table.groupby(["dataset", "metric"], sort=False)[["spearman", "overlap"]].min()
    sys.stdout.write(f"{table.to_string(index=False)}\n\nthe least of {options.seeds} seeds\n{least.to_string()}\n")
    if options.out is not None:
        write_text(options.out, table.to_csv(index=False, lineterminator="\n"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
