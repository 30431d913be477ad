"""The ``dst bench`` commands: measurements on this machine as a table, as JSON, as a figure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dst.errors import InputError
from studies.cli.terminal import AsJson, as_number, print_json, print_table
from studies.surroundings import say

if TYPE_CHECKING:
    from dst.bench.attribution import AttributionRow
    from dst.bench.machine import Machine
    from dst.bench.shapes import Shape
    from dst.bench.step import StepRow
    from dst.bench.topology import TopologyRow
    from studies.bench.scheduler import SchedulerRow
    from studies.bench.study import StudyRow
    from studies.bench.tracking import TrackingRow

bench_app = typer.Typer(
    help="How long training steps, topology updates and attribution take on this machine, beside torch and SciPy.",
    no_args_is_help=True,
)

Names = Annotated[
    list[str] | None,
    typer.Option(
        "--shape", metavar="NAME", help="COIL20, BASEHOCK, SMK or Isolet; may be repeated \\[default: the first three]."
    ),
]
Sparsities = Annotated[
    list[float] | None,
    typer.Option("--sparsity", metavar="X", help="In (0, 1); may be repeated \\[default: 0.5 to 0.98]."),
]
Threads = Annotated[int, typer.Option(min=1, help="For all but SciPy, which takes one; topology updates take one too.")]
Seconds = Annotated[float, typer.Option(min=0, help="About how long each row is measured.")]


@bench_app.command()
def step(
    names: Names = None,
    sparsities: Sparsities = None,
    threads: Threads = 1,
    seconds: Seconds = 10.0,
    plot: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Draw the speed-up over density to a .png or .svg file.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Measure a training step (forward, backward, Adam) of the sparse engine and of its peers."""
    from dst.bench.machine import machine
    from dst.bench.step import step_rows
    from studies.bench.plot import speed_up
    from studies.report.drawing import drawn, write_figure

    if plot is not None and plot.suffix not in (".png", ".svg"):
        raise InputError(f"--plot must name a .png or .svg file, but got {plot}")
    rows = _announced(step_rows(*_asked(names, sparsities), threads=threads, seconds=seconds))
    _print(machine(threads), rows, as_json)
    if plot is not None and (figure := drawn("the figure", lambda: speed_up(rows))) is not None:
        write_figure(figure, plot)


@bench_app.command()
def topology(
    names: Names = None,
    sparsities: Sparsities = None,
    threads: Threads = 1,
    seconds: Seconds = 5.0,
    as_json: AsJson = False,
) -> None:
    """Measure a topology update of a whole network, beside a sparse and a dense training step."""
    from dst.bench.machine import machine
    from dst.bench.topology import topology_rows

    rows = _announced(topology_rows(*_asked(names, sparsities), threads=threads, seconds=seconds))
    _print(machine(threads), rows, as_json)


@bench_app.command()
def attribution(
    names: Annotated[
        list[str] | None,
        typer.Option("--shape", metavar="NAME", help="A shape; may be repeated \\[default: COIL20, Isolet, BASEHOCK]."),
    ] = None,
    sparsities: Annotated[
        list[float] | None,
        typer.Option("--sparsity", metavar="X", help="In (0, 1); may be repeated \\[default: 0.95]."),
    ] = None,
    threads: Threads = 1,
    seconds: Seconds = 5.0,
    as_json: AsJson = False,
) -> None:
    """Measure one exact attribution of all inputs on 100 rows, beside torch's Jacobian of the masked network."""
    from dst.bench.attribution import attribution_rows
    from dst.bench.machine import machine
    from dst.bench.shapes import named_shape

    shapes = [named_shape(name) for name in names or ("COIL20", "Isolet", "BASEHOCK")]
    rows = _announced(attribution_rows(shapes, sparsities or [0.95], threads=threads, seconds=seconds))
    _print(machine(threads), rows, as_json)


@bench_app.command()
def scheduler(
    trials: Annotated[
        int | None, typer.Option(min=1, help="Trials of each case \\[default: 300 empty ones, 40 of two seconds].")
    ] = None,
    long: Annotated[
        bool, typer.Option("--long", help="2,000 empty trials instead: what grows with their number.")
    ] = False,
    workers: Annotated[int, typer.Option(min=1, help="Trials at a time, each on a core.")] = 2,
    as_json: AsJson = False,
) -> None:
    """Measure what a study costs beside its trials: time, idle workers, the driver's memory."""
    from dst.bench.machine import machine
    from studies.bench.scheduler import CASES, LONG_CASES, scheduler_rows

    cases = [replace(case, trials=trials or case.trials) for case in (LONG_CASES if long else CASES)]
    _print(machine(1), _announced(scheduler_rows(cases, workers=workers)), as_json)


@bench_app.command()
def tracking(
    trials: Annotated[int, typer.Option(min=1, help="Of the made-up study.")] = 5000,
    as_json: AsJson = False,
) -> None:
    """Measure what writing a study's runs for W&B costs, offline: one for each trial, and as many as by default."""
    from dst.bench.machine import machine
    from studies.bench.tracking import CASES, tracking_rows

    _print(machine(1), _announced(tracking_rows(replace(case, trials=trials) for case in CASES)), as_json)


@bench_app.command()
def study(
    names: Annotated[
        list[str] | None,
        typer.Option("--name", metavar="NAME", help="quickstart or basehock; may be repeated \\[default: all]."),
    ] = None,
    trials: Annotated[
        int | None,
        typer.Option(min=1, help="Of each dataset's search, with one confirming trial \\[default: the study's]."),
    ] = None,
    workers: Annotated[int, typer.Option(min=1, help="Processes that run trials, each with one thread.")] = 2,
    as_json: AsJson = False,
) -> None:
    """Run a study, and the same trials with OptunaSearch, ASHAScheduler and masked torch networks."""
    from dst.bench.machine import machine
    from studies.bench.study import STUDIES, study_rows

    rows = _announced(study_rows(names or STUDIES, trials=trials, workers=workers, left_out=say))
    _print(machine(1), rows, as_json)


def _asked(names: list[str] | None, sparsities: list[float] | None) -> tuple[list[Shape], Sequence[float]]:
    from dst.bench.shapes import DEFAULT_SHAPES, SPARSITIES, named_shape

    return [named_shape(name) for name in names or DEFAULT_SHAPES], sparsities or SPARSITIES


def _announced(
    rows: Iterable[StepRow | TopologyRow | AttributionRow | SchedulerRow | TrackingRow | StudyRow],
) -> list[dict[str, Any]]:
    """Collect rows, and say each on stderr when it is there."""
    documents = []
    for row in rows:
        documents.append(asdict(row))
        say(", ".join(f"{key} {as_number(value)}" for key, value in documents[-1].items()))
    return documents


def _print(where: Machine, rows: Sequence[dict[str, Any]], as_json: bool) -> None:
    if as_json:
        print_json({"machine": asdict(where), "rows": rows})
        return
    typer.echo(", ".join(f"{key} {value}" for key, value in asdict(where).items()) + "\n")
    print_table(list(rows[0]), [[as_number(value) for value in row.values()] for row in rows])
