"""Rankers by name, and how their settings are made from named parameters.

Specs are checked and results shown by this table alone, so that it loads neither torch nor Numba: a ranker whose module
needs them is named by its path, its settings stand in :mod:`dst.rankers.settings`; other rankers import scikit-learn
where they fit.
"""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from dst.errors import InputError, unknown_name
from dst.files.plain import plain
from dst.importance.metrics import HELD_OUT_METRICS
from dst.importance.metrics import METRICS as MODEL_METRICS
from dst.rankers.base import Ranker
from dst.rankers.extra_trees import ExtraTreesConfig, rank_by_extra_trees
from dst.rankers.filters import FScoreConfig, MutualInfoConfig, rank_by_f_score, rank_by_mutual_info
from dst.rankers.fusion_config import FusionConfig
from dst.rankers.gated_settings import SequentialAttentionConfig, StgConfig
from dst.rankers.greedy import GreedyConfig, rank_by_greedy
from dst.rankers.l1_logistic import L1LogisticConfig, rank_by_l1_logistic
from dst.rankers.lasso import LassoConfig, rank_by_lasso
from dst.rankers.mrmr import MrmrConfig, rank_by_mrmr
from dst.rankers.networks_config import NetworksConfig
from dst.rankers.random_order import RandomConfig, rank_randomly
from dst.rankers.rfs import RfsConfig, rank_by_rfs
from dst.rankers.settings import LassoNetConfig, NeuroFsConfig, QuickSelectionConfig, WastConfig
from dst.rankers.when_called import imported_when_called
from dst.topology.methods import METHODS, Method

NETWORK_METRICS = (*MODEL_METRICS, *HELD_OUT_METRICS)
"""What inputs of a network can be ranked by; a training gives those of them that its ``importances`` name."""


@dataclass(frozen=True)
class RankerEntry:
    """A ranker and the dataclass of its settings.

    Attributes:
        rank: the ranker.
        config: frozen dataclass; a field named ``method`` receives the name that the ranker was asked for by, one named
            ``settings`` those of each of the rankers, its ``members``, that it runs.
        warm_up: takes the settings and the number of training rows; does what only the first ranking in a process waits
            for.
        classifies: whether its ``val_loss`` is a classifier's cross-entropy, by which it can be compared with others.
        by_epoch: whether it trains a classifier and reports its loss epoch by epoch, so that a pruner can compare it
            with others on its way.
        metrics: the importance metrics that it gives, the keys of its ``scores`` (of a network, all to ask for).
        counts_flops: whether it says how many FLOPs its training took.
        reads_labels: whether its scores depend on the labels.
        takes_numbers: whether it ranks for targets of numbers too, of one or several outputs.
        takes_k: the setting that tells it how many columns are wanted, where it trains for a number of them; a trial
            and a selector fill it in (:func:`with_k`).
        network: of a network, how its connections are chosen and moved; None: another kind of model.
    """

    rank: Ranker
    config: type[Any]
    warm_up: Callable[[Any, int], None] = lambda config, n_rows: None
    classifies: bool = True
    by_epoch: bool = False
    metrics: tuple[str, ...] = ()
    counts_flops: bool = False
    reads_labels: bool = True
    takes_numbers: bool = False
    takes_k: str | None = None
    network: Method | None = None

    @property
    def runs_others(self) -> bool:
        """Whether it runs other rankers, its ``members``, and takes their settings too."""
        return any(field.name == "settings" for field in dataclasses.fields(self.config))

    @property
    def is_network(self) -> bool:
        """Whether it trains a network of :mod:`dst.network`."""
        return self.network is not None

    @property
    def sparse(self) -> bool:
        """Whether it is a network whose layers store connections only."""
        return self.network is not None and self.network.sparse

    @property
    def without_effect(self) -> frozenset[str]:
        """Settings that it takes, as all networks do, and that change nothing of it."""
        if self.network is None:
            return frozenset()
        moves = {"drop_fraction", "final_drop_fraction", "update_interval", "schedule", "stop_fraction"}
        shares = {"sparsity", "distribution"}
        return frozenset((set() if self.moving else moves) | (set() if self.sparse else shares))

    @property
    def moving(self) -> bool:
        """Whether it is a network whose connections move."""
        return self.network is not None and self.network.grow is not None


