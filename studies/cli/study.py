"""The commands of a study and its folder: run it, look at it, write its report, send it, export its winner."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dst.errors import InputError, printable
from studies.cli.terminal import AsJson, as_number, as_percent, print_json, print_table, print_wrapped
from studies.surroundings import say

if TYPE_CHECKING:
    from studies.choice.best import BestRow
    from studies.run import StudyResult
    from studies.spec.objective import ObjectiveSpec

_MOST_NAMES = 50
"""Selected columns of a dataset that are named; all are in its feature list."""

StudyDir = Annotated[Path, typer.Argument(metavar="DIR", help="A study's folder.")]


def run(
    spec: Annotated[
        str,
        typer.Argument(
            metavar="SPEC",
            help="A YAML file, or a packaged spec: quickstart, images_and_text, missing_data, paper, paper_baselines, "
            "paper_l2, paper_search, paper_search_baselines, paper_sparsities, paper_svm or paper_synthetic.",
        ),
    ],
    out: Annotated[Path | None, typer.Option(help="The study's folder \\[default: runs/NAME].")] = None,
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Replace a value of the spec, e.g. search.trials=50."),
    ] = None,
    address: Annotated[
        str | None,
        typer.Option(
            envvar="RAY_ADDRESS", help="A running Ray cluster: HOST:PORT, or auto; local: none, start Ray here."
        ),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Trials at a time; more than fit by now on a cluster that grows by what is asked of it "
            "\\[default: as many as fit].",
        ),
    ] = None,
) -> None:
    """Run a study, or go on with it where it was interrupted."""
    from studies.run import run_study
    from studies.spec.loading import load_spec

    loaded = load_spec(spec, overrides or ())

    def show(result: StudyResult) -> None:
        if not result.ran:
            say("Nothing to do: the study is finished.")
        _print_best(result.rows, loaded.objective)
        typer.echo(f"\nReport: {result.folder / 'report.html'}")
        sys.stdout.flush()
        for warning in result.warnings:
            say(f"warning: {warning}")
        shown.extend(result.warnings)

    shown: list[str] = []
    if address in ("", "local"):
        address = None
    elif address is not None and address == os.environ.get("RAY_ADDRESS"):
        say(f"RAY_ADDRESS names a Ray cluster, which runs the trials: {address}")
    result = run_study(loaded, out=out, address=address, workers=workers, show=show)
    if result.tracked is not None:
        say(f"W&B: {result.tracked}")
    for warning in result.warnings[len(shown) :]:
        say(f"warning: {warning}")
    if result.missing:
        say(f"error: no trial could be confirmed on {', '.join(result.missing)}; see dst status {result.folder}")
        raise typer.Exit(1)


def status(folder: StudyDir, as_json: AsJson = False) -> None:
    """Show how far a study is, what is best so far and what it has cost."""
    from studies.report.cost import as_mib
    from studies.report.status import study_status

    document = study_status(folder)
    if as_json:
        print_json(document)
        return
    skipped = ("skipped",) if any(counts["skipped"] for counts in document["datasets"].values()) else ()
    keys = ("finished", "running", "stopped", "failed", "waiting", *skipped, "best_value")
    rows = [[name, *(as_number(counts[key]) for key in keys)] for name, counts in document["datasets"].items()]
    print_table(["dataset", *keys], rows)
    search, cost = document["search"], document["cost"]
    limit = "" if search["limit"] is None else f" of {search['limit']:.0f}"
    typer.echo(
        f"\nSearch: {search['seconds']:.0f}{limit} s; whole study: {cost['wall_seconds']:.0f} s\n\nCore-seconds:"
    )
    kinds = ("useful", "stopped", "failed", "repeated", "core_seconds")
    parts = {**cost["datasets"], "all": cost} if len(cost["datasets"]) > 1 else cost["datasets"]
    table = [
        [name, *(f"{part[kind]:.1f}" for kind in kinds), as_mib(part["peak_rss_bytes"])] for name, part in parts.items()
    ]
    print_table(["dataset", *kinds[:-1], "total", "peak memory"], table)


def best(folder: StudyDir, as_json: AsJson = False) -> None:
    """Show the best configuration per dataset, with its confirmed test score and that of its feature list."""
    from studies.report.results import collect
    from studies.store.archive import StudyArchive
    from studies.store.folder import StudyFolder

    study = StudyArchive(StudyFolder(folder))
    rows = collect(study).best
    if as_json:
        print_json({"best": rows})
    else:
        _print_best(rows, study.spec.objective)


def report(
    folder: StudyDir,
    latex: Annotated[bool, typer.Option("--latex", help="Write the tables for a paper too, to latex/.")] = False,
) -> None:
    """Write tables, plots, report.html and report.md again from a study's records."""
    from studies.report.write import write_latex, write_results
    from studies.store.archive import StudyArchive
    from studies.store.folder import StudyFolder

    study = StudyArchive(StudyFolder(folder))
    results, _ = write_results(study)
    typer.echo(study.folder.report)
    if latex:
        for path in write_latex(study, results):
            typer.echo(path)


