"""Work functions for real workers."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from cluster.jobs import Output, Report, Stopped


def act(payload: Mapping[str, Any], shared: Any, report: Report) -> Output:
    """Do what the payload says."""
    time.sleep(payload.get("sleep", 0.0))
    for step in range(1, payload.get("reports", 0) + 1):
        report(step, payload.get("value", 0.0) * step)
    match payload.get("then"):
        case "raise":
            raise RuntimeError("as asked")
        case "exit":
            raise SystemExit(3)
        case "return nothing":
            return None  # type: ignore[return-value]
        case "die":
            os.kill(os.getpid(), signal.SIGKILL)
        case "ignore stops":
            for step in range(100, 105):
                with contextlib.suppress(Stopped):
                    report(step, 0.0)
    facts = {
        "pid": os.getpid(),
        "cwd": os.getcwd(),
        "threads": [os.environ.get(name) for name in ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS")],
        "sum": None if shared is None else float(np.sum(shared)),
    }
    return Output(facts, {"twice": np.arange(payload.get("size", 3)) * 2.0})
