"""The ``dst`` command. Results go to stdout, progress and messages to stderr.

Exit status: 0 done; 1 the work failed; 2 the call or the spec is wrong, said in one line.
"""

from __future__ import annotations

import logging
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer
from typer.exceptions import TyperException

from dst.errors import InputError
from studies.cli.bench import bench_app
from studies.cli.compare import compare
from studies.cli.datasets import datasets_app
from studies.cli.select import export, select
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
from studies.report.cost import as_mib
from studies.surroundings import say, standard_streams, stated_home

if TYPE_CHECKING:
    from studies.spec.objective import ObjectiveSpec

app = typer.Typer(
    help="Which features matter, and which sparse network, trained how, finds them best.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(datasets_app, name="datasets")
app.add_typer(bench_app, name="bench")
app.command()(select)
app.command()(export)
app.command()(compare)

INTERRUPTED = 130
"""Exit status after Ctrl+C or SIGTERM, as shells have it; Typer turns a KeyboardInterrupt into it."""

StudyDir = Annotated[Path, typer.Argument(metavar="DIR", help="A study's folder.")]


@app.command()
def run(
    spec: Annotated[
        str,
        typer.Argument(
            metavar="SPEC",
            help="A YAML file, or a packaged spec: quickstart, images_and_text, missing_data, paper, paper_baselines, "
            "paper_l2, paper_sparsities, paper_svm or paper_synthetic.",
        ),
    ],
    out: Annotated[Path | None, typer.Option(help="The study's folder [default: runs/NAME].")] = None,
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Replace a value of the spec, e.g. search.trials=50."),
    ] = None,
    address: Annotated[str | None, typer.Option(help="A running Ray cluster: HOST:PORT, or auto.")] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Trials at a time [default: one per core].")] = None,
) -> None:
    """Run a study, or go on with it where it was interrupted."""
    from studies.run import run_study
    from studies.spec.study import load_spec

    loaded = load_spec(spec, overrides or ())
    result = run_study(loaded, out=out, address=address, workers=workers)
    if not result.ran:
        say("Nothing to do: the study is finished.")
    _print_best(result.rows, loaded.objective)
    typer.echo(f"\nReport: {result.folder / 'report.html'}")
    for warning in result.warnings:
        say(f"warning: {warning}")
    if result.missing:
        say(f"error: no trial could be confirmed on {', '.join(result.missing)}; see dst status {result.folder}")
        raise typer.Exit(1)


@app.command()
def status(folder: StudyDir, as_json: AsJson = False) -> None:
    """Show how far a study is, what is best so far and what it has cost."""
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
        [name, *(f"{one[kind]:.1f}" for kind in kinds), as_mib(one["peak_rss_bytes"])] for name, one in parts.items()
    ]
    print_table(["dataset", *kinds[:-1], "total", "peak memory"], table)


@app.command()
def best(folder: StudyDir, as_json: AsJson = False) -> None:
    """Show the best configuration per dataset, with its confirmed test score and that of its feature list."""
    from studies.report.results import collect
    from studies.store.folder import StudyFolder
    from studies.store.study_file import read_study

    study = StudyFolder(folder)
    begun, datasets = read_study(study)
    rows = collect(study, begun, datasets).best
    if as_json:
        print_json({"best": rows})
    else:
        _print_best(rows, begun.objective)


@app.command()
def report(folder: StudyDir) -> None:
    """Write tables, plots and report.html again from a study's records."""
    from studies.report.write import write_results
    from studies.store.folder import StudyFolder
    from studies.store.study_file import read_study

    study = StudyFolder(folder)
    write_results(study, *read_study(study))
    typer.echo(study.report)


