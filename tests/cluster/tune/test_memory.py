"""The memory watch, in this process: it says once what is held, and nothing once it was stopped."""

from __future__ import annotations

import threading
import time

import numpy as np
import psutil

from cluster.tune.memory import LOOK_SECONDS, MemoryWatch, own_bytes


def test_what_a_process_holds_grows_with_what_it_allocates_and_not_with_what_it_shares() -> None:
    process = psutil.Process()
    before = own_bytes(process)
    block = np.ones(2**24)  # 128 MiB
    assert 120 * 2**20 < own_bytes(process) - before < 140 * 2**20
    del block


def test_it_speaks_once_and_only_above_the_limit() -> None:
    said: list[str] = []
    spoken = threading.Event()

    def say(reason: str) -> None:
        said.append(reason)
        spoken.set()

    held = own_bytes(psutil.Process())
    quiet = MemoryWatch(held + 2**30, say)
    time.sleep(3 * LOOK_SECONDS)
    assert said == []
    quiet.stop()
    MemoryWatch(held // 2, say)
    assert spoken.wait(10 * LOOK_SECONDS)
    time.sleep(3 * LOOK_SECONDS)
    assert len(said) == 1
    assert said[0].startswith(f"the job ran past its limit of {held / 2**21:.0f} MiB of memory: it held ")


def test_after_a_stop_it_says_nothing() -> None:
    said: list[str] = []
    watch = MemoryWatch(1, said.append)
    watch.stop()
    time.sleep(3 * LOOK_SECONDS)
    assert said == []
