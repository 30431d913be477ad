"""The trials of one dataset: proposed in batches, handed out, compared, ended - each step durable when it returns.

The same seed, name, space and values give the same trials, for any number of workers, any order of completion and any
number of restarts: see :mod:`cluster.ledger.proposals` for what is proposed and :mod:`cluster.ledger.pruners.view`
for what is stopped.
"""

from __future__ import annotations

import heapq
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from optuna.storages import BaseStorage

from cluster.ledger.durable import DIRECTIONS, TO_OPTUNA, DurableStudy, Stored, read_study
from cluster.ledger.entries import SEARCH, Direction, Entry, LedgerError, State, Ticket
from cluster.ledger.proposals import Proposal, Suggest, batch_seed, propose
from cluster.ledger.pruners.registry import make_pruner
from cluster.ledger.pruners.view import PrunerView
from cluster.ledger.samplers.registry import make_sampler

_OWN_ATTRS = ("stage", "params", "batch", "position", "source", "requeued", "reason")


@dataclass(eq=False)
class _Trial:
    """A trial in memory: the storage is read once, at the start, since this process alone writes."""

    number: int
    storage_id: int
    stage: str
    proposal: Proposal
    attrs: dict[str, Any]
    state: State = State.WAITING
    values: tuple[float, ...] = ()
    reports: dict[int, float] = field(default_factory=dict)
    key: int = -1  # in the peer view; search trials only, from their start on