@app.command()
def track(
    folder: StudyDir,
    mode: Annotated[str | None, typer.Option(help="online, offline or disabled [default: the spec's].")] = None,
    project: Annotated[
        str | None,
        typer.Option(
            help="The W&B project, for this call: the next run, or track without it, sends to the spec's "
            "[default: the spec's]."
        ),
    ] = None,
    entity: Annotated[str | None, typer.Option(help="The W&B user or team [default: the spec's].")] = None,
) -> None:
    """Send to Weights & Biases what it does not have yet."""
    from studies.store.folder import StudyFolder
    from studies.store.study_file import read_study
    from studies.tracking.send import send_results

    study = StudyFolder(folder)
    sent = send_results(study, *read_study(study), mode=mode, project=project, entity=entity)
    typer.echo(f"{sent} runs sent")


@app.command()
@reads_tables
def trial(
    data: Annotated[str, typer.Option(help="A dataset's name, or the path of a file.")],
    target: Target = None,
    split: Annotated[str, typer.Option(help="stratified, official, kfold, paper, group or time.")] = "stratified",
    group: Annotated[str | None, typer.Option(help="The column whose rows stay together, for --split group.")] = None,
    time: Annotated[str | None, typer.Option(help="The column to order rows by, for --split time.")] = None,
    categorical: Categorical = None,
    impute: Impute = None,
    indicators: Indicators = False,
    missing_rate: Annotated[float, typer.Option(help="Share of values to remove first, in [0, 1).")] = 0.0,
    mechanism: Annotated[str, typer.Option(help="Which values are removed: mcar, mar or mnar.")] = "mcar",
    method: Annotated[
        str, typer.Option(help="set, rigl, mest, set_attr, static, dense, or a rival: l1_logistic, extra_trees, ...")
    ] = "set",
    sparsity: Annotated[float, typer.Option(help="Share of connections that do not exist, in [0, 1).")] = 0.9,
    l2: Annotated[float, typer.Option(help="Weight decay.")] = 1e-4,
    k: Annotated[int | None, typer.Option(help="How many features to select [default: the dataset's].")] = None,
    seed: Annotated[int, typer.Option(help="Of the network and of the validation rows.")] = 0,
    epochs: Annotated[int, typer.Option(help="The most epochs to train.")] = 200,
    batch_size: Annotated[int | None, typer.Option(help="Rows in a minibatch [default: the dataset's].")] = None,
    inner_splits: Annotated[
        int | None,
        typer.Option(min=1, help="Draws of validation rows [default: the split's, 5 or 1]."),
    ] = None,
    engine: Annotated[
        str, typer.Option(help="auto, sparse or dense (masked matrices): what trains layers with a sparsity.")
    ] = "auto",
    device: Annotated[str, typer.Option(help="cpu, or cuda (a GPU).")] = "cpu",
    threads: Annotated[int, typer.Option(min=1, help="Cores that training may use.")] = 1,
    test: Annotated[bool, typer.Option("--test", help="Open the test rows and score the selection on them.")] = False,
    as_json: AsJson = False,
    *,
    reading: dict[str, Any],
) -> None:
    """Run one trial in this process: train, rank the features, score the best K."""
    import torch

    from dst.data import Removal, load_dataset, remove_values
    from dst.training.config import TrainingConfig
    from dst.training.engines.choice import check_device
    from dst.trial.run import TrialSpec, run_trial, score_on_test

    torch.set_num_threads(1)
    machine: dict[str, Any] = {"engine": engine, "device": device, "threads": threads}
    settings = {"sparsity": sparsity, "l2": l2, "epochs": epochs, **machine}
    TrainingConfig(**settings)  # a wrong value is refused though the method does not take it
    check_device(device)
    removal = Removal(missing_rate, mechanism, seed=0)
    roles: dict[str, Any] = {"target": target, "group": group, "time": time, "categorical": categorical or ()}
    dataset = load_dataset(data, k=k, batch_size=batch_size, **roles, **reading)
    warn_of(dataset.notes)
    dataset = remove_values(dataset, removal)
    spec = TrialSpec(
        method, settings, split=split, seed=seed, inner_splits=inner_splits, impute=impute, indicators=indicators
    )
    result = run_trial(dataset, spec)
    if result.absent_classes:
        say(f"warning: training rows lack a class ({', '.join(result.absent_classes)})")
    only_in_records = ("data_sha256", "split_sha256", "absent_classes")
    document: dict[str, Any] = {
        "dataset": dataset.name,
        **spec.described(dataset.batch_size),
        "seed": seed,
        "split": split,
        **{key: value for key, value in result.to_json().items() if key not in only_in_records},
    }
    if test:
        selected = {name: one.selected for name, one in result.importances.items()}
        for name, accuracy in score_on_test(dataset, spec, selected).items():
            document["importances"][name]["test_svm_accuracy"] = accuracy
    if as_json:
        print_json(document)
        return
    typer.echo(
        f"{dataset.name}: {dataset.n_samples} rows, {dataset.n_features} columns, {dataset.n_classes} classes; "
        f"{method}, {document['epochs']} epochs, {document['seconds']['total']:.1f} s"
    )
    rows = []
    for name, one in document["importances"].items():
        names = ", ".join(dataset.feature_names[column] for column in one["selected"][:5])
        accuracies = [as_percent(one["val_svm_accuracy"]), as_percent(one.get("test_svm_accuracy"))]
        rows.append([name, *accuracies, f"{names}, ..." if document["k"] > 5 else names])
    print_table(["importance", "validation", "test", f"best of {document['k']} columns"], rows)


