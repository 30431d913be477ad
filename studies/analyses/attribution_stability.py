"""Stability of neuron attribution over sparsity and depth: ``python -m studies.analyses.attribution_stability``.

Networks are trained by SET (dense ones at sparsity 0) and neuron attribution is taken after each epoch on the same
rows. A row of the table is a dataset, a depth and a sparsity; it says how much attribution changes between neighbouring
epochs up to the best one, and how far trainings agree that differ in their seed alone: all share one split.
"""

from __future__ import annotations

import argparse
import itertools
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from dst.data import Design, load_dataset, trial_data
from dst.data.dataset import Part, as_array
from dst.errors import InputError
from dst.importance.metrics import neuron_attribution
from dst.scoring import rank_columns, tie_order
from dst.stability import as_selected, nogueira
from dst.training.config import TrainingConfig
from dst.training.result import EpochEnd
from dst.training.trainer import fit
from studies.compare.small_tables import print_and_keep

Scores = npt.NDArray[np.float64]

DATASETS = ("Yale", "COIL20", "BASEHOCK", "Madelon")
SPARSITIES = (0.0, 0.5, 0.8, 0.95, 0.98)
DEPTHS: dict[int, tuple[int, ...]] = {1: (1000,), 2: (1000, 100), 3: (1000, 300, 100)}
"""Hidden layers by depth; two are the paper's."""

_ROWS = 100


def between_epochs(attributions: Sequence[Scores], k: int, seed: int = 0) -> dict[str, float]:
    """Say how much attribution changes from one epoch to the next, as means over neighbours.

    Args:
        attributions: two epochs' or more, each float64 ``(n_features,)``.
        k: columns in a selection.
        seed: of the training; orders equal values.

    Returns:
        ``epoch_change``, the sum of absolute changes over the sum of values; ``epoch_spearman``, the rank correlation;
        ``epoch_overlap``, the share of the first k columns that both have.
    """
    pairs = list(itertools.pairwise(attributions))
    tops = [_top(scores, k, seed) for scores in attributions]
    return {
        "epoch_change": float(np.mean([np.abs(after - before).sum() / before.sum() for before, after in pairs])),
        "epoch_spearman": float(np.mean([_spearman(*pair) for pair in pairs])),
        "epoch_overlap": float(np.mean([len(before & after) / k for before, after in itertools.pairwise(tops)])),
    }


def between_seeds(sums: Sequence[Scores], k: int) -> dict[str, float]:
    """Say how far trainings agree that differ in their seed.

    Args:
        sums: two trainings' or more, by seed from 0 on, each float64 ``(n_features,)``. Each seed orders equal values
            in its own way, so that columns of which no training says anything are not selected alike.
        k: columns in a selection.

    Returns:
        ``seed_spearman``, the mean rank correlation over pairs; ``seed_variation``, the mean over columns of standard
        deviation over mean, each training's values divided by their sum; ``seed_stability``, Nogueira's, of the first k
        columns.
    """
    shares = np.stack([scores / scores.sum() for scores in sums])
    means = shares.mean(axis=0)
    tops = [_top(scores, k, seed) for seed, scores in enumerate(sums)]
    return {
        "seed_spearman": float(np.mean([_spearman(*pair) for pair in itertools.combinations(sums, 2)])),
        "seed_variation": float((shares.std(axis=0, ddof=1)[means > 0] / means[means > 0]).mean()),
        "seed_stability": nogueira(as_selected(tops, len(means))).value,
    }


def measure(name: str, sparsity: float, depth: int, *, seeds: int, epochs: int) -> dict[str, Any]:
    """Train and measure one row.

    Args:
        name: a dataset of the registry.
        sparsity: of the network; 0 is a dense one.
        depth: hidden layers, a key of :data:`DEPTHS`.
        seeds: trainings.
        epochs: the most of each.

    Raises:
        InputError: the dataset is not at hand, or a value is out of its range.
    """
    data = load_dataset(name)
    train, validation = next(iter(trial_data(data, Design(split="paper", seed=0), keep=False).parts))
    config = TrainingConfig(
        method="set" if sparsity else "dense",
        sparsity=sparsity,
        hidden=DEPTHS[depth],
        batch_size=data.batch_size,
        epochs=epochs,
    )
    by_seed = [_attributions(train, validation, config, seed) for seed in range(seeds)]
    steps = [between_epochs(epochs_of, data.k, seed) for seed, epochs_of in enumerate(by_seed)]
    return {
        "dataset": name,
        "depth": depth,
        "sparsity": sparsity,
        "k": data.k,
        "seeds": seeds,
        "epochs": float(np.mean([len(epochs_of) for epochs_of in by_seed])),
        **{key: float(np.mean([changes[key] for changes in steps])) for key in steps[0]},
        **between_seeds([np.sum(epochs_of, axis=0) for epochs_of in by_seed], data.k),
    }


def _attributions(train: Part, validation: Part, config: TrainingConfig, seed: int) -> list[Scores]:
    """Return attribution after each epoch up to the best one, two at least."""
    rows = as_array(train.x[: min(_ROWS, len(train.y))])
    found: list[Scores] = []

    def take(end: EpochEnd) -> None:
        found.append(neuron_attribution(end.model, rows))

    result = fit(train, validation, config, np.random.default_rng(seed), take)
    return found[: max(2, result.best_epoch)]  # neighbours need two


def _spearman(first: Scores, second: Scores) -> float:
    from scipy.stats import spearmanr

    return float(spearmanr(first, second).statistic)


def _top(scores: Scores, k: int, seed: int) -> set[int]:
    return set(rank_columns(scores, tie_order(seed))[:k].tolist())


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table; return 2 if data is not at hand or a value is wrong."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--datasets", nargs="+", default=DATASETS, metavar="NAME")
    parser.add_argument("--sparsities", nargs="+", type=float, default=SPARSITIES, metavar="S")
    parser.add_argument("--depths", nargs="+", type=int, choices=DEPTHS, default=tuple(DEPTHS))
    parser.add_argument("--seeds", type=int, default=5, help="trainings for each row (default 5, at least 2)")
    parser.add_argument("--epochs", type=int, default=200, help="the most epochs of a training (default 200)")
    parser.add_argument("--out", type=Path, help="a CSV file for the rows")
    options = parser.parse_args(arguments)
    for key in ("seeds", "epochs"):
        if getattr(options, key) < 2:
            parser.error(f"--{key} must be at least 2, but got {getattr(options, key)}")
    rows: list[dict[str, Any]] = []
    try:
        for name, depth, sparsity in itertools.product(options.datasets, options.depths, options.sparsities):
            rows.append(measure(name, sparsity, depth, seeds=options.seeds, epochs=options.epochs))
            sys.stderr.write(f"{name}, depth {depth}, sparsity {sparsity:g}: done\n")
    except InputError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    print_and_keep(pd.DataFrame(rows), options.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
