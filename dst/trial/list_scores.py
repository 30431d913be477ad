"""Scores of a given list of columns, on the splits of a trial that did not rank it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dst.data import Dataset, prepare_test, trial_data
from dst.scoring import ScorerResult, mean_result, score_columns
from dst.selection import CLOSEST, StandIn, stand_ins
from dst.trial.spec import TrialSpec


@dataclass(frozen=True)
class ListResult:
    """Results of the scorer on the first columns of a list, by K, and the columns that these represent.

    Attributes:
        validation: fitted on training rows, judged on validation rows; the mean over inner splits.
        test: fitted on training and validation rows, judged on test rows.
        stand_ins: the closest of each of the first K columns, in the training rows of the first inner split
            (:func:`dst.selection.stand_ins`).
    """

    validation: dict[int, ScorerResult]
    test: dict[int, ScorerResult]
    stand_ins: dict[int, tuple[StandIn, ...]]


def score_list(dataset: Dataset, spec: TrialSpec, columns: Sequence[int], every_k: Sequence[int], k: int) -> ListResult:
    """Score a list on validation rows, open the test rows for it, and name the stand-ins of its columns.

    Args:
        dataset: the whole table; test rows are split off as the trial's design says.
        spec: the trial whose splits, preparation and scorer are taken; its ranker is not run.
        columns: of the table, best first.
        every_k: the numbers of them that are scored, each by itself.
        k: the number that counts: the columns that have stand-ins.

    Raises:
        InputError: the table cannot be split or prepared so, or there is no such scorer.
    """
    order = np.asarray(columns, dtype=np.int64)
    by_split, found = [], None
    for train, validation in trial_data(dataset, spec.design, keep=False).parts:
        found = found or stand_ins(train, order[:k], most=CLOSEST)
        by_split.append(
            {count: score_columns(train, validation, order[:count], spec.scorer, seed=spec.seed) for count in every_k}
        )
    split = spec.design.splits(dataset)[0]  # all have the same test rows
    development, test = prepare_test(dataset, split, policy=spec.design.policy, indicators=spec.design.indicators)
    return ListResult(
        validation={count: mean_result([results[count] for results in by_split]) for count in every_k},
        test={count: score_columns(development, test, order[:count], spec.scorer, seed=spec.seed) for count in every_k},
        stand_ins=found or {},
    )
