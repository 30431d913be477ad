"""Proposals that depend on nothing but the seed, the name, the batch's number and the trials of earlier batches.

A sampler that learns from whatever has ended by now proposes other parameters with other machines. Here proposals come
in batches: batch b is asked for in a fresh in-memory study that holds the trials of batches 0 to b-1 in their order,
from a fresh sampler with a seed of its own. Workers, completion order and restarts cannot change them.
"""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.trial import BaseTrial, FrozenTrial, TrialState

from cluster.ledger.entries import Direction
from cluster.ledger.storage.connect import quiet_optuna

Suggest = Callable[[BaseTrial], dict[str, Any]]
"""Chooses a trial's parameters through the trial's ``suggest_*``; returns all of them, fixed ones included."""


@dataclass(frozen=True)
class Proposal:
    """One proposed trial.

    Attributes:
        params: all parameters.
        suggested: those that the sampler chose.
        distributions: what it chose them from.
    """

    params: Mapping[str, Any]
    suggested: Mapping[str, Any]
    distributions: Mapping[str, BaseDistribution]


def batch_seed(seed: int, name: str, batch: int) -> int:
    """Mix the study's seed, its name and a batch's number into 32 bits.

    Args:
        seed: not negative.
        name: any text; hashed with SHA-256, since ``hash`` differs from process to process.
        batch: counts from 0.
    """
    digest = hashlib.sha256(name.encode()).digest()
    sequence = np.random.SeedSequence([seed, int.from_bytes(digest[:16], "big"), batch])
    return int(sequence.generate_state(1)[0])


def propose(
    suggest: Suggest,
    *,
    sampler: BaseSampler,
    directions: Sequence[Direction],
    earlier: Sequence[FrozenTrial],
    count: int,
    points: Sequence[Mapping[str, Any]] = (),
) -> list[Proposal]:
    """Ask for one batch.

    Args:
        suggest: chooses one trial's parameters.
        sampler: a fresh one.
        directions: one an objective.
        earlier: the ended search trials of earlier batches, in order.
        count: how many; the first n of a larger batch are the batch of n.
        points: the parameters of the first of them, one a trial; the sampler chooses what these leave open.
    """
    with quiet_optuna():
        study = optuna.create_study(sampler=sampler, directions=directions)
    study.add_trials(map(_brief, earlier))
    for point in points:
        study.enqueue_trial(dict(point))
    proposals = []
    for _ in range(count):
        trial = study.ask()
        params = suggest(trial)
        proposals.append(Proposal(params, trial.params, trial.distributions))
    return proposals


class _Brief(FrozenTrial):
    """An ended trial with what samplers look at: of its reports the last, and only where it was stopped there.

    Studies and samplers copy all that they are given, deeply; with hundreds of trials that takes longer than proposing.
    Ended trials do not change, so the copies may share what they hold.
    """

    def __deepcopy__(self, memo: dict[int, Any]) -> _Brief:
        return copy.copy(self)


def _brief(trial: FrozenTrial) -> _Brief:
    brief = _Brief.__new__(_Brief)
    vars(brief).update(vars(trial))
    reports = trial.intermediate_values
    last = max(reports, default=None) if trial.state is TrialState.PRUNED else None
    brief.intermediate_values = {} if last is None else {last: reports[last]}
    return brief
