"""The ``dst`` command. Results go to stdout, progress and messages to stderr.

Exit status: 0 done; 1 the work failed; 2 the call or the spec is wrong, said in one line; 75 the Ray that a run was
connected with has ended, and 130 the run was interrupted: the same command goes on.
"""

from __future__ import annotations

import logging
import signal
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from typing import Annotated, NoReturn

import typer
from typer.exceptions import TyperException

from dst.errors import InputError
from studies.cli.bench import bench_app
from studies.cli.compare import compare
from studies.cli.dashboard import dashboard
from studies.cli.datasets import datasets_app
from studies.cli.driver import INTERRUPTED, LOST, explained_end, say_interrupted, say_lost
from studies.cli.launch import launch_app
from studies.cli.select import select
from studies.cli.study import best, export, report, run, status, track
from studies.cli.trial import trial
from studies.cli.watch import watch
from studies.surroundings import say, standard_streams, stated_home

app = typer.Typer(
    help="Which features matter, and which sparse network, trained how, finds them best.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.add_typer(datasets_app, name="datasets")
app.add_typer(bench_app, name="bench")
app.add_typer(launch_app, name="launch")
for command in (select, export, compare, run, status, watch, best, report, dashboard, track, trial):
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


@standard_streams()
@stated_home()
def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with its status.

    Args:
        arguments: after the command's name; None: those of this process, which then waits for a child where they say
            ``run`` (:mod:`studies.cli.driver`).
    """
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(levelname)s: %(message)s")
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # not by SIGINT, which shells ignore in the background
    drives = arguments is None and sys.argv[1:2] == ["run"]
    with explained_end() if drives else nullcontext():
        _call(arguments)


def _call(arguments: Sequence[str] | None) -> NoReturn:
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
        reason = " ".join(str(error).split())
        if exit_status == LOST:
            say_lost(reason)
        else:
            say(f"error: {reason}")
        sys.exit(exit_status)
    if code == INTERRUPTED:
        if "run" in (sys.argv[1:] if arguments is None else arguments)[:1]:
            say_interrupted()
        else:
            say("interrupted")
    sys.exit(code or 0)


def _status_of(error: Exception) -> int | None:
    """Return the exit status of an error that a user can cause; None for a defect, whose traceback is wanted."""
    from cluster.jobs import ClusterError, ClusterLostError
    from cluster.ledger.entries import LedgerError
    from cluster.ledger.storage.patient import StorageFailedError
    from dst.errors import DivergedError
    from studies.store.record_codec import RecordError
    from studies.tracking.server import TrackingError

    if isinstance(error, ClusterLostError):
        return LOST
    if isinstance(error, ClusterError | LedgerError):
        return 2
    failed_work = DivergedError | RecordError | StorageFailedError | TrackingError | OSError
    return 1 if isinstance(error, failed_work) else None