RANKERS: dict[str, RankerEntry] = {
    **{
        name: RankerEntry(
            imported_when_called("dst.rankers.sparse_mlp:rank_by_sparse_mlp"),
            NetworksConfig,
            imported_when_called("dst.rankers.warm_up:warm_up"),
            by_epoch=True,
            metrics=NETWORK_METRICS,
            counts_flops=True,
            takes_numbers=True,
            network=network,
        )
        for name, network in METHODS.items()
    },
    "extra_trees": RankerEntry(
        rank_by_extra_trees, ExtraTreesConfig, metrics=("impurity_decrease",), takes_numbers=True
    ),
    "f_score": RankerEntry(rank_by_f_score, FScoreConfig, classifies=False, metrics=("f_score",)),
    "fusion": RankerEntry(
        imported_when_called("dst.rankers.fusion:rank_by_fusion"),
        FusionConfig,
        imported_when_called("dst.rankers.fusion:warm_up_members"),
        classifies=False,
        metrics=("mean_rank",),
    ),
    "greedy": RankerEntry(rank_by_greedy, GreedyConfig, classifies=False, metrics=("entry_order",)),
    "l1_logistic": RankerEntry(rank_by_l1_logistic, L1LogisticConfig, metrics=("l1_coefficient",)),
    "lasso": RankerEntry(
        rank_by_lasso, LassoConfig, classifies=False, metrics=("lasso_coefficient",), takes_numbers=True
    ),
    "lassonet": RankerEntry(
        imported_when_called("dst.rankers.lasso_net:rank_by_lassonet"),
        LassoNetConfig,
        metrics=("path_lambda",),
        counts_flops=True,
    ),
    "mrmr": RankerEntry(rank_by_mrmr, MrmrConfig, classifies=False, metrics=("mrmr_order",)),
    "mutual_info": RankerEntry(rank_by_mutual_info, MutualInfoConfig, classifies=False, metrics=("mutual_info",)),
    "neurofs": RankerEntry(
        imported_when_called("dst.rankers.neurofs:rank_by_neurofs"),
        NeuroFsConfig,
        imported_when_called("dst.rankers.neurofs:warm_up_neurofs"),
        by_epoch=True,
        metrics=("neuron_strength",),
        counts_flops=True,
        takes_k="inputs",
    ),
    "quickselection": RankerEntry(
        imported_when_called("dst.rankers.quickselection:rank_by_quickselection"),
        QuickSelectionConfig,
        imported_when_called("dst.rankers.quickselection:warm_up_quickselection"),
        classifies=False,
        metrics=("neuron_strength",),
        counts_flops=True,
        reads_labels=False,
    ),
    "random": RankerEntry(
        rank_randomly, RandomConfig, classifies=False, metrics=("random",), reads_labels=False, takes_numbers=True
    ),
    "rfs": RankerEntry(rank_by_rfs, RfsConfig, classifies=False, metrics=("row_norm",)),
    "sequential_attention": RankerEntry(
        imported_when_called("dst.rankers.sequential_attention:rank_by_sequential_attention"),
        SequentialAttentionConfig,
        by_epoch=True,
        metrics=("attention_order",),
        counts_flops=True,
    ),
    "stg": RankerEntry(
        imported_when_called("dst.rankers.stg:rank_by_stg"),
        StgConfig,
        by_epoch=True,
        metrics=("gate_probability",),
        counts_flops=True,
    ),
    "wast": RankerEntry(
        imported_when_called("dst.rankers.wast:rank_by_wast"),
        WastConfig,
        classifies=False,
        metrics=("neuron_importance",),
        counts_flops=True,
        reads_labels=False,
    ),
}


def method_groups() -> dict[str, tuple[str, ...]]:
    """Return the methods that have a property in common, in the order of :data:`RANKERS`, by the property's name.

    Returns:
        ``network``: all networks; ``sparse``: those that store connections only; ``moving``: those whose connections
        move.
    """
    return {
        "network": tuple(name for name, entry in RANKERS.items() if entry.is_network),
        "sparse": tuple(name for name, entry in RANKERS.items() if entry.sparse),
        "moving": tuple(name for name, entry in RANKERS.items() if entry.moving),
    }


def parameters(method: str) -> frozenset[str]:
    """Return the names of the settings that a method takes; of one that runs other rankers, those of all others too.

    Raises:
        InputError: no such method.
    """
    own = _own_parameters(method)
    if not RANKERS[method].runs_others:
        return own
    others = (name for name, entry in RANKERS.items() if not entry.runs_others)
    return own.union(*map(_own_parameters, others)) - {"importances"}


