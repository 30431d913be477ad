"""Proposals of parameters that depend on nothing but the seed, the stream, the batch and the trials of earlier batches.

A sampler that learns from all trials that have ended by now proposes other parameters where there are other machines.
Here proposals come in batches: batch b is asked for in a fresh in-memory study that holds the trials of batches 0 to
b-1 in their order, from a fresh sampler with a seed of its own. Workers, completion order and restarts cannot change
them.
"""

from __future__ import annotations

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
from cluster.ledger.internals import SharedTrial
from cluster.ledger.storage.connect import quiet_optuna

Suggest = Callable[[BaseTrial], dict[str, Any]]
"""Chooses a trial's parameters through the trial's ``suggest_*``; returns all of them, fixed ones included."""


@dataclass(frozen=True)
class Proposal:
    """The parameters of a trial.

    Attributes:
        params: all parameters by name.
        suggested: those of them that the sampler chose.
        distributions: the distributions that the sampler chose from, by parameter.
    """

    params: Mapping[str, Any]
    suggested: Mapping[str, Any]
    distributions: Mapping[str, BaseDistribution]


def batch_seed(seed: int, stream: str, batch: int) -> int:
    """Mix the study's seed, its stream and a batch's number into 32 bits.

    Args:
        seed: not negative.
        stream: any text, e.g. the dataset's name; hashed with SHA-256, since ``hash`` differs from process to process.
        batch: counts from 0.
    """
    digest = hashlib.sha256(stream.encode()).digest()
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
    """Propose one batch of trials.

    Args:
        suggest: chooses one trial's parameters.
        sampler: proposes; made for this batch, with its seed.
        directions: one an objective.
        earlier: the ended search trials of earlier batches, in order.
        count: the batch's trials; the first n of a larger batch are the batch of n.
        points: the parameters of the batch's first trials, one mapping a trial; the sampler chooses what they leave
            open.

    Returns:
        The proposals, in the order of the batch.
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


def _brief(trial: FrozenTrial) -> SharedTrial:
    """Return an ended trial with what samplers read: of its reports the last, and only where it was stopped there."""
    reports = trial.intermediate_values
    last = max(reports, default=None) if trial.state is TrialState.PRUNED else None
    return SharedTrial.of(trial, {} if last is None else {last: reports[last]})