@standard_streams()
@stated_home()
def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and exit with its status."""
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(levelname)s: %(message)s")
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # not by SIGINT, which shells ignore in the background
    try:
        code = app(args=arguments, prog_name="dst", standalone_mode=False)
    except TyperException as error:
        say(f"error: {error.format_message()} (see dst --help)")
        sys.exit(2)
    except InputError as error:
        say(f"error: {error}")
        sys.exit(2)
    except Exception as error:
        status = _status_of(error)
        if status is None:
            raise
        say(f"error: {' '.join(str(error).split())}")
        sys.exit(status)
    if code == INTERRUPTED:
        say("interrupted; the same command goes on from here")
    sys.exit(code or 0)


def _status_of(error: Exception) -> int | None:
    """Return the exit status of an error that a user can cause; None for a defect, whose traceback is wanted."""
    from cluster.jobs import ClusterError
    from cluster.ledger.entries import LedgerError
    from cluster.ledger.storage.patient import StorageFailedError
    from dst.errors import DivergedError
    from studies.store.record import RecordError
    from studies.tracking.wandb import TrackingError

    if isinstance(error, ClusterError | LedgerError):
        return 2
    failed_work = DivergedError | RecordError | StorageFailedError | TrackingError | OSError
    return 1 if isinstance(error, failed_work) else None


def _print_best(rows: Sequence[dict[str, Any]], objective: ObjectiveSpec) -> None:
    if not rows:
        typer.echo("No configuration is confirmed yet.")
        return
    table = []
    for row in rows:
        settings = ", ".join(f"{name} {as_number(value)}" for name, value in row["params"].items() if name != "method")
        spread = "" if row["test_std"] is None else f" ± {100 * row['test_std']:.1f}"
        test = "not opened" if row["test_mean"] is None else f"{as_percent(row['test_mean'])}{spread} %"
        lists = [_list_score(row[key]) for key in ("list_val_score", "list_test_score")]
        place = [row["dataset"], row["method"], row["importance"], str(row["k"])]
        table.append([*place, as_number(row["val_score"]), test, *lists, settings])
    lists = [f"list: validation {objective.judged_by_title}", "list: test accuracy"]
    print_table(["dataset", "method", "importance", "K", "validation", "test accuracy", *lists, "settings"], table)


def _list_score(score: float | None) -> str:
    return "not measured" if score is None else f"{as_percent(score)} %"
