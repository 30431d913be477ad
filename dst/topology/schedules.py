"""Schedules: the share of a layer's connections that moves in a topology update, over the course of training."""

from __future__ import annotations

import math
from collections.abc import Callable

Schedule = Callable[[float], float]
"""Maps progress, 0 at the first optimizer step and 1 at the end, to the weight of the initial share."""


def cosine(progress: float) -> float:
    """Fall as half a cosine: slowly, fast, slowly (Dettmers and Zettlemoyer 2019; the paper's code)."""
    return (1 + math.cos(math.pi * progress)) / 2


def linear(progress: float) -> float:
    """Fall evenly."""
    return 1 - progress


def constant(progress: float) -> float:
    """Stay at the initial share (SET as first published; Mocanu et al. 2018)."""
    return 1.0


SCHEDULES: dict[str, Schedule] = {"constant": constant, "cosine": cosine, "linear": linear}


def share(schedule: Schedule, step: int, total: int, *, initial: float, final: float) -> float:
    """Return the share that moves at an optimizer step.

    Args:
        schedule: one of :data:`SCHEDULES`.
        step: the step, from 0.
        total: steps of the whole training, at least 1.
        initial: share at step 0.
        final: share at the end, for schedules that fall.
    """
    weight = schedule(min(step / total, 1.0))
    return final + (initial - final) * weight
