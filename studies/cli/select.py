"""``dst select`` and ``dst export``: a ranking to look at, and one to use."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Any

import typer

from dst.errors import InputError
from studies.cli.terminal import (
    AsJson,
    Categorical,
    Impute,
    Indicators,
    Target,
    as_number,
    as_percent,
    print_json,
    print_table,
    reads_tables,
    warn_of,
)
from studies.surroundings import say

_SHOWN = 10


@reads_tables
def select(
    file: Annotated[str, typer.Argument(metavar="FILE", help="A table, or a dataset's name.")],
    target: Target = None,
    k: Annotated[int | None, typer.Option(help="How many columns to select [default: the dataset's].")] = None,
    out: Annotated[Path | None, typer.Option(help="The ranked columns [default: NAME-features.csv].")] = None,
    categorical: Categorical = None,
    impute: Impute = None,
    indicators: Indicators = False,
    method: Annotated[
        str, typer.Option(help="set, rigl, mest, set_attr, static, dense, or a rival: l1_logistic, extra_trees, ...")
    ] = "set",
    sparsity: Annotated[float, typer.Option(help="Share of connections that do not exist, in [0, 1).")] = 0.9,
    l2: Annotated[float, typer.Option(help="Weight decay.")] = 1e-4,
    importance: Annotated[
        str | None, typer.Option(help="How a network's inputs are scored [default: neuron_attribution].")
    ] = None,
    repeats: Annotated[int, typer.Option(min=1, help="Networks whose scores are averaged.")] = 5,
    epochs: Annotated[int, typer.Option(help="The most epochs to train.")] = 100,
    seed: Annotated[int, typer.Option(min=0, max=2**31 - 1, help="Of networks and held-out rows.")] = 0,
    threads: Annotated[int, typer.Option(min=1, help="Cores that training may use.")] = 1,
    as_json: AsJson = False,
    *,
    reading: dict[str, Any],
) -> None:
    """Rank the columns of your own table: a CSV, and a bar chart beside it."""
    import torch

    from dst.data import check_policy, load_dataset
    from dst.rankers import RANKERS
    from dst.selector.selector import SparseFeatureSelector
    from studies.report.ranking import FitProgress, check_out, ranked_table, stability_of, write_ranking

    torch.set_num_threads(1)
    started = time.perf_counter()
    if importance is not None and method in RANKERS and not RANKERS[method].is_network:
        raise InputError(f"--importance is for networks, but method {method} has a metric of its own")
    if out is not None:
        check_out(out, file)
    dataset = load_dataset(file, target=target, k=k, categorical=categorical or (), **reading)
    out = out or Path(f"{dataset.name[:200]}-features.csv")
    check_out(out, file)
    check_policy(dataset, impute)
    warn_of(dataset.notes)
    selector = SparseFeatureSelector(
        dataset.k,
        method=method,
        sparsity=sparsity,
        l2=l2,
        importance=importance or "neuron_attribution",
        epochs=epochs,
        batch_size=dataset.batch_size,
        n_repeats=repeats,
        task="classification",
        impute=impute,
        indicators=indicators,
        categorical=sorted(dataset.categories),
        scaling=dataset.scaling,
        threads=threads,
        random_state=seed,
    )
    with FitProgress(repeats, epochs) as progress:
        selector.fit(dataset.x, dataset.y, on_epoch=progress.on_epoch)
    ranking = ranked_table(selector, dataset.feature_names)
    plot = write_ranking(out, ranking, dataset.k, title=f"{dataset.name}: {dataset.k} columns that matter most")
    stability = stability_of(selector)
    seconds = time.perf_counter() - started
    if as_json:
        document: dict[str, Any] = {
            "dataset": dataset.name,
            "samples": dataset.n_samples,
            "features": dataset.n_features,
            "classes": dataset.n_classes,
            "k": dataset.k,
            "method": method,
            "importance": selector.importance_,
            "repeats": repeats,
            "val_accuracy": progress.accuracy,
            "stability": stability,
            "selected": ranking.head(dataset.k).to_dict("records"),
            "out": str(out),
            "plot": None if plot is None else str(plot),
            "seconds": seconds,
        }
        print_json(document)
        return
    typer.echo(
        f"{dataset.name}: {dataset.n_samples} rows, {dataset.n_features} columns, {dataset.n_classes} classes; "
        f"{repeats} x {method}, {seconds:.1f} s"
    )
    if progress.accuracy is not None:
        typer.echo(f"Accuracy of the networks on held-out rows, with all columns: {as_percent(progress.accuracy)} %")
    if stability is not None:
        typer.echo(f"Stability of the {dataset.k} selected columns: {stability:.2f} (1: always the same, 0: by chance)")
    if (scored := int((ranking["score"] > 0).sum())) < dataset.k:
        say(f"only {scored} columns have a score above 0: those behind them stand in random order")
    typer.echo()
    print_table(
        ["rank", "name", "score", "stability"],
        [
            [str(row["rank"]), row["name"], as_number(row["score"]), as_number(row["stability"])]
            for row in ranking.head(min(_SHOWN, dataset.k)).to_dict("records")
        ],
    )
    if dataset.k > _SHOWN:
        typer.echo(f"... and {dataset.k - _SHOWN} more")
    typer.echo(f"\nAll columns: {out}" + (f"\nChart: {plot}" if plot is not None else ""))


def export(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A study's folder.")],
    dataset: Annotated[str, typer.Option(help="One of the study's datasets.")],
    to: Annotated[Path, typer.Option(metavar="DIR2", help="The folder to write; it must not exist, or be empty.")],
    as_json: AsJson = False,
) -> None:
    """Write the best configuration of a dataset, refitted on all rows: spec, ranked columns and a selector."""
    import torch

    from studies.report.export import export_best
    from studies.report.ranking import FitProgress
    from studies.store.archive import StudyArchive
    from studies.store.folder import StudyFolder

    torch.set_num_threads(1)
    if to.exists() and (not to.is_dir() or any(to.iterdir())):
        raise InputError(f"--to must name a folder that does not exist or is empty, but got {to}")
    document = export_best(StudyArchive(StudyFolder(folder)), dataset, to, FitProgress)
    if as_json:
        print_json(document)
        return
    for name, says in (
        ("spec.yaml", "runs the winning configuration again: dst run spec.yaml"),
        ("features.csv", "all columns, ranked by the refitted selector"),
        ("selector.npz", "dst.SparseFeatureSelector.load(...).transform(table)"),
        ("export.json", "where all this comes from"),
    ):
        typer.echo(f"{to / name}: {says}")
    say(f"{document['k']} of {document['features']} columns of {dataset}, over {document['repeats']} seeds")
