"""One trial: data -> split -> prepare -> ranker -> selection of K columns -> scorer."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from dst.data import Dataset, TrialData, prepare_test, trial_data
from dst.data.dataset import Part
from dst.errors import InputError
from dst.files.checkpoint import State
from dst.rankers import RANKERS, check_k, make_config, with_k
from dst.rankers.successive import rank_table
from dst.resources import peak_rss_bytes, reset_peak_rss
from dst.scoring import (
    capped,
    check_scorer,
    mean_result,
    mean_scores,
    rank_columns,
    score_columns,
    tie_order,
)
from dst.selection import TOP, Selection
from dst.training.epochs import EpochReport
from dst.trial.progress import TrialProgress, identity
from dst.trial.result import Importance, TrialResult
from dst.trial.spec import TrialSpec

_ROWS = 2  # the stream that draws the rows that a capped scorer sees

OnTrialEpoch = Callable[[int, EpochReport], None]
"""``on_epoch(inner_split, end)``, called at the end of every epoch; what it raises ends the trial."""


def run_trial(
    data: Dataset | TrialData,
    spec: TrialSpec,
    on_epoch: OnTrialEpoch = lambda split, end: None,
    state: State | None = None,
) -> TrialResult:
    """Rank the columns of a dataset, and score the K that each selection takes on validation rows.

    Test rows are not read; selections look at training rows only.

    Args:
        data: the dataset; or what has been split and prepared already by the trial's design, for trials that share it.
        spec: all else that decides the result.
        on_epoch: called at the end of every epoch; ``end.state()`` is the trial's state there, for
            :func:`dst.files.checkpoint.save_state`.
        state: where to go on from; the trial ends with the same result as if it had not been interrupted, bit by bit
            (on the same machine), except for what it measured of the machine.

    Raises:
        InputError: an unknown method or split, a setting that breaks a rule, K above the number of columns or of those
            that the last round trains on, a table that cannot be split or prepared so.
        ValueError: what was prepared has another design than the trial.
        DivergedError: training diverged.
        ValueError: the state is of another trial.
    """
    k = data.k if spec.k is None else spec.k
    every_k = sorted({k, *spec.k_values})
    for count in (k, *every_k):
        if not 1 <= count <= data.n_features:
            raise InputError(f"1 <= k <= number of columns must hold, but got k={count}, {data.n_features} columns")
    check_scorer(spec.scorer)
    if spec.max_rows is not None and spec.max_rows < 1:
        raise InputError(f"max_rows >= 1 must hold, but got max_rows={spec.max_rows}")
    selections = {selection.name: selection for selection in map(Selection.parse, spec.selections)}.values()
    config = with_k(spec.method, make_config(spec.method, {"batch_size": data.batch_size, **spec.settings}), k)
    check_k(config, data.n_features, k)
    ranker = RANKERS[spec.method]
    reset_peak_rss()
    started = time.perf_counter()
    if isinstance(data, Dataset):
        data = trial_data(data, spec.design, keep=False)
    elif data.design != spec.design:
        raise ValueError(f"{data.name} was prepared by {data.design}, but the trial's design is {spec.design}")
    progress = TrialProgress(identity(data, spec), started)
    ranking_state = None if state is None else progress.load(state)
    absent: set[int] = set()
    first: Part | None = None  # where a rule looks at it again
    taken: dict[str, npt.NDArray[np.int64]] = {}  # by ranking, in the last split
    for number, (train, validation) in enumerate(data.parts):
        if number == 0 and any(selection.name != TOP for selection in selections):
            first = train
        absent.update(np.setdiff1d(np.arange(train.n_classes), train.y).tolist())
        if number < len(progress.rankings):
            continue

        def at_epoch(end: EpochReport, number: int = number) -> None:
            ranking = end.state
            on_epoch(number, dataclasses.replace(end, state=lambda: progress.state(ranking())))

        warming = time.perf_counter()
        ranker.warm_up(config, len(train.y))
        progress.leave_out("warm_up", time.perf_counter() - warming)
        rng = np.random.default_rng([spec.seed, number])
        ranking = rank_table(
            spec.method, train, validation, config, rng, at_epoch, ranking_state, n_features=data.n_features
        )
        ranking_state = None
        scored = time.perf_counter()
        to_draw = np.random.default_rng([spec.seed, number, _ROWS])
        seen, judged = (capped(part, spec.max_rows, to_draw) for part in (train, validation))
        results = {}
        for metric, scores in ranking.scores.items():
            for selection in selections:
                # A rule has the scores as they enter a mean: with one split its answer is the trial's, to the last bit.
                seen_scores = scores if selection.name == TOP else mean_scores([scores])
                name = selection.ranking_of(metric)
                columns = selection.columns(seen_scores, train, every_k[-1], tie_order(spec.seed, number))
                taken[name] = columns
                results[name] = {
                    count: score_columns(seen, judged, columns[:count], spec.scorer, seed=spec.seed)
                    for count in every_k
                }
        progress.add(ranking, results, time.perf_counter() - scored)

    if not progress.rankings:
        raise ValueError(f"{data.name} has no inner split")
    importances = {}
    rankings = tuple(progress.rankings)
    for metric in rankings[0].scores:
        scores = mean_scores([ranking.scores[metric] for ranking in rankings])
        for selection in selections:
            name = selection.ranking_of(metric)
            if first is None or selection.name == TOP:
                ranked = rank_columns(scores, tie_order(spec.seed))[: every_k[-1]]
            elif len(rankings) == 1 and name in taken:
                ranked = taken[name]
            else:
                ranked = selection.columns(scores, first, every_k[-1], tie_order(spec.seed))
            by_k = {count: mean_result([value[count] for value in progress.results[name]]) for count in every_k}
            importances[name] = Importance(scores, tuple(ranked.tolist()), by_k, k)
    return TrialResult(
        importances=importances,
        rankings=rankings,
        k=k,
        data_sha256=data.data_sha256,
        split_sha256=data.split_sha256,
        absent_classes=tuple(data.class_names[code] for code in sorted(absent)),
        seconds={**progress.seconds, "total": progress.elapsed},
        peak_rss_bytes=peak_rss_bytes(),
    )


def score_on_test(dataset: Dataset, spec: TrialSpec, selected: Mapping[str, tuple[int, ...]]) -> dict[str, float]:
    """Open the test rows: fit the scorer on training and validation rows, return its test accuracy by metric.

    Args:
        dataset: the whole table; its test rows are those of the trial's design.
        spec: the trial that selected the columns.
        selected: the columns by metric.
    """
    opened = score_every_k_on_test(
        dataset, spec, {name: (columns, (len(columns),)) for name, columns in selected.items()}
    )
    return {name: accuracy for name, by_k in opened.items() for accuracy in by_k.values()}


def score_every_k_on_test(
    dataset: Dataset, spec: TrialSpec, ranked: Mapping[str, tuple[Sequence[int], Sequence[int]]]
) -> dict[str, dict[int, float]]:
    """Open the test rows once for several numbers of columns; return the scorer's test accuracy by metric and K.

    Args:
        dataset: the whole table; its test rows are those of the trial's design.
        spec: the trial that ranked the columns.
        ranked: by metric the columns, best first, and the numbers of them that are scored.
    """
    split = spec.design.splits(dataset)[0]  # all have the same test rows
    development, test = prepare_test(dataset, split, policy=spec.design.policy, indicators=spec.design.indicators)
    return {
        name: {
            k: score_columns(
                development, test, np.asarray(columns[:k], dtype=np.int64), spec.scorer, seed=spec.seed
            ).accuracy
            for k in every_k
        }
        for name, (columns, every_k) in ranked.items()
    }
