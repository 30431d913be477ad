"""Accuracy under the loss of the paper's published code: ``python -m studies.analyses.published_loss``.

That code (github.com/zahraatashgahi/Neuron-Attribution) takes a softmax over the rows of a minibatch before PyTorch's
cross-entropy, which takes another over the classes. A row's outputs then depend on which rows share its batch, so that
this project does not train so; but outputs that stay between 0 and 1 also keep a network from ever being sure. Here
SET, simulated with masks, is trained either way at the sparsity of the paper's table 6. A row of the table is a
dataset, a loss and an importance metric: the validation accuracy of the SVM on the top K over seeds. No test row is
looked at.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from torch import nn

from dst.bench.stock.masked_network import MaskedNetwork
from dst.bench.stock.settings import MaskedSettings, masked_settings
from dst.data import Dataset, Design, load_dataset, trial_data
from dst.data.dataset import Part, as_array
from dst.errors import InputError
from dst.scoring import rank_columns, score_columns
from dst.training.config import TrainingConfig
from studies.compare.reference import paper_k, paper_sparsity
from studies.compare.small_tables import print_and_keep

DATASETS = ("Madelon", "RELATHE", "PCMAC", "COIL20", "Isolet")
L2 = 1e-4

_METRICS = ("neuron_attribution", "neuron_strength")
_LOSSES = {
    "classes": nn.functional.cross_entropy,
    "batch": lambda logits, y: nn.functional.cross_entropy(logits.softmax(dim=0), y),
}


def compare(data: Dataset, sparsity: float, k: int, *, seeds: int, epochs: int) -> pd.DataFrame:
    """Train networks by SET with either loss and score their rankings, summed over all epochs.

    Args:
        data: the dataset.
        sparsity: of the networks.
        k: columns.
        seeds: trainings with each loss; a seed draws the validation rows as well.
        epochs: the most that are trained; patience is 50 on the same loss of all validation rows at once.

    Returns:
        A row per loss (``classes``: cross-entropy of the logits, ``batch``: with the softmax over the batch first) and
        importance metric: ``val_accuracy`` and its ``std`` over seeds, mean ``best_epoch`` and ``epochs``.
    """
    rows = []
    for loss in _LOSSES:
        found = pd.DataFrame([_measure(data, sparsity, k, loss, seed, epochs) for seed in range(seeds)])
        rows += [
            {
                "dataset": data.name,
                "sparsity": sparsity,
                "loss": loss,
                "importance": metric,
                "k": k,
                "seeds": seeds,
                "val_accuracy": found[metric].mean(),
                "std": found[metric].std(),
                "best_epoch": found["best_epoch"].mean(),
                "epochs": found["epochs"].mean(),
            }
            for metric in _METRICS
        ]
    return pd.DataFrame(rows)


def _measure(data: Dataset, sparsity: float, k: int, loss: str, seed: int, epochs: int) -> dict[str, float]:
    train, validation = next(iter(trial_data(data, Design(split="paper", seed=seed), keep=False).parts))
    config = TrainingConfig(method="set", sparsity=sparsity, l2=L2, batch_size=data.batch_size, epochs=epochs)
    settings = masked_settings(dataclasses.asdict(config), sparse=True, grow="random", rows=config.importance_rows)
    sums, losses = _train(train, validation, settings, loss, seed)
    found: dict[str, float] = {"best_epoch": int(np.argmin(losses)) + 1, "epochs": len(losses)}
    for name, scores in sums.items():
        columns = rank_columns(scores, np.random.default_rng(seed))[:k]
        found[name] = score_columns(train, validation, columns, "svm", seed=seed).accuracy
    return found


def _train(
    train: Part, validation: Part, settings: MaskedSettings, loss: str, seed: int
) -> tuple[dict[str, npt.NDArray[np.float64]], list[float]]:
    """Return the sums of both metrics over all epochs, and each epoch's loss on the validation rows."""
    x, y, val_x, val_y = (
        torch.tensor(values) for values in (as_array(train.x), train.y, as_array(validation.x), validation.y)
    )
    to_draw = torch.Generator().manual_seed(seed)
    network = MaskedNetwork(x.shape[1], train.n_classes, settings, to_draw, _LOSSES[loss])
    sums = {name: np.zeros(x.shape[1]) for name in _METRICS}
    total = settings.epochs * -(-len(x) // settings.batch_size)
    steps = itertools.count(1)
    losses: list[float] = []
    while len(losses) < settings.epochs and len(losses) - int(np.argmin(losses or [0])) <= settings.patience:
        for rows in torch.split(torch.randperm(len(x), generator=to_draw), settings.batch_size):
            network.step(x[rows], y[rows], next(steps), total)
        sampled = torch.randperm(len(x), generator=to_draw)[: settings.attribution_rows]
        sums["neuron_attribution"] += network.attribution(x[sampled]).numpy()
        sums["neuron_strength"] += network.strength().numpy()
        losses.append(network.loss(val_x, val_y))
    return sums, losses


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table; return 2 if data is not at hand or a value is wrong."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--datasets", nargs="+", default=DATASETS, metavar="NAME", help="of the paper")
    parser.add_argument("--seeds", type=int, default=5, help="trainings for each row (default 5, at least 2)")
    parser.add_argument("--epochs", type=int, default=200, help="the most epochs of a training (default 200)")
    parser.add_argument("--out", type=Path, help="a CSV file for the rows")
    options = parser.parse_args(arguments)
    if options.seeds < 2 or options.epochs < 1:
        parser.error(f"--seeds >= 2 and --epochs >= 1 must hold, but got {options.seeds} and {options.epochs}")
    torch.set_num_threads(1)
    tables = []
    try:
        for name in options.datasets:
            sparsity, sizes = paper_sparsity(name), {"seeds": options.seeds, "epochs": options.epochs}
            tables.append(compare(load_dataset(name), sparsity, paper_k(name), **sizes))
            sys.stderr.write(f"{name}: done\n")
    except InputError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    print_and_keep(pd.concat(tables, ignore_index=True), options.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
