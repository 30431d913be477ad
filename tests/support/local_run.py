"""A watched run, on a Ray that is started here, of everything that can become of a job whose process lives."""

from __future__ import annotations

import os
import signal
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from cluster.tune.run import run_jobs
from tests.support.job_script import Script
from tests.support.job_work import act

SHARED = {"ones": np.ones(1000), "twos": np.full(10, 2.0)}
STOPPED_AT = 2
TOKEN = "feed" * 16

# What a job does, and how it ends: its state, and for failures what the error says.
ENDINGS: list[tuple[dict[str, Any], str, str]] = [
    ({}, "finished", ""),
    ({"reports": 3, "value": 0.5}, "finished", ""),
    ({"reports": 9, "stop_at": STOPPED_AT}, "stopped", ""),
    ({"then": "raise"}, "failed", "RuntimeError: as asked"),
    ({"then": "return nothing"}, "failed", "TypeError: a work function must return an Output, got NoneType"),
    ({"then": "exit"}, "failed", "SystemExit: 3"),
    ({"reports": 2, "then": "raise"}, "failed", "RuntimeError: as asked"),
    ({"shared": "twos", "size": 100_000}, "finished", ""),
    ({"then": "write to shared"}, "failed", "ValueError: assignment destination is read-only"),
    ({"reports": 1, "stop_at": 1}, "stopped", ""),
    ({}, "finished", ""),
]
IN_PAIRS: list[dict[str, Any]] = [{"sleep": 1.5}, {"sleep": 1.5}, *([{"sleep": 0.1}] * 6)]
"""Jobs that follow, two at a time: no worker may end while it waits for the other."""


@dataclass
class LocalRun:
    """What a run did, and what it showed of itself.

    Attributes:
        script: the source of the jobs: those of ``ENDINGS``, then those of ``IN_PAIRS``.
        diary: what the job that is stopped wrote.
        ticks: when the run called, in seconds.
        listening: the addresses that processes listened on, by their names.
        commands: command lines of all processes.
        leaks: files that held the token.
        modes: rights of others to Ray's folder.
        left: folders that were there after the run.
        surroundings: the environment and the handlers of signals, before the run and after it.
    """

    script: Script
    diary: str = ""
    ticks: list[float] = field(default_factory=list)
    listening: dict[str, list[str]] = field(default_factory=dict)
    commands: list[str] = field(default_factory=list)
    leaks: list[str] = field(default_factory=list)
    modes: set[str] = field(default_factory=set)
    left: list[Path] = field(default_factory=list)
    surroundings: list[tuple[dict[str, str], list[Any]]] = field(default_factory=list)

    def look(self, folder: Path) -> None:
        """Note when this is, and what the processes and the files of the run show."""
        self.ticks.append(time.monotonic())
        me = psutil.Process()
        for process in [me, *me.children(recursive=True)]:
            try:
                ports = [each.laddr for each in process.net_connections("inet") if each.status == "LISTEN"]
                self.listening.setdefault(process.name(), []).extend(address.ip for address in ports)
                self.commands.append(" ".join(process.cmdline()))
            except psutil.Error:  # it has ended meanwhile
                continue
        files = [path for path in folder.rglob("*") if path.is_file() and path.stat().st_size < 2**24]
        self.leaks.extend(str(path) for path in files if TOKEN.encode() in path.read_bytes())
        self.modes |= {oct(path.stat().st_mode & 0o077) for path in folder.glob("ray-*")}


def surroundings() -> tuple[dict[str, str], list[Any]]:
    """The environment of this process, and its handlers of signals that Ray sets."""
    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)]
    return dict(os.environ), handlers


def watched_local_run(diary: Path) -> LocalRun:
    """Run the jobs of ``ENDINGS`` and of ``IN_PAIRS`` on two workers of three cores.

    Args:
        diary: where the job that is stopped writes.
    """
    first = [
        {**payload, "diary": str(diary)} if number == 2 else payload for number, (payload, *_) in enumerate(ENDINGS)
    ]
    run = LocalRun(Script([*first, *IN_PAIRS], batch=2, batch_from=len(first)))
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory(prefix="l-", dir="/tmp") as folder:
        patch.setattr(tempfile, "tempdir", folder)
        patch.setattr("cluster.tune.session.secrets.token_hex", lambda size: TOKEN)
        run.surroundings.append(surroundings())
        run_jobs(run.script, act, SHARED, workers=2, cpus_per_job=3, on_tick=lambda: run.look(Path(folder)))
        run.surroundings.append(surroundings())
        run.left = list(Path(folder).glob("ray-*"))
    run.diary = diary.read_text()
    return run
