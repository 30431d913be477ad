"""Tune's callback: passes on how jobs ended, before Tune keeps their results for ever."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from ray.tune import Callback
from ray.tune.experiment import Trial

from cluster.tune.bridge import Bridge
from cluster.tune.worker import EVENT

TICK_SECONDS = 0.5


class Recorder(Callback):
    """Sees every result first.

    Args:
        bridge: knows the source.
        check: raises where the run is to be left; called between two steps of Tune.
        on_tick: called about twice a second, or None.
    """

    def __init__(self, bridge: Bridge, check: Callable[[], None], on_tick: Callable[[], None] | None) -> None:
        self._bridge = bridge
        self._check = check
        self._on_tick = on_tick
        self._ticked = time.monotonic()

    def on_trial_start(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """Take note that a job begins; before that, its trial may have waited for a machine."""
        self._bridge.started(trial.trial_id)

    def on_trial_result(
        self, iteration: int, trials: list[Trial], trial: Trial, result: dict[str, Any], **info: Any
    ) -> None:
        """Pass on how a job ended. What it returned stays with the source: Tune would keep it to the end of the run."""
        self._bridge.ended(trial.trial_id, result.pop(EVENT))

    def on_step_end(self, iteration: int, trials: list[Trial], **info: Any) -> None:
        """Leave the run when that is asked for; otherwise let the caller draw."""
        self._check()
        if self._on_tick is not None and time.monotonic() - self._ticked >= TICK_SECONDS:
            self._on_tick()
            self._ticked = time.monotonic()
