"""Work functions for real workers."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import ray

from cluster.bench.trainable import StockReport
from cluster.jobs import Output, Report, Stopped


def act(payload: Mapping[str, Any], shared: np.ndarray, report: Report) -> Output:
    """Do what the payload says: sleep, report, and end in one of several ways."""
    time.sleep(payload.get("sleep", 0.0))
    diary = Path(payload["diary"]) if "diary" in payload else Path(os.devnull)
    try:
        for step in range(1, payload.get("reports", 0) + 1):
            with diary.open("a") as file:
                file.write(f"{step}\n")
            report(step, payload.get("value", 0.0) * step)
    except Stopped:
        with diary.open("a") as file:
            file.write("stopped\n")
        raise
    match payload.get("then"):
        case "raise":
            raise RuntimeError("as asked")
        case "exit":
            raise SystemExit(3)
        case "return nothing":
            return None  # type: ignore[return-value]
        case "die":
            os.kill(os.getpid(), signal.SIGKILL)
        case "hang":
            time.sleep(600)
        case "fill the memory":
            filled = [np.ones(2**27) for _ in range(payload["gibibytes"])]
            time.sleep(600 + len(filled))
        case "fill the memory slowly":
            slowly = []
            for _ in range(2**16):
                slowly.append(np.ones(2**20))
                time.sleep(0.005)
        case "write to shared":
            shared[0] = 2.0
    facts = {
        "pid": os.getpid(),
        "node": ray.get_runtime_context().get_node_id() if ray.is_initialized() else "",
        "cwd": str(Path.cwd()),
        "threads": [os.environ.get(name) for name in ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS")],
        "sum": float(np.sum(shared)),
    }
    return Output(facts, {"twice": np.arange(payload.get("size", 3)) * 2.0})


def ignore_stops(payload: Mapping[str, Any], shared: Any, report: Report) -> Output:
    """Report on, whatever the answer, as a library does that catches all exceptions."""
    heard = 0
    for step in range(1, 6):
        try:
            report(step, 0.0)
        except Exception:
            heard += 1
    with contextlib.suppress(KeyError):
        Path(payload["diary"]).write_text(str(heard))
    return Output({"heard": heard})


def stock_counts(payload: Mapping[str, Any], shared: int) -> Iterator[StockReport]:
    """Report three epochs with ever higher losses, and end with a product as the score."""
    for epoch in range(1, 4):
        yield StockReport(epoch, float(epoch * (payload["number"] + 1)))
    yield StockReport(4, 9.0, float(payload["number"] * shared))


def stock_raises(payload: Mapping[str, Any], shared: int) -> Iterator[StockReport]:
    """Fail after the first epoch."""
    yield StockReport(1, 1.0)
    raise RuntimeError("as asked")
