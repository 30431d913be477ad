"""Feature selection by a sparse network, as a scikit-learn transformer.

One class and long: an estimator of scikit-learn names and explains all its parameters in one place.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array, issparse
from sklearn.base import BaseEstimator
from sklearn.feature_selection import SelectorMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from dst.data.dataset import Part, Scaling, TableMatrix
from dst.data.entry import default_batch_size, default_k, default_scaling
from dst.data.imputing import POLICIES
from dst.data.masked import without_mask
from dst.data.precision import narrowed
from dst.data.preparation import encode
from dst.data.readers.table import check_rows, infinite_columns, missing_counts
from dst.errors import InputError, unknown_name
from dst.files.checkpoint import State, read_state, save_state
from dst.files.plain import plain
from dst.importance.metrics import HELD_OUT_METRICS, METRICS
from dst.k_curve import KPoint, k_curve, smallest_k
from dst.rankers import RANKERS, check_k, make_config, parameters, with_k
from dst.rankers.networks_config import columns_of_last_round
from dst.scoring import mean_scores, rank_columns
from dst.selection import CLOSEST, TOP, Selection, stand_ins
from dst.selector.auto_k import held_out_scores, k_grid
from dst.selector.feature_groups import group_codes, large_enough
from dst.selector.parts import Prepare, Target, all_rows, make_parts, make_target, rankings_per_repeat
from dst.selector.smaller_steps import ATTEMPTS, Trained, rank_with_smaller_steps, warn_of_untrained
from dst.stability import expected_false
from dst.training.epochs import EpochReport

THRESHOLDS = (0.6, 0.75, 0.9)
"""Shares of halves; Meinshausen and Buehlmann (2010) find all from 0.6 to 0.9 sensible."""

_FORMAT = 1  # of a saved selector
_SMALL = 500  # below this many rows one draw of held-out rows decides nothing


class SparseFeatureSelector(SelectorMixin, BaseEstimator):
    """Selects the columns that matter most to a sparse network trained to predict the target.

    The network is trained with dynamic sparse training until the loss on a fifth of the rows, held out, stops falling;
    each column is then scored by ``importance``. Numbers are scaled inside (sparse tables by their largest values,
    which keeps zeros zero); ``transform`` returns columns of what it is given. Where ``y`` is continuous the network is
    trained with the squared error, else with cross-entropy. Source: Atashgahi et al., ECAI 2024.

    Args:
        n_features_to_select: how many columns are selected: a number, or a share in (0, 1) of the columns; None: 100,
            but not more than a quarter of the columns, rounded up; ``auto``: the smallest number whose mean score on
            held-out rows lies within one standard error of the best (:mod:`dst.k_curve`), of those in ``k_curve_``.
        method: a name in :data:`dst.rankers.RANKERS`; what is no network is a rival.
        sparsity: share of connections that do not exist, in [0, 1).
        l2: weight decay.
        importance: the importance metric, a name in :data:`dst.importance.metrics.METRICS` or
            :data:`dst.importance.metrics.HELD_OUT_METRICS`. A method that trains no network has one of its own.
        selection: what is made of the scores: a name in :data:`dst.selection.SELECTION_RULES`, alone or with its
            strength as in ``greedy:0.5``. ``top`` takes the highest, though columns may repeat one another; the other
            rules look at the rows of ``X``. None: ``greedy`` for networks, which won on average where K is small
            (``studies/results/paper_search``), though not where copies are useful; ``top`` for rivals, as their authors
            use them.
        feature_groups: lists of column numbers that are selected together or not at all, each column in one list at
            most. A group enters where the first of its columns would, and is passed over where it has more columns
            than are left to select: then fewer are selected than were asked for.
        hidden: sizes of the hidden layers.
        epochs: the most epochs that are trained.
        patience: epochs without a new lowest loss on the held-out rows after which training stops.
        batch_size: rows in a minibatch; None: 32 below 200 rows, else 100.
        lr: learning rate.
        smaller_steps: whether a network whose loss on the held-out rows is lowest after its first epoch, or before its
            connections moved twice, is trained again with a tenth of the learning rate, twice at most. If it is so
            still, a ``ConvergenceWarning`` says it.
        n_repeats: how many networks are trained, each with held-out rows of its own, whose scores are averaged; None: 5
            below 500 rows or with ``auto``, else 1.
        resampling: ``held_out``: each repeat ranks by all rows but those that it holds out; or ``halves``: each repeat
            draws two halves of the rows that have none in common, and ranks by each alone, as the bound in
            ``expected_false_`` asks for. That is twice as many networks, on fewer rows each: their mean ranks worse.
        task: ``classification``, ``regression`` or ``auto``: regression where scikit-learn's ``type_of_target`` says
            ``continuous``. Whole numbers of more than 50 values, each in fewer than ten rows, may be either: of them
            ``auto`` is refused.
        impute: what stands in for a missing number (NaN), a name in :data:`dst.data.POLICIES`; None: none may miss.
        indicators: whether a column of zeros and ones is added for each column that misses numbers; it counts for that
            column.
        categorical: columns that hold category codes, by number: they are one-hot encoded for the network, and a
            missing code is a category.
        scaling: how numbers are scaled, ``standard``, ``minmax`` or ``maxabs``; None: ``standard``, or ``maxabs`` where
            the table is sparse.
        settings: further settings of the method by name, e.g. ``{"dropout": 0.2}`` or ``{"networks": 5, "rounds": 3}``,
            see :class:`dst.training.config.TrainingConfig` and :class:`dst.rankers.networks_config.NetworksConfig`. Its
            ``importances`` decide, beside ``importance``, which columns stay after each of several ``rounds``.
        threads: cores that training may use.
        random_state: draws held-out rows, networks and the order of equal scores.

    Attributes:
        scores_: float64 ``(n_features,)``, larger is more important; the mean over repeats of scores whose magnitudes
            sum to 1. Below 0, on a table with categories or indicators, a column did worse than without effect.
        order_: int64 ``(n_features,)``: column numbers, the selected ones first, best first.
        support_: bool ``(n_features,)``: which columns are selected.
        selections_: bool ``(n_repeats, n_features)``: which columns each repeat alone would select; with ``halves`` two
            rows a repeat.
        importance_: the metric that they come from.
        stand_ins_: the columns that each selected one represents, each with its correlation, by the selected one
            (:func:`dst.selection.stand_ins`; the twenty closest).
        stability_: float64 ``(n_features,)``: the share of repeats, or of halves, that would select a column.
        n_features_selected_: how many columns are selected.
        k_curve_: with ``auto`` the score by number of columns (:class:`dst.k_curve.KPoint`: k, mean, low, high), else
            empty. A classifier or regression (:func:`dst.selector.auto_k.held_out_scores`) is fitted on each repeat's
            training rows, on the columns that the repeat alone selects, and judged on its held-out rows; the interval
            is over repeats. These rows also decided when to stop training, so that the scores are optimistic.
        expected_false_: with ``halves`` and a given number of columns, by threshold: how many of the columns whose
            ``stability_`` reaches it are expected to say nothing of the target, at most
            (:func:`dst.stability.expected_false`). These are other columns than the selected ones, usually fewer. None
            otherwise: the bound does not hold.
        training_: of each ranking by networks its learning rate, the best epoch of each network, and whether one of
            them was best at once whatever the learning rate (:mod:`dst.selector.smaller_steps`).
        seed_: what ``random_state`` drew: the draws of held-out rows and networks come from it.
        classes_: the classes, of a classification target.
        n_features_in_: columns seen in ``fit``.
        feature_names_in_: their names, where ``X`` was a data frame with names.
    """

    def __init__(
        self,
        n_features_to_select: float | str | None = None,
        *,
        method: str = "set",
        sparsity: float = 0.9,
        l2: float = 1e-4,
        importance: str = "neuron_attribution",
        selection: str | None = None,
        feature_groups: Sequence[Sequence[int]] = (),
        hidden: Sequence[int] = (1000, 100),
        epochs: int = 100,
        patience: int = 10,
        batch_size: int | None = None,
        lr: float = 1e-3,
        smaller_steps: bool = True,
        n_repeats: int | None = None,
        resampling: str = "held_out",
        task: str = "auto",
        impute: str | None = None,
        indicators: bool = False,
        categorical: Sequence[int] = (),
        scaling: Scaling | None = None,
        settings: Mapping[str, Any] | None = None,
        threads: int = 1,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.n_features_to_select = n_features_to_select
        self.method = method
        self.sparsity = sparsity
        self.l2 = l2
        self.importance = importance
        self.selection = selection
        self.feature_groups = feature_groups
        self.hidden = hidden
        self.epochs = epochs
        self.patience = patience
        self.batch_size = batch_size
        self.lr = lr
        self.smaller_steps = smaller_steps
        self.n_repeats = n_repeats
        self.resampling = resampling
        self.task = task
        self.impute = impute
        self.indicators = indicators
        self.categorical = categorical
        self.scaling = scaling
        self.settings = settings
        self.threads = threads
        self.random_state = random_state

    def fit(
        self, X: Any, y: Any, *, on_epoch: Callable[[int, EpochReport], None] = lambda repeat, end: None
    ) -> SparseFeatureSelector:
        """Rank the columns of a table.

        Args:
            X: numbers ``(n_rows, n_features)``: an array, a data frame or a sparse matrix; what is masked in a masked
                array is missing.
            y: one label or number a row; or several numbers, ``(n_rows, n_outputs)``.
            on_epoch: ``on_epoch(repeat, end)`` is called at the end of every epoch; what it raises ends the fit.

        Raises:
            InputError: (a ``ValueError``) a parameter, or what ``X`` and ``y`` hold, breaks a rule.
            DivergedError: training diverged.
        """
        matrix, target, prepare = self._read(X, y)
        n_rows, n_features = matrix.shape
        k = self._k(n_features)
        config = self._config(n_rows, target)
        selection = self._selection()
        groups = group_codes(self.feature_groups, n_features)
        every_k = (k,) if k is not None else k_grid(columns_of_last_round(config, n_features))
        every_k = large_enough(every_k, groups)
        config = with_k(self.method, config, every_k[-1])
        check_k(config, n_features, every_k[-1])
        repeats = self._repeats(n_rows)
        rankings = repeats * rankings_per_repeat(self.resampling)
        self.seed_: int | None = int(check_random_state(self.random_state).randint(2**31 - 1))
        rng = np.random.default_rng(self.seed_)
        to_split, to_order, *to_rank = rng.spawn(2 + rankings)
        (to_judge,) = rng.spawn(1)
        parts = make_parts(matrix, target, to_split, prepare, repeats=repeats, resampling=self.resampling)
        all_scores, selected, judged, trained = [], [], [], []
        for number, ((train, held_out), stream) in enumerate(zip(parts, to_rank, strict=True)):
            ranked, of_training = rank_with_smaller_steps(
                self.method,
                train,
                held_out,
                config,
                stream,
                partial(on_epoch, number),
                n_features=n_features,
                attempts=ATTEMPTS if self.smaller_steps else 1,
            )
            trained.append(of_training)
            metric = self.importance if RANKERS[self.method].is_network else next(iter(ranked.scores))
            all_scores.append(ranked.scores[metric])
            ordered = deepcopy(to_order)  # equal scores in one order, whatever K is
            columns = selection.columns(all_scores[-1], train, every_k[-1], to_order, groups)
            by_k = {
                count: columns[:count]
                if groups is None or count == every_k[-1]  # a group may not fit into a smaller K
                else selection.columns(all_scores[-1], train, count, deepcopy(ordered), groups)
                for count in every_k
            }
            selected.append(by_k)
            if k is None:
                judged.append(held_out_scores(train, held_out, by_k, to_judge))
        del train, held_out  # copies of the table, which is prepared anew below
        self.k_curve_: tuple[KPoint, ...] = ()
        if k is None:
            over_k = {count: [scores[count] for scores in judged] for count in every_k}
            self.k_curve_, k = k_curve(over_k), smallest_k(over_k)
        self.selections_ = np.array([np.isin(np.arange(n_features), by_k[k]) for by_k in selected])
        rows = all_rows(matrix, target, prepare)
        self._select(mean_scores(all_scores), rows, partial(selection.columns, groups=groups), k, to_order)
        self.importance_ = metric
        self.training_ = tuple(trained)
        warn_of_untrained(self.training_)
        self.__dict__.pop("classes_", None)  # of an earlier fit
        if target.classes is not None:
            self.classes_ = target.classes
        return self

    def parts(self, X: Any, y: Any) -> Iterator[tuple[Part, Part]]:
        """Yield again the prepared training rows and held-out rows of each ranking.

        Args:
            X: the table that ``fit`` saw.
            y: its target.
        """
        check_is_fitted(self)
        if self.seed_ is None:
            raise InputError(
                "the rows of each ranking are known of a selector that this version fitted, not of this one"
            )
        matrix, target, prepare = self._read(X, y)
        to_split = np.random.default_rng(self.seed_).spawn(1)[0]
        repeats = len(self.selections_) // rankings_per_repeat(self.resampling)
        yield from make_parts(matrix, target, to_split, prepare, repeats=repeats, resampling=self.resampling)

    def transform(self, X: Any) -> Any:
        """Return the selected columns, in the table's order; what is masked in a masked array is NaN.

        Args:
            X: a table with the columns of ``fit``.
        """
        return super().transform(without_mask(X))

    @property
    def stability_(self) -> npt.NDArray[np.float64]:
        """The share of repeats that would select each column, float64 ``(n_features,)``."""
        check_is_fitted(self)
        return np.asarray(self.selections_.mean(axis=0), dtype=np.float64)

    @property
    def n_features_selected_(self) -> int:
        """The number of selected columns."""
        check_is_fitted(self)
        return int(self.support_.sum())

    @property
    def expected_false_(self) -> dict[float, float] | None:
        """By threshold the bound on how many of the columns that are as stable say nothing; None where none holds."""
        check_is_fitted(self)
        if self.resampling != "halves" or _is_auto(self.n_features_to_select) or len(self.feature_groups):
            return None
        k, n_features = self.n_features_selected_, len(self.scores_)
        return {threshold: expected_false(k, n_features, threshold) for threshold in THRESHOLDS}

    def set_feature_names(self, names: Sequence[str]) -> None:
        """Name the columns of a fitted selector that was given no data frame.

        Raises:
            InputError: there are not as many names as columns.
        """
        check_is_fitted(self)
        if len(names) != self.n_features_in_:
            raise InputError(f"one name a column is needed, but got {len(names)} for {self.n_features_in_} columns")
        self.feature_names_in_ = np.array([str(name) for name in names], dtype=object)

    def save(self, path: str | Path) -> None:
        """Write a fitted selector to an ``.npz`` file of arrays and JSON, whole or not at all; nothing is pickled.

        Raises:
            InputError: ``random_state`` is a generator, which JSON cannot hold.
            OSError: the file cannot be written.
        """
        check_is_fitted(self)
        parameters = {name: plain(value) for name, value in self.get_params(deep=False).items()}
        if not isinstance(parameters["random_state"], int | None):
            raise InputError(
                "random_state must be a whole number or None in a selector that is saved, but is a generator"
            )
        names = getattr(self, "feature_names_in_", None)
        classes = getattr(self, "classes_", None)
        progress = {
            "format": _FORMAT,
            "parameters": parameters,
            "names": None if names is None else [str(name) for name in names],
            "classes": None if classes is None else classes.tolist(),
            "k_curve": [asdict(point) for point in self.k_curve_],
            "training": [asdict(each) for each in self.training_],
            "seed": self.seed_,
            "stand_ins": [[column, others] for column, others in self.stand_ins_.items()],
        }
        arrays = {
            "scores": self.scores_,
            "order": self.order_,
            "support": self.support_,
            "selections": self.selections_,
        }
        save_state(Path(path), State(arrays, json.loads(json.dumps(progress))))

    @classmethod
    def load(cls, path: str | Path) -> SparseFeatureSelector:
        """Return a fitted selector from a file that :meth:`save` wrote.

        Raises:
            CheckpointError: the file is missing, damaged or something else.
            InputError: it was written by a version that is not known.
        """
        state = read_state(Path(path))
        if state.progress.get("format") != _FORMAT:
            raise InputError(f"{path}: must be a selector of format {_FORMAT}, but is {state.progress.get('format')!r}")
        selector = cls(**state.progress["parameters"])
        for name, array in state.arrays.items():
            setattr(selector, f"{name}_", array)
        selector.n_features_in_ = len(selector.scores_)
        represented = state.progress.get("stand_ins", [])  # saved by an earlier version: none
        selector.stand_ins_ = {column: [tuple(other) for other in others] for column, others in represented}
        selector.k_curve_ = tuple(KPoint(**point) for point in state.progress.get("k_curve", []))  # likewise
        selector.seed_ = state.progress.get("seed")  # likewise: its parts are not known
        selector.training_ = tuple(Trained.load(each) for each in state.progress.get("training", []))  # likewise
        if state.progress["names"] is not None:
            selector.feature_names_in_ = np.array(state.progress["names"], dtype=object)
        if state.progress["classes"] is not None:
            selector.classes_ = np.array(state.progress["classes"])
        return selector

    def _get_support_mask(self) -> npt.NDArray[np.bool_]:
        check_is_fitted(self)
        return np.asarray(self.support_)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        tags.target_tags.multi_output = True
        tags.input_tags.sparse = True
        tags.input_tags.allow_nan = self.impute is not None or np.size(self.categorical) > 0
        return tags

    def _read(self, X: Any, y: Any) -> tuple[TableMatrix, Target, Prepare]:
        """Return the table and its target, checked, and what prepares its rows."""
        named = plain(self.categorical)
        if not isinstance(named, list | tuple) or any(type(column) is not int for column in named):
            raise InputError(f"categorical must be a list of column numbers, but got {self.categorical!r}")
        _check_target(X, y)
        x, y = validate_data(
            self,
            without_mask(X),
            y,
            accept_sparse="csr",
            dtype=[np.float64, np.float32],
            multi_output=True,
            ensure_min_samples=2,
            ensure_all_finite="allow-nan" if self.impute is not None or named else True,
        )
        matrix: TableMatrix = csr_array(cast("Any", x)) if issparse(x) else x
        infinite = infinite_columns(matrix)
        if len(infinite):
            raise InputError(f"values must be finite and within float32, but X has others in column {infinite[0]}")
        matrix = narrowed(matrix)
        categorical = self._categorical(named, matrix.shape[1])
        self._check_complete(matrix, categorical)
        target = make_target(y, self.task)
        prepare = partial(
            encode,
            categorical=categorical,
            scaling=default_scaling(matrix) if self.scaling is None else self.scaling,
            policy=self.impute,
            indicators=self.indicators,
        )
        return matrix, target, prepare

    def _select(
        self,
        scores: npt.NDArray[np.float64],
        rows: Part,
        select: Callable[..., npt.NDArray[np.int64]],
        k: int,
        rng: np.random.Generator,
    ) -> None:
        by_score = rank_columns(scores, deepcopy(rng))  # equal scores in the order in which the selection has them
        chosen = select(scores, rows, k, rng)
        self.scores_ = scores
        self.support_ = np.isin(np.arange(len(scores)), chosen)
        self.order_ = np.concatenate([chosen, by_score[~self.support_[by_score]]])
        self.stand_ins_ = {
            column: [(other.column, other.r) for other in others]
            for column, others in stand_ins(rows, chosen, most=CLOSEST).items()
        }

    def _k(self, n_features: int) -> int | None:
        """Return the number of columns that is given; None: it is to be found."""
        given = plain(self.n_features_to_select)
        if _is_auto(given):
            return None
        if given is None:
            return default_k(n_features)
        if isinstance(given, float) and 0 < given < 1:
            return math.ceil(given * n_features)
        if isinstance(given, int) and not isinstance(given, bool) and 1 <= given <= n_features:
            return given
        raise InputError(
            "n_features_to_select must be a whole number from 1 to the number of columns, a share in (0, 1), 'auto' "
            f"or None, but got {given!r}, {n_features} columns"
        )

    def _repeats(self, n_rows: int) -> int:
        auto = _is_auto(self.n_features_to_select)
        if self.n_repeats is None:
            return 5 if n_rows < _SMALL or auto else 1
        given = plain(self.n_repeats)
        if not isinstance(given, int) or isinstance(given, bool) or given < 1:
            raise InputError(f"n_repeats must be a whole number of 1 or more, or None, but got {self.n_repeats!r}")
        if auto and given * rankings_per_repeat(self.resampling) < 2:
            raise InputError("n_features_to_select='auto' takes n_repeats >= 2, for a standard error, but got 1")
        return given

    def _check_complete(self, matrix: TableMatrix, categorical: list[int]) -> None:
        lacking = missing_counts(matrix)
        lacking[categorical] = 0
        if self.impute is None and lacking.any():
            raise InputError(
                f"X contains NaN in {int((lacking > 0).sum())} columns of numbers, and nothing says what stands in for "
                f"it: impute is one of {', '.join(POLICIES)}"
            )

    def _categorical(self, given: Sequence[int], n_features: int) -> list[int]:
        columns = sorted(set(given))
        if columns and not 0 <= columns[0] <= columns[-1] < n_features:
            raise InputError(f"categorical columns must be numbers from 0 to {n_features - 1}, but got {columns}")
        return columns

    def _selection(self) -> Selection:
        if self.selection is None:
            return Selection("greedy" if self.method in RANKERS and RANKERS[self.method].is_network else TOP)
        if not isinstance(self.selection, str):
            raise InputError(f"selection must be the name of a rule, but got {self.selection!r}")
        return Selection.parse(self.selection)

    def _config(self, n_rows: int, target: Target) -> Any:
        if self.method not in RANKERS:
            raise InputError(unknown_name("method", self.method, RANKERS))
        network = RANKERS[self.method].network
        if target.classes is None and not RANKERS[self.method].takes_numbers:
            able = ", ".join(name for name, entry in RANKERS.items() if entry.takes_numbers)
            raise InputError(f"a continuous target needs a method that ranks for numbers: {able}; got {self.method!r}")
        if self.importance not in METRICS.keys() | HELD_OUT_METRICS.keys():
            raise InputError(unknown_name("importance", self.importance, METRICS.keys() | HELD_OUT_METRICS.keys()))
        if self.impute is not None and self.impute not in POLICIES:
            raise InputError(unknown_name("missing-data policy", self.impute, POLICIES))
        names = ("sparsity", "l2", "epochs", "patience", "lr", "threads", "hidden", "batch_size")
        settings = {name: plain(getattr(self, name)) for name in names}
        if self.batch_size is None:
            settings["batch_size"] = default_batch_size(n_rows)
        if not isinstance(settings["hidden"], list | tuple):
            raise InputError(f"hidden must be a list of layer sizes, but got {self.hidden!r}")
        further = {name: plain(value) for name, value in (self.settings or {}).items()}
        settings |= {"hidden": tuple(settings["hidden"]), "loss": target.loss}
        if network is not None:  # one that grows by attribution takes it too
            grows_by = ("neuron_attribution",) if network.follows_attribution else ()
            deciding = further.pop("importances", ())  # on the columns that stay after a round
            settings["importances"] = tuple(dict.fromkeys([self.importance, *grows_by, *deciding]))
        for name in further:
            if name in settings or name not in parameters(self.method):
                raise InputError(unknown_name("setting", name, parameters(self.method) - settings.keys()))
        return make_config(self.method, {**settings, **further})


def _is_auto(given: Any) -> bool:
    return isinstance(given, str) and given == "auto"


def _check_target(x: Any, y: Any) -> None:
    """Refuse a target that is masked somewhere, or that has one value a column.

    Raises:
        InputError: it is so.
    """
    if isinstance(y, np.ma.MaskedArray) and np.ma.is_masked(y):
        raise InputError(f"y must be known in every row, but {np.ma.getmaskarray(y).sum()} of {y.size} are masked")
    shape = getattr(x, "shape", None)
    if isinstance(shape, tuple) and len(shape) == 2 and hasattr(y, "__len__") and len(y) == shape[1]:
        check_rows("label", (shape[0], shape[1]), len(y))
