"""``dst select``: a ranking of the columns of a user's own table."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dst.errors import InputError
from studies.cli.terminal import (
    AsJson,
    Categorical,
    Impute,
    Indicators,
    ReadingOptions,
    Target,
    as_number,
    as_percent,
    print_json,
    print_table,
    warn_of,
    with_options,
)
from studies.surroundings import say

if TYPE_CHECKING:
    from dst import SparseFeatureSelector
    from dst.data import Dataset
    from studies.report.ranking import TableRanking
    from studies.report.yardsticks import RankingYardsticks

_SHOWN = 10
AUTO = "auto"
"""The number of columns that is found on held-out rows."""


@dataclass(frozen=True)
class SelectOptions:
    """The table, where its ranking goes, and the selector's settings."""

    file: Annotated[str, typer.Argument(metavar="FILE", help="A table, or a dataset's name.")]
    target: Target = None
    task: Annotated[
        str,
        typer.Option(help="classification, regression (a target of numbers), or auto: numbers if one is a fraction."),
    ] = "auto"
    k: Annotated[
        str | None,
        typer.Option(help="How many columns to select, or auto: what held-out rows need \\[default: the dataset's]."),
    ] = None
    out: Annotated[Path | None, typer.Option(help="The ranked columns \\[default: NAME-features.csv].")] = None
    categorical: Categorical = None
    impute: Impute = None
    indicators: Indicators = False
    method: Annotated[
        str, typer.Option(help="set, rigl, mest, set_attr, static, dense, or a rival: l1_logistic, extra_trees, ...")
    ] = "set"
    sparsity: Annotated[float, typer.Option(help="Share of connections that do not exist, in [0, 1).")] = 0.9
    l2: Annotated[float, typer.Option(help="Weight decay.")] = 1e-4
    importance: Annotated[
        str | None, typer.Option(help="How a network's inputs are scored \\[default: neuron_attribution].")
    ] = None
    selection: Annotated[
        str | None,
        typer.Option(
            help="What is made of the scores: top, greedy, decorrelated, threshold:0.1, mrmr, ... "
            "\\[default: greedy; of rivals top]."
        ),
    ] = None
    rounds: Annotated[
        int, typer.Option(min=1, help="Trainings that follow one another, each on the better half of the columns.")
    ] = 1
    repeats: Annotated[int, typer.Option(min=1, help="Networks whose scores are averaged.")] = 5
    resampling: Annotated[
        str, typer.Option(help="held_out, or halves: a network from each half of the rows, which bounds false columns.")
    ] = "held_out"
    epochs: Annotated[int, typer.Option(help="The most epochs to train.")] = 100
    patience: Annotated[
        int, typer.Option(min=1, help="Epochs without a lower held-out loss before a network stops.")
    ] = 10
    lr: Annotated[
        float, typer.Option(help="Learning rate; where a network is best at once, a tenth of it is tried.")
    ] = 1e-3
    seed: Annotated[int, typer.Option(min=0, max=2**31 - 1, help="Of networks and held-out rows.")] = 0
    threads: Annotated[int, typer.Option(min=1, help="Cores that training may use.")] = 1
    yardsticks: Annotated[
        bool, typer.Option(help="Judge the columns beside chance, all columns and simple rivals, after the ranking.")
    ] = True

    @property
    def given_k(self) -> int | None:
        """The number of columns; None: it is the dataset's, or found.

        Raises:
            InputError: it is neither a number nor ``auto``.
        """
        if self.k is None or self.k == AUTO:
            return None
        try:
            return int(self.k)
        except ValueError:
            raise InputError(f"--k must be a whole number or {AUTO}, but got {self.k!r}") from None

    def load(self, reading: Mapping[str, Any]) -> tuple[Dataset, Path]:
        """Return the table and where its ranking goes; warn of what was noticed while the table was read.

        Args:
            reading: see :meth:`ReadingOptions.given`.

        Raises:
            InputError: options do not suit one another, the ranking cannot be written there, or the table cannot be
                read so.
        """
        from dst.data import check_policy, load_dataset
        from dst.rankers import RANKERS
        from studies.report.ranking import check_out

        if self.importance is not None and self.method in RANKERS and not RANKERS[self.method].is_network:
            raise InputError(f"--importance is for networks, but method {self.method} has a metric of its own")
        if self.rounds > 1 and self.method in RANKERS and not RANKERS[self.method].is_network:
            raise InputError(f"--rounds is for networks, but got --rounds {self.rounds} with method {self.method}")
        if self.out is not None:
            check_out(self.out, self.file)
        k, categorical = self.given_k, self.categorical or ()
        dataset = load_dataset(self.file, target=self.target, k=k, categorical=categorical, task=self.task, **reading)
        out = self.out or Path(f"{dataset.name[:200]}-features.csv")
        check_out(out, self.file)
        check_policy(dataset, self.impute)
        warn_of(dataset.notes)
        return dataset, out

    def selector(self, dataset: Dataset) -> SparseFeatureSelector:
        """Return the selector for a table."""
        from dst.selector.selector import SparseFeatureSelector

        return SparseFeatureSelector(
            AUTO if self.k == AUTO else dataset.k,
            method=self.method,
            sparsity=self.sparsity,
            l2=self.l2,
            importance=self.importance or "neuron_attribution",
            selection=self.selection,
            epochs=self.epochs,
            patience=self.patience,
            lr=self.lr,
            batch_size=dataset.batch_size,
            n_repeats=self.repeats,
            settings=self._settings(),
            resampling=self.resampling,
            task="classification" if dataset.class_names else "regression",
            impute=self.impute,
            indicators=self.indicators,
            categorical=sorted(dataset.categories),
            scaling=dataset.scaling,
            threads=self.threads,
            random_state=self.seed,
        )

    def _settings(self) -> dict[str, Any] | None:
        """Return the settings of several rounds, in which strength and attribution decide on the columns that stay."""
        from dst.training.config import TrainingConfig

        if self.rounds == 1:
            return None
        return {"rounds": self.rounds, "importances": TrainingConfig().importances}


