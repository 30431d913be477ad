"""Rankings that run one after the other, and count and are saved as one."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from dst.files.checkpoint import State
from dst.rankers.base import FeatureScores, OnEpoch, same_settings
from dst.training.epochs import Curves, EpochReport


class InTurn:
    """Rankings that run one after the other and can be saved at the end of any epoch of any of them.

    Whoever goes on from a state asks for the same rankings again: those that were finished are handed out as they were,
    and the one that ran goes on.

    Args:
        config: the settings of all, a dataclass; a state of others is refused.
        on_epoch: called at the end of every epoch of each; epochs count on from ranking to ranking.
        state: where to go on from; None: from the beginning.

    Raises:
        ValueError: the state is of rankings with other settings.
    """

    def __init__(self, config: Any, on_epoch: OnEpoch, state: State | None = None) -> None:
        self._config = dataclasses.asdict(config)
        self._on_epoch = on_epoch
        self._rankings: list[FeatureScores] = []
        self._finished: list[FeatureScores] = []
        self._running: State | None = None
        if state is not None:
            noted = state.part("turns").progress
            same_settings(config, noted["config"])
            self._finished = [FeatureScores.from_state(state.part(f"turn{n}")) for n in range(noted["finished"])]
            self._running = state.part("running")

    def run(self, rank: Callable[[OnEpoch, State | None], FeatureScores]) -> FeatureScores:
        """Return the next ranking.

        Args:
            rank: ``rank(on_epoch, state)`` runs it, from a state of its own where there is one.
        """
        if self._finished:
            ranking = self._finished.pop(0)
        else:
            running, self._running = self._running, None
            ranking = rank(self._at_epoch, running)
        self._rankings.append(ranking)
        return ranking

    def _at_epoch(self, end: EpochReport) -> None:
        rankings, running = tuple(self._rankings), end.state

        def state() -> State:
            turns = State({}, {"config": self._config, "finished": len(rankings)})
            finished = {f"turn{number}": ranking.to_state() for number, ranking in enumerate(rankings)}
            return State.of({"turns": turns, "running": running(), **finished})

        epoch = sum(ranking.epochs for ranking in rankings) + end.epoch
        first = end.first_training and not rankings
        self._on_epoch(dataclasses.replace(end, epoch=epoch, state=state, first_training=first))


def in_all(rankings: Sequence[FeatureScores], result: FeatureScores) -> FeatureScores:
    """Return a result with what it took to get all rankings.

    ``seconds``, ``epochs`` and ``flops`` are sums. ``flops_ratio`` is over a dense model of the first ranking's size,
    in as many epochs as all took: of the whole table, where later ones have fewer columns. ``curves`` and
    ``best_epochs`` are put one behind the other, and ``memory`` is that of the first, which has the most columns.

    Args:
        rankings: of networks, in the order in which they ran.
        result: has the other fields.
    """
    first = rankings[0]
    flops, dense = 0.0, 0.0
    for ranking in rankings:
        if ranking.flops is not None and ranking.flops_ratio is not None:
            flops += ranking.flops
            dense += ranking.flops / ranking.flops_ratio * first.dense_size / ranking.dense_size
    return dataclasses.replace(
        added_up(rankings, result),
        flops=flops,
        flops_ratio=flops / dense,
        memory=first.memory,
        best_epochs=tuple(epoch for ranking in rankings for epoch in ranking.best_epochs),
    )


def added_up(rankings: Sequence[FeatureScores], result: FeatureScores) -> FeatureScores:
    """Return a result with the ``seconds``, ``epochs`` and ``flops`` of all rankings, and their ``curves`` in turn.

    Args:
        rankings: in the order in which they ran; of any rankers.
        result: has the other fields. Where a ranking counts no FLOPs, it has none.
    """
    seconds: dict[str, float] = {}
    curves = Curves()
    for ranking in rankings:
        for phase, spent in ranking.seconds.items():
            seconds[phase] = seconds.get(phase, 0.0) + spent
        for field in dataclasses.fields(Curves):
            getattr(curves, field.name).extend(getattr(ranking.curves, field.name))
    flops = [ranking.flops for ranking in rankings if ranking.flops is not None]
    return dataclasses.replace(
        result,
        seconds=seconds,
        epochs=sum(ranking.epochs for ranking in rankings),
        flops=sum(flops) if len(flops) == len(rankings) else None,
        curves=curves,
    )


def mean_of(values: Sequence[float | None]) -> float | None:
    """Return the mean, or None where a value is not known."""
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if len(known) == len(values) else None