def used_settings(method: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return every setting that a ranker works with, defaults included, as plain data by name.

    A method that stores all connections has sparsity 0, whatever is given; one that runs other rankers has
    ``settings``, what each of these works with. Values are not checked: a record also says what a trial was given that
    failed by them.

    Args:
        method: a name in :data:`RANKERS`.
        given: settings by name; what the ranker does not take is left out.

    Raises:
        InputError: no such method.
    """
    taken = _own_parameters(method)
    entry = RANKERS[method]
    defaults = {field.name: field.default for field in dataclasses.fields(entry.config) if field.name in taken}
    used = {name: given.get(name, default) for name, default in defaults.items()}
    if entry.is_network and not entry.sparse:
        used["sparsity"] = 0.0
    plain_used = {name: list(value) if isinstance(value, tuple) else plain(value) for name, value in used.items()}
    if entry.runs_others:
        plain_used["settings"] = _members_settings(plain_used, given)
    return plain_used


def make_config(method: str, settings: Mapping[str, Any]) -> Any:
    """Return a ranker's settings from named values; what the ranker does not take is left out.

    Settings are shared by all methods of a study (epochs, hidden sizes, ...), so a ranker picks its own; names that no
    ranker takes are refused where the study's spec is read.

    Raises:
        InputError: no such method, or a value of a wrong type or that breaks a rule.
    """
    own = _own_parameters(method)
    taken = {name: plain(value) for name, value in settings.items() if name in own}
    config = RANKERS[method].config
    kinds = typing.get_type_hints(config)
    for name, value in taken.items():
        _check_type(name, value, kinds[name])
    taken = {name: tuple(value) if isinstance(value, list) else value for name, value in taken.items()}
    if "method" in {f.name for f in dataclasses.fields(config)}:
        taken["method"] = method
    if RANKERS[method].runs_others:
        taken["settings"] = used_settings(method, settings)["settings"]
        _check_members(config(**taken))
    return config(**taken)


def _own_parameters(method: str) -> frozenset[str]:
    """Return the names of a method's own settings."""
    if method not in RANKERS:
        raise InputError(unknown_name("method", method, RANKERS))
    return frozenset(f.name for f in dataclasses.fields(RANKERS[method].config)) - {"method", "settings"}


def _members_settings(used: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the settings of each member; networks take the importance that they rank by, and what they grow by."""
    members = used["members"] if isinstance(used["members"], list) else []
    settings = {}
    for member in members:
        if isinstance(member, str) and member in RANKERS and not RANKERS[member].runs_others:
            network, importance = RANKERS[member].network, used["importance"]
            grows_by_it = network is not None and network.follows_attribution and importance != "neuron_attribution"
            importances = [importance, *(["neuron_attribution"] if grows_by_it else [])]
            settings[member] = used_settings(member, {**given, "importances": importances})
    return settings


def _check_members(config: FusionConfig) -> None:
    """Refuse members that there are not, or their settings.

    Raises:
        InputError: a member is unknown, or runs other rankers itself, or a value of its settings breaks a rule.
    """
    valid = [name for name, entry in RANKERS.items() if not entry.runs_others]
    for member in config.members:
        if member not in valid:
            raise InputError(unknown_name("member", member, valid))
        make_config(member, config.settings[member])


def with_k(method: str, config: Any, k: int) -> Any:
    """Return a ranker's settings with the number of columns that are selected, where it takes one and has none.

    Args:
        method: a name in :data:`RANKERS`.
        config: its settings.
        k: how many columns are selected.
    """
    setting = RANKERS[method].takes_k
    if setting is None or getattr(config, setting) > 0:
        return config
    return dataclasses.replace(config, **{setting: k})


def _check_type(name: str, value: Any, kind: Any) -> None:
    """Refuse a value that its setting cannot hold; what YAML, JSON and :func:`dst.files.plain.plain` give passes."""
    expected = {int: "a whole number", float: "a number", str: "a name", tuple[str, ...]: "a list of names"}.get(
        kind, "a list of whole numbers"
    )
    if kind in (int, float):
        holds = isinstance(value, int if kind is int else int | float) and not isinstance(value, bool)
    elif kind is str:
        holds = isinstance(value, str)
    else:
        item_kind = str if kind == tuple[str, ...] else int
        holds = isinstance(value, list | tuple) and all(isinstance(item, item_kind) for item in value)
    if not holds:
        raise InputError(f"{name} must be {expected}, but got {value!r}")