@with_options
def select(options: SelectOptions, as_json: AsJson = False, *, reading: ReadingOptions) -> None:
    """Rank the columns of your own table: a CSV, and a bar chart beside it."""
    import torch

    from dst.selector.parts import rankings_per_repeat
    from studies.report.fit_progress import FitProgress
    from studies.report.ranking import rank_table
    from studies.report.yardsticks import judge

    torch.set_num_threads(1)
    started = time.perf_counter()
    rankings = options.repeats * rankings_per_repeat(options.resampling)
    dataset, out = options.load(reading.given())
    progress = FitProgress(rankings, options.rounds * options.epochs, numbers=not dataset.class_names)
    ranked = rank_table(dataset, options.selector(dataset), out, progress)
    if not as_json:
        _print(ranked, time.perf_counter() - started)
    judged = judge(ranked) if options.yardsticks else None
    if as_json:
        beside = {} if judged is None else judged.to_json()
        print_json({**ranked.to_json(), **beside, "seconds": time.perf_counter() - started})
    elif judged is not None:
        _print_yardsticks(judged)


def _print(ranked: TableRanking, seconds: float) -> None:
    from studies.report.enough_k import k_in_words

    dataset, ranking = ranked.dataset, ranked.ranking
    typer.echo(
        f"{dataset.name}: {dataset.n_samples} rows, {dataset.n_features} columns, "
        f"{f'{dataset.n_classes} classes' if dataset.class_names else 'a target of numbers'}; "
        f"{len(ranked.selector.selections_)} x {ranked.selector.method}, {seconds:.1f} s"
    )
    if ranked.val_accuracy is not None:
        what = "Accuracy" if dataset.class_names else "R2"
        score = f"{as_percent(ranked.val_accuracy)} %" if dataset.class_names else f"{ranked.val_accuracy:.3f}"
        typer.echo(f"{what} of the networks on held-out rows, with all columns: {score}")
    if curve := ranked.selector.k_curve_:
        rows = "held-out rows" if ranked.val_accuracy is None else "the held-out rows that stopped training: optimistic"
        typer.echo(f"K = {ranked.k} of {dataset.n_features} columns: {k_in_words(curve, ranked.k)} (an SVM on {rows})")
    if (training := ranked.training_in_words()) is not None:
        typer.echo(training)
    if (stability := ranked.stability) is not None:
        typer.echo(
            f"Stability of the {ranked.k} selected columns: {stability:.2f} (1: always the same, 0: drawn at random)"
        )
    for stable in ranked.stable:
        typer.echo(
            f"Selected by at least {100 * stable.threshold:.0f} % of the halves: {stable.columns} columns; "
            f"expected to say nothing: at most {stable.expected_false:.2g}"
        )
    if (scored := int((ranking["score"] > 0).sum())) < ranked.k:
        say(f"only {scored} columns have a score above 0: those behind them stand in random order")
    typer.echo()
    print_table(
        ["rank", "name", "score", "stability"],
        [
            [str(row["rank"]), row["name"], as_number(row["score"]), as_number(row["stability"])]
            for row in ranking.head(min(_SHOWN, ranked.k)).to_dict("records")
        ],
    )
    if ranked.k > _SHOWN:
        typer.echo(f"... and {ranked.k - _SHOWN} more")
    typer.echo(f"\nAll columns: {ranked.out}" + (f"\nChart: {ranked.plot}" if ranked.plot is not None else ""))


def _print_yardsticks(judged: RankingYardsticks) -> None:
    rankings = len(judged.ranked.selector.selections_)
    drawn = f"{rankings} draws of {judged.sticks.held_out_rows} rows"
    typer.echo(f"\nOn held-out rows (a support vector machine; means of {drawn}):")
    print_table(*judged.rows())
    if (by_chance := judged.stability_by_chance) is not None:
        typer.echo(f"Stability of selections by a shuffled target: {by_chance:.2f}")
    typer.echo(judged.verdict())
