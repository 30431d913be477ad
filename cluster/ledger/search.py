"""A search in batches: the batch that is due, its proposals, and the pruner's view of the batches before it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from cluster.ledger.durable import DIRECTIONS, TO_OPTUNA
from cluster.ledger.entries import Direction, State
from cluster.ledger.proposals import Proposal, Suggest, batch_seed, propose
from cluster.ledger.pruners.registry import make_pruner
from cluster.ledger.pruners.view import PrunerView
from cluster.ledger.samplers.registry import make_sampler
from cluster.ledger.trials import LiveTrial


class BatchedSearch:
    """The search trials of one study, by their places: batch times size, plus the position in the batch.

    Args:
        suggest: chooses one trial's parameters.
        directions: one an objective.
        points: the parameters of all trials in their order, where they are known from the start (a grid); None: the
            sampler chooses.
        sampler: a key of :data:`cluster.ledger.samplers.registry.SAMPLERS`.
        sampler_options: options by name, as that sampler takes them.
        pruner: a key of :data:`cluster.ledger.pruners.registry.PRUNERS`; with several objectives ``"none"``.
        pruner_options: keyword arguments of the pruner's entry in that registry.
        seed: of all proposals; not negative.
        stream: what the proposals depend on besides the seed.
        trials: how many trials the search proposes.
        batch: how many are proposed together.

    Raises:
        ValueError: an argument is out of its range.
        cluster.ledger.options.OptionError: an unknown sampler, pruner or option.
    """

    def __init__(
        self,
        suggest: Suggest,
        directions: Sequence[Direction],
        *,
        points: Sequence[Mapping[str, Any]] | None,
        sampler: str,
        sampler_options: Mapping[str, Any],
        pruner: str,
        pruner_options: Mapping[str, Any],
        seed: int,
        stream: str,
        trials: int,
        batch: int,
    ) -> None:
        for direction in directions or ("none",):
            if direction not in DIRECTIONS:
                raise ValueError(f"direction must be one of {', '.join(DIRECTIONS)}, got {direction!r}")
        if len(directions) != 1 and pruner != "none":
            raise ValueError(f"a pruner needs one objective, got {pruner!r} with {len(directions)}: name 'none'")
        for name, number, least in (("seed", seed, 0), ("trials", trials, 1), ("batch", batch, 1)):
            if number < least:
                raise ValueError(f"{name} >= {least} must hold, got {number}")
        make_sampler(sampler, sampler_options, seed=0)  # refuses bad options now, not at the first batch
        self._suggest = suggest
        self._directions = directions
        self._points = points
        self._sampler = (sampler, dict(sampler_options))
        self._pruner = (pruner, dict(pruner_options))
        self._seed = seed
        self._stream = stream
        self._target = trials
        self._batch = batch
        self._view = PrunerView(f"{seed}/{stream}", directions, make_pruner(*self._pruner))
        self._shown = 0  # batches that the view shows
        self._trials: list[LiveTrial] = []  # one a place

    @property
    def settings(self) -> dict[str, Any]:
        """The settings on which the trials depend: equal each time that a study is opened. JSON can hold them."""
        return {
            "direction": self._directions[0] if len(self._directions) == 1 else self._directions,
            "sampler": self._sampler,
            "pruner": self._pruner,
            "seed": self._seed,
            "stream": self._stream,
            "batch": self._batch,
        }

    @property
    def all_proposed(self) -> bool:
        """True when nothing is left to propose."""
        return len(self._trials) >= self._target

    def replay(self, trials: Iterable[LiveTrial]) -> None:
        """Take over the search trials that the storage holds, and show the pruner again what it has seen of them.

        Reports are durable, a pruner's own notes are not.

        Args:
            trials: in the order of their proposals. Skipped ones are left out: only the last ones of a batch are ever
                skipped, and their places are proposed again.
        """
        self._trials = [trial for trial in trials if trial.state is not State.SKIPPED]
        for place, trial in enumerate(self._trials):
            self._show_batches(place // self._batch)
            if trial.state.ended:
                self.begin(trial)
                for step, value in trial.reports.items():
                    self._view.report(trial.view_key, step, value)
                self.end(trial)

    def due(self, open_trials: int) -> bool:
        """Say whether trials are to be proposed now.

        Args:
            open_trials: search trials that wait or run. A batch is due when none is left; the rest of one that was cut
                short, by a crash between two writes or by an earlier run's smaller target, is due at once.
        """
        cut_short = len(self._trials) % self._batch > 0
        return not self.all_proposed and (cut_short or open_trials == 0)

    def proposals(self) -> list[tuple[Proposal, dict[str, Any]]]:
        """Propose the batch that is due, or its rest, each with the attributes that say its place.

        Each is to be written and given back to :meth:`add`, in their order.
        """
        batch, written = divmod(len(self._trials), self._batch)
        first = batch * self._batch
        self._show_batches(batch)
        count = min(self._batch, self._target - first)
        proposals = propose(
            self._suggest,
            sampler=make_sampler(*self._sampler, seed=batch_seed(self._seed, self._stream, batch)),
            directions=self._directions,
            earlier=self._view.history,
            count=count,
            points=() if self._points is None else self._points[first : first + count],
        )
        return [(proposals[at], {"batch": batch, "position": at}) for at in range(written, len(proposals))]

    def add(self, trial: LiveTrial) -> None:
        """Take in a trial that was proposed."""
        self._trials.append(trial)

    def begin(self, trial: LiveTrial) -> None:
        """Let a trial's reports be compared from now on; one that starts over forgets its first attempt."""
        place = int(trial.attrs["batch"]) * self._batch + int(trial.attrs["position"])
        trial.view_key = self._view.begin(trial.proposal, place)

    def report(self, trial: LiveTrial, step: int, value: float) -> bool:
        """Take a trial's report; return True to stop it."""
        return self._view.report(trial.view_key, step, value)

    def end(self, trial: LiveTrial) -> None:
        """Take note of how a trial ended."""
        self._view.end(trial.view_key, TO_OPTUNA[trial.state], trial.values)

    def cut(self) -> None:
        """Propose nothing more, and forget the trials that were skipped."""
        self._trials = [trial for trial in self._trials if trial.state is not State.SKIPPED]
        self._target = len(self._trials)

    def _show_batches(self, before: int) -> None:
        while self._shown < before:
            first = self._shown * self._batch
            self._view.close_batch(trial.view_key for trial in self._trials[first : first + self._batch])
            self._shown += 1