def track(
    folder: StudyDir,
    mode: Annotated[str | None, typer.Option(help="online, offline or disabled \\[default: the spec's].")] = None,
    project: Annotated[
        str | None,
        typer.Option(
            help="The W&B project, for this call: the next run, or track without it, sends to the spec's "
            "\\[default: the spec's]."
        ),
    ] = None,
    entity: Annotated[str | None, typer.Option(help="The W&B user or team \\[default: the spec's].")] = None,
    live: Annotated[bool, typer.Option("--follow", help="Send it as it goes on, until the run ends.")] = False,
    workspace: Annotated[
        bool,
        typer.Option(
            "--workspace", help="Save views of it there too: leaderboard, best so far, search, sparsity (online)."
        ),
    ] = False,
    told: Annotated[bool, typer.Option("--told", hidden=True)] = False,
) -> None:
    """Send to Weights & Biases what it does not have yet."""
    from studies.store.archive import StudyArchive
    from studies.store.folder import StudyFolder
    from studies.tracking.follow import follow
    from studies.tracking.send import destination_of, send_results
    from studies.tracking.views import check_views, save_views

    if workspace:
        check_views(destination_of(StudyArchive(StudyFolder(folder)), mode=mode).mode)
    if live:
        sent = follow(folder, told=told, mode=mode, project=project, entity=entity)
    else:
        study = StudyArchive(StudyFolder(folder))
        sent = send_results(study, mode=mode, project=project, entity=entity, told=_counting())
    kept = f"; {sent.deleted} deleted in W&B stay so" if sent.deleted else ""
    typer.echo(f"{sent.runs} runs sent{kept}" + (f": {sent.url}" if sent.url else ""))
    if workspace:
        views = save_views(StudyArchive(StudyFolder(folder)), mode=mode, project=project, entity=entity)
        for name, url in views.items():
            typer.echo(f"{name}: {url}")


def _counting(seconds: float = 5.0) -> Callable[[int], None]:
    """Return what says now and then how many runs have been sent."""
    due = time.monotonic() + seconds

    def told(count: int) -> None:
        nonlocal due
        if time.monotonic() >= due:
            due = time.monotonic() + seconds
            say(f"{count} runs sent so far")

    return told


def export(
    folder: StudyDir,
    dataset: Annotated[str, typer.Option(help="One of the study's datasets.")],
    to: Annotated[Path, typer.Option(metavar="DIR2", help="The folder to write; it must not exist, or be empty.")],
    as_json: AsJson = False,
) -> None:
    """Write the best configuration of a dataset, refitted on all rows: spec, ranked columns and a selector."""
    import torch

    from studies.report.export import export_best
    from studies.report.fit_progress import FitProgress
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


def _print_best(rows: Sequence[BestRow], objective: ObjectiveSpec) -> None:
    from studies.report.enough_k import smallest_k_in_words

    if not rows:
        typer.echo("No configuration is confirmed yet.")
        return
    table = []
    for row in rows:
        spread = "" if row["test_std"] is None else f" ± {100 * row['test_std']:.1f}"
        test = "not opened" if row["test_mean"] is None else f"{as_percent(row['test_mean'])}{spread} %"
        lists = [_list_score(row[key]) for key in ("list_val_score", "list_test_score")]
        table.append([row["dataset"], row["method"], str(row["k"]), as_number(row["val_score"]), test, *lists])
    lists = [f"list: validation {objective.judged_by_title}", "list: test accuracy"]
    print_table(["dataset", "method", "K", "validation", "test accuracy", *lists], table)
    for row in rows:
        _print_winner(row)
    if enough := [words for row in rows if (words := smallest_k_in_words(row)) is not None]:
        typer.echo()
        print_wrapped(
            "Smallest K within one standard error of the best, mean on validation rows (95% interval over seeds):"
        )
        for words in enough:
            print_wrapped(words, "  ")


def _print_winner(row: BestRow) -> None:
    """Print how the winner of a dataset ranks columns, and the names of the columns that it selects."""
    settings = [f"{name}={as_number(value)}" for name, value in row["params"].items() if name != "method"]
    names = [printable(name) for name in row["feature_names"][:_MOST_NAMES]]
    more = len(row["feature_names"]) - len(names)
    rest = f" and {more} more in features/{row['dataset']}.csv" if more else ""
    typer.echo()
    print_wrapped(f"{row['dataset']}: {', '.join([row['method'], row['importance'], *settings])}", "  ")
    print_wrapped(f"  {row['k']} columns, best first: {', '.join(names)}{rest}", "    ")


def _list_score(score: float | None) -> str:
    return "not measured" if score is None else f"{as_percent(score)} %"
