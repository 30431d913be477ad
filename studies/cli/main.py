"""The ``dst`` command. Results go to stdout, progress and messages to stderr.

Exit status: 0 done; 1 the work failed; 2 the call or the spec is wrong, said in one line.
"""

from __future__ import annotations

import logging
import signal
import sys
from collections.abc import Sequence
from typing import Annotated, NoReturn

import typer
from typer.exceptions import TyperException

from dst.errors import InputError
from studies.cli.bench import bench_app
from studies.cli.compare import compare
from studies.cli.datasets import datasets_app
from studies.cli.select import select
from studies.cli.study import best, export, report, run, status, track
from studies.cli.trial import trial
from studies.surroundings import say, standard_streams, stated_home

app = typer.Typer(
    help="Which features matter, and which sparse network, trained how, finds them best.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(datasets_app, name="datasets")
app.add_typer(bench_app, name="bench")
for command in (select, export, compare, run, status, best, report, track, trial):
    app.command()(command)


def _say_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"dst-studies {version('dst-studies')}")
        raise typer.Exit


@app.callback()
def _options(
    shown: Annotated[
        bool, typer.Option("--version", callback=_say_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Take the options of ``dst`` itself; each ends the call."""


INTERRUPTED = 130
"""Exit status after Ctrl+C or SIGTERM, as shells have it; Typer turns a KeyboardInterrupt into it."""


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
        exit_status = _status_of(error)
        if exit_status is None:
            raise
        say(f"error: {' '.join(str(error).split())}")
        sys.exit(exit_status)
    if code == INTERRUPTED:
        goes_on = "run" in (sys.argv[1:] if arguments is None else arguments)[:1]
        say("interrupted; the same command goes on from here" if goes_on else "interrupted")
    sys.exit(code or 0)


def _status_of(error: Exception) -> int | None:
    """Return the exit status of an error that a user can cause; None for a defect, whose traceback is wanted."""
    from cluster.jobs import ClusterError
    from cluster.ledger.entries import LedgerError
    from cluster.ledger.storage.patient import StorageFailedError
    from dst.errors import DivergedError
    from studies.store.record_codec import RecordError
    from studies.tracking.server import TrackingError

    if isinstance(error, ClusterError | LedgerError):
        return 2
    failed_work = DivergedError | RecordError | StorageFailedError | TrackingError | OSError
    return 1 if isinstance(error, failed_work) else None
