"""One trial: data -> split -> prepare -> ranker -> top K -> scorer."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from dst.data import Dataset, Design, TrialData, prepare_test, trial_data
from dst.errors import InputError
from dst.files.checkpoint import State
from dst.files.plain import make_plain
from dst.rankers import RANKERS, FeatureScores, make_config, used_settings
from dst.rankers.whole_columns import rank_whole_columns
from dst.resources import peak_rss_bytes, reset_peak_rss
from dst.scoring import (
    ScorerResult,
    capped,
    check_scorer,
    mean_result,
    mean_scores,
    rank_columns,
    score_columns,
    tie_order,
)
from dst.training.epochs import EpochReport
from dst.trial.progress import TrialProgress, identity


@dataclass(frozen=True)
class TrialSpec:
    """All that decides a trial's result, besides the dataset. NumPy's numbers become Python's.

    Attributes:
        method: a name in :data:`dst.rankers.RANKERS`.
        settings: the ranker's settings by name (``sparsity``, ``l2``, ``epochs``, ...); others are ignored.
        split: a name in :data:`dst.data.SPLITS`.
        seed: draws the network and its training.
        split_seed: draws the validation rows; None: ``seed`` does, as in the paper.
        test_seed: draws the test rows of a split that has no fixed ones.
        inner_splits: how many draws of validation rows the trial is averaged over; None: the split's own rule
            (:func:`dst.data.default_count`).
        impute: what stands in for a missing number, a name in :data:`dst.data.POLICIES`; None: none may miss.
        indicators: whether a missing number also sets a column of its own.
        k: how many columns are scored; None: the dataset's.
        k_values: further numbers of columns that the same ranking is scored on.
        scorer: the classifier that judges rankings, a name in :data:`dst.scoring.SCORERS`.
        max_rows: how many rows it is fitted on, and how many it is judged on, at most, drawn by class; None: all. Test
            rows are never capped.
    """

    method: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    split: str = "stratified"
    seed: int = 0
    split_seed: int | None = None
    test_seed: int = 0
    inner_splits: int | None = None
    impute: str | None = None
    indicators: bool = False
    k: int | None = None
    k_values: tuple[int, ...] = ()
    scorer: str = "svm"
    max_rows: int | None = None

    def __post_init__(self) -> None:
        make_plain(self)

    @property
    def design(self) -> Design:
        """Splits and preparation of the trial's rows."""
        return Design(
            split=self.split,
            seed=self.seed if self.split_seed is None else self.split_seed,
            test_seed=self.test_seed,
            count=self.inner_splits,
            policy=self.impute,
            indicators=self.indicators,
        )

    def described(self, batch_size: int) -> dict[str, Any]:
        """Return what the trial is run with, as a record and ``dst trial --json`` say it.

        Args:
            batch_size: the dataset's, which holds where ``settings`` has none.

        Returns:
            ``method``, ``settings`` (all that the ranker works with, :func:`dst.rankers.used_settings`), and of these
            ``sparsity`` and ``l2``, None where the ranker has none.
        """
        used = used_settings(self.method, {"batch_size": batch_size, **self.settings})
        return {"method": self.method, "sparsity": used.get("sparsity"), "l2": used.get("l2"), "settings": used}


@dataclass(frozen=True)
class Importance:
    """The results of one importance metric.

    Attributes:
        scores: float64 ``(n_features,)``: the mean over inner splits of scores normalised to sum 1.
        ranked: the top columns, best first, as many as the largest K.
        by_k: mean over inner splits of how well the scorer, fitted on the training rows, does on validation rows, on
            that split's own top K; by K.
        k: the K that counts.
    """

    scores: npt.NDArray[np.float64]
    ranked: tuple[int, ...]
    by_k: dict[int, ScorerResult]
    k: int

    @property
    def selected(self) -> tuple[int, ...]:
        """The top K columns, best first."""
        return self.ranked[: self.k]

    @property
    def val_svm_accuracy(self) -> float:
        """The scorer's accuracy on the top K; its name is that of the default scorer."""
        return self.by_k[self.k].accuracy

    def to_json(self) -> dict[str, Any]:
        """Return plain data; ``by_k`` and ``ranked`` where there is more than one K."""
        counts = self.by_k[self.k]
        document: dict[str, Any] = {
            "val_svm_accuracy": counts.accuracy,
            "val_balanced_accuracy": counts.balanced_accuracy,
            "val_macro_auc": counts.macro_auc,
            "selected": list(self.selected),
        }
        if len(self.by_k) > 1:
            document["by_k"] = {str(k): dataclasses.asdict(one) for k, one in self.by_k.items()}
            document["ranked"] = list(self.ranked)
        return document