class Ledger:
    """One study of the durable storage, and the one process that writes it.

    Args:
        storage: from :func:`cluster.ledger.storage.connect.open_storage`.
        name: the study's name in the storage; made when it is missing.
        stream: what the proposals depend on besides the seed, e.g. the dataset's name; None: ``name``.
        suggest: chooses one trial's parameters, e.g. ``Space.suggest``.
        direction: ``"minimize"`` or ``"maximize"``; with several objectives one for each, in their order.
        points: the parameters of all trials in their order, where they are known from the start (a grid); None: the
            sampler chooses.
        sampler: a key of :data:`cluster.ledger.samplers.registry.SAMPLERS`.
        sampler_options: its options.
        pruner: a key of :data:`cluster.ledger.pruners.registry.PRUNERS`; with several objectives ``"none"``.
        pruner_options: its options.
        seed: of all proposals; not negative.
        trials: how many trials the search proposes. May grow from one run to the next: the first stay the same, and
            what :meth:`end_search` skipped is proposed again, under a number of its own.
        batch: how many are proposed together. A batch is proposed when all before it have ended.

    Raises:
        ValueError: an argument is out of its range.
        cluster.ledger.options.OptionError: an unknown sampler, pruner or option.
        LedgerError: the study was begun with other settings, or not by a ledger.
    """

    def __init__(
        self,
        storage: BaseStorage,
        name: str,
        *,
        suggest: Suggest,
        direction: Direction | Sequence[Direction],
        stream: str | None = None,
        points: Sequence[Mapping[str, Any]] | None = None,
        sampler: str = "tpe",
        sampler_options: Mapping[str, Any] | None = None,
        pruner: str = "none",
        pruner_options: Mapping[str, Any] | None = None,
        seed: int,
        trials: int,
        batch: int,
    ) -> None:
        directions: Sequence[Direction] = (direction,) if isinstance(direction, str) else tuple(direction)
        for one in directions or ("none",):
            if one not in DIRECTIONS:
                raise ValueError(f"direction must be one of {', '.join(DIRECTIONS)}, got {one!r}")
        if len(directions) != 1 and pruner != "none":
            raise ValueError(f"a pruner needs one objective, got {pruner!r} with {len(directions)}: name 'none'")
        for what, number, least in (("seed", seed, 0), ("trials", trials, 1), ("batch", batch, 1)):
            if number < least:
                raise ValueError(f"{what} >= {least} must hold, got {number}")
        self.name = name
        self._stream = name if stream is None else stream
        self._suggest = suggest
        self._directions = directions
        self._sampler = (sampler, dict(sampler_options or {}))
        make_sampler(*self._sampler, seed=0)  # refuses bad options now, not at the first batch
        self._seed = seed
        self._points = points
        self._target = trials
        self._batch = batch
        self._view = PrunerView(f"{seed}/{self._stream}", directions, make_pruner(pruner, pruner_options or {}))
        self._closed = 0  # batches that the view shows

        settings = {
            "direction": directions[0] if len(directions) == 1 else directions,
            "sampler": self._sampler,
            "pruner": (pruner, dict(pruner_options or {})),
            "seed": seed,
            "stream": self._stream,
            "batch": batch,
        }
        self._durable = DurableStudy(storage, name, directions, settings)
        self._trials = {stored.entry.number: _remember(stored) for stored in read_study(storage, name)}
        self._counts = Counter((trial.stage, trial.state) for trial in self._trials.values())
        # One trial a place, by batch and position: only the last ones of a batch are ever skipped.
        self._search = [t for t in self._trials.values() if t.stage == SEARCH and t.state is not State.SKIPPED]
        self._waiting = [number for number, trial in self._trials.items() if trial.state is State.WAITING]
        self._replay()

    @property
    def objectives(self) -> int:
        """How many values a finished trial has."""
        return len(self._directions)

    def requeue(self) -> int:
        """Let every running trial wait again: those that a run left behind when it died.

        Returns:
            How many there were.
        """
        running = [number for number, trial in self._trials.items() if trial.state is State.RUNNING]
        for number in running:
            self.retry(number)
        return len(running)

    def take(self) -> Ticket | None:
        """Hand out the waiting trial with the lowest number; propose the next batch first, when its time has come.

        Returns:
            The trial, now running; None while a batch is awaited, or when all is handed out.

        Raises:
            LedgerError: another process runs this study too.
        """
        if self._proposals_are_due():
            self._propose()
        if not self._waiting:
            return None
        trial = self._trials[self._waiting[0]]
        if not self._durable.start(trial.storage_id):
            raise LedgerError(f"trial {trial.number} of {self.name!r} is run by another process")
        heapq.heappop(self._waiting)
        self._move(trial, State.RUNNING)
        if trial.stage == SEARCH:
            trial.key = self._view.begin(trial.proposal, self._place(trial))
        return Ticket(trial.number, trial.stage, trial.proposal.params, dict(trial.attrs))

    def add(self, number: int, stage: str, attrs: Mapping[str, Any]) -> int:
        """Let a trial with the parameters of another wait; neither sampler nor pruner ever sees it.

        Args:
            number: the trial whose parameters it takes; kept as its attribute ``source``.
            stage: what it is for; not ``"search"``.
            attrs: what JSON can hold.

        Returns:
            Its number.

        Raises:
            LedgerError: there is no trial of that number.
            ValueError: the stage or an attribute has a name that is taken.
        """
        taken = [key for key in attrs if key in _OWN_ATTRS]
        if stage == SEARCH or taken:
            rule = f"stage {SEARCH!r} and attributes named {', '.join(_OWN_ATTRS)} are the ledger's own"
            raise ValueError(f"{rule}, got stage {stage!r} and {', '.join(attrs) or 'none'}")
        return self._write(self._find(number).proposal, stage, {"source": number, **attrs}).number

    def report(self, number: int, step: int, value: float) -> bool:
        """Take a progress value of a running trial. It is kept in memory until the trial ends.

        Args:
            number: the trial.
            step: how far it is: not negative, and growing from one report to the next.
            value: the objective there; a NaN is kept and never stops a trial.

        Returns:
            Whether to stop it. Only search trials are compared, and only with trials of finished batches.

        Raises:
            LedgerError: the trial is not running.
            ValueError: the step is negative.
        """
        if step < 0:
            raise ValueError(f"step >= 0 must hold, got {step} from trial {number} of {self.name!r}")
        trial = self._running(number)
        trial.reports[int(step)] = float(value)
        return trial.stage == SEARCH and self._view.report(trial.key, int(step), float(value))

    def complete(self, number: int, *values: float) -> None:
        """End a trial that ran to its end. Does nothing when it is finished already.

        Args:
            number: the trial.
            *values: one an objective, finite.

        Raises:
            LedgerError: the trial is neither running nor finished.
            ValueError: there are more or fewer values than objectives, or one is not finite: such a trial has failed.
        """
        if len(values) != len(self._directions):
            raise ValueError(f"trial {number} of {self.name!r} has {len(self._directions)} values, got {len(values)}")
        for value in values:
            if not math.isfinite(value):
                raise ValueError(f"the value of trial {number} of {self.name!r} must be finite, got {value}")
        self._end(number, State.FINISHED, values=tuple(map(float, values)))

    def stop(self, number: int) -> None:
        """End a trial that was stopped early. Does nothing when it is stopped already.

        Raises:
            LedgerError: the trial is neither running nor stopped, or there are several objectives: a value on the way
                is none of theirs, so there is nothing to stop a trial by.
        """
        if len(self._directions) > 1:
            raise LedgerError(f"trial {number} of {self.name!r} has several objectives: such a trial is never stopped")
        self._end(number, State.STOPPED)

    def fail(self, number: int, reason: str) -> None:
        """End a trial that has no value. Does nothing when it has failed already.

        Args:
            number: the trial.
            reason: kept as its attribute ``reason``.

        Raises:
            LedgerError: the trial is neither running nor failed.
        """
        self._end(number, State.FAILED, reason=reason)

    def retry(self, number: int) -> None:
        """Let a running trial wait again, its reports forgotten; counted in its attribute ``requeued``.

        Raises:
            LedgerError: the trial is not running.
        """
        trial = self._running(number)
        requeued = trial.attrs.get("requeued", 0) + 1
        self._durable.wait_again(trial.storage_id, requeued)
        trial.attrs["requeued"] = requeued
        self._move(trial, State.WAITING)
        trial.reports.clear()
        heapq.heappush(self._waiting, number)

    def skip_waiting(self, stage: str) -> int:
        """End the waiting trials of a stage that were never started; those that were handed out before stay.

        Returns:
            How many there were.
        """
        waiting = [self._trials[number] for number in self._waiting]
        skipped = [trial for trial in waiting if trial.stage == stage and "requeued" not in trial.attrs]
        for trial in skipped:
            self._durable.skip(trial.storage_id)
            self._move(trial, State.SKIPPED)
        self._waiting = [number for number in self._waiting if self._trials[number].state is State.WAITING]
        heapq.heapify(self._waiting)
        return len(skipped)

    def end_search(self) -> None:
        """Propose nothing more: the search is done when the trials that were started have ended."""
        self.skip_waiting(SEARCH)
        self._search = [trial for trial in self._search if trial.state is not State.SKIPPED]
        self._target = len(self._search)

    def search_done(self) -> bool:
        """Say whether all trials of the search were proposed and have ended."""
        return len(self._search) >= self._target and self._open(SEARCH) == 0

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

    def entries(self, stage: str | None = None) -> list[Entry]:
        """Return what is known of the trials, by number.

        Args:
            stage: of this stage only; None: of all.
        """
        return [
            Entry(t.number, t.stage, t.state, t.proposal.params, t.values, dict(t.attrs), dict(t.reports))
            for t in self._trials.values()
            if stage in (None, t.stage)
        ]

    def _replay(self) -> None:
        """Show the view what it has seen before: reports are durable, a pruner's notes are not."""
        for i, trial in enumerate(self._search):
            self._close_batches(i // self._batch)
            if trial.state.ended:
                trial.key = self._view.begin(trial.proposal, self._place(trial))
                for step, value in trial.reports.items():
                    self._view.report(trial.key, step, value)
                self._view.end(trial.key, TO_OPTUNA[trial.state], trial.values)

    def _place(self, trial: _Trial) -> int:
        return int(trial.attrs["batch"]) * self._batch + int(trial.attrs["position"])

    def _close_batches(self, before: int) -> None:
        while self._closed < before:
            first = self._closed * self._batch
            self._view.close_batch(trial.key for trial in self._search[first : first + self._batch])
            self._closed += 1

    def _proposals_are_due(self) -> bool:
        proposed = len(self._search)
        cut_short = proposed % self._batch > 0  # by a crash between two writes, or by a smaller target than today's
        return proposed < self._target and (cut_short or self._open(SEARCH) == 0)

    def _propose(self) -> None:
        proposed = len(self._search)
        batch = proposed // self._batch
        first = batch * self._batch
        self._close_batches(batch)
        count = min(self._batch, self._target - first)
        proposals = propose(
            self._suggest,
            sampler=make_sampler(*self._sampler, seed=batch_seed(self._seed, self._stream, batch)),
            directions=self._directions,
            earlier=self._view.history,
            count=count,
            points=() if self._points is None else self._points[first : first + count],
        )
        for position in range(proposed - first, len(proposals)):
            attrs = {"batch": batch, "position": position}
            self._search.append(self._write(proposals[position], SEARCH, attrs))

    def _write(self, proposal: Proposal, stage: str, attrs: dict[str, Any]) -> _Trial:
        number, storage_id = self._durable.add(proposal, stage, attrs)
        trial = _Trial(number, storage_id, stage, proposal, attrs)
        self._trials[number] = trial
        self._counts[stage, trial.state] += 1
        heapq.heappush(self._waiting, number)
        return trial

    def _end(self, number: int, state: State, values: tuple[float, ...] = (), reason: str | None = None) -> None:
        if self._find(number).state is state:
            return
        trial = self._running(number)
        self._durable.end(trial.storage_id, state, values, trial.reports, reason)
        self._move(trial, state)
        trial.values = values
        if reason is not None:
            trial.attrs["reason"] = reason
        if trial.stage == SEARCH:
            self._view.end(trial.key, TO_OPTUNA[state], values)

    def _move(self, trial: _Trial, state: State) -> None:
        self._counts[trial.stage, trial.state] -= 1
        self._counts[trial.stage, state] += 1
        trial.state = state

    def _open(self, stage: str) -> int:
        return self._counts[stage, State.WAITING] + self._counts[stage, State.RUNNING]

    def _running(self, number: int) -> _Trial:
        trial = self._find(number)
        if trial.state is not State.RUNNING:
            raise LedgerError(f"trial {number} of {self.name!r} must be running, it is {trial.state}")
        return trial

    def _find(self, number: int) -> _Trial:
        if number not in self._trials:
            raise LedgerError(f"study {self.name!r} has {len(self._trials)} trials, none with number {number}")
        return self._trials[number]


def _remember(stored: Stored) -> _Trial:
    entry = stored.entry
    return _Trial(
        number=entry.number,
        storage_id=stored.storage_id,
        stage=entry.stage,
        proposal=stored.proposal,
        attrs=dict(entry.attrs),
        state=entry.state,
        values=entry.values,
        reports=dict(entry.reports),
    )
