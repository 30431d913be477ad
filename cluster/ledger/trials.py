"""The trials of a ledger in memory: the storage is read once, at the start, since one process alone writes it."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from cluster.ledger.durable import Stored
from cluster.ledger.entries import Entry, LedgerError, State
from cluster.ledger.proposals import Proposal

NOT_IN_VIEW = -1


@dataclass(eq=False)
class LiveTrial:
    """A trial and what has become of it by now; :class:`Trials` alone changes its state.

    Attributes:
        number: its number in the study.
        storage_id: its key in the storage.
        stage: ``"search"``, or what it was added for.
        proposal: its parameters, with Optuna's distributions.
        attrs: as in :class:`~cluster.ledger.entries.Entry`.
        state: where the trial is between waiting and one of the final states.
        values: one an objective; none unless finished.
        reports: value by step; in the storage only when the trial has ended.
        view_key: its key in the pruner's view; of search trials only, from their start on.
    """

    number: int
    storage_id: int
    stage: str
    proposal: Proposal
    attrs: dict[str, Any]
    state: State = State.WAITING
    values: tuple[float, ...] = ()
    reports: dict[int, float] = field(default_factory=dict)
    view_key: int = NOT_IN_VIEW

    @classmethod
    def of(cls, stored: Stored) -> LiveTrial:
        """Return a trial as it was read."""
        entry = stored.entry
        return cls(
            number=entry.number,
            storage_id=stored.storage_id,
            stage=entry.stage,
            proposal=stored.proposal,
            attrs=dict(entry.attrs),
            state=entry.state,
            values=entry.values,
            reports=dict(entry.reports),
        )

    def entry(self) -> Entry:
        """Return the trial's data."""
        return Entry(
            number=self.number,
            stage=self.stage,
            state=self.state,
            params=self.proposal.params,
            values=self.values,
            attrs=dict(self.attrs),
            reports=dict(self.reports),
        )


class Trials:
    """All trials of a study by number, counted by stage and state, and the queue of those that wait.

    Args:
        name: the study's, for messages.
        trials: those that the storage holds, by number.
    """

    def __init__(self, name: str, trials: Iterable[LiveTrial]) -> None:
        self._name = name
        self._by_number = {trial.number: trial for trial in trials}
        self._counts = Counter((trial.stage, trial.state) for trial in self)
        self._queue = [trial.number for trial in self if trial.state is State.WAITING]  # a heap; see first_waiting

    def __iter__(self) -> Iterator[LiveTrial]:
        return iter(self._by_number.values())

    def add(self, trial: LiveTrial) -> None:
        """Take in a new trial, which waits."""
        self._by_number[trial.number] = trial
        self._counts[trial.stage, trial.state] += 1
        heapq.heappush(self._queue, trial.number)

    def move(self, trial: LiveTrial, state: State) -> None:
        """Set a trial's state."""
        self._counts[trial.stage, trial.state] -= 1
        self._counts[trial.stage, state] += 1
        trial.state = state
        if state is State.WAITING:
            heapq.heappush(self._queue, trial.number)

    def first_waiting(self) -> LiveTrial | None:
        """Return the waiting trial with the lowest number, or None."""
        while self._queue:
            trial = self._by_number[self._queue[0]]
            if trial.state is State.WAITING:
                return trial
            heapq.heappop(self._queue)  # it has left the queue since it was put there
        return None

    def find(self, number: int) -> LiveTrial:
        """Return a trial.

        Raises:
            LedgerError: there is no trial of that number.
        """
        if number not in self._by_number:
            raise LedgerError(f"study {self._name!r} has {len(self._by_number)} trials, none with number {number}")
        return self._by_number[number]

    def running(self, number: int) -> LiveTrial:
        """Return a running trial.

        Raises:
            LedgerError: there is no trial of that number, or it is not running.
        """
        trial = self.find(number)
        if trial.state is not State.RUNNING:
            raise LedgerError(f"trial {number} of {self._name!r} must be running, it is {trial.state}")
        return trial

    def counts(self, stage: str | None = None) -> Counter[State]:
        """Return how many trials are in each state, without looking at any of them.

        Args:
            stage: of this stage only; None: of all.
        """
        counts: Counter[State] = Counter()
        for (its_stage, state), count in self._counts.items():
            if stage in (None, its_stage):
                counts[state] += count
        return counts

    def open(self, stage: str) -> int:
        """Return how many trials of a stage wait or run."""
        return self._counts[stage, State.WAITING] + self._counts[stage, State.RUNNING]
