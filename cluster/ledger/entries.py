"""The trials of a ledger as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Literal

SEARCH = "search"
"""The stage of the trials that the sampler proposes and learns from."""

Direction = Literal["minimize", "maximize"]


class State(StrEnum):
    """The state of a trial. ``finished``, ``stopped``, ``failed`` and ``skipped`` (never started) are final."""

    WAITING = "waiting"
    RUNNING = "running"
    FINISHED = "finished"
    STOPPED = "stopped"
    FAILED = "failed"
    SKIPPED = "skipped"

    @property
    def ended(self) -> bool:
        """True when the state is final."""
        return self not in (State.WAITING, State.RUNNING)


class LedgerError(RuntimeError):
    """The storage and the call do not fit together; the message says which study or trial, and how."""


@dataclass(frozen=True)
class Ticket:
    """A trial that was handed out.

    Attributes:
        number: its number in the study.
        stage: ``"search"``, or what it was added for.
        params: all parameters by name.
        attrs: what it was added with.
    """

    number: int
    stage: str
    params: Mapping[str, Any]
    attrs: Mapping[str, Any]


@dataclass(frozen=True)
class Entry:
    """The data of a trial.

    Attributes:
        number: its number in the study.
        stage: ``"search"``, or what it was added for.
        state: where the trial is between waiting and one of the final states.
        params: all parameters by name.
        values: one an objective, in their order; none unless finished.
        attrs: what it was added with, and ``batch`` and ``position`` (proposals), ``source`` (added trials),
            ``requeued`` (how often it was handed out again), ``reason`` (why it failed).
        reports: value by step. Of a running trial, only the process that hands out jobs knows them.
    """

    number: int
    stage: str
    state: State
    params: Mapping[str, Any]
    values: tuple[float, ...]
    attrs: Mapping[str, Any]
    reports: Mapping[int, float]

    @property
    def value(self) -> float | None:
        """The first objective's value; None unless finished."""
        return self.values[0] if self.values else None
