"""The trials of one dataset: proposed in batches, handed out, compared, ended - each step durable when it returns.

The same seed, stream, space and values give the same trials, for any number of workers, any order of completion and any
number of restarts: :mod:`cluster.ledger.proposals` says so of parameters, :mod:`cluster.ledger.pruners.view` of stops.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from optuna.storages import BaseStorage

from cluster.ledger.durable import DurableStudy, read_study
from cluster.ledger.entries import SEARCH, Direction, Entry, LedgerError, State, Ticket
from cluster.ledger.proposals import Proposal, Suggest
from cluster.ledger.search import BatchedSearch
from cluster.ledger.trials import LiveTrial, Trials

_OWN_ATTRS = ("stage", "params", "batch", "position", "source", "requeued", "reason")


class Ledger:
    """One study of the durable storage, and the one process that writes it.

    Args:
        storage: from :func:`cluster.ledger.storage.connect.open_storage`.
        name: the study's name in the storage; made when it is missing.
        stream: what the proposals depend on besides the seed, e.g. the dataset's name; None: ``name``.
        suggest: chooses one trial's parameters, e.g. ``search_spaces.Space.suggest``.
        direction: ``"minimize"`` or ``"maximize"``; with several objectives one for each, in their order.
        points: the parameters of all trials in their order, where they are known from the start (a grid); None: the
            sampler chooses.
        sampler: a key of :data:`cluster.ledger.samplers.registry.SAMPLERS`.
        sampler_options: options by name, as that sampler takes them.
        pruner: a key of :data:`cluster.ledger.pruners.registry.PRUNERS`; with several objectives ``"none"``.
        pruner_options: keyword arguments of the pruner's entry in that registry.
        seed: of all proposals; not negative.
        trials: how many trials the search proposes. May grow from one run to the next: the first stay the same, and
            what :meth:`end_search` skipped is proposed again, under a number of its own.
        batch: how many are proposed together. A batch is proposed when all before it have ended.

    Attributes:
        name: the study's name in the storage.
        objectives: how many values a finished trial has.

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
        self.name = name
        self.objectives = len(directions)
        self._search = BatchedSearch(
            suggest,
            directions,
            points=points,
            sampler=sampler,
            sampler_options=sampler_options or {},
            pruner=pruner,
            pruner_options=pruner_options or {},
            seed=seed,
            stream=name if stream is None else stream,
            trials=trials,
            batch=batch,
        )
        self._durable = DurableStudy(storage, name, directions, self._search.settings)
        self._trials = Trials(name, map(LiveTrial.of, read_study(storage, name)))
        self._search.replay(trial for trial in self._trials if trial.stage == SEARCH)

    def requeue(self) -> int:
        """Let every running trial wait again: those that a run left behind when it died.

        Returns:
            How many there were.
        """
        running = [trial.number for trial in self._trials if trial.state is State.RUNNING]
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
        if self._search.due(self._trials.open(SEARCH)):
            for trial in self._write(SEARCH, self._search.proposals()):
                self._search.add(trial)
        first = self._trials.first_waiting()
        if first is None:
            return None
        if not self._durable.start(first.storage_id):
            raise LedgerError(f"trial {first.number} of {self.name!r} is run by another process")
        self._trials.move(first, State.RUNNING)
        if first.stage == SEARCH:
            self._search.begin(first)
        return Ticket(first.number, first.stage, first.proposal.params, dict(first.attrs))

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
        proposal = self._trials.find(number).proposal
        return self._write(stage, [(proposal, {"source": number, **attrs})])[0].number

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
        trial = self._trials.running(number)
        trial.reports[int(step)] = float(value)
        return trial.stage == SEARCH and self._search.report(trial, int(step), float(value))

    def complete(self, number: int, *values: float) -> None:
        """End a trial that ran to its end. Does nothing when it is finished already.

        Args:
            number: the trial.
            *values: one an objective, finite.

        Raises:
            LedgerError: the trial is neither running nor finished.
            ValueError: there are more or fewer values than objectives, or one is not finite: such a trial has failed.
        """
        if len(values) != self.objectives:
            raise ValueError(f"trial {number} of {self.name!r} has {self.objectives} values, got {len(values)}")
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
        if self.objectives > 1:
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
        trial = self._trials.running(number)
        requeued = trial.attrs.get("requeued", 0) + 1
        self._durable.wait_again(trial.storage_id, requeued)
        trial.attrs["requeued"] = requeued
        self._trials.move(trial, State.WAITING)
        trial.reports.clear()

    def skip_waiting(self, stage: str) -> int:
        """End the waiting trials of a stage that were never started; those that were handed out before stay.

        Returns:
            How many there were.
        """
        waiting = [trial for trial in self._trials if trial.stage == stage and trial.state is State.WAITING]
        skipped = [trial for trial in waiting if "requeued" not in trial.attrs]
        for trial in skipped:
            self._durable.skip(trial.storage_id)
            self._trials.move(trial, State.SKIPPED)
        return len(skipped)

    def end_search(self) -> None:
        """Propose nothing more: the search is done when the trials that were started have ended."""
        self.skip_waiting(SEARCH)
        self._search.cut()

    def open(self, stage: str) -> int:
        """Return how many trials of a stage wait or run."""
        return self._trials.open(stage)

    def search_done(self) -> bool:
        """Say whether all trials of the search were proposed and have ended."""
        return self._search.all_proposed and self._trials.open(SEARCH) == 0

    def counts(self, stage: str | None = None) -> Counter[State]:
        """Return how many trials are in each state, without looking at any of them.

        Args:
            stage: of this stage only; None: of all.
        """
        return self._trials.counts(stage)

    def entries(self, stage: str | None = None) -> list[Entry]:
        """Return the data of the trials, by number.

        Args:
            stage: of this stage only; None: of all.
        """
        return [trial.entry() for trial in self._trials if stage in (None, trial.stage)]

    def _write(self, stage: str, proposals: Sequence[tuple[Proposal, dict[str, Any]]]) -> list[LiveTrial]:
        written = self._durable.add(stage, proposals)
        trials = [
            LiveTrial(number, storage_id, stage, proposal, attrs)
            for (number, storage_id), (proposal, attrs) in zip(written, proposals, strict=True)
        ]
        for trial in trials:
            self._trials.add(trial)
        return trials

    def _end(self, number: int, state: State, values: tuple[float, ...] = (), reason: str | None = None) -> None:
        if self._trials.find(number).state is state:
            return
        trial = self._trials.running(number)
        self._durable.end(trial.storage_id, state, values, trial.reports, reason)
        self._trials.move(trial, state)
        trial.values = values
        if reason is not None:
            trial.attrs["reason"] = reason
        if trial.stage == SEARCH:
            self._search.end(trial)
