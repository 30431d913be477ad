"""``dst datasets``: what is known by name, fetching it, and how a file looks."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dst.errors import printable, shortened
from studies.cli.terminal import (
    AsJson,
    Categorical,
    ReadingOptions,
    Target,
    as_text,
    print_json,
    print_table,
    with_options,
)
from studies.surroundings import say

if TYPE_CHECKING:
    from dst.data.known.fetch import Fetched

datasets_app = typer.Typer(help="Datasets: what is known by name, and how a file of yours looks.", no_args_is_help=True)

ALL = "all"
"""The argument of ``fetch`` that stands for all datasets."""

_CLASSES = 6  # that are shown with their rows

_KINDS = 4  # reasons for a refusal that fit into a line

_STEP = 2**20  # bytes between two words on a download


@datasets_app.command("list")
def list_command(as_json: AsJson = False) -> None:
    """List the datasets that are known by name."""
    from dst.data import list_datasets

    rows = list_datasets()
    if as_json:
        print_json({"datasets": rows})
        return
    keys = ("name", "samples", "features", "classes", "kind", "available")
    table = [["yes" if row[key] is True else as_text(row[key]) for key in keys] for row in rows]
    hashes = [row["sha256"] or ("-" if row["source"].startswith("embedded") else "unknown") for row in rows]
    print_table([*keys, "sha256"], [[*line, sha256[:12]] for line, sha256 in zip(table, hashes, strict=True)])


@datasets_app.command()
def fetch(
    name: Annotated[str, typer.Argument(metavar="NAME", help=f"A dataset's name, or {ALL}.")],
    as_json: AsJson = False,
) -> None:
    """Fetch a dataset's file into DST_DATA_DIR, or where that is not set into the user's cache folder, and check it."""
    from dst.data import DATASETS, FetchError, fetch_dataset

    names = [known for known, entry in DATASETS.items() if entry.file is not None] if name == ALL else [name]
    documents, failures = [], 0
    for dataset in names:
        try:
            fetched = fetch_dataset(dataset, on_progress=_progress(dataset))
        except FetchError as error:
            failures += 1
            say(f"error: {' '.join(str(error).split())}")
            documents.append({"name": dataset, "status": "failed", "error": str(error)})
            continue
        say(_line(fetched))
        documents.append(_document(fetched))
    if as_json:
        print_json({"datasets": documents})
    if failures:
        raise typer.Exit(1)


@datasets_app.command()
@with_options
def check(
    file: Annotated[str, typer.Argument(metavar="FILE", help="A table: .csv, .parquet, .npz, .mat, .svmlight.")],
    target: Target = None,
    group: Annotated[str | None, typer.Option(help="Column that says which rows belong together.")] = None,
    time: Annotated[str | None, typer.Option(help="Column that says when each row was taken.")] = None,
    categorical: Categorical = None,
    as_json: AsJson = False,
    *,
    reading: ReadingOptions,
) -> None:
    """Read a file and say what is in it and what would not work."""
    from dst.data import check_file
    from dst.data.readers.notes import REFUSED

    document = check_file(file, target, group=group, time=time, categorical=categorical or (), **reading.given())
    refused = [problem.removeprefix(REFUSED) for problem in document["problems"] if problem.startswith(REFUSED)]
    if refused:
        kinds = list(dict.fromkeys(re.split(r", | \(|: ", problem)[0] for problem in refused))
        more = f" and {len(kinds) - _KINDS} more" if len(kinds) > _KINDS else ""
        say(f"refused as it is: {', '.join(kinds[:_KINDS])}{more}")
    if as_json:
        print_json(document)
        return
    known = f", known as {document['known']}" if document["known"] else ""
    typer.echo(
        f"{document['name']}: {document['samples']} rows, {document['features']} columns, "
        f"{document['classes'] or 'no'} classes{known}"
    )
    if document["class_counts"]:
        typer.echo(f"classes: {_counts(document['class_counts'])}")
    for problem in document["problems"]:
        typer.echo(f"problem: {problem}")
    if not document["problems"]:
        typer.echo("no problems found")
    elif any(" --" in problem for problem in document["problems"]):
        typer.echo(
            "(options of the command line; the keys of a spec and of Python are called alike: index_column, ...)"
        )


def _counts(counts: dict[str, int]) -> str:
    """Return the largest classes with their shares."""
    rows = sum(counts.values())
    shown = [f"{shortened(printable(name), 30, '...')} {count} ({count / rows:.1%})" for name, count in counts.items()]
    more = f" and {len(shown) - _CLASSES} more" if len(shown) > _CLASSES else ""
    return ", ".join(shown[:_CLASSES]) + more


def _document(fetched: Fetched) -> dict[str, Any]:
    return {
        "name": fetched.name,
        "status": fetched.status,
        "path": None if fetched.path is None else str(fetched.path),
        "url": fetched.url,
        "sha256": fetched.sha256,
        "checked": fetched.checked,
    }


def _line(fetched: Fetched) -> str:
    if fetched.path is None:
        return f"{fetched.name} needs no file"
    known = "as known" if fetched.checked else "not known before; its shape, classes and parts are right"
    came = f"fetched from {fetched.url} to" if fetched.status == "fetched" else "is there already:"
    return f"{fetched.name} {came} {Path(fetched.path)}; SHA-256 {fetched.sha256} ({known})"


def _progress(name: str) -> Callable[[int, int], None]:
    """Return a callback that shows a download on a terminal's stderr, at every full megabyte."""
    shown = 0

    def tell(done: int, total: int) -> None:
        nonlocal shown
        complete = done == total
        if not sys.stderr.isatty() or (done // _STEP == shown and not complete):
            return
        shown = done // _STEP
        share = f" of {total / _STEP:.1f}" if total else ""
        typer.echo(f"\r{name}: {done / _STEP:.1f}{share} MB", err=True, nl=complete)

    return tell