@dataclass(frozen=True)
class TrialResult:
    """The results of a trial; lists run over inner splits.

    Attributes:
        importances: by metric.
        rankings: what the ranker returned for each inner split, with one score for each of the table's columns.
        k: how many columns were scored.
        data_sha256: of all that was read (:class:`dst.data.TrialData`).
        split_sha256: of the rows of all parts.
        absent_classes: the classes that the training rows of at least one inner split lack.
        seconds: wall time by phase and in ``total``, which does not count ``warm_up``: loading or compiling kernels
            before the first training, once in a process.
        peak_rss_bytes: peak resident memory of the process while the trial ran.
    """

    importances: dict[str, Importance]
    rankings: tuple[FeatureScores, ...]
    k: int
    data_sha256: str
    split_sha256: str
    absent_classes: tuple[str, ...]
    seconds: dict[str, float]
    peak_rss_bytes: int

    def to_json(self) -> dict[str, Any]:
        """Return plain data: what a trial determines of a record and of ``dst trial --json``.

        ``epochs``, ``flops`` and ``seconds`` are totals over inner splits, losses, accuracies and ``best_epoch`` means;
        ``nnz`` is the same in each, and ``bytes`` (what training holds, by kind) is the first's.
        """
        first = self.rankings[0]
        epochs = [ranking.epochs for ranking in self.rankings]
        return {
            "k": self.k,
            "data_sha256": self.data_sha256,
            "split_sha256": self.split_sha256,
            "absent_classes": list(self.absent_classes),
            "epochs": sum(epochs),
            "best_epoch": _mean([ranking.best_epoch for ranking in self.rankings]) if any(epochs) else None,
            "val_loss": _mean([ranking.val_loss for ranking in self.rankings]),
            "val_accuracy": _mean([ranking.val_accuracy for ranking in self.rankings]),
            "nnz": list(first.nnz),
            "sparsity_actual": 1 - sum(first.nnz) / first.dense_size if first.dense_size else None,
            "flops": _total([ranking.flops for ranking in self.rankings]),
            "flops_ratio_to_dense": _mean([ranking.flops_ratio for ranking in self.rankings]),
            "engine": first.engine,
            "device": first.device,
            "bytes": dict(first.memory),
            "seconds": self.seconds,
            "peak_rss_bytes": self.peak_rss_bytes,
            "importances": {name: one.to_json() for name, one in self.importances.items()},
        }


_ROWS = 2  # the stream that draws the rows that a capped scorer sees

OnTrialEpoch = Callable[[int, EpochReport], None]
"""``on_epoch(inner_split, end)``, called at the end of every epoch; what it raises ends the trial."""


def run_trial(
    data: Dataset | TrialData,
    spec: TrialSpec,
    on_epoch: OnTrialEpoch = lambda split, end: None,
    state: State | None = None,
) -> TrialResult:
    """Rank the columns of a dataset and score the top K on validation rows. Test rows are not read.

    Args:
        data: the dataset; or what has been split and prepared already by the trial's design, for trials that share it.
        spec: all else that decides the result.
        on_epoch: called at the end of every epoch; ``end.state()`` is the trial's state there, for
            :func:`dst.files.checkpoint.save_state`.
        state: where to go on from; the trial ends with the same result as if it had not been interrupted, bit by bit
            (on the same machine), except for what it measured of the machine.

    Raises:
        InputError: an unknown method or split, a setting that breaks a rule, K above the number of columns, a table
            that cannot be split or prepared so.
        ValueError: what was prepared has another design than the trial.
        DivergedError: training diverged.
        ValueError: the state is of another trial.
    """
    k = data.k if spec.k is None else spec.k
    every_k = sorted({k, *spec.k_values})
    for one in (k, *every_k):
        if not 1 <= one <= data.n_features:
            raise InputError(f"1 <= k <= number of columns must hold, but got k={one}, {data.n_features} columns")
    check_scorer(spec.scorer)
    if spec.max_rows is not None and spec.max_rows < 1:
        raise InputError(f"max_rows >= 1 must hold, but got max_rows={spec.max_rows}")
    config = make_config(spec.method, {"batch_size": data.batch_size, **spec.settings})
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
    for number, (train, validation) in enumerate(data.parts):
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
        ranking = rank_whole_columns(
            spec.method, train, validation, config, rng, at_epoch, ranking_state, n_features=data.n_features
        )
        ranking_state = None
        scored = time.perf_counter()
        to_draw = np.random.default_rng([spec.seed, number, _ROWS])
        seen, judged = (capped(part, spec.max_rows, to_draw) for part in (train, validation))
        results = {}
        for name, scores in ranking.scores.items():
            columns = rank_columns(scores, tie_order(spec.seed, number))
            results[name] = {
                one: score_columns(seen, judged, columns[:one], spec.scorer, seed=spec.seed) for one in every_k
            }
        progress.add(ranking, results, time.perf_counter() - scored)

    importances = {}
    rankings = tuple(progress.rankings)
    for name, values in progress.results.items():
        scores = mean_scores([ranking.scores[name] for ranking in rankings])
        ranked = rank_columns(scores, tie_order(spec.seed))
        by_k = {one: mean_result([value[one] for value in values]) for one in every_k}
        importances[name] = Importance(scores, tuple(ranked[: every_k[-1]].tolist()), by_k, k)
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
        dataset: the dataset.
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
        dataset: the dataset.
        spec: the trial that ranked the columns.
        ranked: by metric the columns, best first, and the numbers of them that are scored.
    """
    split = spec.design.splits(dataset)[0]  # all have the same test rows
    development, test = prepare_test(dataset, split, policy=spec.impute, indicators=spec.indicators)
    return {
        name: {
            k: score_columns(
                development, test, np.asarray(columns[:k], dtype=np.int64), spec.scorer, seed=spec.seed
            ).accuracy
            for k in every_k
        }
        for name, (columns, every_k) in ranked.items()
    }


def _mean(values: list[float] | list[int] | list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if len(known) == len(values) else None


def _total(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.sum(known)) if len(known) == len(values) else None
