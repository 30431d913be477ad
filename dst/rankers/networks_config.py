"""The settings of a ranking by networks: of each training, and of how many there are."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any

from dst.errors import InputError, check_rules, unknown_name
from dst.importance.metrics import CONTROLS
from dst.rankers.scores import COMBINATIONS
from dst.training.config import TrainingConfig


@dataclass(frozen=True)
class NetworksConfig(TrainingConfig):
    """Settings of networks that rank columns: those of each training, how many networks there are, and of rounds.

    They are apart from :class:`dst.training.config.TrainingConfig` because a training knows nothing of others: its
    checkpoint stays as it was.

    Attributes:
        networks: how many networks are trained on the same rows, each with a stream of draws of its own.
        combine: how their scores become one, a name in :data:`dst.rankers.scores.COMBINATIONS`.
        rounds: how many rounds of trainings follow one another, each on the columns that the one before has left
            (:mod:`dst.rankers.successive`).
        keep: share of the columns that stays after each round but the last, in (0, 1).
        width: factor of all hidden sizes, each rounded to whole units and one at least, so that a search space may vary
            them with one number.
    """

    networks: int = 1
    combine: str = "mean"
    rounds: int = 1
    keep: float = 0.5
    width: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.combine not in COMBINATIONS:
            raise InputError(unknown_name("combine", self.combine, COMBINATIONS))
        check_rules(
            ("networks >= 1", self.networks >= 1, f"networks={self.networks}"),
            ("rounds >= 1", self.rounds >= 1, f"rounds={self.rounds}"),
            ("0 < keep < 1", 0 < self.keep < 1, f"keep={self.keep}"),
            ("0 < width < inf", 0 < self.width < math.inf, f"width={self.width}"),
            (
                "an importance that is no control, where rounds > 1,",
                self.rounds == 1 or not set(self.importances) <= set(CONTROLS),
                f"importances={', '.join(self.importances)}",
            ),
        )

    @property
    def training(self) -> TrainingConfig:
        """The settings of each training."""
        names = (field.name for field in dataclasses.fields(TrainingConfig))
        settings = {name: getattr(self, name) for name in names}
        hidden = tuple(max(1, round(self.width * size)) for size in self.hidden)
        return TrainingConfig(**settings | {"hidden": hidden})

    def widths(self, n_features: int) -> tuple[int, ...]:
        """Return how many columns each round trains on: ``keep ** r`` of them in round r from 0, and one at least.

        Args:
            n_features: columns of the table.
        """
        return tuple(max(1, round(n_features * self.keep**number)) for number in range(self.rounds))

    def check_k(self, n_features: int, k: int) -> None:
        """Refuse to select more columns than the last round trains on, see :func:`dst.rankers.base.check_k`."""
        widths = self.widths(n_features)
        if k > widths[-1]:
            raise InputError(
                f"k <= columns of the last round must hold, but got k={k}, and {widths[-1]} of {n_features} columns "
                f"are left in round {self.rounds} with keep={self.keep}: take "
                f"rounds={sum(width >= k for width in widths)} or a larger keep"
            )


def columns_of_last_round(config: Any, n_features: int) -> int:
    """Return how many columns the last round of trainings ranks; all where a ranker has no rounds.

    Args:
        config: a ranker's settings.
        n_features: columns of the table.
    """
    return config.widths(n_features)[-1] if isinstance(config, NetworksConfig) else n_features
