"""Settings of fusion, apart from the ranker: specs are checked by them without torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dst.errors import InputError, check_rules, unknown_name
from dst.importance.metrics import HELD_OUT_METRICS, METRICS


@dataclass(frozen=True)
class FusionConfig:
    """Settings of :func:`dst.rankers.fusion.rank_by_fusion`; :func:`dst.rankers.make_config` makes them.

    Attributes:
        settings: of each member, by its name: all that it works with.
        members: the rankers whose ranks are averaged, names in :data:`dst.rankers.RANKERS`, each once.
        importance: the metric by which networks among them rank.
    """

    settings: Mapping[str, Mapping[str, Any]]
    members: tuple[str, ...] = ("set", "l1_logistic", "extra_trees")
    importance: str = "neuron_attribution"

    def __post_init__(self) -> None:
        check_rules(
            ("at least two members, each once", 2 <= len(self.members) == len({*self.members}), f"{self.members}")
        )
        if self.importance not in METRICS.keys() | HELD_OUT_METRICS.keys():
            raise InputError(unknown_name("importance", self.importance, METRICS.keys() | HELD_OUT_METRICS.keys()))
