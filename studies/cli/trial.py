"""``dst trial``: one trial in this process."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from studies.cli.terminal import (
    AsJson,
    Categorical,
    Impute,
    Indicators,
    ReadingOptions,
    Target,
    as_percent,
    print_json,
    print_table,
    warn_of,
    with_options,
)
from studies.surroundings import say

if TYPE_CHECKING:
    from dst.data import Dataset
    from dst.trial.single import SingleTrial
    from dst.trial.spec import TrialSpec

_SHOWN = 5
"""Columns that are named of a selection."""


@dataclass(frozen=True)
class TrialOptions:
    """The table of a trial, how its rows are split, the ranker and its settings."""

    data: Annotated[str, typer.Option(help="A dataset's name, or the path of a file.")]
    target: Target = None
    split: Annotated[str, typer.Option(help="stratified, official, kfold, paper, group or time.")] = "stratified"
    group: Annotated[str | None, typer.Option(help="The column whose rows stay together, for --split group.")] = None
    time: Annotated[str | None, typer.Option(help="The column to order rows by, for --split time.")] = None
    categorical: Categorical = None
    impute: Impute = None
    indicators: Indicators = False
    missing_rate: Annotated[float, typer.Option(help="Share of values to remove first, in [0, 1).")] = 0.0
    mechanism: Annotated[str, typer.Option(help="Which values are removed: mcar, mar or mnar.")] = "mcar"
    method: Annotated[
        str, typer.Option(help="set, rigl, mest, set_attr, static, dense, or a rival: l1_logistic, extra_trees, ...")
    ] = "set"
    sparsity: Annotated[float, typer.Option(help="Share of connections that do not exist, in [0, 1).")] = 0.9
    l2: Annotated[float, typer.Option(help="Weight decay.")] = 1e-4
    selection: Annotated[
        list[str] | None,
        typer.Option(
            help="What is made of the scores: top, greedy, threshold:0.1, ...; may be repeated \\[default: top]."
        ),
    ] = None
    k: Annotated[int | None, typer.Option(help="How many features to select \\[default: the dataset's].")] = None
    seed: Annotated[int, typer.Option(help="Of the network and of the validation rows.")] = 0
    epochs: Annotated[int, typer.Option(help="The most epochs to train.")] = 200
    patience: Annotated[
        int | None, typer.Option(help="Epochs without a lower validation loss before training stops \\[default: 50].")
    ] = None
    lr: Annotated[float | None, typer.Option(help="Learning rate \\[default: the method's, of networks 0.001].")] = None
    batch_size: Annotated[int | None, typer.Option(help="Rows in a minibatch \\[default: the dataset's].")] = None
    inner_splits: Annotated[
        int | None,
        typer.Option(min=1, help="Draws of validation rows \\[default: the split's, 5 or 1]."),
    ] = None
    engine: Annotated[
        str, typer.Option(help="auto, sparse or dense (masked matrices): what trains layers with a sparsity.")
    ] = "auto"
    device: Annotated[str, typer.Option(help="cpu, or cuda (a GPU).")] = "cpu"
    threads: Annotated[int, typer.Option(min=1, help="Cores that training may use.")] = 1

    def spec(self) -> TrialSpec:
        """Return the trial.

        Raises:
            InputError: a setting of a network breaks a rule, though the method may not take it, or this machine does
                not have the device.
        """
        from dst.training.config import TrainingConfig
        from dst.training.engines.choice import check_device
        from dst.trial.spec import TrialSpec

        machine: dict[str, Any] = {"engine": self.engine, "device": self.device, "threads": self.threads}
        settings = {"sparsity": self.sparsity, "l2": self.l2, "epochs": self.epochs, **machine}
        settings |= {
            name: value for name in ("patience", "lr") if (value := getattr(self, name)) is not None
        }  # methods have defaults of their own
        TrainingConfig(**settings)
        check_device(self.device)
        return TrialSpec(
            self.method,
            settings,
            split=self.split,
            seed=self.seed,
            inner_splits=self.inner_splits,
            impute=self.impute,
            indicators=self.indicators,
            selections=self.selection or ("top",),
        )

    def load(self, reading: Mapping[str, Any]) -> Dataset:
        """Return the table without the values that are to be removed; warn of what was noticed while it was read.

        Args:
            reading: see :meth:`ReadingOptions.given`.

        Raises:
            InputError: the table cannot be read so, or values cannot be removed so.
        """
        from dst.data import Removal, load_dataset, remove_values

        removal = Removal(self.missing_rate, self.mechanism, seed=0)
        dataset = load_dataset(
            self.data,
            k=self.k,
            batch_size=self.batch_size,
            target=self.target,
            group=self.group,
            time=self.time,
            categorical=self.categorical or (),
            **reading,
        )
        warn_of(dataset.notes)
        return remove_values(dataset, removal)


@with_options
def trial(
    options: TrialOptions,
    test: Annotated[bool, typer.Option("--test", help="Open the test rows and score the selection on them.")] = False,
    as_json: AsJson = False,
    *,
    reading: ReadingOptions,
) -> None:
    """Run one trial in this process: train, rank the features, score the best K."""
    import torch

    from dst.trial.single import run_single_trial

    torch.set_num_threads(1)
    spec = options.spec()
    done = run_single_trial(options.load(reading.given()), spec, test=test)
    if done.result.absent_classes:
        say(f"warning: training rows lack a class ({', '.join(done.result.absent_classes)})")
    if as_json:
        print_json(done.to_json())
    else:
        _print(done)


def _best(done: SingleTrial) -> str:
    """Return the best epochs of the networks, one for each draw of validation rows and network."""
    best = [epoch for ranking in done.result.rankings for epoch in ranking.best_epochs]
    return f" (best: {', '.join(map(str, best))})" if best else ""


def _print(done: SingleTrial) -> None:
    dataset, result = done.dataset, done.result
    typer.echo(
        f"{dataset.name}: {dataset.n_samples} rows, {dataset.n_features} columns, {dataset.n_classes} classes; "
        f"{done.spec.method}, {result.epochs} epochs{_best(done)}, {result.seconds['total']:.1f} s"
    )
    rows = []
    for name, importance in result.importances.items():
        names = ", ".join(dataset.feature_names[column] for column in importance.selected[:_SHOWN])
        accuracies = [as_percent(importance.val_svm_accuracy), as_percent(done.test_accuracy.get(name))]
        rows.append([name, *accuracies, f"{names}, ..." if result.k > _SHOWN else names])
    print_table(["importance", "validation", "test", f"best of {result.k} columns"], rows)
