"""The ranking of a table as settings ask for it: by one training or, round after round, on ever fewer columns.

Successive elimination (recursive feature elimination of Guyon et al., Machine Learning 2002, with networks): a round
trains on the columns that are left, and of these the share ``keep`` stays for the next. Among fewer columns that repeat
one another a network has to use each more, and noise to fit is gone. A column stays or leaves with all its encodings.

Who stays is decided by the mean rank over the metrics of the settings but :data:`dst.importance.metrics.CONTROLS` (over
these where there are no others): one training scores all metrics, so that no one of them can own the rounds. Equal mean
ranks stay or leave by chance.

A metric's final scores (:func:`one_behind_another`): the columns of the last round have its scores of that round, those
that left have less than all of these, in the order of the rounds in which they left and then of the metric's scores of
that round. The differences of those that left are tiny beside the largest score: where scores are averaged over inner
splits or seeds (:func:`dst.rankers.scores.mean_scores`), a column gets its shares of the last rounds that it reached,
and when it left only orders columns that reached none. ``random`` keeps the draws of the first round: it would be no
baseline among columns that others have chosen.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from dst.data.dataset import Part
from dst.data.preparation import encoded_columns
from dst.files.checkpoint import State
from dst.importance.metrics import CONTROLS
from dst.rankers.base import FeatureScores, OnEpoch
from dst.rankers.in_turn import InTurn, in_all
from dst.rankers.networks_config import NetworksConfig
from dst.rankers.scores import Scores, mean_ranks
from dst.rankers.several import rank_by_networks
from dst.rankers.whole_columns import rank_whole_columns
from dst.selection.order import rank_columns
from dst.training.epochs import EpochReport
from dst.training.result import EpochEnd

Ints = npt.NDArray[np.int64]
Stage = tuple[Ints, Scores]
"""The columns that a round trained on, by their number in the table, and their scores."""

_STEP = 1e-6
"""Over the largest magnitude of the last round's scores: how far apart the scores of columns that left are at most."""


def rank_table(
    method: str,
    train: Part,
    validation: Part,
    config: Any,
    rng: np.random.Generator,
    on_epoch: OnEpoch,
    state: State | None = None,
    *,
    n_features: int,
) -> FeatureScores:
    """Run a ranker as its settings ask for it and return scores of the table's columns, ``(n_features,)`` by metric.

    Rounds (here), in each of them networks (:mod:`dst.rankers.several`), of each the scores of whole columns
    (:mod:`dst.rankers.whole_columns`). What has one round, and what trains no network of ours, has the draws and states
    of what is inside. Round i has the i-th stream of ``rng``, however many there are.

    Args:
        method: a name in :data:`dst.rankers.RANKERS`.
        train: rows to fit on.
        validation: rows that decide when to stop.
        config: the ranker's settings.
        rng: draws.
        on_epoch: called at the end of every epoch of every network of every round, which are counted on; ``strength``
            of an :class:`dst.training.result.EpochEnd` is of all the table's columns.
        state: where to go on from; None: from the beginning.
        n_features: columns of the table.

    Returns:
        Costs are those of all rounds (:func:`dst.rankers.in_turn.in_all`), all else is the last round's.

    Raises:
        DivergedError: a training diverged.
        ValueError: the state is of a ranking with other settings or of another table's shape.
    """
    if not isinstance(config, NetworksConfig):
        return rank_whole_columns(method, train, validation, config, rng, on_epoch, state, n_features=n_features)
    if config.rounds == 1:
        return rank_by_networks(method, train, validation, config, rng, on_epoch, state, n_features=n_features)
    turns = InTurn(config, on_epoch, state)
    rankings: list[FeatureScores] = []
    rounds: list[Stage] = []
    columns = np.arange(n_features)
    widths = config.widths(n_features)
    for stream, next_width in zip(rng.spawn(config.rounds), (*widths[1:], None), strict=True):
        to_rank, to_stay = stream.spawn(2)
        rank = partial(_rank_those_left, tuple(rounds), method, train, validation, config, to_rank, columns, n_features)
        rankings.append(turns.run(rank))
        standing = mean_ranks(_counting(rankings[-1].scores))
        rounds.append((columns, standing))
        if next_width is not None:
            columns = np.sort(columns[rank_columns(standing, to_stay)[:next_width]])
    scores = {}
    for metric, drawn in rankings[0].scores.items():
        stages = [(ranked, each.scores[metric]) for (ranked, _), each in zip(rounds, rankings, strict=True)]
        scores[metric] = drawn if metric == "random" else one_behind_another(stages, n_features)
    before = sum(ranking.epochs for ranking in rankings[:-1])
    last = dataclasses.replace(rankings[-1], scores=scores, best_epoch=before + rankings[-1].best_epoch)
    return in_all(rankings, last)


def one_behind_another(stages: Sequence[Stage], n_features: int) -> Scores:
    """Return one score for each column of the table, float64 ``(n_features,)``.

    The columns of the last stage keep their scores. Each that left has less than all of these and less than each that
    left later; of those that left at the same time, the order, equal scores included, is that of their last scores.
    Those that left lie within a millionth of the last stage's largest magnitude: above 0 or, where a score of the last
    stage is smaller than that, below this.

    Args:
        stages: each has some of the columns of the one before; the first has all.
        n_features: columns of the table.
    """
    place = np.zeros(n_features)
    last_place = 0
    for (columns, scores), (stayed, _) in itertools.pairwise(stages):
        leaves = ~np.isin(columns, stayed)
        levels, level = np.unique(scores[leaves], return_inverse=True)
        place[columns[leaves]] = last_place + 1 + level
        last_place += len(levels)
    columns, scores = stages[-1]
    step = _STEP * (float(np.abs(scores).max()) or 1.0)
    behind = min(step, float(scores.min())) - step * (1 - place / (last_place + 1))
    behind[columns] = scores
    return behind


def _rank_those_left(
    rounds: Sequence[Stage],
    method: str,
    train: Part,
    validation: Part,
    config: NetworksConfig,
    rng: np.random.Generator,
    columns: Ints,
    n_features: int,
    on_epoch: OnEpoch,
    state: State | None,
) -> FeatureScores:
    """Run a round; reports have the strength of all columns, those that left before behind the others."""

    def at_epoch(end: EpochReport) -> None:
        if isinstance(end, EpochEnd):
            of_left = end.strength
            end = dataclasses.replace(
                end, strength=lambda: one_behind_another([*rounds, (columns, of_left())], n_features)
            )
        on_epoch(end)

    parts = (train, validation)
    if len(columns) < n_features:
        parts = (_with_columns(train, columns), _with_columns(validation, columns))
    return rank_by_networks(method, *parts, config, rng, at_epoch, state, n_features=len(columns))


def _counting(scores: dict[str, Scores]) -> list[Scores]:
    """Return the scores by which columns stay or leave."""
    return [values for metric, values in scores.items() if metric not in CONTROLS] or list(scores.values())


def _with_columns(part: Part, columns: Ints) -> Part:
    """Return a part with some columns of the table, with all their encodings, numbered from 0.

    Args:
        part: rows.
        columns: in rising order, int64.
    """
    encoded = encoded_columns(columns, part.origin)
    x = part.x[:, encoded]
    return dataclasses.replace(
        part,
        x=np.ascontiguousarray(x) if isinstance(x, np.ndarray) else x,
        origin=None if part.origin is None else np.searchsorted(columns, part.origin[encoded]),
        n_numbers=None if part.n_numbers is None else int(np.searchsorted(encoded, part.n_numbers)),
    )
